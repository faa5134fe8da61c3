import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { System } from '../../../src/core/ports.ts'
import type { StoreContext } from '../../../src/stores/index.ts'

/** The limit of a request that is to be answered: it takes milliseconds, and seconds where the machine stands still. */
export const patientMs = 20_000

let last = 0

/** The real clock (which never stands still, so that later is always greater), timers and randomness. */
export const testSystem: System = {
  now: () => {
    last = Math.max(Date.now(), last + 1)
    return last
  },
  after(delayMs, callback, options) {
    const timer = setTimeout(callback, delayMs)
    if (options?.background === true) timer.unref()
    return () => clearTimeout(timer)
  },
  bytes: (count) => randomBytes(count),
  uuid: () => randomUUID(),
  fraction: () => Math.random(),
  sha256Hex: (text) => createHash('sha256').update(text).digest('hex'),
}

export interface Recorded {
  readonly lines: string[]
  readonly warnings: string[]
}

/** A context that keeps every log line, so that a test can look for what must be there and what must not. */
export function testContext(
  home: string,
  env: Readonly<Record<string, string | undefined>> = {},
): StoreContext & Recorded {
  const lines: string[] = []
  const warnings: string[] = []
  return {
    system: testSystem,
    log: (level, message, fields) => void lines.push(JSON.stringify({ level, message, ...fields })),
    home,
    env,
    onWarning: (message) => void warnings.push(message),
    lines,
    warnings,
  }
}
