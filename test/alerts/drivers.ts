import { createHmac } from 'node:crypto'
import type { ChannelContext } from '../../src/alerts/context.ts'
import { type ChannelOptions, openChannel } from '../../src/alerts/index.ts'
import { createSend } from '../../src/alerts/post.ts'
import type { AlertChannel } from '../../src/core/alert-notice.ts'
import { Secret } from '../../src/core/secret.ts'
import { httpReceiver, mailReceiver, type Receiver, type Taken } from './receivers.ts'

/** Whatever of the configuration is a secret holds this. */
export const canary = ['c4n', 'ary', 'x'.repeat(20)].join('')

/** For an answer that comes: longer than it takes on a machine that is busy. */
export const patientMs = 20_000

export interface Driver {
  readonly kind: string
  listen(): Promise<Receiver>
  options(receiver: Receiver): ChannelOptions
  /** The instance of `it` that a person reads. */
  text(taken: Taken): string
  /** By what the receiver tells that it has this notice already. */
  sameness(taken: Taken): unknown
  /** By what the receiver puts the end to the beginning. */
  thread(taken: Taken): unknown
  /** All that a person may come to see of it, title included. */
  whole(taken: Taken): string
  /** Whether this closes, or says that it is over. */
  isEnd(taken: Taken): boolean
  /** What the receiver would take for more than words: mentions, links that are not ours, headers. */
  meant(taken: Taken): readonly string[]
}

