import { z } from 'zod'
import {
  duration,
  environmentName,
  httpsUrl,
  isSafeUrl,
  path,
  secretSource,
  text,
  wholeNumber,
} from './fields.ts'

/** The stores as they are written in keyturn.yaml, one shape for each kind. */

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
    'For regional secrets, such as europe-west3. Default: global ones.',
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
    .regex(/^(?!(?:latest|NEW)$)[A-Za-z][A-Za-z0-9_-]{0,62}$/, {
      error: 'expected an alias: a letter, then letters, digits, _ and -',
    })
    .optional(),
  format: valueFormat,
  field: valueField,
  createIfAbsent,
  requestTimeout,
  attempts,
})

/** The SDK sends no token over plain HTTP, so that there is no exception for this machine. */
const vaultUrl =
  'expected an https:// URL without user, query or fragment, such as https://NAME.vault.azure.net'

const azureKeyVault = z.strictObject({
  kind: z.literal('azure-key-vault'),
  vault: z
    .string({ error: vaultUrl })
    .refine((address) => isSafeUrl(address) && new URL(address).protocol === 'https:', { error: vaultUrl })
    .describe('The address of the vault over HTTPS, such as https://NAME.vault.azure.net.'),
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

const ownModule = z.strictObject({
  kind: z.literal('module'),
  path: path('A store of your own: a .js, .mjs, .ts or .mts file that exports `openStore`.').regex(
    /^(?![A-Za-z][A-Za-z0-9+.-]+:).*\.m?[jt]s$/,
    {
      error: 'expected the path of a .js, .mjs, .ts or .mts file, not a package and not an address',
    },
  ),
  options: z
    .record(z.string(), z.unknown(), { error: 'expected options by name' })
    .default({})
    .describe('Given to its `openStore` as they are.'),
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
    ownModule,
  ],
  {
    error:
      'expected a kind of store: local, memory, env, file, aws-secrets-manager, google-secret-manager, azure-key-vault, vault, kubernetes or module',
  },
)
