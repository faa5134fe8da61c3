import type { System } from '../core/ports.ts'

/** One recurring timer; the callback must not throw. */
export function every(system: System, ms: number, callback: () => void): () => void {
  let cancel = () => {}
  const arm = () => {
    cancel = system.after(
      ms,
      () => {
        arm()
        callback()
      },
      { background: true },
    )
  }
  arm()
  return () => cancel()
}

/** A clock that is read on every request and asks the system only once per tick. */
export interface CoarseClock {
  /** Epoch milliseconds, at most `coarseMs` old. */
  now: number
  stop(): void
}

export const coarseMs = 1_000

export function createCoarseClock(system: System): CoarseClock {
  const clock = { now: system.now(), stop: () => {} }
  clock.stop = every(system, coarseMs, () => {
    clock.now = system.now()
  })
  return clock
}
