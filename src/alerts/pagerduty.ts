import type { DeliveryOutcome } from '../core/alert-deliveries.ts'
import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface PagerDutyOptions {
  readonly kind: 'pagerduty'
  /** The integration key of a service (Events API v2). */
  readonly routingKey: ReadSecret
  readonly url: string
}

const severityNames = { critical: 'critical', warning: 'warning', note: 'info' } as const
/** Longer summaries are cut by PagerDuty. */
const summaryCharsMax = 1_024

/**
 * PagerDuty's Events API v2 (developer.pagerduty.com/docs/send-alert-event, 2026-11). Its incident is ours: `dedup_key` is
 * the id of the incident, so that a repeat is no second page, and its end resolves it. What gets worse, goes on, or is over
 * for some is triggered under the same key: PagerDuty writes it into the log of the open alert and pages nobody. Where
 * somebody has closed that by hand while it goes on, it opens again. What is critical has a key of its own, so that what
 * becomes critical is a page; the alert before it is closed.
 */
export function openPagerDuty(options: PagerDutyOptions, context: ChannelContext): AlertChannel {
  const enqueue = async (notice: AlertNotice, { action, key }: PagerDutyEvent): Promise<DeliveryOutcome> => {
    const event = { dedup_key: key, event_action: action }
    const more = action === 'trigger' ? triggerOf(notice, context) : {}
    const url = addressOf(options.url, 'address of PagerDuty')
    const routingKey = (await options.routingKey()).reveal()
    return context.send({ url, body: JSON.stringify({ routing_key: routingKey, ...event, ...more }) })
  }
  return {
    kind: 'pagerduty',
    deliver: (notice) =>
      withSecrets(async () => {
        let outcome: DeliveryOutcome = { kind: 'delivered' }
        // Each of them may be sent again: who has closed an alert, or never had it, takes its end all the same.
        for (const event of eventsOf(notice))
          if (outcome.kind === 'delivered') outcome = await enqueue(notice, event)
        return outcome
      }),
    close: async () => undefined,
  }
}

interface PagerDutyEvent {
  readonly action: 'trigger' | 'resolve'
  readonly key: string
}

function eventsOf({ kind, severity, incident, isOver }: AlertNotice): readonly PagerDutyEvent[] {
  const isCritical = severity === 'critical'
  const key = isCritical ? `${incident}-critical` : incident
  const trigger = { action: 'trigger', key } as const
  const resolve = { action: 'resolve', key } as const
  const before = isCritical ? [{ action: 'resolve', key: incident } as const] : []
  if (kind === 'resolved' && isOver) return [resolve, ...before]
  if (isOver || kind === 'test') return [trigger, resolve, ...before]
  return kind === 'worsened' ? [trigger, ...before] : [trigger]
}

function triggerOf(notice: AlertNotice, { source }: ChannelContext): object {
  const { title, severity, openedAt, code, credentials, apps, id, link } = notice
  return {
    payload: {
      summary: title.slice(0, summaryCharsMax),
      source,
      severity: severityNames[severity],
      timestamp: new Date(openedAt).toISOString(),
      component: credentials.join(', '),
      class: code,
      custom_details: { text: linesOf(notice), apps, notice: id },
    },
    client: 'Keyturn',
    ...(link === undefined ? {} : { client_url: link, links: [{ href: link, text: 'Open in Keyturn' }] }),
  }
}
