import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface DatadogOptions {
  readonly kind: 'datadog'
  readonly apiKey: ReadSecret
  /** `https://api.datadoghq.eu`, of the site that the account is on. */
  readonly url: string
}

const types = { critical: 'error', warning: 'warning', note: 'info' } as const
/** The text of an event takes 4,000 characters. */
const textCharsMax = 3_900
const tagsMax = 20

/** Datadog's events (docs.datadoghq.com/api/latest/events, v1, 2026-11). All of one incident stand together. */
export function openDatadog({ apiKey, url }: DatadogOptions, { send }: ChannelContext): AlertChannel {
  return {
    kind: 'datadog',
    deliver: (notice) =>
      withSecrets(async () =>
        send({
          url: new URL('/api/v1/events', addressOf(url, 'address of Datadog')),
          headers: { 'dd-api-key': (await apiKey()).reveal() },
          body: JSON.stringify(eventOf(notice)),
        }),
      ),
    close: async () => undefined,
  }
}

function eventOf(notice: AlertNotice): object {
  const { title, severity, isOver, incident, code, credentials, resolved, at, link } = notice
  const names = [...credentials, ...resolved].slice(0, tagsMax)
  const lines = [...linesOf(notice), ...(link === undefined ? [] : [link])]
  return {
    title,
    text: unaddressed(lines.join('\n')).slice(0, textCharsMax),
    date_happened: Math.floor(at / 1_000),
    aggregation_key: incident,
    alert_type: isOver ? 'success' : types[severity],
    priority: severity === 'note' ? 'low' : 'normal',
    source_type_name: 'keyturn',
    tags: ['source:keyturn', `code:${code}`, ...names.map((name) => `credential:${name}`)],
  }
}

/** A word that begins with @ notifies whoever is called so: nobody is to be called by a name in a sentence. */
function unaddressed(text: string): string {
  return text.replaceAll(/(^|\s)@/g, '$1(at)')
}
