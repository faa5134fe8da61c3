import { durationMs } from './duration.ts'
import { present } from './present.ts'
import type { ConfigFile } from './schema.ts'
import type { IssuerConfig, SecretSource, StoreConfig } from './types.ts'

/** Store kinds that nothing can be written to: they are read, verified and handed out, never turned. */
const readOnlyStores: readonly StoreConfig['kind'][] = ['env', 'file']

export function isWritable(store: StoreConfig): boolean {
  return !readOnlyStores.includes(store.kind)
}

/** Where relative paths of the file and of the installation start. */
export interface Folders {
  readonly home: string
  readonly resolve: (path: string) => string
}

type StoreFile = ConfigFile['stores'][string]
type IssuerFile = ConfigFile['issuers'][string]

export function absoluteStore(store: StoreFile, { home, resolve }: Folders): StoreConfig {
  switch (store.kind) {
    case 'local':
      return {
        kind: 'local',
        folder: store.folder === undefined ? `${home}/secrets` : resolve(store.folder),
        ...present({ identityFile: store.identityFile && resolve(store.identityFile) }),
        ...absolutePassphrase(store.passphrase, resolve),
      }
    case 'env':
      return { ...present(store), envFile: resolve(store.envFile ?? '.env') }
    case 'file':
      return { ...present(store), path: resolve(store.path ?? '.') }
    case 'aws-secrets-manager': {
      const { requestTimeout, connectionTimeout, attempts, ...rest } = store
      return {
        ...present(rest),
        requestTimeoutMs: durationMs(requestTimeout),
        connectionTimeoutMs: durationMs(connectionTimeout),
        maxAttempts: attempts,
      }
    }
    case 'memory':
      return store
  }
}

export function absoluteIssuer(issuer: IssuerFile, { resolve }: Folders): IssuerConfig {
  const timeoutMs = durationMs(issuer.timeout)
  if (issuer.kind === 'manual') return { kind: 'manual', baseUrl: issuer.baseUrl, timeoutMs }
  return {
    kind: 'openai',
    baseUrl: issuer.baseUrl,
    timeoutMs,
    adminKey: absoluteSource(issuer.adminKey, resolve),
    projectId: issuer.project,
    ...present({ serviceAccountId: issuer.serviceAccount, serviceAccountName: issuer.serviceAccountName }),
    mode: issuer.mode,
    scopes: issuer.scopes,
  }
}

export function lacksAccount(issuer: IssuerConfig): boolean {
  if (issuer.kind !== 'openai' || issuer.mode === 'new_service_account') return false
  return issuer.serviceAccountId === undefined && issuer.serviceAccountName === undefined
}

function absolutePassphrase(
  source: SecretSource | undefined,
  resolve: (path: string) => string,
): { readonly passphraseFile?: string; readonly passphraseVariable?: string } {
  if (source === undefined) return {}
  return 'file' in source ? { passphraseFile: resolve(source.file) } : { passphraseVariable: source.env }
}

function absoluteSource(source: SecretSource, resolve: (path: string) => string): SecretSource {
  return 'file' in source ? { file: resolve(source.file) } : source
}
