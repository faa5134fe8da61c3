import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { assert } from './core/errors.ts'
import type { Cancel, System } from './core/ports.ts'

/** The longest delay setTimeout takes; beyond it Node fires after 1 ms. */
const timeoutMsMax = 2 ** 31 - 1
const randomBytesMax = 65_536

/** The real clock, timers, randomness and hash. Everything else in `src` gets these as arguments. */
export function createSystem(): System {
  return {
    now: () => Date.now(),
    after,
    bytes(count) {
      assert(
        Number.isInteger(count) && count >= 0 && count <= randomBytesMax,
        `0 to ${randomBytesMax} random bytes are asked for at a time, not ${count}`,
      )
      return randomBytes(count)
    },
    uuid: () => randomUUID(),
    fraction,
    sha256Hex: (text) => createHash('sha256').update(text, 'utf8').digest('hex'),
  }
}

/** Milliseconds with their fractions that only ever rise, whatever is done to the clock; since some moment. */
export function elapsedMs(): number {
  return performance.now()
}

/** Longer delays than setTimeout takes are walked in parts; negative ones count as 0. */
function after(
  delayMs: number,
  callback: () => void,
  options: { readonly background?: boolean } = {},
): Cancel {
  assert(!Number.isNaN(delayMs), 'a delay is a number of milliseconds')
  let left = Math.max(0, delayMs)
  let timer: NodeJS.Timeout | undefined
  const walk = () => {
    const part = Math.min(left, timeoutMsMax)
    left -= part
    timer = setTimeout(() => {
      if (left > 0) walk()
      else callback()
    }, part)
    if (options.background === true) timer.unref()
  }
  walk()
  return () => clearTimeout(timer)
}

/** 53 random bits, as many as a double holds. */
function fraction(): number {
  const bytes = randomBytes(8)
  const high = bytes.readUInt32BE(0) >>> 11
  return (high * 2 ** 32 + bytes.readUInt32BE(4)) / 2 ** 53
}
