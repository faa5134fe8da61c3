import type { OidcSettings } from './oidc.ts'
import type { SharedDocuments } from './signed-out.ts'

export interface DashboardOptions {
  /** What sessions are sealed with, the same at all replicas. Default: something of this process alone. */
  readonly sessionSecret?: Uint8Array
  /** Where replicas that share the secret tell one another who signed out; it outlives a restart. Default: nowhere. */
  readonly documents?: SharedDocuments
  /** Where people may sign in besides with a token. Default: nowhere. */
  readonly oidc?: OidcSettings
}
