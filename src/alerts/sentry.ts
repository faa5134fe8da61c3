import { createHash } from 'node:crypto'
import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { KeyturnError } from '../core/errors.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface SentryOptions {
  readonly kind: 'sentry'
  /** `https://<key>@<host>/<project>`. */
  readonly dsn: ReadSecret
}

const levels = { critical: 'fatal', warning: 'warning', note: 'info' } as const

/**
 * Sentry's envelopes (develop.sentry.dev/sdk/data-model/envelopes, 2026-11). The event's id follows from the notice's, so
 * that a repeat is no second event. A DSN may send events and nothing else, and no event resolves an issue: the end is one of
 * level info in the same issue, which takes title and level of its latest event. Rejected: check-ins of a cron monitor, whose
 * `ok` does resolve an issue, since each alert would be a monitor that is paid for and that reports silence as missed runs.
 */
export function openSentry({ dsn }: SentryOptions, context: ChannelContext): AlertChannel {
  return {
    kind: 'sentry',
    deliver: (notice) =>
      withSecrets(async () => {
        const { url, key } = endpointOf((await dsn()).reveal())
        const event = JSON.stringify(eventOf(notice, context))
        const header = { event_id: eventId(notice), sent_at: new Date(context.clock.now()).toISOString() }
        const item = { type: 'event', content_type: 'application/json', length: Buffer.byteLength(event) }
        return context.send({
          url,
          contentType: 'application/x-sentry-envelope',
          headers: {
            'x-sentry-auth': `Sentry sentry_version=7, sentry_client=keyturn/${context.version}, sentry_key=${key}`,
          },
          body: `${JSON.stringify(header)}\n${JSON.stringify(item)}\n${event}\n`,
        })
      }),
    close: async () => undefined,
  }
}

function endpointOf(dsn: string): { readonly url: URL; readonly key: string } {
  const given = addressOf(dsn, 'DSN of Sentry')
  const [, prefix = '', project] = /^(.*)\/(\d{1,20})$/.exec(given.pathname) ?? []
  if (project === undefined || given.username === '')
    throw new KeyturnError('config_invalid', 'The DSN of Sentry has no key, or no project.', {
      fix: 'Copy it from the project: Settings, Client Keys (DSN).',
    })
  return { url: new URL(`${given.origin}${prefix}/api/${project}/envelope/`), key: given.username }
}

/** 32 hex digits, the same for every try of the same notice. */
function eventId({ id }: AlertNotice): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32)
}

function eventOf(notice: AlertNotice, { source, version }: ChannelContext): object {
  const { title, code, severity, isOver, credentials, resolved, membersCount, at, incident, link } = notice
  const names = credentials.length > 0 ? credentials : resolved
  // Of many that began together others are left each time: one issue they are all the same.
  const of = membersCount > 1 ? [incident] : names
  return {
    event_id: eventId(notice),
    timestamp: at / 1_000,
    platform: 'other',
    logger: 'keyturn',
    level: isOver ? 'info' : levels[severity],
    server_name: source,
    release: `keyturn@${version}`,
    message: { formatted: [title, ...linesOf(notice)].join('\n') },
    fingerprint: ['keyturn', code, ...of],
    tags: {
      code,
      severity,
      incident,
      ...(membersCount === 1 && names.length === 1 ? { credential: names[0] } : {}),
    },
    extra: { credentials, resolved, ...(link === undefined ? {} : { link }) },
  }
}
