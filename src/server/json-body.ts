import type { z } from 'zod'
import { KeyturnError } from '../core/errors.ts'

/** A body as JSON. The message of a failure says where, and never quotes: a body may hold a key. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    const { line, column } = placeOf(text, firstFault(text))
    throw new KeyturnError(
      'bad_request',
      `The body is not JSON: it breaks at line ${line}, column ${column}.`,
      {
        fix: 'Send one JSON object.',
      },
    )
  }
}

/** The body as its schema wants it. Names what is wrong by field, and never the value. */
export function parseBody<Body>(schema: z.ZodType<Body>, body: unknown, isRequired: boolean): Body {
  const parsed = schema.safeParse(body === undefined ? (isRequired ? null : {}) : body)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.slice(0, faultsMax).map(describe)
  throw new KeyturnError('bad_request', `The body is not valid: ${faults.join('; ')}.`, {
    fix: 'GET /openapi.json shows what each body may hold.',
  })
}

/** The name of a field or a parameter, unless it does not look like one: somebody may have pasted a key in its place. */
export function showName(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(name) ? `\`${name}\`` : '(a name that is not shown)'
}

const faultsMax = 5

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown field ${issue.keys.slice(0, faultsMax).map(showName).join(', ')}`
  const message = issue.message.replace(/^Invalid input: /, '').replace(/^Invalid string: /, '')
  const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : String(part))).join('.')
  return path === '' ? message : `\`${path}\`: ${message}`
}

function placeOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset)
  const lastBreak = before.lastIndexOf('\n')
  return { line: before.split('\n').length, column: offset - lastBreak }
}

const token =
  /[\t\n\r ]+|[{}[\],:]|"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/**
 * Where a text stops being JSON, as an offset. V8 tells this only in some of its messages, and quotes the text in all of
 * them. Walks the tokens with a stack of open brackets; called for broken bodies only, which are bounded.
 */
function firstFault(text: string): number {
  const open: string[] = []
  // What may come next: v value, k key, e key or end, i item or end, c colon, n comma or end, x nothing.
  let want = 'v'
  let offset = 0
  while (offset < text.length) {
    token.lastIndex = offset
    const found = token.exec(text)?.[0]
    if (found === undefined) return offset
    if (found.trim() !== '') {
      const next = advance(found, want, open)
      if (next === undefined) return offset
      want = next
    }
    offset += found.length
  }
  return offset
}

function advance(found: string, want: string, open: string[]): string | undefined {
  const afterValue = () => (open.length === 0 ? 'x' : 'n')
  const isValueWanted = want === 'v' || want === 'i'
  switch (found) {
    case '{':
    case '[':
      if (!isValueWanted) return undefined
      open.push(found)
      return found === '{' ? 'e' : 'i'
    case '}':
    case ']': {
      const isEnd = want === 'n' || want === (found === '}' ? 'e' : 'i')
      if (!isEnd || open.pop() !== (found === '}' ? '{' : '[')) return undefined
      return afterValue()
    }
    case ':':
      return want === 'c' ? 'v' : undefined
    case ',':
      if (want !== 'n') return undefined
      return open.at(-1) === '{' ? 'k' : 'v'
    default:
      if (want === 'e' || want === 'k') return found.startsWith('"') ? 'c' : undefined
      return isValueWanted ? afterValue() : undefined
  }
}
