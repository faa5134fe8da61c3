import { type HistogramFamily, type MetricFamily, recordedFamilies } from './families.ts'
import { type Counter, createCounter, createHistogram, type Histogram } from './tally.ts'

type Recorded = typeof recordedFamilies

/** What is counted as it happens, one tally for each family. */
export type Recorder = {
  readonly [Name in keyof Recorded]: Recorded[Name] extends HistogramFamily ? Histogram : Counter
} & {
  /** Keys of ours that nobody seems to have, by the place where they are listed, as the last look left it. */
  readonly suspects: Map<string, number>
}

export function createRecorder(): Recorder {
  const tallies = Object.entries<MetricFamily | HistogramFamily>(recordedFamilies).map(([name, family]) => [
    name,
    'bounds' in family
      ? createHistogram(family.labels.length, family.bounds)
      : createCounter(family.labels.length),
  ])
  const recorder = { ...Object.fromEntries(tallies), suspects: new Map<string, number>() } as Recorder
  // It is there from the start, so that its first rise is one.
  recorder.orphansRevoked.add([], 0)
  return recorder
}
