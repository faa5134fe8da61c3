/** A strict reader of what /metrics answers: whatever a scraper might stumble over is an error here. */

export interface ReadSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Exposed {
  /** By the name of the family. */
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly ReadSample[]
  /** The value of the one line of this name and, among others, these labels. */
  readonly valueOf: (name: string, labels?: Readonly<Record<string, string>>) => number | undefined
}

const namePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const linePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const labelPattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy

export function readExposition(text: string, format: 'prometheus' | 'openmetrics' = 'prometheus'): Exposed {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('it does not end with # EOF')
  const types = new Map<string, string>()
  const samples: ReadSample[] = []
  const seen = new Set<string>()
  let family = ''
  for (const line of lines) {
    const [, what, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (what === 'HELP') {
      if (types.has(name) || !namePattern.test(name)) throw new Error(`not one family: ${line}`)
      family = name
    } else if (what === 'TYPE') {
      if (name !== family || !/^(counter|gauge|histogram)$/.test(rest)) throw new Error(`no type: ${line}`)
      types.set(name, rest)
    } else samples.push(readSample(line, { family, type: types.get(family), format, seen }))
  }
  checkHistograms(types, samples)
  return {
    types,
    samples,
    valueOf: (name, labels = {}) => {
      const found = samples.filter(
        (one) =>
          one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
      )
      if (found.length > 1) throw new Error(`${name} has ${found.length} lines of these labels`)
      return found[0]?.value
    },
  }
}

function readSample(
  line: string,
  known: {
    readonly family: string
    readonly type: string | undefined
    readonly format: 'prometheus' | 'openmetrics'
    readonly seen: Set<string>
  },
): ReadSample {
  const [, name = '', labelText = '', valueText = ''] = linePattern.exec(line) ?? []
  const endings = known.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  const isCounted = known.type === 'counter' && known.format === 'openmetrics'
  const allowed = (isCounted ? ['_total'] : endings).map((ending) => known.family + ending)
  if (!allowed.includes(name)) throw new Error(`not of ${known.family}: ${line}`)
  const labels: Record<string, string> = {}
  labelPattern.lastIndex = 0
  while (labelPattern.lastIndex < labelText.length) {
    const [, label, value] = labelPattern.exec(labelText) ?? []
    if (label === undefined || value === undefined || label in labels) throw new Error(`labels: ${line}`)
    labels[label] = value.replaceAll(/\\(["\\n])/g, (_all, mark: string) => (mark === 'n' ? '\n' : mark))
  }
  const value = Number(valueText)
  if (valueText === '' || Number.isNaN(value)) throw new Error(`no number: ${line}`)
  const series = `${name}${JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))}`
  if (known.seen.has(series)) throw new Error(`twice: ${line}`)
  known.seen.add(series)
  return { name, labels, value }
}

/** Buckets rise, end in +Inf, and that one is the count. */
function checkHistograms(types: ReadonlyMap<string, string>, samples: readonly ReadSample[]): void {
  for (const [family] of [...types].filter(([, type]) => type === 'histogram')) {
    const counts = new Map<string, number>()
    for (const { name, labels, value } of samples) {
      const { le, ...rest } = labels
      const key = JSON.stringify(rest)
      if (name === `${family}_bucket`) {
        if (value < (counts.get(key) ?? 0)) throw new Error(`${name} falls at ${le} of ${key}`)
        counts.set(key, value)
      }
      if (name === `${family}_count` && counts.get(key) !== value)
        throw new Error(`${name} of ${key} is ${value}, and its buckets end in ${counts.get(key)}`)
    }
  }
}
