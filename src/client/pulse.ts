import type { Moment } from './cache.ts'
import { backoffMs } from './deadline.ts'
import { type KeyturnClientError, toClientError } from './errors.ts'
import type { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Cancel, Platform } from './platform.ts'
import type { Source } from './source.ts'

/** Asks in the background: when told of a change, when it is time, and again after trouble. Never keeps the process alive. */
export interface Pulse {
  /** Begins to ask at intervals. Repeating it changes nothing. */
  readonly start: () => void
  /** Breaks off what is under way and asks no more by itself until the next `start`. */
  readonly rest: () => void
  /** Resolves when a question put after this call was answered or failed; never rejects. One question at a time. */
  readonly refresh: () => Promise<void>
  readonly setLive: (isLive: boolean) => void
  readonly isLive: () => boolean
  readonly isAsking: () => boolean
  /** When a question last came to an end, well or not. */
  readonly triedAt: () => Moment | undefined
}

export interface PulseOptions {
  readonly knowledge: Knowledge
  readonly source: Source
  readonly platform: Platform
  readonly onTrouble: (error: KeyturnClientError) => void
  readonly onWell: () => void
  readonly signal: AbortSignal
}

export function createPulse(options: PulseOptions): Pulse {
  const { knowledge, source, platform, signal } = options
  let isStarted = false
  let isLive = false
  let isHolding = source.idle === 'held'
  let running: Promise<void> | undefined
  let isWanted = false
  let current: AbortController | undefined
  let held: AbortController | undefined
  let cancelTimer: Cancel = () => undefined
  let triedAt: Moment | undefined
  let failures = 0

  /** One question; answers how long to wait for the next. */
  const once = async (hold: boolean): Promise<number> => {
    const cut = new AbortController()
    const close = () => cut.abort(signal.reason)
    signal.addEventListener('abort', close, { once: true })
    current = cut
    if (hold) held = cut
    const startedAt = platform.steadyNow()
    try {
      const outcome = await knowledge.ask({
        isBackground: true,
        timeoutMs: limits.backgroundTimeoutMs,
        signal: cut.signal,
        ...(hold ? { holdSeconds: limits.holdSeconds } : {}),
      })
      failures = 0
      options.onWell()
      if (outcome === 'doubted') return limits.lowerAgainMs
      // A service that answers a held question at once without news does not hold questions.
      if (hold && outcome === 'confirmed') isHolding = platform.steadyNow() - startedAt >= limits.holdMsMin
      if (isLive) return limits.renewMs
      return isHolding ? limits.backoffBaseMs : limits.pollMs
    } catch (error) {
      // Cut short, for a question that must not wait or because the client was closed: no news and no trouble.
      if (cut.signal.aborted) return limits.pollMs
      const known = toClientError(error, 'Asking Keyturn in the background failed')
      options.onTrouble(known)
      const bounds = { baseMs: limits.backoffBaseMs, maxMs: limits.backoffMaxMs }
      return Math.max(known.retryAfterMs ?? 0, backoffMs(failures++, platform.fraction(), bounds))
    } finally {
      current = undefined
      held = undefined
      signal.removeEventListener('abort', close)
      if (!cut.signal.aborted) triedAt = knowledge.now()
    }
  }
  const run = async (hold: boolean): Promise<void> => {
    cancelTimer()
    let delayMs = await once(hold)
    // Each further round is one that somebody asked for while the last was under way.
    while (isWanted && !signal.aborted) {
      isWanted = false
      delayMs = await once(false)
    }
    isWanted = false
    running = undefined
    schedule(delayMs)
  }
  const schedule = (delayMs: number) => {
    cancelTimer()
    if (!isStarted || signal.aborted) return
    // The resolver in this process tells of every change; it is asked again only after trouble.
    if (source.idle === 'none' && failures === 0) return
    const spread = 0.8 + 0.4 * platform.fraction()
    const tick = () => {
      running ??= run(!isLive && isHolding)
    }
    cancelTimer = platform.after(delayMs * spread, tick, { background: true })
  }
  signal.addEventListener('abort', () => cancelTimer(), { once: true })
  return {
    start: () => {
      if (isStarted) return
      isStarted = true
      if (running === undefined) schedule(limits.pollMs)
    },
    rest: () => {
      isStarted = false
      isLive = false
      isWanted = false
      cancelTimer()
      current?.abort()
    },
    refresh: () => {
      if (running === undefined) running = run(false)
      else {
        isWanted = true
        held?.abort()
      }
      return running
    },
    setLive: (now) => {
      if (isLive === now) return
      isLive = now
      if (!now) {
        // Without a stream the next question must not wait for the interval of one.
        if (running === undefined) schedule(limits.backoffBaseMs)
        isHolding = source.idle === 'held'
      }
    },
    isLive: () => isLive,
    isAsking: () => running !== undefined,
    triedAt: () => triedAt,
  }
}
