/**
 * What looks like a secret of the kinds that end up in a configuration by mistake: OpenAI's keys of every kind
 * (reference: their common prefix, and the middle part that all long ones have), Keyturn's own tokens, keys of vendors that are
 * taken for OpenAI's, AWS access keys, tokens of Vault and OpenBao, PEM blocks. Loose on purpose: a false alarm costs a rename, a miss costs a key. Bounded, so that no line is too
 * long for them.
 */
const patterns: readonly RegExp[] = [
  /\bsk-[A-Za-z0-9_-]{16}/,
  /[A-Za-z0-9_-]{8}T3BlbkFJ[A-Za-z0-9_-]{8}/,
  /\bkt_(?:app|op)_[A-Za-z0-9_-]{20}/,
  /\bAIza[A-Za-z0-9_-]{30}/,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
  /-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----/,
  /\bhv[sbr]\.[A-Za-z0-9_-]{20}/,
  /\b[sbr]\.[A-Za-z0-9]{24}\b/,
  /\bAGE-SECRET-KEY-1[A-Z0-9]{20}/i,
]

/** Where in the line something looks like a secret, as a zero-based column; undefined where nothing does. */
export function looksSecret(line: string): number | undefined {
  for (const pattern of patterns) {
    const match = pattern.exec(line)
    if (match !== null) return match.index
  }
  return undefined
}
