import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'
import type * as SecretsSdk from '@azure/keyvault-secrets'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import {
  type AzureIdentityModule,
  type AzureIdentityOptions,
  azureCredential,
  boundedCredential,
} from './azure-credential.ts'
import { type AzurePermission, deletedError } from './azure-errors.ts'
import { type CallLimits, createRunner, guardPolicy, limits, type Runner } from './azure-run.ts'
import type { AzureTags } from './azure-tags.ts'
import { resolvePath, type StoreContext } from './context.ts'

export type AzureSecretsModule = typeof SecretsSdk

export interface AzureModules {
  readonly secrets: AzureSecretsModule
  readonly identity: AzureIdentityModule
}

export interface AzureClientOptions extends AzureIdentityOptions {
  /** The address of the vault, such as https://NAME.vault.azure.net. */
  readonly vault: string
  /** PEM of a private authority, trusted besides the public ones. Default: what the system trusts. */
  readonly caFile?: string
  /** Per attempt, 1 to 60,000. Default 5,000. */
  readonly requestTimeoutMs?: number
}

export interface AzureVersion {
  /** Azure's own id of it. */
  readonly id: string
  readonly tags: AzureTags
  readonly isEnabled: boolean
  /** By Azure's clock, which tells seconds. */
  readonly createdAt: number
  readonly contentType: string | undefined
  readonly expiresAt: number | undefined
}

export interface AzureValue extends AzureVersion {
  /** The whole value, be it the key alone or a document with it: as hidden as the key. */
  readonly text: Secret
}

export interface AzureChange {
  readonly tags?: AzureTags
  readonly isEnabled?: boolean
  readonly expiresAt?: number
}

/** The calls of Key Vault that the driver makes; one attempt each. Each throws only KeyturnErrors (azure-errors.ts). */
export interface AzureCalls {
  readonly vault: string
  /** The newest version, or the one of that id. Undefined: Azure says that there is none. */
  get(name: string, id?: string): Promise<AzureValue | undefined>
  /** All versions, in no order that Azure tells. */
  list(name: string): Promise<readonly AzureVersion[]>
  /** A new version, which is the newest at once. */
  set(
    name: string,
    request: {
      readonly text: Secret
      readonly tags: AzureTags
      readonly contentType?: string | undefined
      readonly expiresAt?: number | undefined
    },
  ): Promise<AzureVersion>
  /** What is not named stays. Tags are replaced as a whole. */
  update(name: string, id: string, change: AzureChange): Promise<void>
  /** Throws `store_disabled` where the secret was deleted and can be recovered, as far as this may be asked. */
  assertNotDeleted(name: string): Promise<void>
  /** The same calls, none of which is waited for after this time by our clock. What is late is cancelled. */
  until(untilAt: number): AzureCalls
  close(): void
}

/** Azure gives 25 versions per page and deletes none of them. */
const pagesMax = 100

export async function loadAzureModules(): Promise<AzureModules> {
  const [secrets, identity] = await Promise.all([
    import('@azure/keyvault-secrets'),
    import('@azure/identity'),
  ])
  return { secrets, identity }
}

export async function openAzureCalls(
  options: AzureClientOptions,
  context: StoreContext,
  load: () => Promise<AzureModules>,
): Promise<AzureCalls> {
  const vault = vaultAddress(options.vault)
  const timeoutMs = options.requestTimeoutMs ?? 5_000
  const sdk = await loadOrExplain(load)
  const ca =
    options.caFile === undefined
      ? undefined
      : [...getCACertificates('default'), await readAuthority(resolvePath(context, options.caFile))]
  const credential = azureCredential(sdk.identity, options, { context, ca })
  const client = new sdk.secrets.SecretClient(vault, boundedCredential(credential, { context, vault }), {
    retryOptions: { maxRetries: 0 },
    redirectOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: guardPolicy(vault, timeoutMs), position: 'perRetry' }],
    disableChallengeResourceVerification: isLoopback(vault),
    ...(ca === undefined ? {} : { tlsOptions: { ca } }),
  })
  const runner = createRunner(vault, { system: context.system, timeoutMs })
  return createCalls({ client, vault, timeoutMs, runner, isKnown: false }, Number.POSITIVE_INFINITY)
}

interface Connection {
  readonly client: SecretsSdk.SecretClient
  readonly vault: string
  readonly timeoutMs: number
  readonly runner: Runner
  /** The vault has asked who we are. */
  isKnown: boolean
}

