import { z } from 'zod'

import { credentialNamePattern } from '../core/types.ts'
import { duration, environmentName, httpsUrl, secretSource, text, textList, wholeNumber } from './fields.ts'
import { defaultListen, listenShape, parseListen } from './listen.ts'

/**
 * What may stand in keyturn.yaml, as written: durations are still text, paths still relative. build.ts turns it into
 * `Config`. Every object is strict, because a misspelt key that is silently ignored is how an overlap of a week becomes
 * one of a day. Published as docs/keyturn.schema.json.
 */

export const credentialsMax = 10_000

const name = z
  .string()
  .regex(credentialNamePattern, { error: 'expected a name of a-z, 0-9 and -, at most 63' })

const path = (description: string) => text('a path', `${description} Relative to the folder of this file.`)

const local = z.strictObject({
  kind: z.literal('local'),
  folder: path('Folder of the age-encrypted files. Default: `secrets` in the home folder.').optional(),
  identityFile: path(
    'The age identity that opens them. Default: `identity.txt` in the folder, made on first use.',
  ).optional(),
  passphrase: secretSource('The passphrase that wraps the identity file.').optional(),
})

const memory = z.strictObject({ kind: z.literal('memory') })

const environment = z.strictObject({
  kind: z.literal('env'),
  variable: environmentName
    .describe("The variable that holds the key. Default: the credential's ref.")
    .optional(),
  envFile: path('Read where the environment has no such variable. Default: `.env`.').optional(),
})

const file = z.strictObject({
  kind: z.literal('file'),
  path: text(
    'a path',
    'Folder in which relative refs are looked up. Default: the folder of this file.',
  ).optional(),
  field: text(
    'the name of a field',
    'The field of a JSON document that holds the key. Default: the file is the key alone.',
  ).optional(),
})

const valueFormat = z
  .enum(['plain', 'json'], { error: 'expected plain or json' })
  .default('plain')
  .describe('plain: the value is the key alone. json: an object with the key in one field.')

const valueField = text(
  'the name of a field',
  'With format json, the field that holds the key. Default: OPENAI_API_KEY.',
).optional()

const createIfAbsent = z
  .boolean({ error: 'expected true or false' })
  .default(false)
  .describe('Makes the secret with its first version where there is none.')

const requestTimeout = duration({ default: '5s', min: '1ms', max: '60s' }, 'For one attempt.')
const attempts = wholeNumber({ default: 3, min: 1, max: 10 }, 'Attempts at one call.')

const awsSecretsManager = z.strictObject({
  kind: z.literal('aws-secrets-manager'),
  region: text('an AWS region such as eu-central-1', 'Default: what the AWS SDK finds.').optional(),
  endpoint: httpsUrl.describe('Another endpoint, e.g. of a VPC. Default: what the AWS SDK finds.').optional(),
  format: valueFormat,
  field: valueField,
  pendingLabel: text(
    'a staging label',
    'The label of a version that is not proven yet. Default: KEYTURN_PENDING.',
  ).optional(),
  createIfAbsent,
  requestTimeout,
  connectionTimeout: duration({ default: '1s', min: '1ms', max: '60s' }, 'For one attempt to connect.'),
  attempts,
})

const loginMount = text(
  'the path of an auth method',
  'Where the auth method is mounted. Default: approle, kubernetes or jwt, as the kind.',
).optional()

const role = text('the name of a role', 'The role to log in as.')

