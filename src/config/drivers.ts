import { durationMs } from './duration.ts'
import { present } from './present.ts'
import type { ConfigFile, KeptAdminKeyFile } from './schema.ts'
import type { IssuerConfig, SecretSource, StoreConfig, VaultAuthConfig } from './types.ts'

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
  if (store.kind === 'memory') return store
  if (store.kind === 'env') return { ...present(store), envFile: resolve(store.envFile ?? '.env') }
  if (store.kind === 'file') return { ...present(store), path: resolve(store.path ?? '.') }
  if (store.kind === 'module') return { ...store, path: resolve(store.path) }
  if (store.kind === 'local') {
    return {
      kind: 'local',
      folder: store.folder === undefined ? `${home}/secrets` : resolve(store.folder),
      ...present({ identityFile: store.identityFile && resolve(store.identityFile) }),
      ...absolutePassphrase(store.passphrase, resolve),
    }
  }
  if (store.kind === 'vault') {
    const { requestTimeout, attempts, auth, caFile, ...rest } = store
    return {
      ...present(rest),
      ...present({ caFile: caFile && resolve(caFile) }),
      auth: absoluteAuth(auth, resolve),
      requestTimeoutMs: durationMs(requestTimeout),
      maxAttempts: attempts,
    }
  }
  if (store.kind === 'kubernetes') {
    const { requestTimeout, attempts, kubeconfig, ...rest } = store
    return {
      ...present(rest),
      ...present({ kubeconfig: kubeconfig && resolve(kubeconfig) }),
      requestTimeoutMs: durationMs(requestTimeout),
      maxAttempts: attempts,
    }
  }
  if (store.kind === 'google-secret-manager') {
    const { requestTimeout, attempts, ...rest } = store
    return { ...present(rest), requestTimeoutMs: durationMs(requestTimeout), maxAttempts: attempts }
  }
  if (store.kind === 'azure-key-vault') {
    const { requestTimeout, attempts, caFile, ...rest } = store
    return {
      ...present(rest),
      ...present({ caFile: caFile && resolve(caFile) }),
      requestTimeoutMs: durationMs(requestTimeout),
      maxAttempts: attempts,
    }
  }
  const { requestTimeout, connectionTimeout, attempts, ...rest } = store
  return {
    ...present(rest),
    requestTimeoutMs: durationMs(requestTimeout),
    connectionTimeoutMs: durationMs(connectionTimeout),
    maxAttempts: attempts,
  }
}

/** `owner`: the issuer's name, or where it has none, that of the one credential that it is written in. */
export function absoluteIssuer(issuer: IssuerFile, { resolve }: Folders, owner: string): IssuerConfig {
  const timeoutMs = durationMs(issuer.timeout)
  if (issuer.kind === 'manual') return { kind: 'manual', baseUrl: issuer.baseUrl, timeoutMs }
  return {
    kind: 'openai',
    baseUrl: issuer.baseUrl,
    timeoutMs,
    adminKey:
      'store' in issuer.adminKey
        ? { credential: adminKeyName(issuer.adminKey, owner) }
        : absoluteSource(issuer.adminKey, resolve),
    projectId: issuer.project,
    ...present({
      serviceAccountId: issuer.serviceAccount,
      serviceAccountName: issuer.serviceAccountName,
      standbyServiceAccountId: issuer.standbyServiceAccount,
      standbyServiceAccountName: issuer.standbyServiceAccountName,
    }),
    mode: issuer.mode,
    scopes: issuer.scopes,
  }
}

export function adminKeyName(kept: Pick<KeptAdminKeyFile, 'name'>, owner: string): string {
  return kept.name ?? `${owner}-admin`
}

export function lacksAccount(issuer: IssuerConfig): boolean {
  if (issuer.kind !== 'openai' || issuer.mode === 'new_service_account') return false
  return issuer.serviceAccountId === undefined && issuer.serviceAccountName === undefined
}

/** Whether a spare would be made on the very account it is to outlive, as far as the configuration tells. */
export function hasOneAccount(issuer: IssuerConfig): boolean {
  if (issuer.kind !== 'openai' || issuer.mode === 'new_service_account') return false
  const isSame = (one: string | undefined, other: string | undefined): boolean =>
    one !== undefined && one === other
  return (
    isSame(issuer.serviceAccountId, issuer.standbyServiceAccountId) ||
    isSame(issuer.serviceAccountName, issuer.standbyServiceAccountName)
  )
}

type VaultAuthFile = Extract<StoreFile, { kind: 'vault' }>['auth']

function absoluteAuth(auth: VaultAuthFile, resolve: (path: string) => string): VaultAuthConfig {
  switch (auth.kind) {
    case 'token':
      return { kind: 'token', ...present({ token: auth.token && absoluteSource(auth.token, resolve) }) }
    case 'approle':
      return { ...present(auth), secretId: absoluteSource(auth.secretId, resolve) }
    case 'kubernetes': {
      const { jwtFile, ...rest } = auth
      return { ...present(rest), ...present({ jwtFile: jwtFile && resolve(jwtFile) }) }
    }
    case 'jwt':
      return { ...present(auth), jwt: absoluteSource(auth.jwt, resolve) }
  }
}

export function absolutePassphrase(
  source: SecretSource | undefined,
  resolve: (path: string) => string,
): { readonly passphraseFile?: string; readonly passphraseVariable?: string } {
  if (source === undefined) return {}
  return 'file' in source ? { passphraseFile: resolve(source.file) } : { passphraseVariable: source.env }
}

function absoluteSource(source: SecretSource, resolve: (path: string) => string): SecretSource {
  return 'file' in source ? { file: resolve(source.file) } : source
}
