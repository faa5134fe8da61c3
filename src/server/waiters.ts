import type { System } from '../core/ports.ts'
import type { Service } from '../engine/service.ts'

/** Long-polls that wait for another hand-out. */
export interface Waiters {
  readonly count: number
  /**
   * Resolves when the hand-out of the credential was replaced, the time is over, the client went away (`signal`) or the
   * server stops; the caller looks again and decides. Undefined where too many wait already.
   */
  wait(name: string, ms: number, signal: AbortSignal): Promise<void> | undefined
  /** Everyone looks again: a change of the tokens, or the end. */
  wakeAll(): void
  close(): void
}

export function createWaiters(options: {
  readonly service: Pick<Service, 'onHandOut'>
  readonly system: System
  readonly waitersMax: number
}): Waiters {
  const { service, system, waitersMax } = options
  const byName = new Map<string, Set<() => void>>()
  let count = 0

  const wake = (name: string) => {
    for (const finish of byName.get(name) ?? []) finish()
  }
  const stopListening = service.onHandOut(wake)

  return {
    get count() {
      return count
    },
    wait(name, ms, signal) {
      if (count >= waitersMax) return undefined
      count += 1
      return new Promise<void>((resolve) => {
        const waiting = byName.get(name) ?? new Set()
        byName.set(name, waiting)
        const finish = () => {
          if (!waiting.delete(finish)) return
          count -= 1
          cancelTimer()
          signal.removeEventListener('abort', finish)
          resolve()
        }
        waiting.add(finish)
        const cancelTimer = system.after(ms, finish, { background: true })
        signal.addEventListener('abort', finish)
        if (signal.aborted) finish()
      })
    },
    wakeAll() {
      for (const name of byName.keys()) wake(name)
    },
    close() {
      stopListening()
      for (const name of byName.keys()) wake(name)
    },
  }
}
