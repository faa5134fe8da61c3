/**
 * The warm path, and why it may go without a clock.
 *
 * A key that is served must not be too old, and age is a matter of clocks; but reading one for every call costs more
 * than all the rest. A timer that throws old keys away is not safe either: when a laptop sleeps or a function's machine
 * is frozen, timers stand still, and after waking the app's own code can run before the timer does.
 *
 * So the first call in each turn of the event loop looks at the clocks, and its promise is handed to the other calls of
 * that turn. `nextTurn` takes it away. It is a kept-alive `setImmediate`: the loop does not go to sleep while one is
 * pending, so a freeze can happen only after the promise was taken away (or while code is running, when the age just
 * checked is as good as any). A loop of awaits, which never ends its turn, pays for the clocks once.
 */
import { elapsedMs, type Held } from './cache.ts'
import { pause } from './deadline.ts'
import { type KeyturnClientError, toClientError } from './errors.ts'
import type { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Platform } from './platform.ts'
import type { Pulse } from './pulse.ts'
import type { OpenAICredential } from './types.ts'

export interface Serve {
  readonly key: () => Promise<string>
  readonly credential: () => Promise<OpenAICredential>
  /** A key was handed out in this turn of the event loop. */
  readonly isInUse: () => boolean
}

export interface ServeOptions {
  readonly knowledge: Knowledge
  readonly pulse: Pulse
  readonly platform: Platform
  readonly staleAfterMs: number
  /** How long a call waits for word after a sleep. */
  readonly wakeWaitMs: number
  readonly signal: AbortSignal
  /** Keyturn was told that no key is used any more. */
  readonly isAway: () => boolean
  /** Asks; resolves when that was answered or failed. */
  readonly refresh: () => Promise<void>
  /** Gets a key from scratch. */
  readonly load: () => Promise<OpenAICredential>
}

interface Promises {
  readonly of: OpenAICredential
  readonly key: Promise<string>
  readonly credential: Promise<OpenAICredential>
}

export function createServe(options: ServeOptions): Serve {
  const { knowledge, platform, signal } = options
  const load = singleFlight(options)
  let waking: Promise<void> | undefined
  let ready: Promises | undefined
  let promises: Promises | undefined
  let isTurnPending = false

  const arm = ({ credential }: Held): Promises => {
    if (promises?.of !== credential)
      promises = {
        of: credential,
        key: Promise.resolve(credential.apiKey),
        credential: Promise.resolve(credential),
      }
    ready = promises
    if (!isTurnPending) {
      isTurnPending = true
      platform.nextTurn(() => {
        isTurnPending = false
        ready = undefined
      })
    }
    return promises
  }
  knowledge.onChange(() => {
    ready = undefined
    promises = undefined
  })
  signal.addEventListener('abort', () => {
    ready = undefined
  })
  const look = async (): Promise<OpenAICredential> => {
    signal.throwIfAborted()
    if (freshness(options) === 'asleep') {
      waking ??= wake(options).finally(() => {
        waking = undefined
      })
      await waking
    }
    const held = knowledge.held()
    if (held === undefined || freshness(options) === 'stale') return await load()
    return held.credential
  }
  const warm = (): Promises | undefined => {
    const held = knowledge.held()
    return held !== undefined && !signal.aborted && freshness(options) === 'fresh' ? arm(held) : undefined
  }
  return {
    key: () => (ready ?? warm())?.key ?? look().then((credential) => credential.apiKey),
    credential: () => (ready ?? warm())?.credential ?? look(),
    isInUse: () => isTurnPending,
  }
}

/** fresh: serve it. asleep: ask first, after minutes without word or a try to get one. stale: not to be served. */
function freshness({ knowledge, pulse, staleAfterMs, isAway }: ServeOptions): 'fresh' | 'asleep' | 'stale' {
  const held = knowledge.held()
  if (held === undefined) return 'stale'
  const now = knowledge.now()
  const ageMs = elapsedMs(held.heardAt, now)
  if (ageMs >= Math.min(staleAfterMs, held.staleAfterMs)) return 'stale'
  if (isAway()) return 'asleep'
  if (ageMs < limits.freshWithinMs) return 'fresh'
  // Where Keyturn is away, tries are made all the time, and nobody is kept waiting for the next.
  const triedAt = pulse.triedAt()
  return triedAt !== undefined && elapsedMs(triedAt, now) < limits.freshWithinMs ? 'fresh' : 'asleep'
}

/** Asks, and waits a moment for the answer. Its own timer keeps the process alive for its caller. */
async function wake({ refresh, platform, signal, wakeWaitMs }: ServeOptions): Promise<void> {
  const end = new AbortController()
  const either = AbortSignal.any([signal, end.signal])
  try {
    await Promise.race([refresh(), pause(platform, wakeWaitMs, { signal: either, isBackground: false })])
  } finally {
    end.abort()
  }
}

/** One cold start for all callers; its failure is kept for a moment, so that callers do not take turns in failing. */
function singleFlight({ load, knowledge }: ServeOptions): () => Promise<OpenAICredential> {
  let flight: Promise<OpenAICredential> | undefined
  let failure: { readonly error: KeyturnClientError; readonly at: ReturnType<Knowledge['now']> } | undefined
  const start = async () => {
    try {
      return await load()
    } catch (error) {
      const known = toClientError(error, 'Getting a key failed')
      failure = { error: known, at: knowledge.now() }
      throw known
    } finally {
      flight = undefined
    }
  }
  return () => {
    if (flight !== undefined) return flight
    if (failure !== undefined && elapsedMs(failure.at, knowledge.now()) < limits.failureHeldMs)
      return Promise.reject(failure.error)
    failure = undefined
    flight = start()
    return flight
  }
}
