import type { Io } from './io.ts'

/** How often the drawn times move on. */
const redrawMs = 1_000

export interface Alarm {
  /** Resolves after the delay, or as soon as it rings; a ring in between is not lost. `onPulse` is called now and then. */
  wait(delayMs: number, onPulse?: () => void): Promise<void>
  ring(): void
  cancel(): void
}

export function createAlarm(after: Io['after']): Alarm {
  let hasRung = false
  let wake: (() => void) | undefined
  return {
    async wait(delayMs, onPulse) {
      if (!hasRung) {
        await new Promise<void>((resolve) => {
          let left = delayMs
          let cancel = (): void => undefined
          const pulse = (): void => {
            const part = Math.min(left, redrawMs)
            left -= part
            cancel = after(part, () => {
              onPulse?.()
              if (left > 0) pulse()
              else wake?.()
            })
          }
          wake = () => {
            cancel()
            wake = undefined
            resolve()
          }
          pulse()
        })
      }
      hasRung = false
    },
    ring() {
      hasRung = true
      wake?.()
    },
    cancel() {
      wake?.()
    },
  }
}
