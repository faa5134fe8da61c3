import type {
  BlastRadius,
  BringRequest,
  CredentialSummary,
  InventoryAnswer,
  LeaseSummary,
  Readiness,
  RejectionReport,
  ReportAnswer,
  RevocationRequest,
  RollbackRequest,
  RotationRequest,
  RotationSummary,
  StandbySummary,
  VersionSummary,
} from '../api/types.ts'
import type { Cancel } from '../core/ports.ts'
import type { Report } from '../core/report.ts'
import type { Secret } from '../core/secret.ts'
import type { SteerAnswer, SteerRequest } from '../core/steered.ts'
import type {
  CredentialEvent,
  CredentialName,
  Fingerprint,
  Stage,
  VerdictKind,
  VersionId,
} from '../core/types.ts'
import type { IsListening } from './blast-radius.ts'

/** What an app gets. Rebuilt only when the version or the verdict changes, so that bodies can be serialised once. */
export interface HandOut {
  readonly kind: 'available'
  readonly name: CredentialName
  readonly version: VersionId
  readonly fingerprint: Fingerprint
  readonly stage: Stage
  readonly secret: Secret
  readonly organization: string | undefined
  readonly project: string | undefined
  readonly baseUrl: string
  readonly verdict: VerdictKind
  readonly verifiedAt: number
  readonly rotatesAt: number | undefined
  readonly staleAfterMs: number
  readonly generation: number
  /** Out of the last-known-good file: neither the store nor the issuer was heard of since this process started. */
  readonly isLastKnownGood?: true
}

/** Nothing can be handed out: why, since when, and what a person has to do. */
export interface NoHandOut {
  readonly kind: 'unavailable'
  readonly name: CredentialName
  readonly since: number
  readonly summary: string
  readonly fix: string
  readonly generation: number
}

export interface Actor {
  /** The name of the token, or `schedule`, `failover`, `start`. */
  readonly name: string
}

/**
 * The engine as its users see it: the HTTP server, `keyturn tick`, the in-process resolver. Refusals are KeyturnErrors
 * (`not_found`, `rotation_in_progress`, `store_read_only`, `issuer_cannot_mint`, `version_not_live`, `last_working_key`,
 * `confirmation_needed` …).
 */
export interface Service {
  readonly names: readonly CredentialName[]
  /** Keyturn's own (an admin key): looked after and shown to operators like the others, and handed out to nobody. */
  isInternal(name: CredentialName): boolean
  /** From memory, never waits. Undefined for a name that is not configured, or is internal. The same object until something changes. */
  handOut(name: CredentialName): HandOut | NoHandOut | undefined
  /** Told after the hand-out of a credential was replaced by another object. */
  onHandOut(listener: (name: CredentialName) => void): Cancel
  /** Told of every event after it is durable. */
  onEvent(listener: (event: CredentialEvent) => void): Cancel
  events(name: CredentialName, afterId: number): Promise<readonly CredentialEvent[]>
  lastEventId(name: CredentialName): Promise<number>
  summary(name: CredentialName): Promise<CredentialSummary>
  summaries(): Promise<readonly CredentialSummary[]>
  versions(name: CredentialName): Promise<readonly VersionSummary[]>
  report(name: CredentialName, report: RejectionReport, actor: Actor): Promise<ReportAnswer>
  /** Verifies the current version now; resolves with the fresh summary. */
  verify(name: CredentialName, actor: Actor): Promise<CredentialSummary>
  rotate(name: CredentialName, request: RotationRequest, actor: Actor): Promise<RotationSummary>
  rotations(name: CredentialName): Promise<readonly RotationSummary[]>
  rotation(name: CredentialName, id: string): Promise<RotationSummary>
  /** What an auditor asks for: any rotation that is kept, with all it set off. */
  rotationReport(name: CredentialName, id: string): Promise<Report>
  /** The same for one old key, whatever retired it. */
  versionReport(name: CredentialName, version: string): Promise<Report>
  actOnRotation(
    name: CredentialName,
    id: string,
    act: 'pause' | 'resume' | 'abort',
    actor: Actor,
  ): Promise<RotationSummary>
  rollback(name: CredentialName, request: RollbackRequest, actor: Actor): Promise<CredentialSummary>
  bring(name: CredentialName, request: BringRequest, actor: Actor): Promise<VersionSummary>
  revoke(
    name: CredentialName,
    version: VersionId,
    request: RevocationRequest,
    actor: Actor,
  ): Promise<VersionSummary>
  /** `version`: as in `rollback`. Default: what is current. `isListening`: which instances have an event stream open. */
  blastRadius(
    name: CredentialName,
    version: string | undefined,
    isListening: IsListening,
  ): Promise<BlastRadius>
  leases(name: CredentialName): Promise<readonly LeaseSummary[]>
  touchLease(lease: {
    readonly name: CredentialName
    readonly instance: string
    readonly app: string
    readonly generation: number
  }): void
  dropLease(name: CredentialName, instance: string, actor: Actor): Promise<void>
  /** The app's own instance has ended, and uses nothing any more. Nothing happens where it has no lease. */
  endLease(lease: {
    readonly name: CredentialName
    readonly instance: string
    readonly app: string
  }): Promise<void>
  /** Every key of the organisation, and who holds it. */
  inventory(): Promise<InventoryAnswer>
  readiness(): Readiness
  /** What there is in reserve; null: nothing is kept. */
  standby(name: CredentialName): StandbySummary | null
}

/** What the composition root starts and stops beside the service itself. */
export interface RunningService extends Service {
  /** One step of the rotation of the store, which drives ours: `unknown` for a credential that has no store. */
  steer(name: CredentialName, request: SteerRequest & { readonly withinMs: number }): Promise<SteerAnswer>
  /** Does all that is due now, once, and resolves when nothing more can be done without waiting: `keyturn tick`. */
  tick(): Promise<void>
  /** Stops taking work, lets running effects end (bounded), releases claims, closes store, issuer and ledger. */
  stop(): Promise<void>
}
