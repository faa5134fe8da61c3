import type { System } from '../core/ports.ts'
import type { Service } from '../engine/service.ts'
import type { ServerLimits } from './limits.ts'

export interface Waiter {
  readonly name: string
  readonly ms: number
  readonly signal: AbortSignal
  /** By its id, so that no app can take all the places. */
  readonly caller: string
}

/** Long-polls that wait for another hand-out. */
export interface Waiters {
  readonly count: number
  /**
   * Resolves when the hand-out of the credential was replaced, the time is over, the client went away (`signal`) or the
   * server stops; the caller looks again and decides. Undefined where too many wait already.
   */
  wait(waiter: Waiter): Promise<void> | undefined
  /** Everyone looks again: a change of the tokens, or the end. */
  wakeAll(): void
  close(): void
}

export function createWaiters(options: {
  readonly service: Pick<Service, 'onHandOut'>
  readonly system: System
  readonly limits: Pick<ServerLimits, 'waitersMax' | 'waitersPerTokenMax'>
}): Waiters {
  const { service, system, limits } = options
  const perCaller = new Map<string, number>()
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
    wait({ name, ms, signal, caller }) {
      const ofCaller = perCaller.get(caller) ?? 0
      if (count >= limits.waitersMax || ofCaller >= limits.waitersPerTokenMax) return undefined
      count += 1
      perCaller.set(caller, ofCaller + 1)
      return new Promise<void>((resolve) => {
        const waiting = byName.get(name) ?? new Set()
        byName.set(name, waiting)
        const finish = () => {
          if (!waiting.delete(finish)) return
          count -= 1
          const left = (perCaller.get(caller) ?? 1) - 1
          if (left === 0) perCaller.delete(caller)
          else perCaller.set(caller, left)
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
