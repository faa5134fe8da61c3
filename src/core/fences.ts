import type { CredentialState } from './types.ts'

/** A day in milliseconds, of which a fence has fewer than one for each claim: none further ahead was given out. */
export const fenceAheadMax = 86_400_000

/**
 * The state with its fence raised to the highest that a store has seen. A ledger that was lost after the clock was set
 * back, or one from a backup, begins below it, and a store takes every change for one that comes too late. One that is
 * more than a day ahead of the clock nobody gave out; it is not believed, and the store goes on refusing with its reason.
 * The very same object where there is nothing to raise.
 */
export function aboveFence(state: CredentialState, seen: number, now: number): CredentialState {
  const isTrusted = Number.isSafeInteger(seen) && seen <= now + fenceAheadMax
  return isTrusted && seen > state.fence ? { ...state, fence: seen } : state
}