const vaultAuth = z
  .discriminatedUnion(
    'kind',
    [
      z.strictObject({
        kind: z.literal('token'),
        token: secretSource(
          'A token, e.g. the file that an agent keeps. Default: VAULT_TOKEN or BAO_TOKEN.',
        ).optional(),
      }),
      z.strictObject({
        kind: z.literal('approle'),
        roleId: text('the id of a role', 'The role id of the AppRole; no secret.'),
        secretId: secretSource('Where the secret id is read from, at each login.'),
        mount: loginMount,
      }),
      z.strictObject({
        kind: z.literal('kubernetes'),
        role,
        jwtFile: path(
          "The service account's token. Default: /var/run/secrets/kubernetes.io/serviceaccount/token.",
        ).optional(),
        mount: loginMount,
      }),
      z.strictObject({
        kind: z.literal('jwt'),
        role,
        jwt: secretSource('Where the JWT is read from, at each login.'),
        mount: loginMount,
      }),
    ],
    { error: 'expected a kind of login: token, approle, kubernetes or jwt' },
  )
  .default({ kind: 'token' })
  .describe('How Keyturn proves to Vault who it is.')

const vault = z.strictObject({
  kind: z.literal('vault'),
  address: httpsUrl
    .describe('Address of Vault or OpenBao. HTTPS, or HTTP to this machine. Default: VAULT_ADDR or BAO_ADDR.')
    .optional(),
  mount: text('the path of a KV engine', 'Where the KV engine, version 2, is mounted.').default('secret'),
  namespace: text('a namespace', 'Default: VAULT_NAMESPACE or BAO_NAMESPACE, else none.').optional(),
  auth: vaultAuth,
  caFile: path(
    'PEM of the authority that signed the certificate of Vault. Default: what the system trusts.',
  ).optional(),
  field: text('the name of a field', 'The field of the document that holds the key.').default('api_key'),
  requestTimeout,
  attempts,
})

const kubernetes = z.strictObject({
  kind: z.literal('kubernetes'),
  kubeconfig: path("A kubeconfig. Default: the pod's service account, then KUBECONFIG.").optional(),
  context: text('a context', 'A context of the kubeconfig. Default: its current one.').optional(),
  namespace: text('a namespace', "Where names without one are. Default: the pod's or the context's.")
    .regex(/^[a-z0-9-]{1,63}$/, { error: 'expected a namespace: a-z, 0-9 and -, at most 63' })
    .optional(),
  key: text('the name of a key', 'The key of the Secret that holds the API key.')
    .regex(/^[A-Za-z0-9._-]{1,253}$/, { error: 'expected a key of a Secret: A-Z, a-z, 0-9, -, _ and .' })
    .default('api_key'),
  requestTimeout,
  attempts,
})

const googleSecretManager = z.strictObject({
  kind: z.literal('google-secret-manager'),
  project: text(
    'a Google Cloud project id',
    'The project that names without one are in. Default: GOOGLE_CLOUD_PROJECT, then what the SDK finds.',
  ).optional(),
  location: text(
    'a Google Cloud location such as europe-west3',
    'For regional secrets. Default: global ones.',
  )
    .regex(/^[a-z0-9-]{1,63}$/, { error: 'expected a Google Cloud location such as europe-west3' })
    .optional(),
  endpoint: httpsUrl.describe('Another endpoint. Default: what the location says.').optional(),
  transport: z
    .enum(['rest', 'grpc'], { error: 'expected rest or grpc' })
    .default('rest')
    .describe('How the SDK talks. rest starts faster and passes any proxy.'),
  consumers: z
    .enum(['latest', 'alias'], { error: 'expected latest or alias' })
    .default('latest')
    .describe(
      'What others read. latest: the newest version; a key that is not proven yet is kept in a second secret. alias: an alias, and nobody reads latest.',
    ),
  alias: text(
    'the name of a version alias',
    'With consumers alias, the alias of the current key. Default: current.',
  )
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, {
      error: 'expected an alias: a letter, then letters, digits, _ and -',
    })
    .optional(),
  format: valueFormat,
  field: valueField,
  createIfAbsent,
  requestTimeout,
  attempts,
})

