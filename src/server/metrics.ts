import type { Service } from '../engine/service.ts'
import type { AuditReader } from './audit-routes.ts'
import { verifiedAgeSeconds } from './hand-out.ts'
import { metricFamilies as families, type MetricFamily } from './metric-families.ts'

/** Counters of this process. Labels are names of operations, credentials and statuses: few, and never a secret. */
export interface Metrics {
  /** Answers of the fast lane, counted apart so that the hot path does no lookup. */
  handOuts: number
  handOutsUnchanged: number
  count(operation: string, status: number): void
  render(now: number): string
}

export interface Gauges {
  readonly streams: () => number
  readonly waiters: () => number
  /** Absent: there is no audit. */
  readonly audit?: AuditReader['status']
}

export const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

export function createMetrics(service: Service, gauges: Gauges): Metrics {
  const requests = new Map<string, number>()
  const metrics: Metrics = {
    handOuts: 0,
    handOutsUnchanged: 0,
    count(operation, status) {
      const labels = requestLabels(operation, status)
      requests.set(labels, (requests.get(labels) ?? 0) + 1)
    },
    render: (now) =>
      [
        ...credentialLines(service, now),
        ...requestLines(requests, metrics),
        ...family(families.streams, [['', gauges.streams()]]),
        ...family(families.waiters, [['', gauges.waiters()]]),
        ...auditLines(gauges.audit?.()),
        '',
      ].join('\n'),
  }
  return metrics
}

function auditLines(audit: ReturnType<AuditReader['status']> | undefined): readonly string[] {
  if (audit === undefined) return []
  const { sinks: places } = audit
  const sinks = (value: (sink: (typeof places)[number]) => number): readonly Sample[] =>
    places.map((sink): Sample => [`{sink="${sink.name.replaceAll(/["\\\n]/g, '_')}"}`, value(sink)])
  return [
    ...family(families.auditRow, [['', audit.seq]]),
    ...family(families.auditUnsealed, [['', Math.max(0, audit.seq - audit.sealed)]]),
    ...family(families.auditRefused, [['', audit.refused]]),
    ...family(families.auditLost, [['', audit.lost]]),
    ...family(
      families.sinkTaking,
      sinks((one) => (one.isTaking ? 1 : 0)),
    ),
    ...family(
      families.sinkBehind,
      sinks((one) => one.behind),
    ),
  ]
}

type Sample = readonly [labels: string, value: number]

function credentialLines(service: Service, now: number): readonly string[] {
  const isInternal = (name: string): boolean => service.isInternal(name)
  const internal = service.names.some(isInternal)
    ? service.readiness().credentials.filter((one) => isInternal(one.name))
    : []
  const handOuts = service.names
    .filter((name) => !isInternal(name))
    .map((name) => ({ labels: `{credential="${name}"}`, handOut: service.handOut(name) }))
  const working = internal.map(({ name, ready }): Sample => [`{credential="${name}"}`, ready ? 1 : 0])
  const ready = handOuts.map(({ labels, handOut }): Sample => [labels, handOut?.kind === 'available' ? 1 : 0])
  const generations = handOuts.map(({ labels, handOut }): Sample => [labels, handOut?.generation ?? 0])
  const ages = handOuts.flatMap(({ labels, handOut }): Sample[] =>
    handOut?.kind === 'available' ? [[labels, verifiedAgeSeconds(handOut, now)]] : [],
  )
  const lastKnownGood = handOuts.map(({ labels, handOut }): Sample => {
    const isFromFile = handOut?.kind === 'available' && handOut.isLastKnownGood === true
    return [labels, isFromFile ? 1 : 0]
  })
  const spares = service.names
    .filter((name) => !isInternal(name))
    .flatMap((name): Sample[] => {
      const standby = service.standby(name)
      return standby === null ? [] : [[`{credential="${name}"}`, standby.ready]]
    })
  return [
    ...family(families.ready, ready),
    ...family(families.lastKnownGood, lastKnownGood),
    ...(working.length === 0 ? [] : family(families.internalReady, working)),
    ...family(families.generation, generations),
    ...family(families.verifiedAge, ages),
    ...(spares.length === 0 ? [] : family(families.standbyReady, spares)),
  ]
}

function requestLines(requests: ReadonlyMap<string, number>, metrics: Metrics): readonly string[] {
  const counts = new Map(requests)
  const lane: readonly Sample[] = [
    [requestLabels('getCredential', 200), metrics.handOuts],
    [requestLabels('getCredential', 304), metrics.handOutsUnchanged],
  ]
  for (const [labels, value] of lane) counts.set(labels, (counts.get(labels) ?? 0) + value)
  return family(families.requests, [...counts])
}

function requestLabels(operation: string, status: number): string {
  return `{route="${operation}",status="${status}"}`
}

function family({ name, type, help }: MetricFamily, samples: readonly Sample[]): readonly string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labels} ${value}`),
  ]
}
