import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import type { StoreContext } from './context.ts'
import type { ValueOptions } from './value-format.ts'

export interface GoogleSecretManagerOptions extends ValueOptions {
  /** The project that names without one are in. Default: GOOGLE_CLOUD_PROJECT, GCLOUD_PROJECT, then what the SDK finds. */
  readonly project?: string
  /** For regional secrets, e.g. `europe-west3`. Default: global ones. */
  readonly location?: string
  /** Another endpoint, HTTPS, or HTTP on this machine. */
  readonly endpoint?: string
  /** Default `rest`. */
  readonly transport?: 'rest' | 'grpc'
  /** Default `latest`. */
  readonly consumers?: 'latest' | 'alias'
  /** With consumers `alias`, the alias of the current key. Default `current`. */
  readonly alias?: string
  readonly createIfAbsent?: boolean
  /** Per attempt, 1 to 60,000. Default 5,000. */
  readonly requestTimeoutMs?: number
  /** Attempts per call, 1 to 10. Default 3. */
  readonly maxAttempts?: number
}

export async function openGoogleSecretManagerStore(
  _options: GoogleSecretManagerOptions,
  _context: StoreContext,
): Promise<SecretStore> {
  throw new KeyturnError('internal', 'The google-secret-manager store is not in this build.')
}
