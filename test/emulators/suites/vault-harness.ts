import { randomUUID } from 'node:crypto'
import type { SecretStore } from '../../../src/core/ports.ts'
import { openStore, type VaultOptions } from '../../../src/stores/index.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import { testContext } from '../../stores/fakes/system.ts'

export interface VaultAdmin {
  readonly address: string
  readonly token: string
  readonly namespace?: string
}

const deadlineMs = 60_000

/** One call to Vault, besides the driver's own, to lay out what a test needs. Empty answers are `{}`. */
export async function askVault(
  { address, token, namespace }: VaultAdmin,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
  const answer = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token, ...(namespace ? { 'x-vault-namespace': namespace } : {}) },
    signal: AbortSignal.timeout(deadlineMs),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) }
}

export const newVaultRef = (): string => `keyturn-live-${randomUUID()}`

/** A path of its own for each test, taken away with all its versions. */
export async function vaultHarness(
  admin: VaultAdmin,
  given: {
    readonly ref?: string
    readonly token?: string
    readonly options?: VaultOptions
    readonly document?: Readonly<Record<string, unknown>>
  } = {},
): Promise<StoreHarness> {
  const { ref = newVaultRef(), token = admin.token, options = {} } = given
  const mount = options.mount ?? 'secret'
  if (given.document !== undefined)
    await askVault(admin, 'POST', `${mount}/data/${ref}`, { data: given.document })
  const context = testContext('.', {
    VAULT_ADDR: admin.address,
    VAULT_TOKEN: token,
    ...(admin.namespace ? { VAULT_NAMESPACE: admin.namespace } : {}),
  })
  const opened: SecretStore[] = []
  const another = async (): Promise<SecretStore> => {
    const store = await openStore({ kind: 'vault', ...options }, context)
    opened.push(store)
    return store
  }
  return {
    store: await another(),
    ref,
    absentRef: `${ref}-nowhere`,
    another,
    logged: () => context.lines.join('\n'),
    async cleanUp() {
      for (const store of opened) await store.close()
      for (const path of [ref, `${ref}__keyturn`])
        await askVault(admin, 'DELETE', `${mount}/metadata/${path}`)
    },
  }
}
