import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import type { StoreContext } from './context.ts'
import type { ValueOptions } from './value-format.ts'

export interface AzureKeyVaultOptions extends ValueOptions {
  /** The address of the vault, such as https://NAME.vault.azure.net. */
  readonly vault: string
  /** A user-assigned managed identity or a workload identity. Default: what @azure/identity finds. */
  readonly clientId?: string
  readonly tenantId?: string
  /** PEM of a private authority. Default: what the system trusts. */
  readonly caFile?: string
  /** Per attempt, 1 to 60,000. Default 5,000. */
  readonly requestTimeoutMs?: number
  /** Attempts per call, 1 to 10. Default 3. */
  readonly maxAttempts?: number
}

export async function openAzureKeyVaultStore(
  _options: AzureKeyVaultOptions,
  _context: StoreContext,
): Promise<SecretStore> {
  throw new KeyturnError('internal', 'The azure-key-vault store is not in this build.')
}
