import type { SecretStore } from '../core/ports.ts'
import type { AwsSecretsManagerOptions } from './aws-secrets-manager.ts'
import type { AzureKeyVaultOptions } from './azure-key-vault.ts'
import type { StoreContext } from './context.ts'
import type { EnvStoreOptions } from './env.ts'
import type { FileStoreOptions } from './file.ts'
import type { GoogleSecretManagerOptions } from './google-secret-manager.ts'
import type { KubernetesOptions } from './kubernetes.ts'
import type { LocalStoreOptions } from './local.ts'
import type { MemoryStoreOptions } from './memory.ts'
import type { ModuleStoreOptions } from './module.ts'
import type { VaultOptions } from './vault.ts'

export type { AwsSecretsManagerOptions } from './aws-secrets-manager.ts'
export type { AzureKeyVaultOptions } from './azure-key-vault.ts'
export type { StoreContext } from './context.ts'
export type { EnvStoreOptions } from './env.ts'
export type { FileStoreOptions } from './file.ts'
export type { GoogleSecretManagerOptions } from './google-secret-manager.ts'
export type { KubernetesOptions } from './kubernetes.ts'
export type { LocalStoreOptions } from './local.ts'
export type { MemoryContent, MemoryInitial, MemoryStoreOptions } from './memory.ts'
export type { ModuleStoreOptions, OpenOwnStore } from './module.ts'
export type { VaultAuth, VaultOptions, VaultSource } from './vault.ts'

export type StoreConfig =
  | ({ readonly kind: 'local' } & LocalStoreOptions)
  | ({ readonly kind: 'memory' } & MemoryStoreOptions)
  | ({ readonly kind: 'env' } & EnvStoreOptions)
  | ({ readonly kind: 'file' } & FileStoreOptions)
  | ({ readonly kind: 'aws-secrets-manager' } & AwsSecretsManagerOptions)
  | ({ readonly kind: 'google-secret-manager' } & GoogleSecretManagerOptions)
  | ({ readonly kind: 'azure-key-vault' } & AzureKeyVaultOptions)
  | ({ readonly kind: 'vault' } & VaultOptions)
  | ({ readonly kind: 'kubernetes' } & KubernetesOptions)
  | ({ readonly kind: 'module' } & ModuleStoreOptions)

export type StoreKind = StoreConfig['kind']

/** Opens a store, and loads the code of that one alone. Error codes: those of the driver, and `package_missing`. */
export async function openStore(config: StoreConfig, context: StoreContext): Promise<SecretStore> {
  // One cast where the type system cannot see that a kind and its options belong together; the table below is exact.
  const open = openers[config.kind] as (config: StoreConfig, context: StoreContext) => Promise<SecretStore>
  return open(config, context)
}

const openers: {
  readonly [Kind in StoreKind]: (
    config: Extract<StoreConfig, { kind: Kind }>,
    context: StoreContext,
  ) => Promise<SecretStore>
} = {
  local: async (config, context) => (await import('./local.ts')).openLocalStore(config, context),
  memory: async (config, context) => (await import('./memory.ts')).openMemoryStore(config, context),
  env: async (config, context) => (await import('./env.ts')).openEnvStore(config, context),
  file: async (config, context) => (await import('./file.ts')).openFileStore(config, context),
  'aws-secrets-manager': async (config, context) =>
    (await import('./aws-secrets-manager.ts')).openAwsSecretsManagerStore(config, context),
  'google-secret-manager': async (config, context) =>
    (await import('./google-secret-manager.ts')).openGoogleSecretManagerStore(config, context),
  'azure-key-vault': async (config, context) =>
    (await import('./azure-key-vault.ts')).openAzureKeyVaultStore(config, context),
  vault: async (config, context) => (await import('./vault.ts')).openVaultStore(config, context),
  kubernetes: async (config, context) =>
    (await import('./kubernetes.ts')).openKubernetesStore(config, context),
  module: async (config, context) => (await import('./module.ts')).openModuleStore(config, context),
}

export const storeKinds = Object.keys(openers) as readonly StoreKind[]
