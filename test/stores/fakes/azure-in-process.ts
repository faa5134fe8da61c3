import type { SecretStore } from '../../../src/core/ports.ts'
import type { AzureModules } from '../../../src/stores/azure-calls.ts'
import { openAzureKeyVaultStore } from '../../../src/stores/azure-key-vault.ts'
import type { AzureKeyVaultOptions, StoreContext } from '../../../src/stores/index.ts'
import { type AzureAnswer, apiVersions, type FakeAzureSecrets, handleSecret } from './azure-fake-vault.ts'

/** Stands between a client and the vault: each request waits here before it is carried out, and its answer once more. */
export type Gate = (line: string, when: 'before' | 'after') => Promise<void>

const address = 'https://vault.example.com'

/**
 * The driver over the fake's vault without a wire, for races by the thousand: what happens between two requests is the
 * gate's to decide, and the same gate gives the same race. The SDK and its wire are the matter of all other tests.
 */
export function openInProcess(
  secrets: FakeAzureSecrets,
  gate: Gate,
  { context, ...options }: Partial<AzureKeyVaultOptions> & { readonly context: StoreContext },
): Promise<SecretStore> {
  const load = async (): Promise<AzureModules> => modulesInProcess(secrets, gate)
  return openAzureKeyVaultStore({ vault: address, ...options }, context, load)
}

interface Sent {
  readonly abortSignal?: AbortSignal | undefined
  readonly body?: unknown
}

type Given = Readonly<Record<string, unknown>> & Sent

async function unlessCancelled(gate: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const cancelled = Promise.withResolvers<never>()
  const cancel = (): void => cancelled.reject(Object.assign(new Error('cancelled'), { name: 'AbortError' }))
  if (signal?.aborted === true) cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  await Promise.race([gate, cancelled.promise])
  signal?.removeEventListener('abort', cancel)
}

interface Bundle {
  readonly id: string
  readonly value?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly attributes: { readonly enabled: boolean; readonly created: number; readonly exp?: number }
}

/** What is cancelled before it was carried out never is; later on only its answer is lost. */
export function modulesInProcess(secrets: FakeAzureSecrets, gate: Gate): AzureModules {
  const send = async (method: string, path: string, { abortSignal, body }: Sent = {}): Promise<unknown> => {
    const line = `${method} ${path}`
    const url = new URL(path, address)
    url.searchParams.set('api-version', apiVersions[0] ?? '')
    await unlessCancelled(gate(line, 'before'), abortSignal)
    const text = body === undefined ? '' : JSON.stringify(body)
    const answer = handleSecret(secrets, address, { method, url, body: text })
    await unlessCancelled(gate(line, 'after'), abortSignal)
    if (answer.status === 200) return answer.body
    throw refusal(answer)
  }
  const get = async (path: string, sent: Sent): Promise<unknown> =>
    secretOf((await send('GET', path, sent)) as Bundle)
  const attributes = (given: Readonly<Record<string, unknown>>): unknown => ({
    ...(given['enabled'] === undefined ? {} : { enabled: given['enabled'] }),
    ...(given['expiresOn'] instanceof Date ? { exp: given['expiresOn'].getTime() / 1_000 } : {}),
  })
  class SecretClient {
    getSecret(name: string, given: Sent & { readonly version?: string } = {}): Promise<unknown> {
      return get(`/secrets/${name}/${given.version ?? ''}`, given)
    }

    getDeletedSecret(name: string, given: Sent): Promise<unknown> {
      return get(`/deletedsecrets/${name}`, given)
    }

    async setSecret(name: string, value: string, given: Given): Promise<unknown> {
      const { tags, contentType, abortSignal } = given
      const body = { value, tags, contentType, attributes: attributes(given) }
      return secretOf((await send('PUT', `/secrets/${name}`, { abortSignal, body })) as Bundle)
    }

    async updateSecretProperties(name: string, version: string, given: Given): Promise<unknown> {
      const body = { tags: given['tags'], attributes: attributes(given) }
      return secretOf(
        (await send('PATCH', `/secrets/${name}/${version}`, {
          abortSignal: given.abortSignal,
          body,
        })) as Bundle,
      ).properties
    }

    listPropertiesOfSecretVersions(name: string): unknown {
      return {
        async *byPage() {
          for (let path: string | null = `/secrets/${name}/versions`; path !== null; ) {
            const page = (await send('GET', path)) as { value: readonly Bundle[]; nextLink: string | null }
            yield page.value.map((each) => secretOf(each).properties)
            path = page.nextLink === null ? null : page.nextLink.slice(address.length)
          }
        },
      }
    }
  }
  class Credential {
    async getToken(): Promise<undefined> {
      return undefined
    }
  }
  // Only what the driver uses of the two packages is here.
  return {
    secrets: { SecretClient },
    identity: {
      DefaultAzureCredential: Credential,
      ClientSecretCredential: Credential,
      WorkloadIdentityCredential: Credential,
    },
  } as unknown as AzureModules
}

function secretOf(bundle: Bundle): { readonly value?: string; readonly properties: unknown } {
  const { id, value, tags, contentType, attributes } = bundle
  return {
    ...(value === undefined ? {} : { value }),
    properties: {
      version: id.split('/').at(-1),
      tags,
      contentType,
      enabled: attributes.enabled,
      createdOn: new Date(attributes.created * 1_000),
      ...(attributes.exp === undefined ? {} : { expiresOn: new Date(attributes.exp * 1_000) }),
    },
  }
}

function refusal({ status, body }: AzureAnswer): Error {
  const { code, innererror } = (body as { error: { code: string; innererror?: { code: string } } }).error
  return Object.assign(new Error('refused'), {
    statusCode: status,
    code,
    details: { error: { code, innerError: innererror } },
  })
}
