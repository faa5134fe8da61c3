import { currentOf } from './credential.ts'
import type { Blackout, CredentialState, Policy, VersionRecord } from './types.ts'

/** Beside the overlap: time for a person to look at a rotation that did not go through. */
const mendingMs = 3 * 86_400_000
/** A key that lives for a short time only is turned when this share of its life is left. */
const marginShare = 0.25
/** How long before a blackout a rotation begins that has to be over by then. */
const leadMsMax = 3_600_000

export interface ExpiryMargin {
  readonly expiresAt: number
  /** How long before it the key is to be turned. */
  readonly ms: number
}

/** Undefined where the current key does not expire, or nobody knows. */
export function marginOf(state: CredentialState, policy: Policy): ExpiryMargin | undefined {
  const current = currentOf(state)
  return current === undefined ? undefined : marginFor(current, policy)
}

/** The same for any version. */
export function marginFor(record: VersionRecord, policy: Policy): ExpiryMargin | undefined {
  const { expiresAt } = record.meta
  if (expiresAt === undefined) return undefined
  const lifeMs = Math.max(0, expiresAt - (record.meta.createdAt ?? record.addedAt))
  return { expiresAt, ms: Math.min(lifeMs * marginShare, policy.overlapMs + mendingMs) }
}

/** The same, where the issuer said when it expires: of a key that was found only the store says so, and whoever writes there. */
export function toldMarginOf(state: CredentialState, policy: Policy): ExpiryMargin | undefined {
  return currentOf(state)?.origin === 'found' ? undefined : marginOf(state, policy)
}

/** Whether a key expires in a blackout, or so soon after it that half of the time to turn it would be lost. */
export function isPressing(state: CredentialState, policy: Policy, { until }: Blackout): boolean {
  const margin = toldMarginOf(state, policy)
  return margin !== undefined && margin.expiresAt <= until + margin.ms / 2
}

/** When a key is turned for its expiry: where that falls into a blackout, after it, or before it where after is too late. */
export function dueForExpiry(
  state: CredentialState,
  policy: Policy,
  { expiresAt, ms }: ExpiryMargin,
): number {
  const dueAt = expiresAt - ms
  const blackout = policy.blackoutAt?.(dueAt)
  if (blackout === undefined) return dueAt
  if (!isPressing(state, policy, blackout)) return blackout.until
  return Math.min(dueAt, blackout.from - Math.min(leadMsMax, ms / 4))
}
