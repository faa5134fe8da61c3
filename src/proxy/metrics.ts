import type { Caller } from './callers.ts'
import { addTo, type Tally } from './tally.ts'

/** A metric as Prometheus knows it. */
export interface ProxyFamily {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly labels: readonly string[]
}

type Labels = Readonly<Record<string, string>>

/** A family with its lines, as the writer of the service's metrics takes it. */
export interface FilledFamily {
  readonly family: ProxyFamily
  readonly samples: readonly {
    readonly labels: Labels
    readonly sharedLabels: Labels
    readonly value: number
  }[]
}

/** All of the proxy's metrics; docs/proxy.md has a line for each. */
export const proxyFamilies = {
  requests: {
    name: 'keyturn_proxy_requests_total',
    type: 'counter',
    help: 'Answers of the upstream, by app, credential, fingerprint of the key and class of status.',
    labels: ['app', 'credential', 'fingerprint', 'status'],
  },
  inFlight: {
    name: 'keyturn_proxy_requests_in_flight',
    type: 'gauge',
    help: 'Requests under way, by app and credential.',
    labels: ['app', 'credential'],
  },
  refused: {
    name: 'keyturn_proxy_refused_total',
    type: 'counter',
    help: 'Requests that the proxy refused itself, by code.',
    labels: ['code'],
  },
  keyRefused: {
    name: 'keyturn_proxy_key_refused_total',
    type: 'counter',
    help: 'Requests whose key OpenAI refused: replaced, not_replaced or not_repeatable.',
    labels: ['outcome'],
  },
  upstreamFailed: {
    name: 'keyturn_proxy_upstream_failures_total',
    type: 'counter',
    help: 'Requests whose exchange with the upstream broke.',
    labels: [],
  },
  callers: {
    name: 'keyturn_proxy_callers',
    type: 'gauge',
    help: 'Callers that are remembered.',
    labels: [],
  },
} as const satisfies Readonly<Record<string, ProxyFamily>>

/** Names that are counted apart; what callers did that were forgotten beyond them is counted as `other`. */
const formerMax = 500

/** What callers did that are forgotten, so that no counter goes back. */
export interface Former {
  add(caller: Caller): void
  readonly counts: Map<string, number>
}

export function createFormer(): Former {
  const counts = new Map<string, number>()
  return {
    counts,
    add(caller) {
      for (const [id, value] of answersOf(caller)) {
        const isRoom = counts.has(id) || counts.size < formerMax
        addTo(counts, isRoom ? id : JSON.stringify(['other', caller.credential, 'other', 'other']), value)
      }
    },
  }
}

/** What there is to tell now. Counters are of the life of this process. */
export function readMetrics(options: {
  readonly callers: Iterable<Caller>
  readonly former: Former
  readonly tally: Tally
}): readonly FilledFamily[] {
  const { former, tally } = options
  const callers = [...options.callers]
  const requests = new Map(former.counts)
  const inFlight = new Map<string, number>()
  for (const caller of callers) {
    for (const [id, value] of answersOf(caller)) addTo(requests, id, value)
    // Whoever guesses tokens would make as many series for whoever keeps these figures.
    if (caller.isProven())
      addTo(inFlight, JSON.stringify([caller.app(), caller.credential]), caller.usage.active)
  }
  const { refused, keyRefused, upstreamFailed } = proxyFamilies
  return [
    filled(proxyFamilies.requests, requests),
    filled(proxyFamilies.inFlight, inFlight),
    filled(refused, listed(tally.refusals)),
    filled(keyRefused, listed(tally.keyRefusals)),
    filled(upstreamFailed, new Map([['[]', tally.upstreamFailures]])),
    filled(proxyFamilies.callers, new Map([['[]', callers.length]])),
  ]
}

/** By the values of the labels, as one text. */
function* answersOf(caller: Caller): Iterable<[string, number]> {
  for (const [fingerprint, byStatus] of caller.usage.answers)
    for (const [status, value] of byStatus)
      yield [JSON.stringify([caller.app(), caller.credential, fingerprint, status]), value]
}

function listed(counts: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...counts].map(([name, value]) => [JSON.stringify([name]), value]))
}

const noLabels: Labels = {}

function filled(family: ProxyFamily, counts: ReadonlyMap<string, number>): FilledFamily {
  const samples = [...counts].map(([id, value]) => {
    const values = JSON.parse(id) as readonly string[]
    const labels = Object.fromEntries(family.labels.map((label, index) => [label, values[index] ?? '']))
    return { labels, sharedLabels: noLabels, value }
  })
  return { family, samples }
}
