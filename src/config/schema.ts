import { z } from 'zod'
import { credentialNamePattern } from '../core/types.ts'
import { accessSchema, socketFileSchema, tlsSchema } from './access-schema.ts'
import { alertsSchema } from './alerts-schema.ts'
import { auditSchema } from './audit-schema.ts'
import { dashboardSchema } from './dashboard.ts'
import { duration, httpsUrl, path, secretSource, text, textList, wholeNumber } from './fields.ts'
import { hooksSchema } from './hooks.ts'
import { identitySchema } from './identity-schema.ts'
import { lastKnownGoodSchema } from './last-known-good.ts'
import { ledgerSchema } from './ledger.ts'
import { defaultListen, listenShape, parseListen } from './listen.ts'
import { parseProxy } from './networks.ts'
import { storeSchema } from './store-schema.ts'
import { isTimeZone, windowsSchema } from './window-schema.ts'

/**
 * What may stand in keyturn.yaml, as written: durations are still text, paths still relative. build.ts turns it into
 * `Config`. Every object is strict, because a misspelt key that is silently ignored is how an overlap of a week becomes
 * one of a day. Published as docs/keyturn.schema.json.
 */

export const credentialsMax = 10_000

const name = z
  .string()
  .regex(credentialNamePattern, { error: 'expected a name of a-z, 0-9 and -, at most 63' })

const baseUrl = httpsUrl
  .default('https://api.openai.com/v1')
  .describe('Where the issuer is reached, and what apps get as base URL. HTTPS, or HTTP to this machine.')

const timeout = duration({ default: '5s', min: '100ms', max: '60s' }, 'For one whole call of the issuer.')

const schedule = z
  .union(
    [
      z.literal('none'),
      z.strictObject({
        cron: text('a cron expression', 'Minute, hour, day of month, month, day of week.').default(
          '0 3 1 1,4,7,10 *',
        ),
        timeZone: text('an IANA time zone such as Europe/Berlin', 'IANA name.')
          .refine(isTimeZone, { error: 'expected an IANA time zone such as UTC or Europe/Berlin' })
          .default('UTC'),
        jitter: duration(
          { default: '1h', min: '0s', max: '7d' },
          'Each rotation starts at a random instant within this time after its occurrence.',
        ),
      }),
    ],
    { error: "expected none, or { cron: '0 3 1 1,4,7,10 *', timeZone: UTC, jitter: 1h }" },
  )
  .describe(
    'When the key is turned without anybody asking. Default: quarterly, `0 3 1 1,4,7,10 *` in UTC, where the issuer mints and the store can be written; else none.',
  )

const blackout = windowsSchema(
  'Times in which nothing moves that nobody asks for then: `{ from: CRON, for: DURATION, timeZone }`, again and again, or `{ from: INSTANT, until: INSTANT }`, once.',
)

const expected = z
  .strictObject({
    organization: text(
      'an organisation id',
      'The organisation the key must answer for, e.g. org-abc.',
    ).optional(),
    project: text(
      'a project id',
      'The project the key must answer for, e.g. proj_abc. Default: the project of an openai issuer.',
    ).optional(),
    scopes: textList('scope', 'Scopes that apps need; proven before a key is promoted.'),
    models: textList('model', 'Models that apps need; each must be visible to the key.'),
  })
  .prefault({})
  .describe('Whom the key must belong to, and what it must be able to do.')

