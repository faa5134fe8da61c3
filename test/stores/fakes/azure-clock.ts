import type { System } from '../../../src/core/ports.ts'
import { type Recorded, testContext, testSystem } from './system.ts'

export interface HurriedClock {
  readonly context: ReturnType<typeof testContext> & Recorded
  now(): number
  /** Also ends what has a limit until then. */
  advance(ms: number): void
}

/**
 * Pauses end at once, and the clock has moved on by them; limits of requests fire when the clock has come to them. Far
 * behind the vault's own clock, so that nothing counts as dead because of its age.
 */
export function hurriedClock(bytes: System['bytes'] = (count) => testSystem.bytes(count)): HurriedClock {
  const limits = new Set<{ readonly at: number; readonly callback: () => void }>()
  let now = Date.now() - 86_400_000
  const advance = (ms: number): void => {
    now += ms
    for (const limit of limits) {
      if (limit.at > now) continue
      limits.delete(limit)
      limit.callback()
    }
  }
  const system: System = {
    ...testSystem,
    bytes,
    now: () => (now += 1),
    after(delayMs, callback, options) {
      if (options?.background !== true) {
        advance(delayMs)
        return testSystem.after(0, callback)
      }
      const limit = { at: now + delayMs, callback }
      limits.add(limit)
      return () => void limits.delete(limit)
    },
  }
  return { context: { ...testContext('.'), system }, now: () => now, advance }
}

/** Where requests of others have to be waited for. */
export function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
