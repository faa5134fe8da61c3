import type { System } from '../../../src/core/ports.ts'
import type { HttpFaults } from './http-faults.ts'
import { testSystem } from './system.ts'

/**
 * For a client that gives up what gets no answer, and nothing else: the limit of its call is over once the server has taken the
 * request that it holds back. By the clock, a machine that stands still has sent nothing when the limit is over.
 */
export function impatience(faults: Pick<HttpFaults, 'onHeld'>): System {
  const limits = new Set<() => void>()
  faults.onHeld(() => void arrivals().then(() => [...limits].at(-1)?.()))
  return {
    ...testSystem,
    after(delayMs, callback, options) {
      if (options?.background !== true) return testSystem.after(delayMs, callback, options)
      const end = (): void => {
        cancel()
        callback()
      }
      const stop = testSystem.after(delayMs, end, options)
      const cancel = (): void => {
        limits.delete(end)
        stop()
      }
      limits.add(end)
      return cancel
    },
  }
}

/** Some turns of the event loop: what was sent to a server in this process has been read there, and carried out. */
export async function arrivals(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise<void>((resolve) => void setImmediate(resolve))
}
