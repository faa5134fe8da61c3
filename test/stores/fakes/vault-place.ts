import type { SecretStore } from '../../../src/core/ports.ts'
import type { StoreContext } from '../../../src/stores/index.ts'
import { openVaultStore, type VaultOptions } from '../../../src/stores/vault.ts'
import { patientMs, type Recorded, testContext } from './system.ts'
import { startVaultFake, type VaultFake } from './vault-fake.ts'

export interface VaultPlace {
  readonly fake: VaultFake
  readonly context: StoreContext & Recorded
  open(options?: VaultOptions, context?: StoreContext): Promise<SecretStore>
  end(): Promise<void>
}

export async function startVault(): Promise<VaultPlace> {
  const fake = await startVaultFake()
  const context = testContext('.', { VAULT_ADDR: fake.address, VAULT_TOKEN: fake.issueToken() })
  const opened: SecretStore[] = []
  return {
    fake,
    context,
    async open(options = {}, given = context) {
      const store = await openVaultStore({ requestTimeoutMs: patientMs, ...options }, given)
      opened.push(store)
      return store
    },
    async end() {
      for (const store of opened) await store.close()
      await fake.close()
    },
  }
}