export const policySchema = z
  .strictObject({
    overlap: duration(
      { default: '24h', min: '0s', max: '90d' },
      'How long the old key lives on at least after a promotion.',
    ),
    drainLimit: duration(
      { default: '7d', min: '1s', max: '365d' },
      'After this the operator is told who still holds the old key.',
    ),
    afterLimit: z
      .enum(['wait', 'revoke'], { error: 'expected wait or revoke' })
      .default('wait')
      .describe('What follows at the drain limit: wait on, or revoke although the key may be in use.'),
    quiet: duration(
      { default: '5m', min: '0s', max: '7d' },
      "How long the old key must have been unused, by the issuer's account, before it is revoked.",
    ),
    provingCount: wholeNumber(
      { default: 3, min: 1, max: 50 },
      'Successful verifications that a new key needs in a row.',
    ),
    provingSettle: duration({ default: '10s', min: '0s', max: '1h' }, 'The time they are spread over.'),
    activationGrace: duration(
      { default: '60s', min: '0s', max: '1h' },
      'For this long after minting a rejection is taken for activation lag.',
    ),
    attemptsMax: wholeNumber({ default: 3, min: 1, max: 10 }, 'Keys that one rotation mints at most.'),
    phaseDeadline: duration(
      { default: '15m', min: '10s', max: '30d' },
      'After this a phase halts with a reason.',
    ),
    retryBase: duration(
      { default: '500ms', min: '10ms', max: '1m' },
      'First pause before a failed step is tried again.',
    ),
    retryMax: duration({ default: '60s', min: '10ms', max: '1h' }, 'Longest such pause.'),
    verifyEvery: duration(
      { default: '5m', min: '1s', max: '1d' },
      'Pause between verifications of the current key.',
    ),
    verifyCloselyEvery: duration(
      { default: '30s', min: '1s', max: '1h' },
      'The same, soon after a promotion.',
    ),
    verifyCloselyFor: duration({ default: '10m', min: '0s', max: '1d' }, 'How long "soon" is.'),
    rejectionGap: duration(
      { default: '300ms', min: '300ms', max: '1m' },
      'Least time between the two rejections that withdraw a key.',
    ),
    automaticPerDay: wholeNumber(
      { default: 3, min: 0, max: 24 },
      'Rotations a day that no person and no schedule asked for.',
    ),
    deadProbes: wholeNumber(
      { default: 3, min: 1, max: 50 },
      'Rejections in a row that prove a revoked key dead.',
    ),
    deadSpan: duration({ default: '2m', min: '0s', max: '1d' }, 'The time they are spread over.'),
    deadLimit: duration(
      { default: '30m', min: '1s', max: '7d' },
      'After this an unproven death is reported.',
    ),
    storePoll: duration(
      { default: '60s', min: '1s', max: '1d' },
      'Pause between looks at the store for changes by others.',
    ),
    pendingExpiry: duration(
      { default: '24h', min: '1m', max: '30d' },
      'Expiry of a new key until it is promoted, so that a lost one dies by itself.',
    ),
    keyExpiry: duration({ default: '365d', min: '1h', max: '365d' }, 'Expiry of a promoted key.'),
    manageExpiry: z
      .boolean({ error: 'expected true or false' })
      .optional()
      .describe('Whether keys get an expiry at all. Default: true where the issuer mints, else false.'),
    staleAfter: duration(
      { default: '100d', min: '1m', max: '366d' },
      'For how long apps and Keyturn go on with the last verified key when nothing can be asked.',
    ),
    standby: z
      .boolean({ error: 'expected true or false' })
      .default(false)
      .describe(
        'Whether a verified spare key on a second service account is kept ready. Needs an issuer that mints with standbyServiceAccount, and a store that can be written.',
      ),
    standbyMaxAge: duration(
      { default: '90d', min: '1h', max: '365d' },
      'A spare that is older is replaced by a new one.',
    ),
  })
  .prefault({})
  .describe('How the key is proven, turned and retired.')

const storeReference = z.union([name, storeSchema], {
  error: 'expected the name of an entry of stores, or a store such as { kind: local }',
})
/** What of a policy means something for a key that gets its expiry when it is made, and whose keys make each other. */
const adminKeyPolicy = policySchema
  .unwrap()
  .omit({ pendingExpiry: true, manageExpiry: true, standby: true, standbyMaxAge: true })
  .extend({
    keyExpiry: duration(
      { default: '120d', min: '1h', max: '365d' },
      'Expiry of an admin key; it is turned before it expires.',
    ),
  })
  .prefault({})
  .describe(
    'How the admin key is proven, turned and retired: as the policy of a credential, without spares, and without `pendingExpiry` and `manageExpiry`, since OpenAI sets the expiry of an admin key once, when it is made. `keyExpiry` is 120d where nothing is said.',
  )

const keptAdminKey = z.strictObject({
  store: storeReference.describe('Where the admin key is kept: a store, or the name of one under `stores`.'),
  ref: text(
    "the secret's name in the store",
    "The secret's name in the store. Default: the name; with store env, OPENAI_ADMIN_KEY.",
  ).optional(),
  name: name
    .describe(
      "The name under which operators see and turn it. Default: the issuer's name (or, where it has none, the credential's) and -admin.",
    )
    .optional(),
  organization: text(
    'an organisation id',
    'The organisation the admin key must answer for. Default: the one it first answered for.',
  ).optional(),
  schedule: schedule.optional(),
  blackout,
  policy: adminKeyPolicy,
})

