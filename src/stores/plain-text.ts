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

/** Far beyond what people write, and far below what takes the stack away from those who walk through it later. */
const nestingMax = 200

/**
 * Undefined where it is no JSON, or nested deeper than 200. Numbers that would not come out of `JSON.stringify` as they are here (beyond what a
 * double can hold, or written as 1.10) stay as they are written: documents are other people's, and are written back.
 */
export function parseJson(text: string): unknown {
  const json = JSON as unknown as JsonWithSource
  const keepDigits = (_key: string, value: unknown, { source }: { readonly source?: string }): unknown =>
    typeof value === 'number' && source !== undefined && String(value) !== source
      ? json.rawJSON(source)
      : value
  try {
    // V8 parses without recursion; revivers and `JSON.stringify` recurse.
    const document: unknown = JSON.parse(text)
    if (isNestedDeeper(text, nestingMax)) return undefined
    return oddNumber.test(text) ? json.parse(text, keepDigits) : document
  } catch (thrown) {
    // The parser's message quotes the text, which is a secret here.
    if (thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}

/** Of text that is JSON. */
function isNestedDeeper(text: string, max: number): boolean {
  let depth = 0
  let isInText = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (isInText && character === '\\') at++
    else if (character === '"') isInText = !isInText
    else if (isInText) continue
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    if (depth > max) return true
  }
  return false
}

/** What Node has since 21, and the types of ES2024 do not. */
interface JsonWithSource {
  parse(
    text: string,
    revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown
  rawJSON(text: string): unknown
}

/** Whether a closer look is worth it; other text may look like such a number. */
const oddNumber = /\d{16}|\.\d*0|\d[eE]|-0/

/** Editors and `echo` end files with a newline, and some begin them with a byte order mark: neither is of the key. */
export function withoutFileMarks(text: string): string {
  return text.replace(/^\uFEFF/, '').replace(/[\r\n]+$/, '')
}
