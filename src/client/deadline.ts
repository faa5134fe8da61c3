import { KeyturnClientError } from './errors.ts'
import type { Cancel, Platform } from './platform.ts'

export interface Deadline {
  readonly signal: AbortSignal
  /** Starts the time anew. */
  readonly extend: () => void
  readonly end: Cancel
}

/** A signal that fires after `timeoutMs` with a `timeout` error, or with `parent`. Always `end()` it. */
export function startDeadline(
  platform: Pick<Platform, 'after'>,
  options: { timeoutMs: number; isBackground: boolean; parent?: AbortSignal; what: string },
): Deadline {
  const controller = new AbortController()
  const { timeoutMs, isBackground, parent, what } = options
  const expire = () =>
    controller.abort(
      new KeyturnClientError('timeout', `${what} did not answer within ${timeoutMs} ms.`, {
        retryable: true,
      }),
    )
  const start = () => platform.after(timeoutMs, expire, { background: isBackground })
  const follow = () => controller.abort(parent?.reason)
  let cancel = start()
  if (parent?.aborted === true) follow()
  else parent?.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    extend: () => {
      cancel()
      cancel = start()
    },
    end: () => {
      cancel()
      parent?.removeEventListener('abort', follow)
    },
  }
}

/** Waits, or rejects with the signal's reason as soon as it fires. */
export function pause(
  platform: Pick<Platform, 'after'>,
  delayMs: number,
  options: { signal: AbortSignal; isBackground: boolean },
): Promise<void> {
  const { signal, isBackground } = options
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error)
      return
    }
    const stop = () => {
      cancel()
      reject(signal.reason as Error)
    }
    const cancel = platform.after(
      delayMs,
      () => {
        signal.removeEventListener('abort', stop)
        resolve()
      },
      { background: isBackground },
    )
    signal.addEventListener('abort', stop, { once: true })
  })
}

/** The promise, or a rejection with the signal's reason, whichever is first. The promise goes on by itself. */
export function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const end = () => signal.removeEventListener('abort', stop)
    promise.then(
      (value) => {
        end()
        resolve(value)
      },
      (error: unknown) => {
        end()
        reject(error)
      },
    )
  })
}

/** Resolves when the promise has, or after the time; rejects as it does. The promise goes on by itself. */
export async function within(
  platform: Pick<Platform, 'after'>,
  limitMs: number,
  promise: Promise<unknown>,
): Promise<void> {
  const limit = Promise.withResolvers<void>()
  const cancel = platform.after(limitMs, () => limit.resolve())
  try {
    await Promise.race([promise, limit.promise])
  } finally {
    cancel()
  }
}

/** Full jitter: anything up to a bound that doubles with each try, so that a fleet does not come back as one. */
export function backoffMs(
  attempt: number,
  fraction: number,
  bounds: { baseMs: number; maxMs: number },
): number {
  const bound = Math.min(bounds.maxMs, bounds.baseMs * 2 ** Math.min(attempt, 30))
  // Half of it is certain: a try that follows at once helps nobody.
  return bound / 2 + (bound / 2) * fraction
}
