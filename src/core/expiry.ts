import { type Change, type ChangeContext, canMintNow, currentOf, eventOf, withRecord } from './credential.ts'
import type { CredentialState, Policy } from './types.ts'

/** Beside the overlap: time for a person to look at a rotation that did not go through. */
const mendingMs = 3 * 86_400_000
/** A key that lives for a short time only is turned when this share of its life is left. */
const marginShare = 0.25
/** A rotation that ended without a new key is not begun again at once. */
const againMs = 6 * 3_600_000

/** From when on the current key has to be turned because it expires; undefined where it does not, or nobody knows. */
export function expiryTurnAt(state: CredentialState, policy: Policy): number | undefined {
  const margin = marginOf(state, policy)
  // Of a key that was found only the store says when it expires, and whoever writes there would have keys turned at will.
  if (margin === undefined || currentOf(state)?.origin === 'found') return undefined
  const { rotation } = state
  const dueAt = margin.expiresAt - margin.ms
  const isReal = rotation?.mode !== 'rehearsal'
  const hasFailed = isReal && rotation?.endedAt !== undefined && rotation.from === state.current
  return hasFailed ? Math.max(dueAt, (rotation.endedAt ?? 0) + againMs) : dueAt
}

/** When the credential is turned by itself next: by its schedule, or earlier because the key expires. Undefined: never. */
export function nextTurnAt(state: CredentialState, policy: Policy): number | undefined {
  const isPossible = policy.storeWritable && (canMintNow(state, policy) || policy.isManual)
  if (!isPossible) return undefined
  const expiryAt = expiryTurnAt(state, policy)
  if (expiryAt === undefined) return state.nextRotationAt
  return Math.min(expiryAt, state.nextRotationAt ?? Number.POSITIVE_INFINITY)
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

function marginOf(
  state: CredentialState,
  policy: Policy,
): { readonly expiresAt: number; readonly ms: number } | undefined {
  const current = currentOf(state)
  const expiresAt = current?.meta.expiresAt
  if (current === undefined || expiresAt === undefined) return undefined
  const lifeMs = Math.max(0, expiresAt - (current.meta.createdAt ?? current.addedAt))
  return { expiresAt, ms: Math.min(lifeMs * marginShare, policy.overlapMs + mendingMs) }
}

function fixFor(state: CredentialState, policy: Policy): string {
  if (!policy.storeWritable) return 'Put a new key where this store reads it from before then.'
  return policy.canMint
    ? `See what holds its rotation up: keyturn status ${state.name}`
    : `Bring a new key before then: keyturn bring ${state.name} < key.txt`
}
