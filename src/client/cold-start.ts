import { elapsedMs } from './cache.ts'
import { backoffMs, pause } from './deadline.ts'
import { KeyturnClientError, toClientError } from './errors.ts'
import type { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Platform } from './platform.ts'
import type { OpenAICredential } from './types.ts'

export interface ColdStart {
  readonly knowledge: Knowledge
  readonly platform: Platform
  readonly credential: string
  readonly timeoutMs: number
  readonly staleAfterMs: number
  /** A 429 of the service ends the wait. */
  readonly isThrottleFinal?: boolean
  /** Told once where it takes longer than a moment: what was wrong with the last try, where one has failed, and how much time is left. */
  readonly onWaiting?: ((waiting: Waiting) => void) | undefined
  /** Fires when the client is closed. */
  readonly signal: AbortSignal
}

export interface Waiting {
  readonly error: KeyturnClientError | undefined
  readonly leftMs: number
}

/** Tries of one cold start; the time runs out long before, unless the service answers at once each time. */
const triesMax = 50
const backoff = { baseMs: limits.backoffBaseMs, maxMs: 2_000 }

/** Gets a key that may be served, with retries, within `timeoutMs`. Every caller that waits shares one of these. */
export async function coldStart(options: ColdStart): Promise<OpenAICredential> {
  const { platform, timeoutMs, onWaiting } = options
  const tries: Tries = { last: undefined }
  const cancel = platform.after(
    limits.waitToldMs,
    () => onWaiting?.({ error: tries.last, leftMs: timeoutMs - limits.waitToldMs }),
    { background: true },
  )
  try {
    return await tryOnAndOn(options, tries)
  } finally {
    cancel()
  }
}

interface Tries {
  /** What the last one failed with. */
  last: KeyturnClientError | undefined
}

async function tryOnAndOn(options: ColdStart, tries: Tries): Promise<OpenAICredential> {
  const { knowledge, platform, timeoutMs, isThrottleFinal, signal } = options
  const startedAt = knowledge.now()
  const leftMs = () => timeoutMs - elapsedMs(startedAt, knowledge.now())
  for (let attempt = 0; attempt < triesMax && leftMs() > 0; attempt += 1) {
    try {
      // Half of the time at most for one try: a connection that hangs leaves time for one that does not.
      const tryMs = Math.max(1, Math.min(leftMs(), timeoutMs / 2))
      await knowledge.ask({ isBackground: false, isHeldRefused: true, timeoutMs: tryMs, signal })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const last = toClientError(error, 'Asking for a key failed')
      tries.last = last
      if (!last.retryable || (isThrottleFinal === true && last.code === 'too_many_requests')) break
    }
    const usable = usableNow(options)
    if (usable !== undefined) return usable
    const askedMs = tries.last?.retryAfterMs
    // "At once" is heeded no more than a service in trouble can bear.
    const delayMs =
      askedMs === undefined
        ? backoffMs(attempt, platform.fraction(), backoff)
        : Math.max(askedMs, limits.backoffBaseMs)
    if (delayMs >= leftMs()) break
    await pauseUntilChange(options, delayMs)
    const arrived = usableNow(options)
    if (arrived !== undefined) return arrived
  }
  throw finalError(options, tries.last)
}

/** The key at hand, unless it is too old: the event stream may bring one while the cold start waits. */
function usableNow({ knowledge, staleAfterMs }: ColdStart): OpenAICredential | undefined {
  const held = knowledge.held()
  if (held === undefined) return undefined
  const ageMs = elapsedMs(held.heardAt, knowledge.now())
  return ageMs < Math.min(staleAfterMs, held.staleAfterMs) ? held.credential : undefined
}

async function pauseUntilChange({ knowledge, platform, signal }: ColdStart, delayMs: number): Promise<void> {
  const change = new AbortController()
  const stop = knowledge.onChange(() => change.abort())
  try {
    await pause(platform, delayMs, { signal: AbortSignal.any([signal, change.signal]), isBackground: false })
  } catch (error) {
    if (!change.signal.aborted || signal.aborted) throw error
  } finally {
    stop()
  }
}

function finalError(
  { knowledge, credential, timeoutMs }: ColdStart,
  last: KeyturnClientError | undefined,
): KeyturnClientError {
  const error =
    last ??
    new KeyturnClientError('timeout', `No key for "${credential}" within ${timeoutMs} ms.`, {
      retryable: true,
    })
  const held = knowledge.held()
  if (held === undefined) return error
  const days = Math.floor(elapsedMs(held.heardAt, knowledge.now()) / 86_400_000)
  return new KeyturnClientError(
    error.code,
    `The key for "${credential}" was last confirmed ${days} days ago, which is too long to go on with it. ${error.message}`,
    {
      retryable: error.retryable,
      cause: error,
      ...(error.status === undefined ? {} : { status: error.status }),
    },
  )
}
