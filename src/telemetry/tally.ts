/**
 * Counters in plain memory. They know nothing of any format: what shows them reads them when it is asked, so that counting
 * costs one lookup and nothing is allocated for it.
 *
 * However many values a label takes, a tally holds `seriesMax` series at most: what comes after that is counted under
 * `other`, in one series more.
 */
export interface Counter {
  readonly kind: 'counter'
  add(labels: readonly string[], by?: number): void
  readonly all: () => Iterable<{ readonly labels: readonly string[]; readonly value: number }>
}

export interface Histogram {
  readonly kind: 'histogram'
  /** Upper bounds, rising; what is above the last is in the count alone. */
  readonly bounds: readonly number[]
  observe(labels: readonly string[], value: number): void
  readonly all: () => Iterable<{ readonly labels: readonly string[] } & Distribution>
}

export interface Distribution {
  /** How many fell into each bucket, not added up. */
  readonly buckets: readonly number[]
  readonly sum: number
  readonly count: number
}

export const seriesMax = 500

/** What is counted under no name of its own. */
export const otherLabel = 'other'

export function createCounter(labelCount: number): Counter {
  const series = createSeries(labelCount, () => ({ value: 0 }))
  return {
    kind: 'counter',
    add: (labels, by = 1) => void (series.of(labels).value += by),
    all: () => series.all(),
  }
}

export function createHistogram(labelCount: number, bounds: readonly number[]): Histogram {
  const series = createSeries(labelCount, () => ({ buckets: bounds.map(() => 0), sum: 0, count: 0 }))
  return {
    kind: 'histogram',
    bounds,
    observe(labels, value) {
      const one = series.of(labels)
      const index = bounds.findIndex((bound) => value <= bound)
      if (index >= 0) one.buckets[index] = (one.buckets[index] ?? 0) + 1
      one.sum += value
      one.count += 1
    },
    all: () => series.all(),
  }
}

function createSeries<Value extends object>(labelCount: number, make: () => Value) {
  type Labelled = Value & { readonly labels: readonly string[] }
  const known = new Map<string, Labelled>()
  const others = Array.from({ length: labelCount }, () => otherLabel)
  let rest: Labelled | undefined
  return {
    of(labels: readonly string[]): Labelled {
      const key = labels.join('\n')
      const found = known.get(key)
      if (found !== undefined) return found
      if (known.size >= seriesMax) return (rest ??= { ...make(), labels: others })
      const made = { ...make(), labels: [...labels] }
      known.set(key, made)
      return made
    },
    all: (): Iterable<Labelled> => (rest === undefined ? known.values() : [...known.values(), rest]),
  }
}
