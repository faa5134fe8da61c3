/**
 * Changes variables of a `.env` and nothing else: every other byte stays, as do indentation, `export`, quotes, comments behind
 * the value and line ends. Pure. What is written is read alike by every reader of such files that is known: dotenv,
 * `node --env-file`, python-dotenv, docker compose and a shell.
 */
import { KeyturnError } from '../../core/errors.ts'

export interface Setting {
  readonly name: string
  readonly value: string
}

/** Where one variable stands; lines count from 0, both ends included. */
interface Entry {
  readonly name: string
  readonly first: number
  readonly last: number
  /** What stands before the value, and behind it up to the end of the last line. */
  readonly lead: string
  readonly tail: string
  readonly quote: string
  readonly value: string
}

/** A quote that is closed further down than this was not meant to be open: PEM keys have some 60 lines. */
const valueLinesMax = 100

/** Every place where one of these variables is set gets the value; one that is nowhere is added at the end. Error: `config_invalid`. */
export function setInDotenv(text: string, settings: readonly Setting[]): string {
  const lines = linesOf(text)
  const entries = entriesOf(lines)
  const added: string[] = []
  for (const { name, value } of settings) {
    const own = entries.filter((entry) => entry.name === name)
    for (const { first, last, lead, tail, quote } of own) {
      const end = /\r?\n$/.exec(lines[last] ?? '')?.[0] ?? ''
      lines.fill('', first, last + 1)
      lines[last] = `${lead}${written(name, value, quote)}${tail}${end}`
    }
    if (own.length === 0) added.push(`${name}=${written(name, value, '')}`)
  }
  const changed = lines.join('')
  if (added.length === 0) return changed
  const end = /\r?\n/.exec(text)?.[0] ?? '\n'
  const gap = changed === '' || changed.endsWith('\n') ? '' : end
  return `${changed}${gap}${added.map((line) => line + end).join('')}`
}

/** Without the lines on which one of these variables has the value. */
export function removeFromDotenv(text: string, settings: readonly Setting[]): string {
  const lines = linesOf(text)
  for (const { name, value, first, last } of entriesOf(lines))
    if (settings.some((one) => one.name === name && one.value === value)) lines.fill('', first, last + 1)
  return lines.join('')
}

/** Whether a variable is set anywhere. */
export function isInDotenv(text: string, name: string): boolean {
  return entriesOf(linesOf(text)).some((entry) => entry.name === name)
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

function entriesOf(lines: readonly string[]): readonly Entry[] {
  const entries: Entry[] = []
  for (let first = 0; first < lines.length; ) {
    const entry = entryAt(lines, first)
    if (entry !== undefined) entries.push(entry)
    first = (entry?.last ?? first) + 1
  }
  return entries
}

function entryAt(lines: readonly string[], first: number): Entry | undefined {
  const line = withoutEnd(lines[first] ?? '')
  const head = /^\uFEFF?[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*(?:=|:(?=[ \t]))[ \t]*/.exec(line)
  if (head === null) return undefined
  const [lead, name = ''] = head
  const rest = line.slice(lead.length)
  const quote = /^["'`]/.exec(rest)?.[0] ?? ''
  const quoted = quote === '' ? undefined : quotedFrom(lines, first, { start: lead.length + 1, quote })
  if (quoted !== undefined) return { name, first, lead, quote, ...quoted }
  const tail = /(?:^|[ \t]+)#.*$|[ \t]+$/.exec(rest)?.[0] ?? ''
  return { name, first, last: first, lead, tail, quote: '', value: rest.slice(0, rest.length - tail.length) }
}

/** Undefined where the quote is not closed, or is one of several pieces. */
function quotedFrom(
  lines: readonly string[],
  first: number,
  { start, quote }: { readonly start: number; readonly quote: string },
): Pick<Entry, 'last' | 'tail' | 'value'> | undefined {
  const pieces: string[] = []
  for (let last = first; last < Math.min(lines.length, first + valueLinesMax); last += 1) {
    const line = withoutEnd(lines[last] ?? '')
    const piece = last === first ? line.slice(start) : line
    const end = closing(piece, quote)
    if (end === undefined) {
      pieces.push(piece)
      continue
    }
    const tail = piece.slice(end + 1)
    if (!/^[ \t]*(?:#.*)?$/.test(tail)) return undefined
    return { last, tail, value: [...pieces, piece.slice(0, end)].join('\n') }
  }
  return undefined
}

function closing(piece: string, quote: string): number | undefined {
  for (let at = 0; at < piece.length; at += 1) {
    if (piece.charAt(at) === '\\' && quote === '"') at += 1
    else if (piece.charAt(at) === quote) return at
  }
  return undefined
}

function withoutEnd(line: string): string {
  return line.replace(/\r?\n$/, '')
}

/** What no reader takes for anything else, with quotes or without. */
const plain = /^[\w./:@%+,=-]*$/
/** A shell would run what stands between backticks. */
const keptQuotes = ['"', "'"]

function written(name: string, value: string, quote: string): string {
  if (plain.test(value)) return keptQuotes.includes(quote) ? `${quote}${value}${quote}` : value
  if (!/['\r\n\\]/.test(value)) return `'${value}'`
  throw new KeyturnError('config_invalid', `the value of ${name} cannot be written into a .env`, {
    fix: 'It holds a quote, a backslash or a line break, which readers of such files take differently: use --format raw or json.',
  })
}
