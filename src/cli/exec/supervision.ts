/**
 * When a program that was given a key is started, told and ended. Pure: `step(state, event, policy)` says what comes next
 * and what is to be done; the instant and the draw of a random number arrive with the event.
 *
 * What must hold: one program runs at a time; a generation is held until the program that was given it is gone (or was told,
 * and had time to read the new one); a program that ends by itself ends everything, with its own exit code.
 */

/** What a program was given, without the key. */
export interface Given {
  /** Equal for equal environments. */
  readonly environment: string
  readonly generation: number
}

export type Signal = NodeJS.Signals

export interface Policy {
  readonly onRotation: 'restart' | 'signal' | 'none'
  /** What tells a program that there is another key, where `onRotation` is `signal`. */
  readonly rotationSignal: Signal
  /** What asks a program to end. */
  readonly stopSignal: Signal
  /** How long it may take to end, or to read what it was told of, in milliseconds. */
  readonly graceMs: number
  /** A restart waits a random part of this, so that many programs do not restart as one, in milliseconds. */
  readonly spreadMs: number
}

export type State =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'starting'
      readonly of: Given
      readonly wanted: Given
      readonly restarts: number
      readonly tries: number
      readonly isLast: boolean
    }
  | {
      readonly kind: 'running'
      readonly of: Given
      readonly wanted: Given
      readonly startedAt: number
      /** Restarts in quick succession so far. */
      readonly restarts: number
      /** It was asked to end from outside, and may be at it: it is not restarted before this. */
      readonly quietUntil: number
    }
  | {
      readonly kind: 'stopping'
      readonly wanted: Given
      readonly restarts: number
      /** Its exit code, where it has ended and its descendants have not. */
      readonly code: number | undefined
      /** It is not started again. */
      readonly isLast: boolean
    }
  /** It could not be started again, and will be tried once more. */
  | { readonly kind: 'down'; readonly wanted: Given; readonly restarts: number; readonly tries: number }
  | { readonly kind: 'ended' }

export type Event =
  | { readonly kind: 'changed'; readonly given: Given; readonly at: number; readonly fraction: number }
  | { readonly kind: 'started'; readonly at: number }
  /** It could not be started: 127 where there is no such program, 126 where it cannot be run. */
  | { readonly kind: 'refused'; readonly code: 126 | 127 }
  /** 128 and the signal's number where a signal ended it. */
  | { readonly kind: 'exited'; readonly code: number }
  /** It and what it started in its process group are gone. */
  | { readonly kind: 'gone' }
  /** Somebody sent us a signal. `isShared`: the program got it as well, from the terminal. */
  | {
      readonly kind: 'told'
      readonly signal: Signal
      readonly number: number
      readonly isShared: boolean
      readonly at: number
    }
  | { readonly kind: 'due'; readonly at: number }
  | { readonly kind: 'overdue' }

export type Effect =
  | { readonly kind: 'start'; readonly given: Given }
  | { readonly kind: 'send'; readonly signal: Signal }
  /** SIGKILL, to all of its process group. */
  | { readonly kind: 'kill' }
  /** From now on this generation is in use, and the one before no more. */
  | { readonly kind: 'hold'; readonly generation: number }
  /** Brings the event of this name, and no earlier one of it. */
  | { readonly kind: 'wake'; readonly event: 'due' | 'overdue'; readonly afterMs: number }
  | { readonly kind: 'say'; readonly what: Said }
  | { readonly kind: 'end'; readonly code: number }

export type Said =
  | 'restart-planned'
  | 'restarting'
  | 'restarted'
  | 'signalled'
  | 'kept'
  | 'killed'
  | 'retrying'

export interface Step {
  readonly state: State
  readonly effects: readonly Effect[]
}

/** The first restart is made at once; each that follows soon waits twice as long as the one before. */
export const backoffBaseMs = 1_000
export const backoffMaxMs = 60_000
/** After this long without one, a restart counts as the first. */
export const calmMs = 600_000
/** How often a program that could not be started again is tried. */
export const startTriesMax = 5

const ending: readonly Signal[] = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP']

export const idle: State = { kind: 'idle' }

export function step(state: State, event: Event, policy: Policy): Step {
  switch (event.kind) {
    case 'changed':
      return changed(state, event, policy)
    case 'started':
      return started(state, event, policy)
    case 'refused':
      return refused(state, event.code)
    case 'exited':
      if (state.kind === 'running') return ended(event.code)
      return same(state.kind === 'stopping' ? { ...state, code: event.code } : state)
    case 'gone':
      return gone(state)
    case 'told':
      return told(state, event, policy)
    case 'due':
      return due(state, event.at, policy)
    case 'overdue':
      if (state.kind !== 'stopping') return same(state)
      return { state, effects: [{ kind: 'say', what: 'killed' }, { kind: 'kill' }] }
  }
}

function changed(state: State, event: Extract<Event, { kind: 'changed' }>, policy: Policy): Step {
  const { given: wanted } = event
  if (state.kind === 'idle') return start({ of: wanted, wanted, restarts: 0, tries: 0, isLast: false }, [])
  if (state.kind === 'ended') return same(state)
  if (state.kind !== 'running') return same({ ...state, wanted })
  const { of } = state
  if (of.environment === wanted.environment)
    return {
      state: { ...state, of: wanted, wanted },
      effects: [{ kind: 'hold', generation: wanted.generation }],
    }
  const next = { ...state, wanted }
  if (policy.onRotation === 'none') return { state: next, effects: [{ kind: 'say', what: 'kept' }] }
  if (policy.onRotation === 'signal')
    return {
      state: next,
      effects: [
        { kind: 'send', signal: policy.rotationSignal },
        { kind: 'say', what: 'signalled' },
        { kind: 'wake', event: 'due', afterMs: policy.graceMs },
      ],
    }
  // One that is planned already takes whatever is newest then.
  if (state.wanted.environment !== of.environment) return same(next)
  const restarts = event.at - state.startedAt >= calmMs ? 0 : state.restarts
  return planned({ ...next, restarts }, event.at, event.fraction * policy.spreadMs)
}

