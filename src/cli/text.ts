import { fitting, widthOf } from './width.ts'

/** Pure helpers that lay out text for the terminal. */

const sgr = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const

export type Colour = keyof typeof sgr

/** Puts a colour around a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string

export const plainPaint: Paint = (_, text) => text
export const colourPaint: Paint = (colour, text) => `\u001b[${sgr[colour]}m${text}\u001b[0m`

/** The escape sequences that `colourPaint` writes; all others are somebody else's. */
const ownSequence = new RegExp(`\\u001b\\[(?:0|${Object.values(sgr).join('|')})m`, 'g')

export function withoutColours(text: string): string {
  return text.replace(ownSequence, '')
}

/** C0 and C1 controls, line and paragraph separators, and the marks that turn the reading direction. */
const controls = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

function escapeControls(text: string): string {
  return text.replace(controls, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Runners of pipelines obey lines of a log: `::error::` at the beginning, `##[…]`, `##vso[…]` and `##teamcity[…]` anywhere. Names of a
 * stranger's files stand in ours.
 */
export function withoutRunnerCommands(text: string): string {
  const plain = text.replaceAll(/(?<=##\w{0,20})\[/g, '\\u005b')
  return /^\s*::(?=[a-z])/i.test(withoutColours(plain)) ? plain.replace('::', '\\u003a:') : plain
}

/** One line that cannot move the cursor, clear the screen or pretend to be two: only our own colours pass. */
export function safeLine(text: string, options: { readonly hasColour: boolean }): string {
  if (!options.hasColour) return escapeControls(text)
  const own = text.match(ownSequence) ?? []
  return text
    .split(ownSequence)
    .map((part, index) => escapeControls(part) + (own[index] ?? ''))
    .join('')
}

/** Columns that it takes on the screen; colours take none. */
export function visibleLength(text: string): number {
  return widthOf(withoutColours(text))
}

/** Cut to a width, so that a redrawn line never becomes two. A text of one colour keeps it. */
export function cut(text: string, columns: number): string {
  if (visibleLength(text) <= columns) return text
  const [before = '', after = ''] = text.match(ownSequence) ?? []
  const isPainted = text.startsWith(before) && text.endsWith(after) && after !== ''
  const kept = `${fitting(withoutColours(text), Math.max(0, columns - 1))}…`
  return isPainted ? `${before}${kept}${after}` : kept
}

/**
 * Sentences in lines of at most so many columns, broken at blanks; a word that is longer stays whole. `first` stands before
 * the first line, and as many blanks as `indent` says before the others.
 */
export function wrap(
  text: string,
  { columns, first, indent }: { readonly columns: number; readonly first: string; readonly indent: number },
): string[] {
  const lines: string[] = []
  let line = first
  let isEmpty = true
  for (const word of text.split(/\s+/).filter((one) => one !== '')) {
    if (!isEmpty && visibleLength(line) + 1 + visibleLength(word) > columns) {
      lines.push(line)
      line = ' '.repeat(indent)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line]
}

/** Columns as wide as their widest cell, two spaces apart; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, visibleLength(cell))
    }
  }
  return rows.map((row) =>
    row
      .map((cell, index) =>
        index === row.length - 1 ? cell : cell + ' '.repeat((widths[index] ?? 0) - visibleLength(cell)),
      )
      .join('  ')
      .trimEnd(),
  )
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** The two largest units: `1d 3h`, `4m 10s`, `0s`. Negative spans count as none. */
export function span(ms: number): string {
  let left = Math.max(0, Math.round(ms / 1_000) * 1_000)
  const parts: string[] = []
  for (const [unit, size] of units) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count}${unit}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
  }
  return parts.length === 0 ? '0s' : parts.join(' ')
}

/** `3m 2s ago`, `in 24h`, or `-` for an instant that is not there. */
export function when(instant: string | null, now: number): string {
  const at = instant === null ? Number.NaN : Date.parse(instant)
  if (Number.isNaN(at)) return '-'
  return at <= now ? `${span(now - at)} ago` : `in ${span(at - now)}`
}

/** The part of a version id that is enough to tell it from the others. */
export function short(version: string | null): string {
  return version === null ? '-' : version.slice(0, 8)
}

/** A path or an address as a shell takes it for one word. */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
