import type { Beat, Cancel, Timers } from '../core/ports.ts'

const beatMs = 1_000

/** A beat for apps' own processes: a timer that does not keep them alive, instead of a scheduler that would. */
export function createBeat(timers: Timers): Beat {
  let cancel: Cancel = () => undefined
  let isStopped = false
  return {
    start(onBeat) {
      const again = (): void => {
        if (isStopped) return
        cancel = timers.after(
          beatMs,
          () => {
            onBeat()
            again()
          },
          { background: true },
        )
      }
      again()
    },
    stop() {
      isStopped = true
      cancel()
    },
  }
}
