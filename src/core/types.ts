import type { Check, DeathProbe, KeyFacts, StepEvidence, Tally } from './evidence.ts'
import type { Verdict } from './observation.ts'
import type { Policy } from './policy.ts'

export {
  authenticVerdicts,
  type Cause,
  isAuthentic,
  type Observation,
  type TransportFailure,
  type Verdict,
  type VerdictKind,
} from './observation.ts'
export type { Blackout, Policy } from './policy.ts'

/**
 * The words of Keyturn, as types.
 *
 * credential   the name an app asks for, `[a-z0-9-]{1,63}`
 * version      one key of a credential with its metadata
 * stage        where a version stands: pending, current, previous, standby, retired (terminal)
 * secret       the string itself, always wrapped (secret.ts)
 * issuer       mints, verifies and revokes: OpenAI, or an operator by hand
 * store        keeps secrets
 * ledger       keeps states, verdicts, leases and due times; never a secret
 * verdict      what verification concluded
 * rotation     one walk from minting to a confirmed promotion
 * retirement   one old version's walk from draining to proven dead
 * overlap      the time in which the old and the new key both live
 * generation   rises with every change of what is handed out for a credential; apps order by it
 * fingerprint  the first 12 hex digits of SHA-256 over a fixed prefix and the secret; safe to show
 *
 * Instants are epoch milliseconds and end in `At`; durations end in `Ms`. Everything here is plain data that survives
 * JSON, so that the ledger can hold it and a simulator can replay it.
 */

export type CredentialName = string
/** Opaque, `[A-Za-z0-9._-]{1,128}`: a UUID for versions that Keyturn made, the store's own id for those it found. */
export type VersionId = string
export type Fingerprint = string
/** The issuer's id of a key (`key_…`), not the key. */
export type KeyId = string

export const credentialNamePattern = /^[a-z0-9-]{1,63}$/
export const versionIdPattern = /^[A-Za-z0-9._-]{1,128}$/

export type Stage = 'pending' | 'current' | 'previous' | 'standby' | 'retired'

/** Whom a key answered for. Absent where the issuer does not tell. */
export interface Belonging {
  readonly organization?: string
  readonly project?: string
}

/** Metadata that lives beside the secret in the store, so that a lost ledger can be rebuilt. No secrets. */
export interface VersionMeta {
  readonly keyId?: KeyId
  readonly serviceAccount?: string
  readonly organization?: string
  readonly project?: string
  /** The random name under which it was minted (see Attempt). */
  readonly marker?: string
  readonly createdAt?: number
  readonly expiresAt?: number
}

/** `exchanged`: a short-lived token of a workload identity; its value is in no store (federation.ts). */
export type VersionOrigin = 'minted' | 'brought' | 'found' | 'exchanged'

export interface VersionRecord {
  readonly version: VersionId
  readonly stage: Stage
  readonly origin: VersionOrigin
  readonly fingerprint: Fingerprint
  readonly meta: VersionMeta
  readonly addedAt: number
  /** The last conclusion about it, and when it was drawn. */
  readonly verdict?: Verdict
  readonly checkedAt?: number
  /** When it last proved authentic and ours; what `verifiedAt` in the API says. */
  readonly verifiedAt?: number
  readonly promotedAt?: number
  /** Conclusive rejections in a row by our own probes; reset by any authentic answer. */
  readonly rejections?: { readonly count: number; readonly firstAt: number; readonly lastAt: number }
  readonly nextCheckAt?: number
  /** An app reported it: probed every second until then. */
  readonly suspectUntil?: number
  /** Set when it was withdrawn (rejected) or declared compromised: it never comes back by itself. */
  readonly withdrawnAt?: number
  readonly compromised?: boolean
  /** The same key was declared compromised under another credential. Handed out until it is turned, and never again then. */
  readonly isLeaked?: boolean
  /** Adopted from a mirror and not written to the store yet: once it is replaced, its value may be nowhere any more. */
  readonly isUnstored?: boolean
  /** A person was told that it expires soon. */
  readonly isExpiryAlerted?: boolean
  readonly retiredAt?: number
}

// ---------------------------------------------------------------- rotation

/** `standby`: makes a spare and promotes nothing; begun by Keyturn alone, and out of the way as soon as another is asked for. */
export type RotationMode = 'normal' | 'emergency' | 'rehearsal' | 'standby'

