import type { DialectName } from './dialects.ts'
import { dialects } from './dialects.ts'
import { type DotenvEntry, linesOf, readDotenv } from './read.ts'

export type DotenvFaultName =
  /** The whole file is in UTF-16: what PowerShell's `>` writes. */
  | 'utf16'
  | 'byte_order_mark'
  | 'export_prefix'
  | 'foreign_prefix'
  | 'spaces_around_equals'
  | 'colon'
  | 'no_equals'
  | 'quoted_name'
  | 'quotes_kept'
  | 'quote_unclosed'
  | 'after_quote'
  | 'comment_kept'
  | 'carriage_return'
  | 'line_wrapped'
  | 'swallowed'
  | 'not_expanded'

/** A line that the loader does not read as it is meant. */
export interface DotenvFault {
  readonly fault: DotenvFaultName
  /** The variable that it is meant to set. */
  readonly name: string
  readonly line: number
  readonly dialect: DialectName
}

/** Only lines about OpenAI are judged: what else is in the file is not the doctor's. */
const ours = /^OPEN_?AI_/i

/** What people write where they mean `NAME=value`. */
const meant =
  /^(?<mark>\uFEFF?)\s*(?<prefix>export\s+|set\s+|setx\s+|const\s+|let\s+|var\s+|\$env:)?(?<quote>["']?)(?<name>[A-Za-z_][\w.-]*)\k<quote>(?<gap>\s*)(?<sign>[=:]|(?=\s))(?<lead>\s*)(?<rest>.*)$/su

export function findDotenvFaults(text: string, dialect: DialectName): readonly DotenvFault[] {
  if (text.includes('\0')) return [{ fault: 'utf16', name: 'OPENAI_API_KEY', line: 1, dialect }]
  const entries = readDotenv(text, dialects[dialect])
  const byLine = new Map(entries.map((entry) => [entry.line, entry]))
  const lines = linesOf(text, { dropsByteOrderMark: false, keepsCarriageReturn: true })
  return lines.flatMap((line, index) => {
    const groups = meant.exec(line)?.groups
    const name = groups?.['name'] ?? ''
    if (groups === undefined || !ours.test(name) || groups['rest'] === '') return []
    const entry = byLine.get(index + 1)
    const around = { line, next: lines[index + 1] ?? '', isSwallowed: isInside(entries, index + 1) }
    const fault = faultOf(groups, { entry, dialect, ...around })
    return fault === undefined ? [] : [{ fault, name, line: index + 1, dialect }]
  })
}

interface Seen {
  readonly entry: DotenvEntry | undefined
  readonly dialect: DialectName
  readonly line: string
  readonly next: string
  readonly isSwallowed: boolean
}

function faultOf(groups: Readonly<Record<string, string>>, seen: Seen): DotenvFaultName | undefined {
  const { entry, dialect } = seen
  if (seen.isSwallowed) return 'swallowed'
  if (entry === undefined || entry.name !== groups['name']) return unreadFault(groups, dialect)
  if (entry.quote !== undefined) return undefined
  const { value } = entry
  if (value.endsWith('\r')) return 'carriage_return'
  if (/^(["'`]).*\1$/s.test(value)) return 'quotes_kept'
  if (/^["'`]|["'`]$/.test(value)) return 'quote_unclosed'
  if (/\s#/.test(value)) return 'comment_kept'
  if (/^\$\{?[A-Za-z_]/.test(value) && !dialects[dialect].expands) return 'not_expanded'
  if (value.startsWith('sk-') && /^[A-Za-z0-9_-]{8,}\r?$/.test(seen.next)) return 'line_wrapped'
  return undefined
}

/** The loader sees no variable of this name on the line. */
function unreadFault(
  groups: Readonly<Record<string, string>>,
  dialect: DialectName,
): DotenvFaultName | undefined {
  const { mark, prefix = '', quote, gap, sign, lead, rest = '' } = groups
  const { takesSpaces, takesExport } = dialects[dialect]
  if (mark !== '') return 'byte_order_mark'
  if (prefix.startsWith('export') && !takesExport) return 'export_prefix'
  if (prefix !== '' && !prefix.startsWith('export')) return 'foreign_prefix'
  if (quote !== '') return 'quoted_name'
  if (sign === ':') return 'colon'
  // Prose that begins with the name sets nothing and is not meant to.
  if (sign === '') return /^\S+\s*$/.test(rest) ? 'no_equals' : undefined
  if (!takesSpaces && (gap !== '' || lead !== '')) return 'spaces_around_equals'
  if (/^["'`]/.test(rest)) return isClosed(rest) ? 'after_quote' : 'quote_unclosed'
  return undefined
}

function isClosed(rest: string): boolean {
  return rest.indexOf(rest.charAt(0), 1) !== -1
}

/** Whether the line is within the quotes of a value that began on a line before. */
function isInside(entries: readonly DotenvEntry[], line: number): boolean {
  return entries.some((entry) => entry.line < line && line < entry.line + entry.lines)
}
