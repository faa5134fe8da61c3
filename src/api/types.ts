/**
 * The HTTP contract as types: routes and messages. Shared by the server, the client and the command line; imports
 * nothing but types, so that the client stays free of packages.
 *
 * Instants in messages are ISO 8601 in UTC; durations are whole seconds and end in `Seconds`.
 */

export type { Grant, GrantRule } from '../core/grants.ts'
export type {
  ApprovalSummary,
  TokenAnswer,
  TokenRequest,
  TokenRotationRequest,
  TokenSummary,
} from './access-types.ts'

export type {
  AlertChannelSummary,
  AlertSummary,
  AlertsAnswer,
  AlertTestRequest,
  AlertTestResult,
} from './alert-types.ts'

export const routes = {
  credentials: '/v1/credentials',
  credential: (name: string) => `/v1/credentials/${encodeURIComponent(name)}`,
  events: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/events`,
  reports: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/reports`,
  versions: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/versions`,
  verifications: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/verifications`,
  rotations: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/rotations`,
  rotation: (name: string, id: string) =>
    `/v1/credentials/${encodeURIComponent(name)}/rotations/${encodeURIComponent(id)}`,
  rotationReport: (name: string, id: string) =>
    `/v1/credentials/${encodeURIComponent(name)}/rotations/${encodeURIComponent(id)}/report`,
  versionReport: (name: string, version: string) =>
    `/v1/credentials/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/report`,
  rotationAct: (name: string, id: string, act: 'pause' | 'resume' | 'abort') =>
    `/v1/credentials/${encodeURIComponent(name)}/rotations/${encodeURIComponent(id)}/${act}`,
  rollbacks: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/rollbacks`,
  revocations: (name: string, version: string) =>
    `/v1/credentials/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/revocations`,
  blastRadius: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/blast-radius`,
  approvals: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/approvals`,
  approval: (name: string, id: string) =>
    `/v1/credentials/${encodeURIComponent(name)}/approvals/${encodeURIComponent(id)}`,
  leases: (name: string) => `/v1/credentials/${encodeURIComponent(name)}/leases`,
  lease: (name: string, instance: string) =>
    `/v1/credentials/${encodeURIComponent(name)}/leases/${encodeURIComponent(instance)}`,
  inventory: '/v1/inventory',
  tokens: '/v1/tokens',
  tokenRotations: '/v1/tokens/rotations',
  token: (id: string) => `/v1/tokens/${encodeURIComponent(id)}`,
  alerts: '/v1/alerts',
  alertTests: '/v1/alerts/tests',
  audit: '/v1/audit',
  auditHeads: '/v1/audit/heads',
  signingKey: '/v1/signing-key',
  health: '/healthz',
  ready: '/readyz',
  metrics: '/metrics',
  openapi: '/openapi.json',
} as const

export const headers = {
  /** Who is asking: a stable id of the calling process, so that it can be seen when it has moved on to a new key. */
  instance: 'keyturn-instance',
  /** The oldest generation with requests still in flight, as a decimal number. */
  inFlight: 'keyturn-generation-in-flight',
  generation: 'keyturn-generation',
  /** How long ago the key handed out last proved itself, in whole seconds. */
  verifiedAge: 'keyturn-verified-age',
  /** Of an event stream: by what name Keyturn knows its caller, percent-encoded. */
  app: 'keyturn-app',
  /** There, with the same figure, where the answer comes from the last-known-good file. */
  lastKnownGood: 'keyturn-last-known-good',
} as const

/** GET /v1/credentials/{name}: the current verified credential. The one message that holds a secret. */
export interface CredentialAnswer {
  readonly name: string
  readonly apiKey: string
  readonly organization: string | null
  readonly project: string | null
  readonly baseUrl: string
  readonly version: string
  readonly fingerprint: string
  readonly stage: string
  /** The conclusion of the last check; `unknown` while the issuer cannot be asked: the key is then served as last verified. */
  readonly verdict: string
  readonly verifiedAt: string
  readonly rotatesAt: string | null
  /** For how long a client may go on with this answer without hearing from Keyturn. */
  readonly staleAfterSeconds: number
  readonly generation: number
  /** Out of the last-known-good file: `verifiedAt` says how old that knowledge is. Absent: it is not. */
  readonly isLastKnownGood?: true
}

