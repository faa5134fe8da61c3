import { KeyturnError } from '../core/errors.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import type { StoreContext } from './context.ts'

/** Where a secret that Keyturn logs in with is read from, afresh at each login. */
export type VaultSource = { readonly env: string } | { readonly file: string }

export type VaultAuth =
  /** Default `{ env: 'VAULT_TOKEN' }`, then `BAO_TOKEN`. A file is what Vault Agent's sink writes. */
  | { readonly kind: 'token'; readonly token?: VaultSource }
  | {
      readonly kind: 'approle'
      readonly roleId: string
      readonly secretId: VaultSource
      /** Default `approle`. */
      readonly mount?: string
    }
  | {
      readonly kind: 'kubernetes'
      readonly role: string
      /** Default `/var/run/secrets/kubernetes.io/serviceaccount/token`. */
      readonly jwtFile?: string
      /** Default `kubernetes`. */
      readonly mount?: string
    }
  | {
      readonly kind: 'jwt'
      readonly role: string
      readonly jwt: VaultSource
      /** Default `jwt`. */
      readonly mount?: string
    }

export interface VaultOptions {
  /** HTTPS, or HTTP to this machine. Default VAULT_ADDR, then BAO_ADDR. */
  readonly address?: string
  /** Where the KV engine, version 2, is mounted. Default `secret`. */
  readonly mount?: string
  /** Default VAULT_NAMESPACE, then BAO_NAMESPACE, then none. */
  readonly namespace?: string
  /** Default `{ kind: 'token' }`. */
  readonly auth?: VaultAuth
  /** PEM of the authorities to trust instead of the platform's. Default VAULT_CACERT, then BAO_CACERT. */
  readonly caFile?: string
  /** The field of the document that holds the key. Default `api_key`. All others are left as they are. */
  readonly field?: string
  /** From the connection to the last byte of one answer, 1 to 60,000. Default 5,000. */
  readonly requestTimeoutMs?: number
  /** Failed attempts of one call, 1 to 10. Default 3. */
  readonly maxAttempts?: number
}

/** The options with the environment's say in what they leave open. */
export interface VaultPlace {
  /** Without a slash at the end. */
  readonly address: string
  readonly mount: string
  readonly namespace: string | undefined
  readonly auth: VaultAuth
  readonly caFile: string | undefined
  readonly field: string
  readonly requestTimeoutMs: number
  readonly failuresMax: number
}

/** `config_missing` or `config_invalid` where the address is not one that a token may be sent to. */
export function vaultPlace(options: VaultOptions, { env }: StoreContext): VaultPlace {
  const fromEnv = (name: string): string | undefined =>
    env[`VAULT_${name}`]?.trim() || env[`BAO_${name}`]?.trim() || undefined
  const address = options.address ?? fromEnv('ADDR')
  if (address === undefined)
    throw new KeyturnError('config_missing', 'No address is configured for the vault store.', {
      fix: 'Set address in the store configuration, or VAULT_ADDR.',
    })
  const namespace = (options.namespace ?? fromEnv('NAMESPACE'))?.replace(/^\/+|\/+$/g, '')
  return {
    address: assertAddress(address),
    mount: (options.mount ?? 'secret').replace(/^\/+|\/+$/g, ''),
    namespace: namespace === '' ? undefined : namespace,
    auth: options.auth ?? { kind: 'token' },
    caFile: options.caFile ?? fromEnv('CACERT'),
    field: options.field ?? 'api_key',
    requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
    failuresMax: (options.maxAttempts ?? 3) - 1,
  }
}

function assertAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isSafe =
    url !== undefined &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))) &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  // The address itself is not quoted: somebody may have put a password into it.
  if (url === undefined || !isSafe)
    throw new KeyturnError('config_invalid', 'The address of the vault store is none that is safe to use.', {
      fix: 'Use https:// without user, query or fragment (http:// only to this machine), e.g. https://vault.example.com:8200',
    })
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}
