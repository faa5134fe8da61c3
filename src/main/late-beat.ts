import type { Beat, Cancel, Timers } from '../core/ports.ts'

/** By then the first key has been handed out, unless the issuer is slow, and a beat helps nothing against that. */
const delayMs = 1_000

/**
 * A beat that begins late: what it runs on takes time to load, and whatever is due at the start is done without it.
 */
export function lateBeat(beat: Beat, timers: Timers): Beat {
  let cancel: Cancel = () => undefined
  return {
    start(onBeat) {
      cancel = timers.after(delayMs, () => beat.start(onBeat), { background: true })
    },
    stop() {
      cancel()
      beat.stop()
    },
  }
}
