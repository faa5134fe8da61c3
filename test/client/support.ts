import { expect, onTestFinished } from 'vitest'
import {
  type ClientOptions,
  createClient,
  type KeyturnClient,
  KeyturnClientError,
  type Platform,
} from '../../src/index.ts'
import { type FakeService, startFakeService } from './fake-service.ts'

/** A client of a fake service; both end with the test. */
export function clientOf(
  service: Pick<FakeService, 'url' | 'token'>,
  options: ClientOptions = {},
): KeyturnClient {
  const client = createClient({
    url: service.url,
    token: service.token,
    env: {},
    onError: () => undefined,
    ...options,
  })
  onTestFinished(() => client.close())
  return client
}

export async function serviceForTest(...options: Parameters<typeof startFakeService>): Promise<FakeService> {
  const service = await startFakeService(...options)
  onTestFinished(() => service.close())
  return service
}

/** The KeyturnClientError that a promise ends in. */
export async function errorOf(promise: Promise<unknown>): Promise<KeyturnClientError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(KeyturnClientError)
  return thrown as KeyturnClientError
}

export interface Hand {
  readonly platform: Partial<Platform>
  /** Lets time pass: timers that are due are called in their order. */
  advance(ms: number): void
  /** Lets time pass without any timer being called, as for a process that is frozen. */
  freeze(ms: number): void
  /** Resolves when a timer of at least this delay is set, now or later. */
  timer(atLeastMs: number): Promise<void>
  readonly timers: () => readonly number[]
}

/** Time in the hands of a test. */
export function handTime({ isSteadyFrozen = false }: { isSteadyFrozen?: boolean } = {}): Hand {
  let at = 1_000_000
  let steady = 1_000
  const timers = new Set<{ readonly dueAt: number; readonly delayMs: number; readonly call: () => void }>()
  const waiting = new Set<() => void>()
  return {
    platform: {
      now: () => at,
      steadyNow: () => steady,
      fraction: () => 0.5,
      after: (delayMs, call) => {
        const timer = { dueAt: at + delayMs, delayMs, call }
        timers.add(timer)
        for (const listener of waiting) listener()
        return () => timers.delete(timer)
      },
    },
    advance(ms) {
      const end = at + ms
      for (;;) {
        const due = [...timers].filter((timer) => timer.dueAt <= end).sort((a, b) => a.dueAt - b.dueAt)[0]
        if (due === undefined) break
        timers.delete(due)
        steady += Math.max(0, due.dueAt - at)
        at = Math.max(at, due.dueAt)
        due.call()
      }
      steady += end - at
      at = end
    },
    freeze(ms) {
      at += ms
      if (!isSteadyFrozen) steady += ms
    },
    timer: (atLeastMs) =>
      new Promise((resolve) => {
        const look = () => {
          if (![...timers].some((timer) => timer.delayMs >= atLeastMs)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    timers: () => [...timers].map((timer) => timer.delayMs),
  }
}

/** The end of this turn of the event loop. */
export function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Lets time pass in small steps, one per turn of the event loop, until this is true. The steps are small against every
 * timeout, so that what goes over the wire in between has the turns it needs.
 */
export async function drive(hand: Hand, holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    hand.advance(10)
    await turnOfLoop()
  }
}