/** What is answered from the last-known-good file, and when that key proved itself last. */
export interface LastKnownGoodSummary {
  readonly verifiedAt: string
}

export interface CheckSummary {
  readonly verdict: string
  readonly cause: string
  readonly summary: string
  readonly fix: string
  readonly checkedAt: string
}

export interface Trouble {
  readonly code: string
  readonly summary: string
  readonly fix: string
  readonly since: string | null
}

/** An item of GET /v1/credentials: all but the secret. */
export interface CredentialSummary {
  readonly name: string
  /** Keyturn's own, such as an admin key: turned like any other, and handed out to nobody. */
  readonly isInternal: boolean
  readonly generation: number
  readonly current: VersionSummary | null
  readonly versions: readonly VersionSummary[]
  readonly rotation: RotationSummary | null
  readonly retirements: readonly RetirementSummary[]
  readonly rotatesAt: string | null
  /** Until then nothing moves that nobody asks for; null: no blackout is on. */
  readonly blackoutUntil: string | null
  /** What is wrong now and what to do, worst first; empty when all is well. */
  readonly troubles: readonly Trouble[]
  readonly store: string
  /** The spare key, where one is kept. */
  readonly standby: StandbySummary | null
  /** Copies in other stores. */
  readonly mirrors: readonly MirrorSummary[]
  readonly issuer: string
  /** Absent: what is handed out does not come from the last-known-good file. */
  readonly lastKnownGood?: LastKnownGoodSummary
}

/** A verified key on another service account that takes over when the current one dies. */
export interface StandbySummary {
  /** How many could take over now. */
  readonly ready: number
  /** The one that would. */
  readonly version: string | null
  readonly addedAt: string | null
  /** When it is replaced by a younger one. */
  readonly refreshAt: string | null
  /** Why there is none. */
  readonly reason: string | null
  /** When making one is begun. */
  readonly nextTryAt: string | null
}

export interface MirrorSummary {
  /** The store's name and the secret's: `aws/openai`. */
  readonly id: string
  readonly store: string
  /** The version it was last seen to have; null: none, or not looked at yet. */
  readonly current: string | null
  /** It has the current key, and all that is to be there besides. */
  readonly isInLine: boolean
  readonly readAt: string | null
}

export interface VersionSummary {
  readonly version: string
  readonly stage: string
  readonly origin: string
  readonly fingerprint: string
  readonly keyId: string | null
  readonly organization: string | null
  readonly project: string | null
  readonly serviceAccount: string | null
  readonly addedAt: string
  readonly createdAt: string | null
  readonly expiresAt: string | null
  readonly promotedAt: string | null
  readonly verifiedAt: string | null
  readonly withdrawnAt: string | null
  readonly isCompromised: boolean
  readonly check: CheckSummary | null
}

export interface StepSummary {
  readonly at: string
  readonly phase: string
  readonly note: string
}

export interface HaltSummary {
  readonly from: string
  readonly reason: string
  readonly summary: string
  readonly fix: string
  readonly at: string
}

export interface PermissionSummary {
  /** By the name its own policy language gives it: `secretsmanager:PutSecretValue`, `api.management.write`. */
  readonly permission: string
  readonly resource: string
  readonly state: 'granted' | 'missing' | 'untested'
  readonly fix: string
}

