import type { System } from '../../../src/core/ports.ts'
import { testSystem } from './system.ts'

export interface ManualClock {
  readonly system: System
  /** Moves the clock on, and calls back what became due on the way. */
  pass(ms: number): void
  /** How long until each background timer that is still set. */
  pending(): readonly number[]
}

/**
 * A clock that a test moves. Background timers (renewals, limits) go by it; pauses that somebody waits for end at once, so
 * that nothing sleeps.
 */
export function manualClock(): ManualClock {
  let now = 1_795_000_000_000
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>()
  return {
    system: {
      ...testSystem,
      now: () => now,
      after(delayMs, callback, options) {
        if (options?.background !== true) return testSystem.after(0, callback)
        const timer = { at: now + delayMs, callback }
        timers.add(timer)
        return () => void timers.delete(timer)
      },
    },
    pass(ms) {
      now += ms
      for (const timer of [...timers].sort((one, other) => one.at - other.at)) {
        if (timer.at > now || !timers.delete(timer)) continue
        timer.callback()
      }
    },
    pending: () => [...timers].map(({ at }) => at - now),
  }
}