function createCalls(connection: Connection, untilAt: number): AzureCalls {
  const { client, vault, timeoutMs, runner } = connection
  const run = <Result>(
    permission: AzurePermission,
    name: string,
    send: (limits: CallLimits) => Promise<Result>,
  ): Promise<Result> => runner({ permission, name, untilAt }, send)

  /**
   * The SDK keeps a body back until it was challenged, for one request at a time: others that are sent meanwhile would
   * go out with theirs. So nothing with a body is sent before a request without one has been answered.
   */
  const introduce = async (name: string): Promise<void> => {
    if (connection.isKnown) return
    await calls.get(name).catch((thrown: unknown) => {
      if (!(thrown instanceof KeyturnError && ['store_disabled', 'store_malformed'].includes(thrown.code)))
        throw thrown
    })
    connection.isKnown = true
  }

  const calls: AzureCalls = {
    vault,
    async get(name, id) {
      const found = await orAbsent(
        run('get', name, (requestOptions) =>
          client.getSecret(name, { ...(id === undefined ? {} : { version: id }), ...requestOptions }),
        ),
      )
      connection.isKnown = true
      if (found === undefined) return undefined
      if (typeof found.value === 'string')
        return { ...versionOf(found.properties, name), text: new Secret(found.value) }
      throw new KeyturnError('store_malformed', `The answer to reading ${name} in ${vault} had no value.`, {
        fix: 'Check the address of the vault, and whether a proxy answers in its place.',
        retryable: true,
      })
    },
    async list(name) {
      const found: AzureVersion[] = []
      const pages = client.listPropertiesOfSecretVersions(name, limits(timeoutMs)).byPage()
      for (let page = 0; page < pagesMax; page += 1) {
        const next = await orAbsent(run('list', name, () => pages.next()))
        connection.isKnown = true
        if (next === undefined || next.done === true) return found
        for (const each of next.value) found.push(versionOf(each, name))
      }
      throw tooManyVersions(name, vault)
    },
    async set(name, { text, tags, contentType, expiresAt }) {
      await introduce(name)
      const made = await run('set', name, (requestOptions) =>
        client.setSecret(name, text.reveal(), {
          tags: { ...tags },
          ...(contentType === undefined ? {} : { contentType }),
          ...(expiresAt === undefined ? {} : { expiresOn: new Date(expiresAt) }),
          ...requestOptions,
        }),
      )
      return versionOf(made.properties, name)
    },
    async update(name, id, { tags, isEnabled, expiresAt }) {
      await introduce(name)
      await run('update', name, (requestOptions) =>
        client.updateSecretProperties(name, id, {
          ...(tags === undefined ? {} : { tags: { ...tags } }),
          ...(isEnabled === undefined ? {} : { enabled: isEnabled }),
          ...(expiresAt === undefined ? {} : { expiresOn: new Date(expiresAt) }),
          ...requestOptions,
        }),
      )
    },
    async assertNotDeleted(name) {
      const found = await orAbsent(
        run('get', name, (requestOptions) => client.getDeletedSecret(name, requestOptions)),
      ).catch((thrown: unknown) => {
        // Not everybody may ask: then it counts as absent, and a change will be told.
        if (thrown instanceof KeyturnError && thrown.code === 'store_denied') return undefined
        throw thrown
      })
      if (found !== undefined) throw deletedError({ name, vault })
    },
    until: (at) => createCalls(connection, Math.min(at, untilAt)),
    close: () => runner.close(),
  }
  return calls
}

// ------------------------------------------------------------------ answers

async function orAbsent<Found>(call: Promise<Found>): Promise<Found | undefined> {
  try {
    return await call
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_absent') return undefined
    throw thrown
  }
}

function versionOf(properties: SecretsSdk.SecretProperties, name: string): AzureVersion {
  const { version, tags, enabled, createdOn, contentType, expiresOn } = properties
  if (version === undefined || !/^[0-9A-Za-z]{1,64}$/.test(version))
    throw new KeyturnError('store_malformed', `A version of ${name} has no id that Key Vault gives.`, {
      fix: 'Check the address of the vault, and whether a proxy answers in its place.',
      retryable: true,
    })
  return {
    id: version,
    tags: tags ?? {},
    isEnabled: enabled !== false,
    createdAt: createdOn?.getTime() ?? 0,
    contentType,
    expiresAt: expiresOn?.getTime(),
  }
}

function tooManyVersions(name: string, vault: string): KeyturnError {
  return new KeyturnError('store_too_large', `${name} in ${vault} has more than ${pagesMax * 25} versions.`, {
    fix: 'Azure deletes no single version: move the key to a secret of a new name.',
  })
}

// ------------------------------------------------------------------ options and packages

/** Without a slash at the end. */
function vaultAddress(vault: string): string {
  if (URL.canParse(vault) && new URL(vault).protocol === 'https:') return new URL(vault).origin
  throw new KeyturnError('bad_request', 'The vault of an azure-key-vault store must be an https address.', {
    fix: 'Configure vault: https://NAME.vault.azure.net',
  })
}

function isLoopback(vault: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(vault).hostname)
}

async function readAuthority(path: string): Promise<string> {
  const unusable = (what: string, cause?: unknown): KeyturnError =>
    new KeyturnError('file_unusable', `The file ${path} with the authority to trust ${what}.`, {
      fix: `Check caFile of the azure-key-vault store, and who may read ${path}.`,
      cause,
    })
  const text = await readFile(path, 'utf8').catch((thrown: unknown) => {
    throw unusable('cannot be read', thrown)
  })
  // Without one Node would go on with those that it trusts itself, and every call would fail for want of this one.
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw unusable('holds no certificate in PEM')
  return text
}

async function loadOrExplain(load: () => Promise<AzureModules>): Promise<AzureModules> {
  try {
    return await load()
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ERR_MODULE_NOT_FOUND') throw thrown
    throw new KeyturnError(
      'package_missing',
      'The azure-key-vault store needs the packages @azure/keyvault-secrets and @azure/identity.',
      { fix: 'npm install @azure/keyvault-secrets@4 @azure/identity@4' },
    )
  }
}
