import { z } from 'zod'
import { duration, httpsUrl, path, secretSource, text, wholeNumber } from './fields.ts'

const syslogShape = 'udp://HOST:PORT, tcp://HOST:PORT or unix:/PATH'

export const syslogPattern = /^(?:(?:udp|tcp):\/\/(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}|unix:\/.+)$/

const webhook = {
  webhook: httpsUrl.describe('Gets rows as JSON lines; any answer of 2xx says that it has them.'),
  bearer: secretSource('Sent as `Authorization: Bearer`.').optional(),
  hmac: secretSource('Signs each request: the header Keyturn-Signature.').optional(),
}

const sinkShape = `expected { file: FOLDER }, { webhook: URL } or { syslog: '${syslogShape}' }`

const sink = z.union(
  [
    z.strictObject({ file: path('A folder.') }),
    z.strictObject(webhook),
    z.strictObject({
      syslog: text(syslogShape, 'Takes rows without saying so, so no reply relies on it.').regex(
        syslogPattern,
        { error: `expected ${syslogShape}` },
      ),
    }),
  ],
  { error: sinkShape },
)

const headShape = 'expected ledger, { file: FOLDER } or { webhook: URL }'

const headPlace = z.union(
  [z.literal('ledger'), z.strictObject({ file: path('A folder.') }), z.strictObject(webhook)],
  { error: headShape },
)

export const placesMax = 4

export const auditSchema = z.strictObject({
  reads: z
    .enum(['durable', 'async', 'off'], { error: 'expected durable, async or off' })
    .default('durable')
    .describe(
      'durable: no secret leaves before its row is on a disk. async: the row is written, and the reply does not wait. off: reads are no rows. Acts and refusals are always durable. In the sandbox: async.',
    ),
  wait: duration(
    { default: '2s', min: '50ms', max: '30s' },
    'How long a reply waits for its row; then it is refused with `audit_unavailable`: where every read must be audited and cannot be, auditing wins.',
  ),
  sinks: z
    .array(sink, { error: `expected a list; ${sinkShape}` })
    .min(1, { error: 'expected at least one place' })
    .max(placesMax, { error: `expected at most ${placesMax} places` })
    .optional()
    .describe(
      "Where rows go, each row to all of them; one that confirms it is enough for the reply. `{ file: FOLDER }`, `{ webhook: URL }` with `bearer` or `hmac`, or `{ syslog: 'udp://HOST:PORT' }`, which confirms nothing. Default: the folder `audit` in the home folder.",
    ),
  heads: z
    .array(headPlace, { error: `expected a list; ${headShape}` })
    .max(placesMax, { error: `expected at most ${placesMax} places` })
    .default(['ledger'])
    .describe(
      'The second place: where signed heads of the journal go, so that a tail that was cut off shows: `ledger`, `{ file: FOLDER }` or `{ webhook: URL }`.',
    ),
  keep: duration({ default: '400d', min: '1d', max: '3650d' }, 'How long rows are kept in folders.'),
  keepMegabytes: wholeNumber(
    { default: 10_240, min: 128, max: 10_000_000 },
    'So much each folder may hold; beyond it the oldest files go, however young.',
  ),
})
