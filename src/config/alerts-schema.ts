import { z } from 'zod'
import { bookLimits } from '../core/alert-book.ts'
import { severities } from '../core/alert-codes.ts'
import { credentialNamePattern } from '../core/types.ts'
import { durationPattern, parseDuration } from './duration.ts'
import { duration, httpsUrl, secretSource, text, textList, wholeNumber } from './fields.ts'
import { windowsSchema } from './window-schema.ts'

/** `alerts` of keyturn.yaml: who is told what, and when. See docs/alerts.md. */

const common = {
  severities: z
    .array(z.enum(severities, { error: 'expected critical, warning or note' }), {
      error: 'expected a list of critical, warning and note',
    })
    .min(1, { error: 'expected at least one severity' })
    .default(['critical', 'warning'])
    .describe('Which alerts it gets.'),
  credentials: textList('name or pattern', 'Of which credentials; `*` stands for any characters.').default([
    '*',
  ]),
  quiet: windowsSchema(
    'Times in which only what is critical is told; the rest is told afterwards, as it is then. Written as a blackout.',
  ),
  timeout: duration({ default: '10s', min: '100ms', max: '15s' }, 'For one try.'),
}

const address = (what: string) => secretSource(`Where ${what} is: the address is a secret as a whole.`)

const channel = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('webhook'),
      url: httpsUrl.describe('Gets each notice as JSON; any answer of 2xx says that it has it.'),
      secret: secretSource('Signs each request, in the form of Standard Webhooks.'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('slack'),
      url: address('the address of the incoming webhook'),
      ...common,
    }),
    z.strictObject({ kind: z.literal('teams'), url: address('the address of the workflow'), ...common }),
    z.strictObject({
      kind: z.literal('pagerduty'),
      routingKey: secretSource('The integration key of the service (Events API v2).'),
      url: httpsUrl
        .refine((url) => pathOf(url) !== '/', {
          error: 'expected the address that takes events, such as https://events.pagerduty.com/v2/enqueue',
        })
        .default('https://events.pagerduty.com/v2/enqueue')
        .describe('In Europe https://events.eu.pagerduty.com/v2/enqueue.'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('email'),
      host: text('a host name', 'The mail server.').refine((host) => !/^[^:]*:\d*$|[/@\s]/.test(host), {
        error: 'expected a host name without a port: that has a line of its own (port)',
      }),
      port: z
        .int({ error: 'expected a port' })
        .min(1, { error: 'expected a port' })
        .max(65_535, { error: 'expected a port' })
        .optional()
        .describe('Default: 465 with `tls: implicit`, else 587.'),
      tls: z
        .enum(['implicit', 'starttls', 'none'], { error: 'expected implicit, starttls or none' })
        .default('implicit')
        .describe('How the connection is encrypted. none: to this machine only.'),
      user: text('a user name', 'Whom the mail server knows.').optional(),
      password: secretSource('Their password.').optional(),
      from: mailbox('The sender.'),
      to: z
        .array(mailbox(''), { error: 'expected a list of mail addresses' })
        .min(1, { error: 'expected at least one mail address' })
        .max(20, { error: 'expected at most 20 mail addresses' })
        .describe('The receivers.'),
      ...common,
    }),
    z.strictObject({ kind: z.literal('sentry'), dsn: secretSource('The DSN of the project.'), ...common }),
    z.strictObject({
      kind: z.literal('datadog'),
      apiKey: secretSource('An API key.'),
      url: httpsUrl
        .refine((url) => [undefined, '/'].includes(pathOf(url)), {
          error: 'expected the site alone, such as https://api.datadoghq.eu',
        })
        .default('https://api.datadoghq.com')
        .describe('Of the site that the account is on, such as https://api.datadoghq.eu.'),
      ...common,
    }),
    z.strictObject({ kind: z.literal('log'), ...common }),
  ],
  { error: 'expected a kind of channel: webhook, slack, teams, pagerduty, email, sentry, datadog or log' },
)

const leadShape = 'expected one to five durations such as [30d, 7d, 1d]'

const lead = z
  .string({ error: leadShape })
  .regex(durationPattern, { error: leadShape, abort: true })
  .refine((written) => (parseDuration(written) ?? 0) > 0, { error: leadShape })

export const alertsSchema = z
  .strictObject({
    channels: z
      .record(
        z.string().regex(credentialNamePattern, { error: 'expected a name of a-z, 0-9 and -, at most 63' }),
        channel,
        { error: 'expected channels by name, each with its kind' },
      )
      .refine((all) => Object.keys(all).length <= bookLimits.channelsMax, {
        error: `expected at most ${bookLimits.channelsMax} channels`,
      })
      .default({})
      .describe('Where people are told, by names of your own. None: nobody is.'),
    linkBase: httpsUrl
      .optional()
      .describe('Where people reach this service: notices link to /credentials/NAME under it.'),
    expiry: z
      .array(lead, { error: leadShape })
      .min(1, { error: leadShape })
      .max(5, { error: leadShape })
      .default(['30d', '7d', '1d'])
      .describe('How long before its expiry a key that nothing turns before is told of; again at each.'),
    rotationSoon: duration(
      { default: '24h', min: '1m', max: '30d' },
      'A rotation nearer than this is a note.',
    ),
    rotationLate: duration(
      { default: '1h', min: '1m', max: '30d' },
      'A rotation later than this is overdue.',
    ),
    adminKeyAge: duration(
      { default: '90d', min: '1d', max: '3650d' },
      'An admin key that no schedule turns is old after this.',
    ),
    momentary: duration(
      { default: '1h', min: '1s', max: '7d' },
      'How long what happened once (a failover, an orphan) stays an alert.',
    ),
    resolveAfter: duration(
      { default: '1m', min: '1s', max: '1h' },
      'An alert that is away for so long is over; shorter absences are the same alert.',
    ),
    groupWithin: duration(
      { default: '5s', min: '1s', max: '10m' },
      'Alerts of one code that begin within this are one notice.',
    ),
    remindEvery: duration(
      { default: '24h', min: '10m', max: '30d' },
      'What goes on is told again; notes are not.',
    ),
    perMinute: wholeNumber(
      { default: 10, min: 1, max: 600 },
      'Notices of one channel a minute; what is beyond waits, and is told as it is then.',
    ),
  })
  .prefault({})
  .describe('Who is told what is wrong (alerts.md).')

/** Of an address that is none the first check speaks. */
function pathOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).pathname : undefined
}

function mailbox(description: string) {
  const error = 'expected a mail address such as keyturn@example.com'
  return text('a mail address', description).regex(/^[^\s@<>,;"]{1,64}@[A-Za-z0-9.-]{1,255}$/, { error })
}
