import type { System } from '../core/ports.ts'
import type { RunningService } from '../engine/service.ts'

/** True as soon as everything can be handed out, false after the time given. */
export function whenReady(
  service: Pick<RunningService, 'names' | 'isInternal' | 'handOut' | 'readiness' | 'onHandOut'>,
  system: System,
  ms: number,
): Promise<boolean> {
  const missing = new Set(service.names.filter((name) => !service.isInternal(name)))
  // Of ten thousand, each that comes is one question, and not ten thousand.
  const isReady = (): boolean => {
    for (const name of missing) {
      if (service.handOut(name)?.kind !== 'available') return false
      missing.delete(name)
    }
    return service.readiness().ready
  }
  return new Promise((resolve) => {
    const end = (hasCome: boolean): void => {
      stopListening()
      cancel()
      resolve(hasCome)
    }
    const stopListening = service.onHandOut(() => {
      if (isReady()) end(true)
    })
    const cancel = system.after(ms, () => end(false))
    if (isReady()) end(true)
  })
}
