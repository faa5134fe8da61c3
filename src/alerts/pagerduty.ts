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
 * somebody has closed that by hand while it goes on, it opens again.
 */
export function openPagerDuty(options: PagerDutyOptions, context: ChannelContext): AlertChannel {
  const enqueue = async (notice: AlertNotice, action: 'trigger' | 'resolve'): Promise<DeliveryOutcome> => {
    const event = { dedup_key: notice.incident, event_action: action }
    const more = action === 'trigger' ? triggerOf(notice, context) : {}
    const url = addressOf(options.url, 'address of PagerDuty')
    const routingKey = (await options.routingKey()).reveal()
    return context.send({ url, body: JSON.stringify({ routing_key: routingKey, ...event, ...more }) })
  }
  return {
    kind: 'pagerduty',
    deliver: (notice) =>
      withSecrets(async () => {
        if (notice.kind === 'resolved' && notice.isOver) return enqueue(notice, 'resolve')
        const triggered = await enqueue(notice, 'trigger')
        const isClosed = notice.isOver || notice.kind === 'test'
        return isClosed && triggered.kind === 'delivered' ? enqueue(notice, 'resolve') : triggered
      }),
    close: async () => undefined,
  }
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
