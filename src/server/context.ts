import type { Log, Signer, System } from '../core/ports.ts'
import type { Alerting } from '../engine/alerting.ts'
import type { Service } from '../engine/service.ts'
import type { Tracer } from '../telemetry/tracer.ts'
import type { Approvals } from './approvals.ts'
import type { AuditReader } from './audit-routes.ts'
import type { Audited } from './audited.ts'
import type { Authenticator } from './auth/authenticator.ts'
import type { Checks } from './checks.ts'
import type { Changes } from './dashboard/changes.ts'
import type { DashboardOptions } from './dashboard/options.ts'
import type { HandOuts } from './hand-out.ts'
import type { Hooks } from './hook-routes.ts'
import type { Once } from './idempotency.ts'
import type { Leases } from './leases.ts'
import type { ServerLimits } from './limits.ts'
import type { Metrics } from './metrics.ts'
import type { Streams } from './streams.ts'
import type { TokenStore } from './tokens.ts'
import type { Waiters } from './waiters.ts'

/** All that the routes work with; made once per server. */
export interface ServerContext {
  readonly service: Service
  readonly tokens: TokenStore
  readonly auth: Authenticator
  readonly audited: Audited
  readonly auditReader: AuditReader | undefined
  readonly alerting: Pick<Alerting, 'list' | 'test'> | undefined
  readonly signer: Signer
  readonly handOuts: HandOuts
  readonly leases: Leases
  readonly waiters: Waiters
  readonly streams: Streams
  readonly approvals: Approvals
  /** Tells open pages of the dashboard. */
  readonly changes: Changes
  readonly dashboard: DashboardOptions
  readonly checks: Checks
  readonly metrics: Metrics
  readonly tracer: Tracer | undefined
  readonly once: Once
  readonly hooks: Hooks
  readonly limits: ServerLimits
  readonly system: System
  readonly log: Log
  readonly version: string
  readonly isSandbox: boolean
  readonly isStopping: () => boolean
  readonly nextRequestId: () => string
  /** Long work of all requests together waits here between two pieces, so that hand-outs come between. */
  readonly takeTurn: () => Promise<void>
}