const openAIId = (expected: string, description: string) =>
  text(expected, description).regex(/^[A-Za-z0-9_-]{1,128}$/, { error: `expected ${expected}` })

const openai = z.strictObject({
  kind: z.literal('openai'),
  adminKey: z
    .union([...secretSource('').options, keptAdminKey], {
      error:
        'expected { env: NAME } or { file: PATH }, or { store: STORE }; the secret itself never belongs into this file',
    })
    .default({ env: 'OPENAI_ADMIN_KEY' })
    .describe(
      'Where the admin key is read from, at each use; with `store`, Keyturn looks after it and turns it too.',
    ),
  project: openAIId(
    'a project id such as proj_abc',
    'The project in which keys are minted; not the Default project.',
  ),
  serviceAccount: openAIId(
    'a service account id such as svc_acct_abc',
    'The stable service account that gets each new key. It or its name is needed, except with mode new_service_account.',
  ).optional(),
  serviceAccountName: text(
    'the name of a service account',
    'Its name, where the id is not known; the only one of this name in the project.',
  ).optional(),
  standbyServiceAccount: openAIId(
    'a service account id such as svc_acct_def',
    'A second service account, for the spare keys of credentials with standby: true. It or its name is needed there, except with mode new_service_account.',
  ).optional(),
  standbyServiceAccountName: text(
    'the name of a service account',
    'Its name, where the id is not known; the only one of this name in the project.',
  ).optional(),
  mode: z
    .enum(['service_account_key', 'new_service_account'], {
      error: 'expected service_account_key or new_service_account',
    })
    .default('service_account_key')
    .describe(
      'service_account_key: another key on the same account. new_service_account: a new account for each key, for organisations that refuse the former.',
    ),
  scopes: textList('scope', 'Scopes of minted keys; empty: all permissions.'),
  baseUrl,
  timeout,
})

const manual = z.strictObject({ kind: z.literal('manual'), baseUrl, timeout })

export const issuerSchema = z.discriminatedUnion('kind', [openai, manual], {
  error: 'expected a kind of issuer: openai or manual',
})

const issuerReference = z.union([name, issuerSchema], {
  error: 'expected the name of an entry of issuers, or an issuer such as { kind: manual }',
})

export const mirrorsMax = 10

const mirror = z.strictObject({
  store: storeReference.describe('A store that can be written, or the name of one under `stores`.'),
  ref: text(
    "the secret's name in the store",
    "The secret's name there. Default: the credential's name.",
  ).optional(),
})

export const consumersMax = 100

const consumer = z.strictObject({
  name: text('a name for people', 'Who it is, for people: it is shown where the overlap is.'),
  keepsFor: duration(
    { default: '24h', min: '1s', max: '90d' },
    'How long it may go on with a key once it has it.',
  ),
})

const credential = z.strictObject({
  store: storeReference
    .optional()
    .describe(
      'Where the key is kept: a store, or the name of one under `stores`. It or `identity` is needed.',
    ),
  identity: identitySchema.optional(),
  ref: text(
    "the secret's name in the store",
    "The secret's name in the store: a variable, a file, an ARN. Default: the credential's name; with store env, OPENAI_API_KEY.",
  ).optional(),
  mirrors: z
    .array(mirror, { error: 'expected a list of mirrors' })
    .max(mirrorsMax, { error: `expected at most ${mirrorsMax} mirrors` })
    .default([])
    .describe(
      "Copies in other stores, for readers that do not ask Keyturn; kept in line with the first. Each has `store`, a store that can be written or the name of one under `stores`, and `ref`, the secret's name there (default: the credential's name).",
    ),
  consumers: z
    .array(consumer, { error: 'expected a list of consumers, each with name and keepsFor' })
    .max(consumersMax, { error: `expected at most ${consumersMax} consumers` })
    .default([])
    .describe(
      'Who takes the key and does not ask Keyturn again, e.g. a nightly batch that reads the store; `keepsFor` from 1s to 90d (default 24h). The overlap is never shorter than the longest of them keeps a key.',
    ),
  issuer: issuerReference
    .prefault({ kind: 'manual' })
    .describe(
      'Who makes and kills keys: an issuer, or the name of one under `issuers`. Default: manual, an operator brings the key.',
    ),
  expected,
  schedule: schedule.optional(),
  blackout,
  policy: policySchema,
})

const proxyShape = "an address or network such as '10.0.0.0/8', or unix"