export type RotationPhase =
  | 'checking' // permissions of store and issuer, before anything is minted
  | 'minting'
  | 'reconciling'
  | 'awaiting' // the manual issuer waits for the operator's key
  | 'proving'
  | 'discarding'
  | 'extending' // promoting, first part: the short expiry of the pending key is lengthened and confirmed
  | 'promoting'
  | 'confirming' // promoting, last part: the store is read back
  | 'inspecting' // promoting lost to another writer: what is there now?
  | 'halted'
  | 'done'

export const rotationPhases: readonly RotationPhase[] = [
  'checking',
  'minting',
  'reconciling',
  'awaiting',
  'proving',
  'discarding',
  'extending',
  'promoting',
  'confirming',
  'inspecting',
  'halted',
  'done',
]

/** One try to mint. Written down before the call, so that no answer lost can hide a key. */
export interface Attempt {
  readonly number: number
  /** The unique, random name the key gets at the issuer. */
  readonly marker: string
  /** The id the version gets in the store. */
  readonly version: VersionId
  readonly startedAt: number
  /** open: its answer was never seen, a key may still turn up under the marker. */
  readonly outcome: 'open' | 'staged' | 'refused' | 'gone'
  /** Turned away before a key could be made, as by a rate limit. Taken back, durably, before it is sent once more. */
  readonly isUnmade?: boolean
  readonly keyId?: KeyId
  readonly key?: KeyFacts
}

export interface Halt {
  readonly from: RotationPhase | RetirementPhase
  /** Stable, for programs: `minting_refused`, `deadline_passed`, `store_changed` … */
  readonly reason: string
  readonly summary: string
  readonly fix: string
  readonly at: number
}

/** Why a pending key goes, and what follows: another attempt, a halt, or the end with this outcome. */
export interface Discard {
  readonly next: 'mint' | 'halt' | 'end'
  readonly outcome?: 'rehearsed' | 'rehearsal_failed' | 'aborted' | 'superseded' | 'given_up'
  readonly reason: string
  readonly summary: string
  readonly fix: string
}

/** Whether one thing that a rotation needs is allowed, as the store or the issuer itself says. */
export interface PermissionFinding {
  /** The permission by the name its own policy language gives it, e.g. `secretsmanager:PutSecretValue`. */
  readonly permission: string
  readonly resource: string
  readonly state: 'granted' | 'missing' | 'untested'
  readonly fix?: string
}

/** One line of the story, for the progress view, the audit and the report. */
export interface Step {
  readonly at: number
  readonly phase: string
  readonly note: string
  readonly evidence?: StepEvidence
}

/** How the rotation of a store (AWS Secrets Manager) drives one of ours: it says when the next part may be done. */
export interface Steering {
  /** What the store calls the new version, before there is one. Under it there is room for one key only. */
  readonly token: string
  /** How far the walk may go by now. */
  readonly upTo: Reach
}

export type Reach = 'staged' | 'proven' | 'promoted'

export interface Rotation {
  readonly id: string
  readonly credential: CredentialName
  readonly mode: RotationMode
  readonly reason: string
  readonly requestedBy: string
  readonly startedAt: number
  readonly phase: RotationPhase
  readonly phaseAt: number
  /** After this instant the phase halts with `deadline_passed`. */
  readonly deadlineAt: number
  /** Not before this instant is the phase's effect performed (again). */
  readonly wakeAt: number
  readonly paused: boolean
  /** The store's own schedule drives it, step by step. Absent: it goes on by itself. */
  readonly steering?: Steering
  /** With mode emergency: the key that was current when this was said is in the wrong hands. */
  readonly isCompromised: boolean
  /** That key. Whatever else becomes current before the promotion is not it. */
  readonly compromised?: VersionId
  /** What was current when it began: the compare of the compare-and-swap. Absent for a credential's first key. */
  readonly from?: VersionId
  /** The key that `from` names. */
  readonly old?: KeyFacts
  /** What the policy asked for when it began, by which its evidence is to be judged. */
  readonly rules?: Pick<Policy, 'overlapMs' | 'provingCount' | 'provingSettleMs' | 'attemptsMax'>
  readonly attempts: readonly Attempt[]
  /** Attempts that nothing of this walk goes on with: given to the sweep, or left behind by a resume. Bounded. */
  readonly formerAttempts?: readonly Attempt[]
  readonly confirmations: number
  readonly provingSince?: number
  /** When the last confirmation was answered. */
  readonly confirmedAt?: number
  /** Verifications of the pending key since proving began; they become the evidence of the step that they lead to. */
  readonly checks?: Tally<Check>
  /** Why the pending key is being discarded, and what follows. */
  readonly discard?: Discard
  readonly retries: number
  /** The store would not take what was minted: no other key is made before a person has looked. */
  readonly refusal?: { readonly reason: string; readonly summary: string; readonly fix: string }
  readonly halt?: Halt
  /** Of a rehearsal: why the rotation would not have gone through. It ends all the same: nobody has to end it by hand. */
  readonly failure?: Halt
  /** Of a rehearsal: what is allowed and what is not. */
  readonly permissions?: readonly PermissionFinding[]
  /** Of a rehearsal: what stores and issuer keep of the keys that it made, in plain sentences. Empty: nothing was made. */
  readonly residue?: readonly string[]
  /** given_up: of the mode standby alone, in place of a halt. */
  readonly outcome?:
    | 'promoted'
    | 'rehearsed'
    | 'rehearsal_failed'
    | 'standby'
    | 'aborted'
    | 'superseded'
    | 'given_up'
  readonly endedAt?: number
  readonly steps: readonly Step[]
  /** Steps between the first and the latest that are no longer kept. */
  readonly stepsDropped?: number
}

