import type { KeyId, Policy, Verdict, VersionId } from './types.ts'

export type RetirementEvent =
  | { readonly kind: 'evidence'; readonly evidence: Evidence }
  | { readonly kind: 'evidence_unknown' }
  /** `places`: the store and the mirrors that were told. */
  | { readonly kind: 'retired'; readonly places?: readonly string[] }
  | { readonly kind: 'retire_failed' }
  /** The store says that it is current: somebody put it back. */
  | { readonly kind: 'retire_refused' }
  | {
      readonly kind: 'current_proved'
      readonly verdict: Verdict
      readonly isOurs: boolean
      readonly version?: VersionId
    }
  | { readonly kind: 'current_unknown' }
  /** Nothing is handed out: only possible where a person had the last working key revoked. */
  | { readonly kind: 'current_absent' }
  | { readonly kind: 'revoked'; readonly requestId?: string }
  | { readonly kind: 'expiring'; readonly expiresAt?: number; readonly requestId?: string }
  | { readonly kind: 'revoke_refused' }
  | { readonly kind: 'revoke_unknown' }
  /** Looked at immediately before the delete: a store has another key for current than is handed out, or a mirror has this one. */
  | { readonly kind: 'still_held'; readonly heldBy: string }
  | {
      readonly kind: 'death_probed'
      readonly listed: 'present' | 'absent' | 'unknown'
      readonly verdict: Verdict | undefined
      /** When it was answered. What the ledger takes twice, because its answer was lost, is one probe all the same. */
      readonly at?: number
    }
  | { readonly kind: 'destroyed'; readonly how?: string }
  | { readonly kind: 'destroy_failed' }
  | { readonly kind: 'forced'; readonly by: string; readonly reason?: string }
  | { readonly kind: 'taken_back'; readonly by: string }

export type RetirementEventKind = RetirementEvent['kind']

export type RetirementEffect =
  | { readonly kind: 'gather'; readonly version: VersionId; readonly keyId: KeyId }
  | { readonly kind: 'retire'; readonly version: VersionId }
  | { readonly kind: 'prove_current' }
  | { readonly kind: 'revoke'; readonly version: VersionId; readonly keyId: KeyId }
  | { readonly kind: 'probe_death'; readonly version: VersionId; readonly keyId: KeyId }
  | { readonly kind: 'destroy'; readonly version: VersionId }

/** What is known about who still uses the old key. */
export interface Evidence {
  /** Instances that have not moved on. */
  readonly holders: readonly string[]
  /** As the issuer lists it; null: never, undefined: it does not tell. */
  readonly lastUsedAt: number | null | undefined
  /** When one of our own probes last used it: use that is not theirs. */
  readonly ownProbeAt: number | undefined
  readonly isListed: boolean
  /** Another credential that holds the very same key. */
  readonly sharedWith: string | undefined
  /** The store and the mirrors that still have it for current, and those that cannot be asked. */
  readonly stores: readonly string[]
  /** Instances that are known: those on the new key, and silent ones that count as gone. */
  readonly movedOn?: readonly string[]
  readonly silent?: readonly string[]
  /** Which store and mirrors were asked. */
  readonly asked?: readonly string[]
}

export interface RetirementContext {
  readonly now: number
  readonly policy: Policy
}