const secret = (text: string) => async () => new Secret(text)
const json = ({ body }: Taken) => JSON.parse(body) as Record<string, never>
const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | undefined)?.[key], value)
const noticeIn = (text: string) => /keyturn-inst-\d+-\d+-ops/.exec(text)?.[0]
const incidentIn = (text: string) => /keyturn-inst-\d+/.exec(text)?.[0]
const decoded = ({ body }: Taken): string =>
  body
    .replaceAll(/=\r\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
const nothing = (): readonly string[] => []

/** Slack's mrkdwn: what stands in <> is a link or a mention; where it is not verbatim, so are addresses and names. */
function meantBySlack(taken: Taken): readonly string[] {
  const blocks = (json(taken) as { blocks?: { text?: object; elements?: object[] }[] }).blocks ?? []
  const texts = blocks.flatMap(({ text, elements = [] }) => [
    ...(text === undefined ? [] : [text]),
    ...elements,
  ])
  return texts.flatMap((text) => {
    const { text: written = '', verbatim } = text as { text?: string; verbatim?: boolean }
    const found = [...written.matchAll(/<[^>]*>/g)].map(([all]) => all)
    const others = found.filter((one) => !one.startsWith('<https://keyturn.example.com/'))
    return verbatim === true ? others : [...others, 'not verbatim']
  })
}

/** Markdown of an Adaptive Card: links, emphasis and code whose marks are not escaped. */
function meantByTeams(taken: Taken): readonly string[] {
  const { body } = at(json(taken), 'attachments', 0, 'content') as { body: { text: string }[] }
  return body.flatMap(({ text }) => text.match(/(?<!\\)[[\]*_`~#]/g) ?? [])
}

const event = (taken: Taken): unknown => JSON.parse(taken.body.trim().split('\n')[2] ?? '{}')

const mailHeaders = new Set([
  'from',
  'to',
  'subject',
  'message-id',
  'in-reply-to',
  'references',
  'date',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
  'auto-submitted',
  'x-keyturn-notice',
])

export const drivers: readonly Driver[] = [
  {
    kind: 'webhook',
    listen: httpReceiver,
    options: ({ url }) => ({
      kind: 'webhook',
      url: secret(`${url}/hook`),
      secret: secret(`whsec_${canary}`),
    }),
    text: (taken) => JSON.stringify(json(taken)),
    sameness: ({ headers }) => headers['webhook-id'],
    thread: (taken) => at(json(taken), 'data', 'incident'),
    whole: (taken) => JSON.stringify(json(taken)),
    isEnd: (taken) => at(json(taken), 'data', 'isOver') === true,
    meant: nothing,
  },
  {
    kind: 'slack',
    listen: httpReceiver,
    options: ({ url }) => ({ kind: 'slack', url: secret(`${url}/services/${canary}`) }),
    text: (taken) => JSON.stringify(json(taken)),
    sameness: ({ body }) => noticeIn(body),
    thread: ({ body }) => incidentIn(body),
    whole: (taken) => JSON.stringify(json(taken)),
    isEnd: ({ body }) => body.includes('It is over.'),
    meant: meantBySlack,
  },
  {
    kind: 'teams',
    listen: httpReceiver,
    options: ({ url }) => ({ kind: 'teams', url: secret(`${url}/workflows/${canary}?sig=${canary}`) }),
    text: (taken) => JSON.stringify(json(taken)),
    sameness: ({ body }) => noticeIn(body),
    thread: ({ body }) => incidentIn(body),
    whole: (taken) => JSON.stringify(json(taken)),
    isEnd: ({ body }) => body.includes('It is over.'),
    meant: meantByTeams,
  },
  {
    kind: 'pagerduty',
    listen: httpReceiver,
    options: ({ url }) => ({ kind: 'pagerduty', routingKey: secret(canary), url: `${url}/v2/enqueue` }),
    text: (taken) => JSON.stringify(at(json(taken), 'payload') ?? ''),
    sameness: (taken) => [at(json(taken), 'dedup_key'), at(json(taken), 'event_action')].join(' '),
    thread: (taken) => at(json(taken), 'dedup_key'),
    whole: (taken) => JSON.stringify(json(taken)),
    isEnd: (taken) => at(json(taken), 'event_action') === 'resolve',
    meant: nothing,
  },
  {
    kind: 'email',
    listen: mailReceiver,
    options: ({ port }) => ({
      kind: 'email',
      host: '127.0.0.1',
      port,
      tls: 'none',
      user: 'keyturn',
      password: secret(canary),
      from: 'keyturn@example.com',
      to: ['ops@example.com', 'other@example.com'],
    }),
    text: decoded,
    sameness: ({ headers }) => headers['message-id'],
    thread: ({ headers }) => headers['in-reply-to'] ?? headers['message-id'],
    whole: (taken) => decoded(taken),
    isEnd: ({ body }) => body.replaceAll(/=\r\n/g, '').includes('It is over.'),
    meant: ({ headers }) => Object.keys(headers).filter((name) => !mailHeaders.has(name)),
  },
  {
    kind: 'sentry',
    listen: httpReceiver,
    options: ({ url }) => ({ kind: 'sentry', dsn: secret(`${url.replace('//', `//${canary}@`)}/42`) }),
    text: (taken) => String(at(event(taken), 'message', 'formatted')),
    sameness: (taken) => at(event(taken), 'event_id'),
    thread: (taken) => at(event(taken), 'fingerprint'),
    whole: (taken) => taken.body,
    isEnd: (taken) => at(event(taken), 'level') === 'info',
    meant: nothing,
  },
  {
    kind: 'datadog',
    listen: httpReceiver,
    options: ({ url }) => ({ kind: 'datadog', apiKey: secret(canary), url }),
    text: (taken) => String(at(json(taken), 'text')),
    // Datadog drops nothing that comes twice: both stand together.
    sameness: (taken) => at(json(taken), 'aggregation_key'),
    thread: (taken) => at(json(taken), 'aggregation_key'),
    whole: (taken) => JSON.stringify(json(taken)),
    isEnd: (taken) => at(json(taken), 'alert_type') === 'success',
    meant: (taken) => String(at(json(taken), 'text')).match(/(?<=^|\s)@\S+|^%%%/g) ?? [],
  },
]

export function contextOf(change: Partial<ChannelContext> = {}): ChannelContext {
  const timeoutMs = change.timeoutMs ?? patientMs
  return {
    clock: { now: () => 1_764_115_200_000 },
    send: createSend(timeoutMs),
    log: () => undefined,
    timeoutMs,
    version: '1.2.3',
    source: 'this-machine',
    ...change,
  }
}

export function open(
  driver: Driver,
  receiver: Receiver,
  change: Partial<ChannelContext> = {},
): Promise<AlertChannel> {
  return openChannel(driver.options(receiver), contextOf(change))
}

/** As any receiver would check it, by the words of the standard. */
export function isSigned({ headers, body }: Taken, key: Buffer): boolean {
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
  const expected = createHmac('sha256', key).update(signed).digest('base64')
  return headers['webhook-signature'] === `v1,${expected}`
}
