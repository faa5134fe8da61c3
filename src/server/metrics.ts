import type { System } from '../core/ports.ts'
import type { Service } from '../engine/service.ts'
import { type HistogramFamily, type MetricFamily, recordedFamilies } from '../telemetry/families.ts'
import type { Recorder } from '../telemetry/recorder.ts'
import type { Histogram } from '../telemetry/tally.ts'
import { type Apps, createApps } from './apps.ts'
import type { AuditReader } from './audit-routes.ts'
import { type Add, addCredential } from './credential-samples.ts'
import { type Exposition, loadExposition, type MetricsFormat, noLabels, type Sample } from './exposition.ts'
import type { Leases } from './leases.ts'
import { metricFamilies, type OwnFamily } from './metric-families.ts'

/** Counters of this process. Labels are names of operations, credentials and statuses: few, and never a secret. */
export interface Metrics {
  /** Answers of the fast lane, counted apart so that the hot path does no lookup. */
  handOuts: number
  handOutsUnchanged: number
  readonly apps: Apps
  count(operation: string, status: number): void
  /** Who asks while it is being written gets the same one. */
  render(format: MetricsFormat): Promise<string>
}

export interface MetricsOptions {
  readonly service: Service
  readonly system: System
  readonly recorder: Recorder
  readonly leases: Pick<Leases, 'census'>
  readonly streams: () => number
  readonly waiters: () => number
  /** Absent: there is no audit. */
  readonly audit?: AuditReader['status']
  readonly version: string
  readonly isSandbox: boolean
}

/** After so many credentials others get their turn. */
const credentialsAtOnce = 100

export function createMetrics(options: MetricsOptions): Metrics {
  const { system } = options
  const requests = new Map<string, { readonly route: string; readonly status: number; value: number }>()
  const writing = new Map<MetricsFormat, Promise<string>>()
  let loading: Promise<Exposition> | undefined
  const breathe = (): Promise<void> => new Promise((resolve) => void system.after(0, resolve))

  const metrics: Metrics = {
    handOuts: 0,
    handOutsUnchanged: 0,
    apps: createApps(),
    count(route, status) {
      const key = `${route} ${status}`
      const found = requests.get(key)
      if (found === undefined) requests.set(key, { route, status, value: 1 })
      else found.value += 1
    },
    render(format) {
      const under = writing.get(format)
      if (under !== undefined) return under
      const text = write(format).finally(() => writing.delete(format))
      writing.set(format, text)
      return text
    },
  }

  async function write(format: MetricsFormat): Promise<string> {
    const { write: writeFamilies } = await (loading ??= loadExposition())
    const samples = await gather()
    const filled = Object.entries<MetricFamily>(metricFamilies).map(([name, family]) => ({
      family,
      samples: samples.get(name) ?? [],
    }))
    return await writeFamilies(filled, format, breathe)
  }

  async function gather(): Promise<ReadonlyMap<string, readonly Sample[]>> {
    const samples = new Map<string, Sample[]>()
    const add: Add = (family, labels, value) => {
      const known = samples.get(family)
      const sample = { labels: noLabels, sharedLabels: labels, value }
      if (known === undefined) samples.set(family, [sample])
      else known.push(sample)
    }
    addServer(options, metrics, add)
    addRequests(requests, metrics, add)
    for (const [name, tally] of recordedOf(options.recorder)) samples.set(name, tally)
    const { service, leases } = options
    const now = system.now()
    const census = leases.census(now)
    const working = workingInternals(service)
    let count = 0
    for (const name of service.names) {
      await addCredential(service, name, { now, census, working, add })
      count += 1
      if (count % credentialsAtOnce === 0) await breathe()
    }
    return samples
  }
  return metrics
}

function workingInternals(service: Service): ReadonlySet<string> {
  if (!service.names.some((name) => service.isInternal(name))) return new Set()
  const { credentials } = service.readiness()
  return new Set(credentials.filter((one) => one.isInternal && one.ready).map((one) => one.name))
}

function addServer(options: MetricsOptions, metrics: Metrics, add: Add): void {
  const { service, system, recorder, version, isSandbox } = options
  add('build', { version, sandbox: String(isSandbox) }, 1)
  add('clock', {}, system.now() / 1_000)
  add('credentials', {}, service.names.length)
  for (const { app, value } of metrics.apps.all()) if (value > 0) add('handOuts', { app }, value)
  const suspects = [...recorder.suspects.values()]
  if (suspects.length > 0)
    add(
      'suspects',
      {},
      suspects.reduce((sum, one) => sum + one, 0),
    )
  add('streams', {}, options.streams())
  add('waiters', {}, options.waiters())
  const audit = options.audit?.()
  if (audit === undefined) return
  add('auditRow', {}, audit.seq)
  add('auditUnsealed', {}, Math.max(0, audit.seq - audit.sealed))
  add('auditRefused', {}, audit.refused)
  add('auditLost', {}, audit.lost)
  for (const { name: sink, isTaking, behind } of audit.sinks) {
    add('sinkTaking', { sink }, isTaking ? 1 : 0)
    add('sinkBehind', { sink }, behind)
  }
}

function addRequests(
  requests: ReadonlyMap<string, { readonly route: string; readonly status: number; readonly value: number }>,
  metrics: Metrics,
  add: Add,
): void {
  const lane = new Map([
    ['getCredential 200', { route: 'getCredential', status: 200, value: metrics.handOuts }],
    ['getCredential 304', { route: 'getCredential', status: 304, value: metrics.handOutsUnchanged }],
  ])
  for (const [key, { route, status, value }] of new Map([...lane, ...requests])) {
    const inLane = requests.has(key) ? (lane.get(key)?.value ?? 0) : 0
    add('requests', { route, status }, value + inLane)
  }
}

function* recordedOf(recorder: Recorder): Iterable<readonly [OwnFamily, Sample[]]> {
  for (const name of Object.keys(recordedFamilies) as (keyof typeof recordedFamilies)[]) {
    const family: MetricFamily | HistogramFamily = recordedFamilies[name]
    const labelled = (values: readonly string[]): Record<string, string> =>
      Object.fromEntries(family.labels.map((label, index) => [label, values[index] ?? '']))
    const tally = recorder[name]
    yield [
      name,
      tally.kind === 'histogram'
        ? histogramSamples(family.name, tally, labelled)
        : Array.from(tally.all(), ({ labels, value }) => ({
            labels: noLabels,
            sharedLabels: labelled(labels),
            value,
          })),
    ]
  }
}

function histogramSamples(
  name: string,
  { bounds, all }: Histogram,
  labelled: (values: readonly string[]) => Record<string, string>,
): Sample[] {
  return Array.from(all()).flatMap(({ labels: values, buckets, sum, count }) => {
    const sharedLabels = labelled(values)
    let below = 0
    const lines = bounds.map((bound, index): Sample => {
      below += buckets[index] ?? 0
      return { metricName: `${name}_bucket`, labels: { le: bound }, sharedLabels, value: below }
    })
    return [
      ...lines,
      { metricName: `${name}_bucket`, labels: { le: '+Inf' }, sharedLabels, value: count },
      { metricName: `${name}_sum`, labels: noLabels, sharedLabels, value: sum },
      { metricName: `${name}_count`, labels: noLabels, sharedLabels, value: count },
    ]
  })
}
