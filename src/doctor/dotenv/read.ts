import type { Dialect } from './dialects.ts'

/** A variable that a dotenv file sets, as one loader reads it. */
export interface DotenvEntry {
  readonly name: string
  readonly value: string
  /** Of the name; 1 for the first. */
  readonly line: number
  /** Of the value's first character, quotes left out; 1 for the first. */
  readonly column: number
  /** The quote that was taken off. */
  readonly quote?: string
  /** How many lines it goes over. */
  readonly lines: number
}

/** Longer files are cut off: nobody writes them by hand. */
export const linesMax = 20_000
/** A quote that is closed further down than this was not meant to be open: PEM keys have some 60 lines. */
export const valueLinesMax = 100

/** Reads it as the loader does: what it would drop is not there, what it would keep is. Never throws. */
export function readDotenv(text: string, dialect: Dialect): readonly DotenvEntry[] {
  const entries: DotenvEntry[] = []
  const lines = linesOf(text, dialect)
  for (let index = 0; index < Math.min(lines.length, linesMax); ) {
    const entry = readEntry(lines, index, dialect)
    if (entry !== undefined) entries.push(entry)
    index += entry?.lines ?? 1
  }
  return entries
}

/** Line ends do not matter to any loader but a shell, which keeps the `\r` of a `\r\n`. */
export function linesOf(text: string, dialect: Pick<Dialect, 'dropsByteOrderMark' | 'keepsCarriageReturn'>) {
  const body = dialect.dropsByteOrderMark ? text.replace(/^\uFEFF/, '') : text
  return body.split(dialect.keepsCarriageReturn ? '\n' : /\r\n|\n/)
}

function readEntry(lines: readonly string[], index: number, dialect: Dialect): DotenvEntry | undefined {
  const line = lines[index] ?? ''
  const head = readName(line, dialect)
  if (head === undefined) return undefined
  const rest = line.slice(head.end)
  const lead = dialect.takesSpaces ? (/^[ \t]*/.exec(rest)?.[0].length ?? 0) : 0
  const start = head.end + lead
  const base = { name: head.name, line: index + 1 }
  const quote = line.charAt(start)
  if (quote !== '' && dialect.quotes.includes(quote)) {
    const quoted = readQuoted(lines, { index, start: start + 1, quote }, dialect)
    if (quoted !== undefined) return { ...base, ...quoted, column: start + 2, quote }
    if (dialect.unclosed === 'nothing') return undefined
  }
  return { ...base, value: bareValue(line.slice(start), dialect), column: start + 1, lines: 1 }
}

function readName(
  line: string,
  dialect: Dialect,
): { readonly name: string; readonly end: number } | undefined {
  if (/^\s*#/.test(line)) return undefined
  const pattern = dialect.takesColon
    ? /^([ \t]*)(export[ \t]+)?([^=:# \t\r]+)([ \t]*)(?:=|:(?=\s))/
    : /^([ \t]*)(export[ \t]+)?([^=# \t\r]+)([ \t]*)=/
  const match = pattern.exec(line)
  if (match === null) return undefined
  const [all, , exported, name = '', gap = ''] = match
  if (exported !== undefined && !dialect.takesExport) return undefined
  const follows = line.slice(all.length, all.length + 1)
  if (!dialect.takesSpaces && (gap !== '' || /[ \t]/.test(follows))) return undefined
  return { name, end: all.length }
}

/** A quoted value may go over lines, as long as its quote is closed somewhere. */
function readQuoted(
  lines: readonly string[],
  from: { readonly index: number; readonly start: number; readonly quote: string },
  dialect: Dialect,
): { readonly value: string; readonly lines: number } | undefined {
  const { index, start, quote } = from
  const pieces: string[] = []
  for (let at = index; at < Math.min(lines.length, index + valueLinesMax); at += 1) {
    const piece = at === index ? (lines[at] ?? '').slice(start) : (lines[at] ?? '')
    const end = closingQuote(piece, quote)
    if (end === undefined) {
      pieces.push(piece)
      continue
    }
    if (dialect.afterQuote === 'nothing' && !/^\s*(?:#.*)?$/.test(piece.slice(end + 1))) return undefined
    const value = [...pieces, piece.slice(0, end)].join('\n')
    return { value: quote === '"' ? unescaped(value) : value, lines: at - index + 1 }
  }
  return undefined
}

function closingQuote(piece: string, quote: string): number | undefined {
  for (let at = 0; at < piece.length; at += 1) {
    if (piece.charAt(at) === '\\' && piece.charAt(at + 1) === quote) at += 1
    else if (piece.charAt(at) === quote) return at
  }
  return undefined
}

function unescaped(value: string): string {
  return value.replaceAll('\\n', '\n').replaceAll('\\r', '\r')
}

function bareValue(rest: string, dialect: Dialect): string {
  if (dialect.comment === 'none') return rest
  const value = rest.replace(dialect.comment === 'hash' ? /#.*$/s : /(?:^|\s)#.*$/s, '')
  return dialect.keepsCarriageReturn ? value.replace(/[ \t]+$/, '') : value.replace(/^[ \t]+|[ \t]+$/g, '')
}
