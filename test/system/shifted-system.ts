import type { Cancel, System } from '../../src/core/ports.ts'
import { createSystem } from '../../src/system.ts'

/** The real system with a clock that can be put forward: what is due by then is done at once, as after a long sleep. */
export interface ShiftedSystem {
  readonly system: ReturnType<typeof createSystem>
  readonly now: () => number
  forward(ms: number): void
}

export function shiftedSystem(): ShiftedSystem {
  const real = createSystem()
  const waiting = new Set<{ readonly dueAt: number; arm(): void }>()
  let shift = 0
  const now = (): number => real.now() + shift
  const after: System['after'] = (delayMs, callback, options): Cancel => {
    let cancel: Cancel = () => undefined
    const entry = {
      dueAt: now() + delayMs,
      arm() {
        cancel()
        const run = (): void => {
          waiting.delete(entry)
          callback()
        }
        cancel = real.after(entry.dueAt - now(), run, options)
      },
    }
    waiting.add(entry)
    entry.arm()
    return () => {
      waiting.delete(entry)
      cancel()
    }
  }
  return {
    system: { ...real, now, after },
    now,
    forward(ms) {
      shift += ms
      for (const entry of waiting) entry.arm()
    },
  }
}