const azureKeyVault = z.strictObject({
  kind: z.literal('azure-key-vault'),
  vault: httpsUrl.describe('The address of the vault, such as https://NAME.vault.azure.net.'),
  clientId: text(
    'the client id of a managed identity',
    'A user-assigned managed identity or workload identity. Default: what @azure/identity finds.',
  ).optional(),
  tenantId: text('the id of a tenant', 'Default: what @azure/identity finds.').optional(),
  caFile: path(
    'PEM of a private authority, e.g. of a proxy that inspects. Default: what the system trusts.',
  ).optional(),
  format: valueFormat,
  field: valueField,
  requestTimeout,
  attempts,
})

export const storeSchema = z.discriminatedUnion(
  'kind',
  [
    local,
    memory,
    environment,
    file,
    awsSecretsManager,
    googleSecretManager,
    azureKeyVault,
    vault,
    kubernetes,
  ],
  {
    error:
      'expected a kind of store: local, memory, env, file, aws-secrets-manager, google-secret-manager, azure-key-vault, vault or kubernetes',
  },
)

const baseUrl = httpsUrl
  .default('https://api.openai.com/v1')
  .describe('Where the issuer is reached, and what apps get as base URL. HTTPS, or HTTP to this machine.')

const timeout = duration({ default: '5s', min: '100ms', max: '60s' }, 'For one whole call of the issuer.')

const openAIId = (expected: string, description: string) =>
  text(expected, description).regex(/^[A-Za-z0-9_-]{1,128}$/, { error: `expected ${expected}` })

const openai = z.strictObject({
  kind: z.literal('openai'),
  adminKey: secretSource('Where the admin key is read from.').default({ env: 'OPENAI_ADMIN_KEY' }),
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
  })
  .prefault({})
  .describe('How the key is proven, turned and retired.')

const storeReference = z.union([name, storeSchema], {
  error: 'expected the name of an entry of stores, or a store such as { kind: local }',
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

const credential = z.strictObject({
  store: storeReference.describe('Where the key is kept: a store, or the name of one under `stores`.'),
  ref: text(
    "the secret's name in the store",
    "The secret's name in the store: a variable, a file, an ARN. Default: the credential's name; with store env, OPENAI_API_KEY.",
  ).optional(),
  mirrors: z
    .array(mirror, { error: 'expected a list of mirrors' })
    .max(mirrorsMax, { error: `expected at most ${mirrorsMax} mirrors` })
    .default([])
    .describe('Copies in other stores, for readers that do not ask Keyturn; kept in line with the first.'),
  issuer: issuerReference
    .prefault({ kind: 'manual' })
    .describe(
      'Who makes and kills keys: an issuer, or the name of one under `issuers`. Default: manual, an operator brings the key.',
    ),
  expected,
  schedule: schedule.optional(),
  policy: policySchema,
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
      .describe('Allows to listen beyond this machine without TLS, where something in front encrypts.'),
    allowedHosts: z
      .array(text('a host name without port', ''), { error: 'expected a list of host names' })
      .max(100, { error: 'expected at most 100 host names' })
      .default([])
      .describe(
        'Host headers that are answered besides those of this machine and of the address it listens on; without ports.',
      ),
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
    stores: z.record(name, storeSchema).default({}).describe('Stores by name, for several credentials.'),
    issuers: z.record(name, issuerSchema).default({}).describe('Issuers by name, for several credentials.'),
    credentials: z
      .record(name, credential, { error: 'expected credentials by name, each with at least a store' })
      .refine((all) => Object.keys(all).length > 0, { error: tooMany })
      .refine((all) => Object.keys(all).length <= credentialsMax, { error: tooMany })
      .describe('The credentials by the names that apps ask for: a-z, 0-9 and -, at most 63.'),
  })
  .meta({ title: 'Keyturn configuration (keyturn.yaml)' })

export type ConfigFile = z.output<typeof fileSchema>
export type CredentialFile = ConfigFile['credentials'][string]

/** JSON Schema of the file as it is written (before defaults), for editors and for finding the nearest known key. */
export function fileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(fileSchema, { io: 'input' })
}

function isTimeZone(candidate: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: candidate }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
