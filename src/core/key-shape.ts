/**
 * What a key looks like, for the last line of defence: the ledger refuses to write such text, the log replaces it. The
 * pattern is loose on purpose, because lengths are undocumented and have changed (September 2024), and because other
 * providers' keys begin with `sk-` too. It must not be used to refuse a key that somebody brings.
 *
 * `sk-` counts at the start of a word, and after an escape (`%20sk-`, `\nsk-` inside JSON inside JSON), so that
 * `task-force-of-the-quarter` stays readable; the infix of OpenAI's keys counts anywhere.
 */
const shapes = [
  String.raw`(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}|\\[a-z]|\\u[0-9a-f]{4}))sk-[A-Za-z0-9_*-]{12,400}`,
  String.raw`sk-(?:proj|svcacct|service|admin)-[A-Za-z0-9_-]{40,400}`,
  String.raw`AGE-SECRET-KEY-1[0-9A-Za-z]{20,100}`,
  // A JSON web token: what proves a workload’s identity, and what is exchanged for it as far as is known.
  String.raw`eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,16000}\.[A-Za-z0-9_-]{8,2000}`,
].join('|')
const shape = new RegExp(shapes)
const everyShape = new RegExp(shapes, 'g')

/** Searched for on its own first: the pattern around it is slow on long text without it. */
const infix = 'T3BlbkFJ'
const aroundInfix = new RegExp(`[A-Za-z0-9_-]{0,200}${infix}[A-Za-z0-9_-]{8,200}`, 'g')

/** Keyturn's own tokens and everybody else's travel behind these words. */
const authorization = /(Bearer|Basic)(\s+|%20)[A-Za-z0-9._~+/=-]{8,}/gi

/** Every shape holds one of them: long text without any is searched quickly. */
const beginnings = ['sk-', 'AGE-SECRET-KEY-1', 'eyJ']

export function looksLikeKey(text: string): boolean {
  return (beginnings.some((one) => text.includes(one)) && shape.test(text)) || text.includes(infix)
}

/** Replaces whatever looks like a key, or follows `Bearer`, by `[redacted]`. */
export function redactKeys(text: string): string {
  const shaped = text.replace(everyShape, '[redacted]')
  const rest = shaped.includes(infix) ? shaped.replace(aroundInfix, '[redacted]') : shaped
  return rest.replace(authorization, '$1$2[redacted]')
}
