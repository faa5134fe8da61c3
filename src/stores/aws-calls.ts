import type * as AwsSdk from '@aws-sdk/client-secrets-manager'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import { awsError, markedDeleted } from './aws-errors.ts'
import type { StoreContext } from './context.ts'

export type AwsSdkModule = typeof AwsSdk
/** The request token that a version was put with: not always the id that Keyturn has for what it holds. */
export type AwsVersionId = string

export interface AwsClientOptions {
  /** Default: AWS_REGION, AWS_DEFAULT_REGION, then what the SDK finds. */
  readonly region?: string
  /** Another endpoint, e.g. of a VPC; HTTPS, or HTTP to this machine. Default: AWS_ENDPOINT_URL_SECRETS_MANAGER, then the SDK's. */
  readonly endpoint?: string
  /** Per attempt, 1 to 60,000. Default 5,000. The SDK itself would wait for ever. */
  readonly requestTimeoutMs?: number
  /** Per attempt, 1 to 60,000. Default 1,000. */
  readonly connectionTimeoutMs?: number
  /** Attempts per call, 1 to 10. Default 3. Every call of this driver is safe to repeat. */
  readonly maxAttempts?: number
}

/** What is known of a secret without its value. */
export interface AwsSecret {
  /** Labels by version. AWS names only versions that have one. */
  readonly labels: ReadonlyMap<AwsVersionId, readonly string[]>
  readonly tags: ReadonlyMap<string, string>
  /** Whether AWS's own rotation is on. AWS leaves it out of a secret that never had any. */
  readonly isRotated?: boolean
}

export interface AwsValue {
  readonly version: AwsVersionId
  readonly text: string
  readonly labels: readonly string[]
}

/** The calls of Secrets Manager that the driver makes. Each throws only KeyturnErrors, by the rules of aws-errors.ts. */
export interface AwsCalls {
  readonly region: string
  /** Undefined: AWS says that there is no such secret. One marked for deletion is `store_disabled`. */
  describe(ref: string): Promise<AwsSecret | undefined>
  /** Undefined: AWS says that there is no such secret, label or version. */
  get(
    ref: string,
    which: { readonly label: string } | { readonly version: AwsVersionId },
  ): Promise<AwsValue | undefined>
  /** The labels that the version has then: AWS ignores the repeat of a token with the same text, its labels included. */
  put(ref: string, request: AwsValue): Promise<readonly string[]>
  /** Moves a label; `store_conflict` where it is not on `from`. Without `to` it is taken away. */
  move(
    ref: string,
    request: { readonly label: string; readonly to?: AwsVersionId; readonly from?: AwsVersionId },
  ): Promise<void>
  tag(ref: string, tags: Readonly<Record<string, string>>): Promise<void>
  untag(ref: string, keys: readonly string[]): Promise<void>
  create(ref: string, request: { readonly version: AwsVersionId; readonly text: string }): Promise<void>
  close(): void
}

/** Over all attempts of one call, their pauses included. */
const callTimeoutMs = 30_000

const packageName = '@aws-sdk/client-secrets-manager'

export async function loadAwsSdk(): Promise<AwsSdkModule> {
  return import('@aws-sdk/client-secrets-manager')
}

export async function openAwsCalls(
  options: AwsClientOptions,
  context: StoreContext,
  load: () => Promise<AwsSdkModule>,
): Promise<AwsCalls> {
  const sdk = await loadOrExplain(load)
  const client = new sdk.SecretsManagerClient(clientConfig(options, context))
  refusePlainHttp(client)
  const region = await regionOf(client)

  /** Runs one call under the overall limit and turns what it throws into one of ours. */
  const run = async <Result>(
    action: string,
    ref: string,
    send: (abort: { readonly abortSignal: AbortSignal }) => Promise<Result>,
  ): Promise<Result> => {
    const abort = new AbortController()
    const cancel = context.system.after(callTimeoutMs, () => abort.abort(), { background: true })
    try {
      return await send({ abortSignal: abort.signal })
    } catch (thrown) {
      throw awsError(thrown, { permission: `secretsmanager:${action}`, ref, region })
    } finally {
      cancel()
    }
  }

  return {
    region,
    async describe(ref) {
      const found = await orAbsent(
        run('DescribeSecret', ref, (abort) =>
          client.send(new sdk.DescribeSecretCommand({ SecretId: ref }), abort),
        ),
      )
      if (found === undefined) return undefined
      if (found.DeletedDate !== undefined) throw markedDeleted({ ref, region })
      return {
        // AWS names only versions that have a label; emulators name the others as well.
        labels: new Map(
          Object.entries(found.VersionIdsToStages ?? {}).filter(([, labels]) => labels.length > 0),
        ),
        tags: new Map((found.Tags ?? []).map((tag) => [tag.Key ?? '', tag.Value ?? ''])),
        ...(found.RotationEnabled === undefined ? {} : { isRotated: found.RotationEnabled }),
      }
    },
    async get(ref, which) {
      const input =
        'label' in which
          ? { SecretId: ref, VersionStage: which.label }
          : { SecretId: ref, VersionId: which.version }
      const found = await orAbsent(
        run('GetSecretValue', ref, (abort) => client.send(new sdk.GetSecretValueCommand(input), abort)),
      )
      if (found === undefined) return undefined
      if (found.SecretString !== undefined && found.VersionId !== undefined)
        return { version: found.VersionId, text: found.SecretString, labels: found.VersionStages ?? [] }
      throw new KeyturnError('store_malformed', `The secret ${ref} in ${region} holds no text.`, {
        fix: 'Store the key as SecretString, not as SecretBinary.',
      })
    },
    async put(ref, { version, text, labels }) {
      const input = {
        SecretId: ref,
        ClientRequestToken: version,
        SecretString: text,
        VersionStages: [...labels],
      }
      const made = await run('PutSecretValue', ref, (abort) =>
        client.send(new sdk.PutSecretValueCommand(input), abort),
      )
      return made.VersionStages ?? []
    },
    async move(ref, { label, to, from }) {
      const input = {
        SecretId: ref,
        VersionStage: label,
        ...(to === undefined ? {} : { MoveToVersionId: to }),
        ...(from === undefined ? {} : { RemoveFromVersionId: from }),
      }
      await run('UpdateSecretVersionStage', ref, (abort) =>
        client.send(new sdk.UpdateSecretVersionStageCommand(input), abort),
      )
    },
    async tag(ref, tags) {
      const input = { SecretId: ref, Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }
      await run('TagResource', ref, (abort) => client.send(new sdk.TagResourceCommand(input), abort))
    },
    async untag(ref, keys) {
      const input = { SecretId: ref, TagKeys: [...keys] }
      await run('UntagResource', ref, (abort) => client.send(new sdk.UntagResourceCommand(input), abort))
    },
    async create(ref, { version, text }) {
      const input = { Name: ref, ClientRequestToken: version, SecretString: text }
      await run('CreateSecret', ref, (abort) => client.send(new sdk.CreateSecretCommand(input), abort))
    },
    close: () => client.destroy(),
  }
}

