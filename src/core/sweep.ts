import { type Change, type ChangeContext, endedMax, eventOf } from './credential.ts'
import type { CredentialState, KeyId, Sweep } from './types.ts'

/** What one look for a key brought whose minting was never answered; unknown: nobody could look, or act upon it. */
export type SweepFinding =
  | { readonly kind: 'unknown' | 'absent' }
  | { readonly kind: 'in_use' | 'revoked'; readonly keyId: KeyId }

/** Only a look after its time says that nothing landed; that nobody could look says nothing. */
export function settleSweep(
  state: CredentialState,
  marker: string,
  found: SweepFinding,
  { now, policy }: Pick<ChangeContext, 'now' | 'policy'>,
): Change {
  const open = state.openAttempts.find((one) => one.marker === marker)
  if (open === undefined) return { state, events: [] }
  const rest = state.openAttempts.filter((one) => one !== open)
  const isOver = found.kind === 'absent' ? now >= open.until : found.kind !== 'unknown'
  if (found.kind === 'unknown' || !isOver) {
    const again = { ...open, nextAt: now + policy.retryMaxMs * 5 }
    return { state: { ...state, openAttempts: [...rest, again] }, events: [] }
  }
  const sweep: Sweep = {
    marker,
    version: open.version,
    ...(open.rotation === undefined ? {} : { rotation: open.rotation }),
    outcome: found.kind,
    ...('keyId' in found ? { keyId: found.keyId } : {}),
    endedAt: now,
  }
  const sweeps = [...(state.sweeps ?? []), sweep].slice(-endedMax)
  const events =
    found.kind === 'revoked' ? [eventOf(state, 'alert', now, { code: 'stray_key_revoked', marker })] : []
  return { state: { ...state, openAttempts: rest, sweeps }, events }
}
