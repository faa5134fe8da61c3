import { KeyturnError } from '../core/errors.ts'

/** What people leave in a template (`sk-...`, `your-api-key-here`, `<key>`, `changeme`). No key looks like it. */
const placeholderPattern =
  /^<.*>$|\.\.\.|your[-_ ]?(openai[-_ ]?)?(api[-_ ]?)?key|^(sk-)?(change[-_]?me|replace[-_]?me|x+)$/i

/** Refuses a placeholder where it is found, because the issuer could only say later that it is no key. */
export function assertNoPlaceholder(text: string, where: string): void {
  if (!placeholderPattern.test(text)) return
  throw new KeyturnError('store_malformed', `${where} holds a placeholder, not a key.`, {
    fix: `Put the real key into ${where}.`,
  })
}

/** The value of one field of a JSON document. Errors name the document and the field and quote nothing. */
export function fieldOf(text: string, field: string, where: string): string {
  const document = parseJson(text)
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new KeyturnError('store_malformed', `${where} is not a JSON object.`, {
      fix: `Store the key as {"${field}": …}, or configure the store without a field where it is the key alone.`,
    })
  const value = Object.hasOwn(document, field) ? (document as Record<string, unknown>)[field] : undefined
  if (typeof value === 'string' && value.trim() !== '') return value
  throw new KeyturnError('store_malformed', `${where} has no text in its field ${field}.`, {
    fix: `Configure the name of the field that holds the key, or put the key into ${field}.`,
  })
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (thrown) {
    // The parser's message quotes the text, which is a secret here.
    if (thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}

/** Editors and `echo` end files with a newline, and some begin them with a byte order mark: neither is of the key. */
export function withoutFileMarks(text: string): string {
  return text.replace(/^\uFEFF/, '').replace(/[\r\n]+$/, '')
}
