import type { System } from '../../../src/core/ports.ts'
import { testSystem } from './system.ts'

/** What a store asks for is a second or more, and is kept to. */
const skippedMsMax = 999

/** The real clock, but for short pauses, such as those between two looks at a claim: they end at once, and it is as late as after them. */
export function skippingPauses(): System {
  let skippedMs = 0
  return {
    ...testSystem,
    now: () => testSystem.now() + skippedMs,
    after(delayMs, callback, options) {
      if (options?.background === true || delayMs > skippedMsMax)
        return testSystem.after(delayMs, callback, options)
      skippedMs += Math.ceil(delayMs)
      return testSystem.after(0, callback)
    },
  }
}