function planned(state: Extract<State, { kind: 'running' }>, at: number, spreadMs: number): Step {
  const afterMs = Math.max(spreadMs, state.startedAt + backoffMs(state.restarts) - at, 0)
  const wake: Effect = { kind: 'wake', event: 'due', afterMs }
  return { state, effects: afterMs > 0 ? [{ kind: 'say', what: 'restart-planned' }, wake] : [wake] }
}

export function backoffMs(restarts: number): number {
  return restarts === 0 ? 0 : Math.min(backoffMaxMs, backoffBaseMs * 2 ** (restarts - 1))
}

function started(state: State, { at }: { readonly at: number }, policy: Policy): Step {
  if (state.kind !== 'starting') return same(state)
  const { of, wanted, restarts, isLast } = state
  const running: Extract<State, { kind: 'running' }> = {
    kind: 'running',
    of,
    wanted,
    startedAt: at,
    restarts,
    quietUntil: isLast ? Number.POSITIVE_INFINITY : 0,
  }
  const said: readonly Effect[] = restarts > 0 ? [{ kind: 'say', what: 'restarted' }] : []
  if (isLast) return { state: running, effects: [...said, { kind: 'send', signal: policy.stopSignal }] }
  if (wanted.generation === of.generation) return { state: running, effects: said }
  // Another one came while this one was being started.
  const again = changed(
    { ...running, wanted: of },
    { kind: 'changed', given: wanted, at, fraction: 0 },
    policy,
  )
  return { state: again.state, effects: [...said, ...again.effects] }
}

function refused(state: State, code: number): Step {
  if (state.kind !== 'starting') return same(state)
  const { wanted, restarts, tries, isLast } = state
  // At the first start it is a mistake of whoever typed it; later it may be a deployment that is just replacing it.
  if (restarts === 0 || isLast || tries + 1 >= startTriesMax) return ended(code)
  return {
    state: { kind: 'down', wanted, restarts, tries: tries + 1 },
    effects: [
      { kind: 'say', what: 'retrying' },
      { kind: 'wake', event: 'due', afterMs: backoffMs(tries + 1) },
    ],
  }
}

function gone(state: State): Step {
  if (state.kind !== 'stopping') return same(state)
  const { wanted, restarts, isLast, code } = state
  if (isLast) return ended(code ?? 1)
  return start({ of: wanted, wanted, restarts: restarts + 1, tries: 0, isLast: false }, [])
}

function start(next: Omit<Extract<State, { kind: 'starting' }>, 'kind'>, effects: readonly Effect[]): Step {
  return {
    state: { kind: 'starting', ...next },
    effects: [
      ...effects,
      { kind: 'hold', generation: next.of.generation },
      { kind: 'start', given: next.of },
    ],
  }
}

function told(state: State, event: Extract<Event, { kind: 'told' }>, policy: Policy): Step {
  const { signal, number, isShared, at } = event
  const isEnding = ending.includes(signal)
  const sent: readonly Effect[] = isShared ? [] : [{ kind: 'send', signal }]
  if (state.kind === 'running') {
    if (!isEnding) return { state, effects: sent }
    // Whoever says SIGTERM means it; the others are also a reload, or an end of what was typed.
    const quietUntil = signal === 'SIGTERM' ? Number.POSITIVE_INFINITY : at + policy.graceMs
    return { state: { ...state, quietUntil: Math.max(state.quietUntil, quietUntil) }, effects: sent }
  }
  if (state.kind === 'stopping')
    return { state: { ...state, isLast: state.isLast || isEnding }, effects: sent }
  if (!isEnding) return same(state)
  if (state.kind === 'starting') return same({ ...state, isLast: true })
  return state.kind === 'ended' ? same(state) : ended(128 + number)
}

function due(state: State, at: number, policy: Policy): Step {
  if (state.kind === 'down') {
    const { wanted, restarts, tries } = state
    return start({ of: wanted, wanted, restarts, tries, isLast: false }, [])
  }
  if (state.kind !== 'running' || state.of.environment === state.wanted.environment) return same(state)
  const { wanted, restarts, quietUntil } = state
  if (policy.onRotation === 'signal')
    return {
      state: { ...state, of: wanted },
      effects: [{ kind: 'hold', generation: wanted.generation }],
    }
  if (quietUntil === Number.POSITIVE_INFINITY || policy.onRotation === 'none') return same(state)
  if (at < quietUntil) return { state, effects: [{ kind: 'wake', event: 'due', afterMs: quietUntil - at }] }
  return {
    state: { kind: 'stopping', wanted, restarts, code: undefined, isLast: false },
    effects: [
      { kind: 'say', what: 'restarting' },
      { kind: 'send', signal: policy.stopSignal },
      // One that was stopped hears of it only when it goes on.
      { kind: 'send', signal: 'SIGCONT' },
      { kind: 'wake', event: 'overdue', afterMs: policy.graceMs },
    ],
  }
}

function ended(code: number): Step {
  return { state: { kind: 'ended' }, effects: [{ kind: 'end', code }] }
}

function same(state: State): Step {
  return { state, effects: [] }
}