// -------------------------------------------------------------- retirement

export type RetirementPhase =
  | 'draining'
  | 'retiring' // revoking, first part: `retired` in the store, terminal
  | 'proving_current' // revoking, second part: the one that stays is proven once again
  | 'revoking' // revoking, last part: the delete at the issuer
  | 'dying'
  | 'unproven' // not proven dead in time: alerted, still probed
  | 'destroying' // proven dead: its value leaves the store
  | 'halted'
  | 'dead'
  | 'kept' // ended without a revocation: the issuer cannot, or the operator said so

export const retirementPhases: readonly RetirementPhase[] = [
  'draining',
  'retiring',
  'proving_current',
  'revoking',
  'dying',
  'unproven',
  'destroying',
  'halted',
  'dead',
  'kept',
]

export interface Retirement {
  readonly id: string
  readonly version: VersionId
  readonly keyId?: KeyId
  readonly key?: KeyFacts
  /** The rotation that set it off; absent where a failover, a rollback or a person did. */
  readonly rotation?: string
  readonly requestedBy?: string
  readonly reason?: string
  /** What the policy asked for when it began, by which its evidence is to be judged. */
  readonly rules?: Pick<Policy, 'drainLimitMs' | 'afterLimit' | 'quietMs' | 'deadProbes' | 'deadSpanMs'>
  readonly startedAt: number
  readonly phase: RetirementPhase
  readonly phaseAt: number
  readonly wakeAt: number
  /** The gate stays shut until then, whatever else is true. */
  readonly overlapUntil: number
  /** After this the operator is told who holds the key back. */
  readonly limitAt: number
  /** The operator's word, or a compromised key: the gate is open whatever the evidence says. */
  readonly isForced: boolean
  /** It was a spare that was never handed out: neither an overlap nor a lease holds it. */
  readonly wasSpare?: boolean
  /** The delete was refused and an expiry of one second set instead: the key may stay listed. */
  readonly isExpiring: boolean
  readonly isLimitAlerted: boolean
  /** The limit has passed and the policy says revoke: nobody holds it back any more. */
  readonly isPastLimit?: boolean
  /** A person was told that the key that stays could not be proven for long. */
  readonly isHeldAlerted?: boolean
  readonly rejections: number
  readonly rejectedSince?: number
  /** When the last of them was answered. */
  readonly rejectedAt?: number
  /** Looks whether it is dead. */
  readonly probes?: Tally<DeathProbe>
  readonly retries: number
  /** Who or what keeps the gate shut, for people. */
  readonly heldBy?: string
  readonly halt?: Halt
  readonly endedAt?: number
  readonly steps: readonly Step[]
  readonly stepsDropped?: number
}

/** What came of looking for the key of an attempt whose answer was never seen, after its rotation had ended or halted. */
export interface Sweep {
  readonly marker: string
  readonly version: VersionId
  readonly rotation?: string
  /** absent: none turned up in time. in_use: somebody put it to use. revoked: it landed late and was ended. */
  readonly outcome: 'absent' | 'in_use' | 'revoked'
  readonly keyId?: KeyId
  readonly endedAt: number
}

/** What a rotation set off and what ended after it. */
export type Aftermath =
  | { readonly kind: 'retirement'; readonly retirement: Retirement }
  | { readonly kind: 'sweep'; readonly sweep: Sweep }

// ------------------------------------------------------------------ mirror

