/** One line of the table: what was measured, and against what it is held. */
export interface Figure {
  readonly bench: string
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The goal of the design. */
  readonly goal?: Bound
  /** What this release has promised. Where it is missed, the run says so. */
  readonly budget?: Bound
  /** How it came about, in a few words. */
  readonly note?: string
}

export interface Bound {
  readonly is: 'at least' | 'at most' | 'exactly'
  readonly value: number
}

export interface Bench {
  readonly name: string
  /** Seconds on an idle machine, so that whoever runs it knows how long to wait. */
  readonly seconds: number
  run(): Promise<readonly Figure[]>
}

export function isMet(value: number, bound: Bound): boolean {
  if (bound.is === 'at least') return value >= bound.value
  return bound.is === 'at most' ? value <= bound.value : value === bound.value
}

/** `met`, `missed`, or nothing where there is nothing to meet. */
export function verdict(value: number, bound: Bound | undefined): 'met' | 'missed' | '' {
  if (bound === undefined) return ''
  return isMet(value, bound) ? 'met' : 'missed'
}

export function table(figures: readonly Figure[]): string {
  const head = ['bench', 'figure', 'value', 'budget', '', 'goal', '', 'how']
  const rows = figures.map(({ bench, what, value, unit, goal, budget, note }) => [
    bench,
    what,
    `${rounded(value)} ${unit}`.trim(),
    shown(budget),
    verdict(value, budget),
    shown(goal),
    verdict(value, goal),
    note ?? '',
  ])
  const widths = head.map((_, index) => Math.max(...[head, ...rows].map((row) => (row[index] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

function shown(bound: Bound | undefined): string {
  if (bound === undefined) return ''
  const sign = { 'at least': '>=', 'at most': '<=', exactly: '=' }[bound.is]
  return `${sign} ${bound.value}`
}

/** Three significant digits; whole numbers as they are. */
function rounded(value: number): string {
  if (Number.isInteger(value)) return String(value)
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
