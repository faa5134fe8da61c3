import type { OidcSettings } from './oidc.ts'

export interface DashboardOptions {
  /** What sessions are sealed with, the same at all replicas. Default: something of this process alone. */
  readonly sessionSecret?: Uint8Array
  /** Where people may sign in besides with a token. Default: nowhere. */
  readonly oidc?: OidcSettings
}
