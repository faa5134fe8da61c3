import { heldUntil } from './blackout.ts'
import { type Change, type ChangeContext, canMintNow, currentOf, eventOf, withRecord } from './credential.ts'
import { dueForExpiry, marginOf, toldMarginOf } from './expiry-margin.ts'
import type { CredentialState, Policy } from './types.ts'

/** A rotation that ended without a new key is not begun again at once. */
const againMs = 6 * 3_600_000

/** From when on the current key has to be turned because it expires; undefined where it does not, or nobody knows. */
export function expiryTurnAt(state: CredentialState, policy: Policy): number | undefined {
  const margin = toldMarginOf(state, policy)
  if (margin === undefined) return undefined
  const { rotation } = state
  const dueAt = dueForExpiry(state, policy, margin)
  // A rehearsal and the making of a spare turn nothing, whatever becomes of them.
  const isReal = rotation?.mode !== 'rehearsal' && rotation?.mode !== 'standby'
  const hasFailed = isReal && rotation?.endedAt !== undefined && rotation.from === state.current
  return hasFailed ? Math.max(dueAt, (rotation.endedAt ?? 0) + againMs) : dueAt
}

/**
 * When the credential is turned by itself next: by its schedule, or earlier because the key expires. Undefined: never. What
 * falls into a blackout comes after it, and what was missed is not caught up in one.
 */
export function nextTurnAt(
  state: CredentialState,
  policy: Policy,
  now = Number.NEGATIVE_INFINITY,
): number | undefined {
  const isPossible = policy.storeWritable && (canMintNow(state, policy) || policy.isManual)
  if (!isPossible) return undefined
  const expiryAt = expiryTurnAt(state, policy) ?? Number.POSITIVE_INFINITY
  const at = Math.min(expiryAt, scheduledAt(state, policy) ?? Number.POSITIVE_INFINITY)
  if (at === Number.POSITIVE_INFINITY) return undefined
  return heldUntil(state, policy, Math.max(at, now)) ?? at
}

/** After a blackout as far from its end as it would have been from its occurrence, so that not all come at once. */
function scheduledAt(state: CredentialState, policy: Policy): number | undefined {
  const { nextRotationAt: at, lastScheduledAt } = state
  if (at === undefined) return undefined
  const freeAt = heldUntil(state, policy, at)
  return freeAt === undefined ? at : freeAt + Math.max(0, at - (lastScheduledAt ?? at))
}

export interface ExpiryTrouble {
  readonly since: number
  readonly summary: string
  readonly fix: string
}

/** The key expires soon and nothing has turned it: where Keyturn could, it has had half of the time for it. */
export function expiryTrouble(
  state: CredentialState,
  policy: Policy,
  now: number,
): ExpiryTrouble | undefined {
  const margin = marginOf(state, policy)
  if (margin === undefined) return undefined
  const since = margin.expiresAt - (policy.canMint && policy.storeWritable ? margin.ms / 2 : margin.ms)
  if (now < since) return undefined
  const when = new Date(margin.expiresAt).toISOString()
  const summary =
    now < margin.expiresAt
      ? `The key of ${state.name} expires at ${when}.`
      : `The key of ${state.name} expired at ${when}.`
  return { since: Math.round(since), summary, fix: fixFor(state, policy) }
}

/** Tells it once for each key. */
export function alertExpiry(state: CredentialState, { now, policy }: ChangeContext): Change {
  const current = currentOf(state)
  const trouble = expiryTrouble(state, policy, now)
  if (current === undefined || current.isExpiryAlerted === true || trouble === undefined)
    return { state, events: [] }
  const { summary, fix } = trouble
  const alerted = withRecord(state, current.version, { isExpiryAlerted: true })
  const data = { code: 'key_expiring', version: current.version, summary, fix }
  return { state: alerted, events: [eventOf(alerted, 'alert', now, data)] }
}

function fixFor(state: CredentialState, policy: Policy): string {
  if (!policy.storeWritable) return 'Put a new key where this store reads it from before then.'
  return policy.canMint
    ? `See what holds its rotation up: keyturn status ${state.name}`
    : `Bring a new key before then: keyturn bring ${state.name} < key.txt`
}
