import type { OpenClient } from '../../client/create-client.ts'
import type { OpenAICredential } from '../../client/types.ts'
import { assert } from '../../core/errors.ts'
import type { Cancel } from '../../core/ports.ts'
import { farewell } from '../farewell.ts'
import { environmentOf } from './environment.ts'
import type { Program, ProgramEvents } from './program.ts'
import { type Effect, type Event, idle, type Policy, type Said, type Signal, step } from './supervision.ts'

export interface SuperviseOptions {
  readonly open: Pick<OpenClient, 'held' | 'onChange' | 'use'>
  /** What is held at the start. */
  readonly first: OpenAICredential
  readonly policy: Policy
  readonly start: (credential: OpenAICredential, events: ProgramEvents) => void
  readonly onSignal: (callback: (signal: Signal) => void) => Cancel
  readonly numberOf: (signal: Signal) => number
  /** Whether the program gets it as well, without us. */
  readonly isShared: (signal: Signal) => boolean
  readonly stopSelf: () => void
  /** Whether, once it is gone, nothing is left that it started, as far as can be told. */
  readonly isNobodyLeft: () => boolean
  /** Says that nothing uses the key any more. */
  readonly leave: () => Promise<void>
  readonly now: () => number
  /** Uniform in [0, 1). */
  readonly fraction: () => number
  readonly after: (delayMs: number, callback: () => void) => Cancel
  readonly say: (what: Said, about: Telling) => void
}

export interface Telling {
  readonly credential: OpenAICredential
  readonly pid: number | undefined
}

export interface Ending {
  readonly code: number
  /** Why it could not be started, where it was not. */
  readonly errno: string | undefined
}

/** Runs a program on the current key for as long as it wants to run. */
export async function supervise(options: SuperviseOptions): Promise<Ending> {
  const { open, policy, now, after } = options
  let state = idle
  let newest = options.first
  let program: Program | undefined
  let errno: string | undefined
  let release: Cancel = () => undefined
  const timers = new Map<string, Cancel>()
  const events: Event[] = []
  let isAtWork = false
  let onEnd: (code: number) => void = () => undefined
  const end = new Promise<number>((resolve) => {
    onEnd = resolve
  })

  const dispatch = (event: Event): void => {
    events.push(event)
    if (isAtWork) return
    isAtWork = true
    for (let next = events.shift(); next !== undefined; next = events.shift()) {
      const { state: after, effects } = step(state, next, policy)
      state = after
      for (const effect of effects) perform(effect)
    }
    isAtWork = false
  }
  const perform = (effect: Effect): void => {
    switch (effect.kind) {
      case 'start':
        assert(effect.given.environment === environmentOf(newest), 'a program gets the newest key')
        errno = undefined
        options.start(newest, programEvents)
        return
      case 'send':
        program?.send(effect.signal)
        return
      case 'kill':
        program?.kill()
        return
      case 'hold': {
        const before = release
        release = open.use(effect.generation)
        before()
        return
      }
      case 'wake': {
        const { event } = effect
        timers.get(event)?.()
        const wake = (): void => dispatch(event === 'due' ? { kind: event, at: now() } : { kind: event })
        timers.set(event, after(effect.afterMs, wake))
        return
      }
      case 'say':
        options.say(effect.what, { credential: newest, pid: program?.pid })
        return
      case 'end':
        onEnd(effect.code)
    }
  }
  const programEvents: ProgramEvents = {
    onStarted: (started) => {
      program = started
      dispatch({ kind: 'started', at: now() })
    },
    onRefused: ({ code, errno: reason }) => {
      errno = reason
      dispatch({ kind: 'refused', code })
    },
    onExited: (code) => dispatch({ kind: 'exited', code }),
    onGone: () => {
      program = undefined
      dispatch({ kind: 'gone' })
    },
  }
  const take = (credential: OpenAICredential): void => {
    newest = credential
    const given = { environment: environmentOf(credential), generation: credential.generation }
    dispatch({ kind: 'changed', given, at: now(), fraction: options.fraction() })
  }
  const ignoreSignals = options.onSignal((signal) => {
    const isShared = options.isShared(signal)
    dispatch({ kind: 'told', signal, number: options.numberOf(signal), isShared, at: now() })
    if (signal === 'SIGTSTP') options.stopSelf()
  })
  const ignoreChanges = open.onChange(() => {
    // One that was withdrawn is no reason to end a program: it may have other things to do, and another key may come.
    const current = open.held()
    if (current !== undefined) take(current)
  })
  take(open.held() ?? options.first)
  const code = await end
  ignoreChanges()
  for (const cancel of timers.values()) cancel()
  // What is left of it may still use the key, though its own end has ended everything here.
  program?.letGo()
  if (program === undefined && options.isNobodyLeft()) {
    release()
    await farewell(options.leave, after)
  }
  ignoreSignals()
  return { code, errno }
}