async function orAbsent<Found>(call: Promise<Found>): Promise<Found | undefined> {
  try {
    return await call
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_absent') return undefined
    throw thrown
  }
}

function clientConfig(options: AwsClientOptions, context: StoreContext): AwsSdk.SecretsManagerClientConfig {
  const { env } = context
  const region = options.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION']
  const endpoint = options.endpoint ?? env['AWS_ENDPOINT_URL_SECRETS_MANAGER']
  const requestTimeout = options.requestTimeoutMs ?? 5_000
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...credentialsIn(env),
    maxAttempts: options.maxAttempts ?? 3,
    requestHandler: {
      requestTimeout,
      // An answer that begins and then stalls is no better than none.
      socketTimeout: requestTimeout,
      connectionTimeout: options.connectionTimeoutMs ?? 1_000,
      throwOnRequestTimeout: true,
    },
  }
}

/**
 * Secrets go nowhere in the clear. Each request is looked at, once it has its address and before it is signed: variables
 * and the profile name endpoints too, and the SDK reads them with the first call alone.
 */
function refusePlainHttp(client: AwsSdk.SecretsManagerClient): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      assertSafe(args.request)
      return next(args)
    },
    { step: 'build', name: 'keyturnRefusesPlainHttp' },
  )
}

function assertSafe(request: unknown): void {
  const { protocol, hostname } = request as { readonly protocol?: unknown; readonly hostname?: unknown }
  if (protocol === 'https:') return
  if (protocol === 'http:' && typeof hostname === 'string' && isLoopbackHost(hostname)) return
  // The address is not quoted: somebody may have put a password into it.
  throw new KeyturnError(
    'config_invalid',
    'The endpoint of the aws-secrets-manager store would send keys over the network unencrypted.',
    {
      fix: "Use https:// (http:// only to this machine): the store's endpoint, AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL, or endpoint_url in the AWS profile.",
    },
  )
}

/** Those of the environment that was handed in; otherwise the SDK's own chain (profile, web identity, instance). */
function credentialsIn(env: StoreContext['env']): Pick<AwsSdk.SecretsManagerClientConfig, 'credentials'> {
  const accessKeyId = env['AWS_ACCESS_KEY_ID']
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY']
  const sessionToken = env['AWS_SESSION_TOKEN']
  if (!accessKeyId || !secretAccessKey || env['AWS_PROFILE']) return {}
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } }
}

async function loadOrExplain(load: () => Promise<AwsSdkModule>): Promise<AwsSdkModule> {
  try {
    return await load()
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ERR_MODULE_NOT_FOUND') throw thrown
    throw new KeyturnError(
      'package_missing',
      `The aws-secrets-manager store needs the package ${packageName}.`,
      {
        fix: `npm install ${packageName}@3`,
      },
    )
  }
}

async function regionOf(client: AwsSdk.SecretsManagerClient): Promise<string> {
  try {
    return await client.config.region()
  } catch {
    // The SDK's only failure here; its words name neither our setting nor the variable.
    client.destroy()
    throw new KeyturnError(
      'config_missing',
      'No AWS region is configured for the aws-secrets-manager store.',
      {
        fix: 'Set region in the store configuration, or AWS_REGION.',
      },
    )
  }
}
