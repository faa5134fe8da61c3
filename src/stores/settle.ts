import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'

export interface SettleOptions {
  /** Failures that are lived through; the one after is thrown. */
  readonly failuresMax: number
  /** What somebody else's write may cost in rounds. */
  readonly conflictsMax?: number
}

/** Over all rounds of one call: none begins later than this. */
const callTimeoutMs = 30_000
const conflictsMaxDefault = 50
const failurePauseMs = { base: 50, max: 1_000 }
/** A lost compare-and-swap means that somebody got on: only those who collide again and again have to part. */
const conflictPauseMs = { base: 2, max: 100 }

/**
 * Rounds until one is done. A round that returns undefined lost to somebody else's write and begins anew with what is
 * there now; one that failed in a way that may pass is tried again, having begun with "already done?", so that nothing
 * happens twice however many answers get lost. Pauses are jittered and honour what the store asked for.
 */
export async function settle<Result>(
  ref: string,
  system: System,
  { failuresMax, conflictsMax = conflictsMaxDefault }: SettleOptions,
  round: () => Promise<{ readonly done: Result } | undefined>,
): Promise<Result> {
  const untilAt = system.now() + callTimeoutMs
  let failures = 0
  let last: KeyturnError | undefined
  for (let conflicts = 0; conflicts < conflictsMax; ) {
    let pauseMs = spread(conflictPauseMs, conflicts, system)
    try {
      const outcome = await round()
      if (outcome !== undefined) return outcome.done
      conflicts += 1
    } catch (thrown) {
      failures += 1
      if (!(thrown instanceof KeyturnError && thrown.retryable) || failures > failuresMax) throw thrown
      last = thrown
      pauseMs = Math.max(thrown.retryAfterMs ?? 0, spread(failurePauseMs, failures, system))
    }
    if (system.now() + pauseMs > untilAt) break
    await new Promise<void>((resolve) => void system.after(pauseMs, resolve))
  }
  if (last !== undefined) throw last
  throw new KeyturnError('store_conflict', `${ref} is being changed by others all the time.`, {
    fix: 'Find out who writes to it that often; nothing was changed, and it is tried again.',
    retryable: true,
  })
}

function spread(
  { base, max }: { readonly base: number; readonly max: number },
  round: number,
  system: System,
): number {
  return Math.min(base * 2 ** Math.min(round, 10), max) * system.fraction()
}