/** A copy of a credential in another store, by the name people gave that store and the secret in it: `aws/openai`. */
export type MirrorId = string

/** What is known of one mirror. It is brought to a goal that follows from the rest of the state (mirrors.ts). */
export interface MirrorState {
  readonly id: MirrorId
  /** The goal of the last attempt; any other is tried at once. */
  readonly tried?: string
  /** The goal it was last brought to, and read back. */
  readonly reached?: string
  /** The version whose key it was last seen to have for current. */
  readonly current?: VersionId
  /** Since when, as far as is known: its readers may see the key before it for a while. */
  readonly currentAt?: number
  readonly readAt?: number
  readonly nextAt: number
  readonly retries: number
  /** Versions whose values may still be there, and what the mirror calls each; one may be there twice. */
  readonly holds: readonly { readonly version: VersionId; readonly as: VersionId }[]
  /** A key that somebody put there by hand: to be verified, then adopted everywhere or put right. */
  readonly foreign?: { readonly version: VersionId; readonly isRefused: boolean }
  readonly trouble?: {
    readonly since: number
    readonly code: 'mirror_behind' | 'mirror_drift'
    /** The code of the error, where one was the reason. */
    readonly cause?: string
    readonly summary: string
    readonly fix: string
  }
}

// -------------------------------------------------------------- credential

/**
 * All that the ledger knows of one credential, as one aggregate: changed whole, by compare-and-swap on `revision`, so
 * that no two beliefs about it can ever disagree. A few kilobytes: versions, attempts and steps are bounded.
 */
export interface CredentialState {
  readonly name: CredentialName
  readonly revision: number
  /** Rises with every claim; carried to the store with every change. */
  readonly fence: number
  readonly generation: number
  readonly versions: readonly VersionRecord[]
  /** What is handed out. */
  readonly current?: VersionId
  /** What the store was last seen to call current; differs from `current` while a failover is being written to it. */
  readonly storeCurrent?: VersionId
  readonly storeReadAt?: number
  /** A takeover (failover, rollback) still has to be written to the store. */
  readonly isAlignmentDue?: boolean
  readonly nextStoreReadAt: number
  /** Whom the key first answered for, kept where the configuration names nobody (invariant 1). */
  readonly belonging?: Belonging
  readonly rotation?: Rotation
  readonly retirements: readonly Retirement[]
  readonly mirrors?: readonly MirrorState[]
  /** Attempts of ended rotations whose answer was never seen: listed again until `until`. */
  readonly openAttempts: readonly {
    readonly marker: string
    readonly version: VersionId
    readonly rotation?: string
    readonly until: number
    readonly nextAt: number
  }[]
  /** Keys that are never handed out again by themselves, of versions that are on record no more. Bounded. */
  readonly outcasts?: readonly Outcast[]
  /** The latest of those that are over. */
  readonly sweeps?: readonly Sweep[]
  /** The next scheduled rotation and the occurrence of the schedule it stands for. */
  readonly nextRotationAt?: number
  readonly lastScheduledAt?: number
  /** The schedule that `nextRotationAt` was computed from; another one computes it anew. */
  readonly scheduleKey?: string
  /** Instants of rotations that no person asked for, within the last day; bounded by the policy. */
  readonly automaticAt: readonly number[]
  /** What is remembered of making spares. */
  readonly standby?: {
    /** When those were begun that no spare of full age stood behind: each makes the pause before the next one longer. */
    readonly startedAt: readonly number[]
    /** Why the last one was given up. */
    readonly trouble?: {
      readonly since: number
      readonly reason: string
      readonly summary: string
      readonly fix: string
    }
  }
  /** Set when no live version is left. */
  readonly outage?: { readonly since: number; readonly summary: string; readonly fix: string }
  /** What the last look at the store ended in, where it was not a plain success. */
  readonly storeTrouble?: {
    readonly since: number
    readonly code: string
    readonly summary: string
    readonly fix: string
  }
}

export type Outcast = Pick<VersionRecord, 'fingerprint' | 'withdrawnAt' | 'compromised'>

/** What is told to apps and operators as it happens; each has a rising `id` per credential for replay. */
export interface CredentialEvent {
  readonly id: number
  readonly at: number
  readonly credential: CredentialName
  readonly kind: 'promoted' | 'verdict' | 'revoking' | 'rotation' | 'retirement' | 'outage' | 'alert'
  readonly generation: number
  /** Plain data, no secrets. */
  readonly data: Readonly<Record<string, unknown>>
}
export type NewCredentialEvent = Omit<CredentialEvent, 'id'>