export interface RotationSummary {
  readonly id: string
  readonly credential: string
  /** `standby`: a spare is made, and nothing is promoted. */
  readonly mode: 'normal' | 'emergency' | 'rehearsal' | 'standby'
  readonly reason: string
  readonly requestedBy: string
  readonly phase: string
  readonly isPaused: boolean
  readonly outcome: string | null
  readonly from: string | null
  readonly to: string | null
  readonly startedAt: string
  readonly phaseAt: string
  readonly deadlineAt: string | null
  readonly endedAt: string | null
  readonly halt: HaltSummary | null
  /** Of a rehearsal that ended: why a rotation would not go through, and what to do. Null: it would, or it is no rehearsal. */
  readonly failure: HaltSummary | null
  /** Of a rehearsal: what store, mirrors and issuer allow. */
  readonly permissions: readonly PermissionSummary[]
  /** Of a rehearsal: what stores and issuer keep of its keys, in sentences. */
  readonly residue: readonly string[]
  readonly steps: readonly StepSummary[]
  /** The walk of the old version that followed, where there is one. */
  readonly retirement: RetirementSummary | null
}

export interface RetirementSummary {
  readonly id: string
  readonly version: string
  readonly fingerprint: string | null
  readonly phase: string
  readonly startedAt: string
  readonly overlapUntil: string
  readonly heldBy: string | null
  readonly endedAt: string | null
  readonly halt: HaltSummary | null
  readonly steps: readonly StepSummary[]
}

/** GET /v1/inventory: every key of the organisation, and who holds it. */
export interface InventoryAnswer {
  readonly at: string
  /** What needs attention first. */
  readonly items: readonly InventoryKeySummary[]
  /** What could not be listed: its keys may be missing here. */
  readonly gaps: readonly { readonly what: string; readonly summary: string; readonly fix: string }[]
}

export interface InventoryKeySummary {
  /** The issuer's id of the key. */
  readonly keyId: string
  readonly kind: 'project' | 'admin'
  readonly name: string
  /** As the issuer shows it: a few characters of both ends. */
  readonly redacted: string | null
  readonly project: string | null
  readonly projectName: string | null
  readonly owner: string | null
  readonly ownerKind: 'service_account' | 'user' | 'unknown'
  readonly createdAt: string | null
  readonly lastUsedAt: string | null
  /** null: the issuer does not tell. */
  readonly isNeverUsed: boolean | null
  readonly expiresAt: string | null
  /** suspect: ours, and nobody seems to have it. unlisted: held and not listed. unknown: of people and of others. */
  readonly standing: 'suspect' | 'unlisted' | 'held' | 'ending' | 'unknown'
  readonly holders: readonly {
    readonly credential: string
    readonly version: string
    readonly stage: string
  }[]
}

export interface LeaseSummary {
  readonly instance: string
  readonly app: string
  readonly generation: number
  readonly seenAt: string
}

/** GET …/blast-radius: who loses what when a key is revoked now. */
export interface BlastRadius {
  readonly credential: string
  readonly version: string
  readonly fingerprint: string
  readonly stage: string
  readonly keyId: string | null
  /** It is what is handed out. */
  readonly isCurrent: boolean
  readonly createdAt: string
  /** told: `lastUsedAt` says when, as far as the issuer has noticed. unknown: the issuer cannot be asked, or does not tell. */
  readonly lastUse: 'told' | 'never' | 'unknown'
  readonly lastUsedAt: string | null
  /** Instances that hold it by their lease, or may. */
  readonly holders: readonly BlastHolder[]
  /** Copies in other stores, whose readers hold no lease. */
  readonly mirrors: readonly { readonly id: string; readonly store: string }[]
  /** Other credentials that hold the very same key: they lose it too. */
  readonly sharedWith: readonly string[]
  /** What can be handed out in its place at once. */
  readonly spare: { readonly version: string; readonly fingerprint: string; readonly stage: string } | null
}

export interface BlastHolder {
  readonly app: string
  readonly instance: string
  readonly generation: number
  readonly seenAt: string
  /** Not heard of for ten minutes. */
  readonly isSilent: boolean
  /** It has an event stream open, and is told of the new key at once; the others learn it when they ask next. */
  readonly isListening: boolean
}

/** POST …/reports: an app says that its key was refused. A hint, never evidence. */
export interface RejectionReport {
  readonly version: string
  readonly status: number
  readonly code?: string
  readonly requestId?: string
}

