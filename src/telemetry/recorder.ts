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

/** Whose first one matters, to be alerted on. */
const rareEvents = [
  ['promoted', 'failover'],
  ['outage', ''],
  ['alert', 'key_rejected'],
  ['alert', 'key_vanished'],
  ['alert', 'orphan_revoked'],
  ['alert', 'stray_key_revoked'],
  ['alert', 'standby_rejected'],
] as const

export function createRecorder(): Recorder {
  const tallies = Object.entries<MetricFamily | HistogramFamily>(recordedFamilies).map(([name, family]) => [
    name,
    'bounds' in family
      ? createHistogram(family.labels.length, family.bounds)
      : createCounter(family.labels.length),
  ])
  const recorder = { ...Object.fromEntries(tallies), suspects: new Map<string, number>() } as Recorder
  // They are there from the start: what begins with 1 has not risen, in the eyes of Prometheus.
  recorder.orphansRevoked.add([], 0)
  for (const labels of rareEvents) recorder.events.add(labels, 0)
  return recorder
}
