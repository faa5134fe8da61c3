import { cut, table, visibleLength, wrap } from './text.ts'

/** A column of a table that has to fit. */
export interface Column {
  readonly title: string
  /** It is cut to no less than so many characters, with `…`. Absent: it is never cut. */
  readonly least?: number
  /** Left out where there is no room for all, the lowest first. Absent: never. */
  readonly leaves?: number
}

export interface Table {
  readonly columns: readonly Column[]
  /** Cells in the order of the columns. */
  readonly rows: readonly (readonly string[])[]
}

const gap = 2

/**
 * A table in the width there is: cut where that is allowed, then with fewer columns, and where even that does not fit, every row
 * as a block of fields with all that it has. Without an end to the width nothing is cut or left out.
 */
export function layOut(whole: Table, width: number): string[] {
  return fitted(whole, width) ?? stacked(whole, width)
}

/** Undefined where not even its least columns fit. */
function fitted(whole: Table, width: number): string[] | undefined {
  const widths = widthsOf(whole)
  const excess = sum(widths) + gap * (widths.length - 1) - width
  if (excess <= 0) return table(cellsOf(whole))
  const room = sum(widths.map((natural, index) => natural - leastOf(whole.columns[index], natural)))
  if (room >= excess) return table(cellsOf(shrunk(whole, widths, excess)))
  const next = nextToLeave(whole.columns)
  return next === -1 ? undefined : fitted(without(whole, next), width)
}

function widthsOf({ columns, rows }: Table): readonly number[] {
  return columns.map(({ title }, index) =>
    rows.reduce((most, row) => Math.max(most, visibleLength(row[index] ?? '')), title.length),
  )
}

function leastOf(column: Column | undefined, natural: number): number {
  if (column?.least === undefined) return natural
  return Math.min(natural, Math.max(column.least, column.title.length))
}

/** Takes from the widest of those that may be cut, so that short ones stay whole. */
function shrunk(whole: Table, natural: readonly number[], excess: number): Table {
  const widths = [...natural]
  for (let left = excess; left > 0; left--) {
    const able = widths.map((width, index) =>
      width > leastOf(whole.columns[index], natural[index] ?? 0) ? width : -1,
    )
    const widest = able.indexOf(Math.max(...able))
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  const rows = whole.rows.map((row) => row.map((cell, index) => cut(cell, widths[index] ?? 0)))
  return { ...whole, rows }
}

function nextToLeave(columns: readonly Column[]): number {
  const order = columns.map(({ leaves }) => leaves ?? Number.POSITIVE_INFINITY)
  const first = Math.min(...order)
  return Number.isFinite(first) ? order.indexOf(first) : -1
}

function without({ columns, rows }: Table, index: number): Table {
  return { columns: columns.toSpliced(index, 1), rows: rows.map((row) => row.toSpliced(index, 1)) }
}

function cellsOf({ columns, rows }: Table): readonly (readonly string[])[] {
  return [columns.map(({ title }) => title), ...rows]
}

/** The first field alone on a line, the others below it; what says nothing is left out. */
function stacked({ columns, rows }: Table, width: number): string[] {
  return rows.flatMap(([head = '', ...rest]) => [
    cut(head, width),
    ...facts(
      rest.flatMap((value, index) => {
        const label = columns[index + 1]?.title.toLowerCase() ?? ''
        return value === '' || value === '-' ? [] : [[label, value] as const]
      }),
      width,
    ),
  ])
}

/** Labels and what they say, below one another; what is too long goes on under itself. */
export function facts(rows: readonly (readonly [label: string, value: string])[], width: number): string[] {
  const most = rows.reduce((longest, [label]) => Math.max(longest, visibleLength(label)), 0)
  return rows.flatMap(([label, value]) => {
    const first = `  ${label}${' '.repeat(most - visibleLength(label) + gap)}`
    if (visibleLength(first) + visibleLength(value) <= width) return [`${first}${value}`.trimEnd()]
    return wrap(value, { columns: width, first, indent: visibleLength(first) })
  })
}

/** A line of sentences in the width there is; what goes on stands under the text behind its label, if it has one. */
export function fold(line: string, width: number): string[] {
  if (visibleLength(line) <= width) return [line]
  const blanks = /^\s*/.exec(line)?.[0] ?? ''
  const labelled = /^\s*\S+(?: \S+){0,3}\s{2,}/.exec(line)?.[0] ?? ''
  const first = labelled !== '' && visibleLength(labelled) <= width / 2 ? labelled : blanks
  const indent = first === blanks ? blanks.length + gap : visibleLength(first)
  return wrap(line.slice(first.length), { columns: width, first, indent })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