/** The answer to a report: what the app should do next. */
export interface ReportAnswer {
  /** true: another key is or will be current; ask again. */
  readonly generation: number
  readonly version: string | null
  readonly verdict: string
}

export interface RotationRequest {
  readonly mode?: 'normal' | 'emergency' | 'rehearsal'
  readonly reason?: string
  /** With mode emergency: the old key is in the wrong hands and is revoked as soon as the new one is out. */
  readonly isCompromised?: boolean
  /** With mode normal: although the credential is in a blackout. */
  readonly inBlackout?: boolean
  /** The credential's name, typed: needed with isCompromised. */
  readonly confirm?: string
}

export interface RollbackRequest {
  /** A version id, a unique beginning of one, or a fingerprint. Default: the previous version. */
  readonly to?: string
  readonly reason?: string
}

/** POST …/versions: an operator brings a key. */
export interface BringRequest {
  readonly apiKey: string
  readonly reason?: string
}

export interface RevocationRequest {
  readonly reason?: string
  /** Invariant 2's named exception; needs the credential's name typed as confirmation. */
  readonly evenIfLast?: boolean
  readonly confirm?: string
}

/** What was done when it was approved: a rotation was started, or a version revoked. */
export interface ApprovalOutcome {
  readonly id: string
  readonly rotation: RotationSummary | null
  readonly version: VersionSummary | null
}

/** A message of the event stream: `id`, `event: <kind>`, `data: <this>`. */
export interface EventMessage {
  readonly credential: string
  readonly kind: string
  readonly generation: number
  readonly at: string
  readonly data: Readonly<Record<string, unknown>>
}

/** GET …/report: a flattened JWS (RFC 7515) over the exact bytes of the report, which docs/reports.md describes. */
export interface SignedReport {
  readonly payload: string
  readonly protected: string
  readonly signature: string
}

/** GET /v1/signing-key: what reports are verified with. */
export interface SigningKeyAnswer {
  /** The thumbprint of the key (RFC 7638), by which it can be told in one line. */
  readonly keyId: string
  readonly jwk: { readonly kty: string; readonly crv: string; readonly x: string }
  readonly pem: string
}

export interface List<Item> {
  readonly items: readonly Item[]
}

/** RFC 9457, `application/problem+json`. `type` is `urn:keyturn:error:<code>`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly fix?: string
  readonly instance?: string
}

export interface Readiness {
  readonly ready: boolean
  /** Whether this replica hands out all that any could: a key that is missing everywhere is no reason to ask another. */
  readonly isInService: boolean
  readonly version: string
  readonly isSandbox: boolean
  readonly credentials: readonly {
    readonly name: string
    /** Not counted in `ready` of the whole: apps get their keys without it. */
    readonly isInternal: boolean
    readonly ready: boolean
    readonly verdict: string | null
    readonly trouble: string | null
    /** Absent: what is handed out does not come from the last-known-good file. */
    readonly lastKnownGood?: LastKnownGoodSummary
  }[]
}

/** One row of the audit journal, as it stands in the file. */
export interface AuditRow {
  readonly seq: number
  readonly at: string
  readonly kind: string
  readonly action: string
  readonly outcome: string
  readonly prev: string
  readonly hash: string
}

/** GET /v1/audit: rows of this replica, oldest first. */
export interface AuditPage {
  readonly journal: string
  readonly items: readonly AuditRow[]
  /** Send it as `after` for the next page. */
  readonly through: number
  /** Whether there was nothing beyond. */
  readonly isEnd: boolean
}

/** GET /v1/audit/heads: how the journal does, and its newest signed heads as the ledger has them. */
export interface AuditHeads {
  readonly journal: string
  readonly reads: string
  readonly seq: number
  readonly durable: number
  readonly sealed: number
  /** Replies that were refused because their row could not be written in time, and reads without a row (`async` only). */
  readonly refused: number
  readonly lost: number
  readonly sinks: readonly {
    readonly name: string
    readonly isTaking: boolean
    readonly behind: number
    readonly missed: number
  }[]
  readonly headTroubles: readonly string[]
  readonly items: readonly SignedReport[]
}
