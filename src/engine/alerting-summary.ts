import type { AlertChannelSummary, AlertSummary, AlertTold } from '../api/alert-types.ts'
import {
  type ChannelState,
  credentialOf,
  type Incident,
  isActive,
  isOver,
  severityOf,
} from '../core/alert-book.ts'
import { alertRules, type Severity, severities } from '../core/alert-codes.ts'
import { type DeliveryPolicy, wantedBy } from '../core/alert-deliveries.ts'

const namesMax = 20

/** The book of alerts as the messages of the API. */
export function incidentSummary(incident: Incident, now: number, policy: DeliveryPolicy): AlertSummary {
  const { id, code, texts, members, apps, told, since, others } = incident
  const active = members.filter(isActive)
  const shown = active.length > 0 ? active : members
  const text = texts.find(({ alert }) => shown.some((one) => one.alert === alert)) ?? texts[0]
  return {
    id,
    code,
    severity: severityOf(shown),
    title: alertRules[code].title,
    summary: text?.summary ?? '',
    fix: text?.fix ?? '',
    credentials: shown.flatMap((one) => credentialOf(one) ?? []).slice(0, namesMax),
    credentialsCount: shown.length + (isOver(incident) ? 0 : others),
    apps,
    since: iso(since),
    isOver: isOver(incident),
    told: policy.channels.flatMap((channel): AlertTold | readonly [] => {
      const known = told[channel.name]
      const waiting = wantedBy(channel, incident, now, policy)
      if (known === undefined && waiting === undefined) return []
      const isWaiting = waiting !== undefined
      return {
        channel: channel.name,
        toldAt: known?.isOpened === true ? iso(known.at) : null,
        waiting: isWaiting
          ? whyWaiting(waiting.kind, channel.isQuiet(now) && waiting.severity !== 'critical')
          : null,
        tries: known?.tries ?? 0,
        nextTryAt: isWaiting && known !== undefined && known.nextAt > now ? iso(known.nextAt) : null,
        failure: isWaiting ? (known?.failure ?? null) : null,
      }
    }),
  }
}

function whyWaiting(kind: string, isQuiet: boolean): string {
  return isQuiet ? `${kind}, until the quiet time is over` : kind
}

export function channelSummary(
  {
    name,
    kind,
    severities: takes,
  }: { readonly name: string; readonly kind: string; readonly severities: ReadonlySet<Severity> },
  /** Of the replicas together, and of this one alone: what fails in either is told. */
  states: readonly (ChannelState | undefined)[],
): AlertChannelSummary {
  const failure = states.find((one) => one?.failure !== undefined)?.failure
  const deliveredAt = Math.max(...states.map((one) => one?.deliveredAt ?? Number.NEGATIVE_INFINITY))
  return {
    name,
    kind,
    severities: severities.filter((one) => takes.has(one)),
    deliveredAt: Number.isFinite(deliveredAt) ? iso(deliveredAt) : null,
    failingSince: failure === undefined ? null : iso(failure.since),
    failure: failure?.summary ?? null,
    isRefusing: failure?.isPermanent === true,
  }
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