export const rateLimitsSchema = z.strictObject({
  requestsPerSecond: wholeNumber(
    { default: 2_000, min: 1, max: 1_000_000 },
    'Requests of one caller, over a longer time.',
  ),
  burst: wholeNumber(
    { default: 20_000, min: 1, max: 10_000_000 },
    'So many it may send at once before that counts, as when all instances of an app come back together.',
  ),
  failuresPerMinute: wholeNumber(
    { default: 60, min: 1, max: 1_000_000 },
    'Requests without a good token from one address; beyond it they get 429 in place of 401. Requests with a good one are not counted.',
  ),
})

const tooMany = `expected 1 to ${credentialsMax} credentials`

export const fileSchema = z
  .strictObject({
    home: path(
      'State of this installation: ledger, tokens, journals. KEYTURN_HOME goes before it. Default: `.keyturn` in the working directory.',
    ).optional(),
    listen: text(listenShape, '')
      .refine((value) => parseListen(value, String) !== undefined, { error: `expected ${listenShape}` })
      .default(defaultListen)
      .describe(
        'Where the HTTP API listens: HOST:PORT, [V6]:PORT or unix:PATH. KEYTURN_LISTEN goes before it.',
      ),
    allowPlaintext: z
      .boolean({ error: 'expected true or false' })
      .default(false)
      .describe('Allows to listen beyond this machine without `tls`, where something in front encrypts.'),
    allowedHosts: z
      .array(text('a host name without port', ''), { error: 'expected a list of host names' })
      .max(100, { error: 'expected at most 100 host names' })
      .default([])
      .describe(
        'Host headers that are answered besides those of this machine and of the address it listens on; without ports.',
      ),
    tls: tlsSchema.optional(),
    socket: socketFileSchema.optional(),
    access: accessSchema.optional(),
    trustedProxies: z
      .array(
        text(proxyShape, '').refine((value) => parseProxy(value) !== undefined, {
          error: `expected ${proxyShape}`,
        }),
        { error: 'expected a list of addresses and networks' },
      )
      .max(100, { error: 'expected at most 100 addresses and networks' })
      .default([])
      .describe(
        'Who may pass requests on for others and say for whom (X-Forwarded-For, Forwarded, X-Real-IP): addresses, networks such as 10.0.0.0/8, and unix for the socket. From everybody else such requests are refused.',
      ),
    audit: auditSchema
      .prefault({})
      .describe('Every read of a secret, every act and every refusal, as rows chained by hash.'),
    alerts: alertsSchema,
    dashboard: dashboardSchema,
    hooks: hooksSchema,
    rateLimits: rateLimitsSchema.prefault({}).describe('How often somebody may ask.'),
    verification: z
      .strictObject({
        perOrganizationPerMinute: wholeNumber(
          { default: 3_000, min: 10, max: 100_000 },
          'Requests a minute by which the keys of one organisation are verified. Where verifyEvery wants more, its intervals are drawn out; what decides a failover never waits.',
        ),
      })
      .prefault({})
      .describe('How often Keyturn asks the issuer.'),
    ledger: ledgerSchema,
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error'], { error: 'expected debug, info, warn or error' })
          .default('info')
          .describe('The least level that is written.'),
        format: z
          .enum(['json', 'text'], { error: 'expected json or text' })
          .default('text')
          .describe('json: one object per line. text: for people.'),
      })
      .prefault({})
      .describe('What the service writes to standard error.'),
    lastKnownGood: lastKnownGoodSchema,
    stores: z.record(name, storeSchema).default({}).describe('Stores by name, for several credentials.'),
    issuers: z.record(name, issuerSchema).default({}).describe('Issuers by name, for several credentials.'),
    credentials: z
      .record(name, credential, {
        error: 'expected credentials by name, each with at least a store or an identity',
      })
      .refine((all) => Object.keys(all).length > 0, { error: tooMany })
      .refine((all) => Object.keys(all).length <= credentialsMax, { error: tooMany })
      .describe('The credentials by the names that apps ask for: a-z, 0-9 and -, at most 63.'),
  })
  .meta({ title: 'Keyturn configuration (keyturn.yaml)' })

export type ConfigFile = z.output<typeof fileSchema>
export type CredentialFile = ConfigFile['credentials'][string]
export type KeptAdminKeyFile = z.output<typeof keptAdminKey>

/** JSON Schema of the file as it is written (before defaults), for editors and for finding the nearest known key. */
export function fileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(fileSchema, { io: 'input' })
}
