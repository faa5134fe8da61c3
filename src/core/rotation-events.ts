import type { Ending, KeyFacts } from './evidence.ts'
import type {
  Attempt,
  KeyId,
  PermissionFinding,
  Policy,
  Reach,
  Rotation,
  Verdict,
  VersionId,
} from './types.ts'

export type RotationEvent =
  | { readonly kind: 'resumed' }
  | { readonly kind: 'deadline_passed' }
  | { readonly kind: 'checked'; readonly permissions?: readonly PermissionFinding[] }
  | {
      readonly kind: 'check_failed'
      readonly reason: string
      readonly summary: string
      readonly fix: string
      readonly permissions?: readonly PermissionFinding[]
    }
  | { readonly kind: 'check_unknown' }
  | { readonly kind: 'minted'; readonly keyId: KeyId; readonly requestId?: string }
  | { readonly kind: 'mint_refused'; readonly verdict: Verdict }
  /** The journal of the audit takes no row: nothing was asked for, and the same attempt is made later. */
  | { readonly kind: 'mint_unsent' }
  /** An attempt that was turned away is about to be sent again: from here on nobody knows. */
  | { readonly kind: 'mint_begun' }
  /** `refusal`: it was made, and the store will not have it, whatever is tried: the key is ended and a person is told. */
  | { readonly kind: 'mint_unknown'; readonly keyId?: KeyId; readonly refusal?: Rotation['refusal'] }
  | {
      readonly kind: 'reconciled'
      readonly found: { readonly version: VersionId; readonly keyId: KeyId } | undefined
      readonly residue?: readonly string[]
      /** Keys of ours that were stored nowhere and are ended. */
      readonly strays?: readonly KeyId[]
    }
  | { readonly kind: 'reconcile_failed' }
  | { readonly kind: 'brought'; readonly version: VersionId }
  | {
      readonly kind: 'proved'
      readonly verdict: Verdict
      readonly isOurs: boolean
      readonly lacksDeclared: boolean
      /** When it was answered. What the ledger takes twice, because its answer was lost, is one proof all the same. */
      readonly at?: number
    }
  | { readonly kind: 'pending_lost' }
  | ({ readonly kind: 'discarded'; readonly residue?: readonly string[] } & Ending)
  | { readonly kind: 'discard_failed' }
  | { readonly kind: 'extended'; readonly requestId?: string }
  | { readonly kind: 'extend_refused' }
  | { readonly kind: 'extend_unknown' }
  | { readonly kind: 'promoted' }
  | { readonly kind: 'promote_lost' }
  | { readonly kind: 'promote_gone' }
  | { readonly kind: 'promote_unknown' }
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'confirm_lost' }
  | { readonly kind: 'confirm_unknown' }
  | { readonly kind: 'inspected'; readonly finding: 'ours' | 'unchanged' | 'adopted' | 'foreign' }
  /** It is replaced: what is there was found to be dead and nothing is handed out, or it is the old key under another id. */
  | { readonly kind: 'inspected'; readonly finding: 'dead' | 'renamed'; readonly current: VersionId }
  | { readonly kind: 'inspect_unknown' }
  /** A blackout keeps it from being promoted until then. */
  | { readonly kind: 'held'; readonly until: number }
  /** The store's own schedule lets it go on, so far. */
  | { readonly kind: 'steered'; readonly by: string; readonly upTo: Reach }
  | { readonly kind: 'pause_asked'; readonly by: string }
  | { readonly kind: 'resume_asked'; readonly by: string }
  | { readonly kind: 'abort_asked'; readonly by: string }
  /** By the schedule, a failover or a person, while a spare was being made: the walk goes on as that rotation. */
  | { readonly kind: 'rotation_asked'; readonly by: string; readonly reason: string }
  | {
      readonly kind: 'emergency_asked'
      readonly by: string
      readonly reason: string
      readonly isCompromised: boolean
    }

export type RotationEventKind = RotationEvent['kind']

export type RotationEffect =
  | { readonly kind: 'check' }
  | { readonly kind: 'mint'; readonly attempt: Attempt }
  | { readonly kind: 'reconcile'; readonly attempts: readonly Attempt[] }
  | { readonly kind: 'prove'; readonly version: VersionId }
  | { readonly kind: 'discard'; readonly version: VersionId; readonly keyId?: KeyId }
  | { readonly kind: 'extend'; readonly version: VersionId; readonly keyId: KeyId }
  | { readonly kind: 'promote'; readonly from: VersionId | undefined; readonly to: VersionId }
  | { readonly kind: 'confirm'; readonly to: VersionId }
  | { readonly kind: 'inspect'; readonly from: VersionId | undefined; readonly to: VersionId }

/** What a step may use beside the rotation and the event. `fresh` names the next attempt, should one be needed. */
export interface RotationContext {
  readonly now: number
  readonly policy: Policy
  readonly fresh: { readonly marker: string; readonly version: VersionId }
  /** Nothing is handed out: a key that some of the issuer's edges do not know yet is better than none. */
  readonly isOutage?: boolean
  /** The version that came with the event, for its evidence. */
  readonly added?: KeyFacts
  /** The fence under which the store was changed. */
  readonly fence?: number
}
