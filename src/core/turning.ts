import {
  type Change,
  type ChangeContext,
  canMintNow,
  eventOf,
  handedOut,
  type NewVersion,
  openAttemptMs,
  openAttemptsMax,
  recordOf,
  withRecord,
  withVersion,
} from './credential.ts'
import { assert } from './errors.ts'
import { keyFacts } from './evidence.ts'
import { isRunning, isSparing, newRotation, pendingOf, type RotationEvent, step } from './rotation.ts'
import { end, withoutAttempts } from './rotation-moves.ts'
import { soundMeta } from './sound-meta.ts'
import { withoutSpare, withSpare } from './standby.ts'
import { takeOver } from './take-over.ts'
import {
  type CredentialState,
  isAuthentic,
  type NewCredentialEvent,
  type Policy,
  type Rotation,
  type RotationMode,
  type Steering,
  type VersionId,
  type VersionRecord,
} from './types.ts'

export function startRotation(
  state: CredentialState,
  request: {
    readonly mode: RotationMode
    readonly isCompromised: boolean
    readonly reason: string
    readonly requestedBy: string
    readonly isAutomatic: boolean
    readonly steering?: Steering
  },
  context: ChangeContext,
): Change {
  assert(!isRunning(state.rotation), 'one rotation of a credential at a time')
  const { isAutomatic, ...rest } = request
  const from = comparedWith(state, isAutomatic || request.mode === 'standby')
  const rotation = withCompromised(
    newRotation({ ...rest, id: context.uuid(), credential: state.name, from }, context),
    state,
  )
  const counted = countedAt(state, context.now)
  const automaticAt = isAutomatic ? counted : counted.slice(0, -1)
  const started = { ...state, rotation: withOld(rotation, state), automaticAt }
  return { state: started, events: [rotationEvent(started, started.rotation, context.now)] }
}

/** Starts a rotation; where a spare is being made, that walk becomes it, and the spare its new key. */
export function beginRotation(
  state: CredentialState,
  request: Parameters<typeof startRotation>[1],
  context: ChangeContext,
): Change {
  const { rotation } = state
  if (!isSparing(rotation)) return startRotation(state, request, context)
  const { requestedBy: by, reason, mode, isCompromised, isAutomatic } = request
  const { from: _from, ...rest } = rotation
  const from = comparedWith(state, isAutomatic)
  const taken: CredentialState = {
    ...state,
    rotation: from === undefined ? rest : { ...rest, from },
    ...(isAutomatic ? { automaticAt: countedAt(state, context.now) } : {}),
  }
  return mode === 'emergency'
    ? applyRotation(taken, { kind: 'emergency_asked', by, reason, isCompromised }, context)
    : applyRotation(taken, { kind: 'rotation_asked', by, reason }, context)
}

/** Writes down which key it is that was said to be in the wrong hands, when that is said. */
function withCompromised(rotation: Rotation, state: CredentialState): Rotation {
  const isNews = rotation.isCompromised && rotation.compromised === undefined && state.current !== undefined
  return isNews ? { ...rotation, compromised: state.current } : rotation
}

/** Which key `from` is, written down while it is known. */
function withOld(rotation: Rotation, state: CredentialState): Rotation {
  if (rotation.from === rotation.old?.version) return rotation
  const record = recordOf(state, rotation.from)
  return record === undefined ? rotation : { ...rotation, old: keyFacts(record) }
}

/** What the promotion will compare with. Whoever asks for a rotation after an alarm wants what was planted to be replaced. */
function comparedWith(state: CredentialState, isAutomatic: boolean): VersionId | undefined {
  const isReplacing = state.storeTrouble?.code === 'store_changed' && !isAutomatic
  return isReplacing ? state.storeCurrent : (state.current ?? state.storeCurrent)
}

/** Whether a rotation that nobody asked for may start now (bounded per day; only where it can help and is possible). */
export function mayRotateByItself(
  state: CredentialState,
  context: Pick<ChangeContext, 'now' | 'policy'>,
): boolean {
  const isFree = !isRunning(state.rotation) || isSparing(state.rotation)
  return isFree && isLeftToday(state, context)
}

function isLeftToday(
  state: CredentialState,
  { now, policy }: Pick<ChangeContext, 'now' | 'policy'>,
): boolean {
  const today = state.automaticAt.filter((at) => at > now - 86_400_000).length
  // One that is made already needs nobody to make it.
  const isPossible = canMintNow(state, policy) || (policy.canMint && isMade(state))
  return isPossible && policy.storeWritable && today < policy.automaticPerDayMax
}

/** The same, where a rotation that is halted may also be taken up again. */
export function mayTurnByItself(
  state: CredentialState,
  context: Pick<ChangeContext, 'now' | 'policy'>,
): boolean {
  const { rotation } = state
  if (!isRunning(rotation) || isSparing(rotation)) return mayRotateByItself(state, context)
  return rotation.phase === 'halted' && !rotation.paused && isLeftToday(state, context)
}

/**
 * Turns a key that nobody asked to be turned. A rotation that is halted must not stand in the way of the key that apps
 * need: it is taken up again. One that is under way goes on, in a hurry where no key is left. Undefined: nothing to do.
 */
export function turnByItself(
  state: CredentialState,
  request: Pick<Rotation, 'mode' | 'reason' | 'requestedBy'>,
  context: ChangeContext,
): Change | undefined {
  const { rotation } = state
  const { reason, requestedBy: by, mode } = request
  const hastened = { kind: 'emergency_asked', by, reason, isCompromised: false } as const
  if (mayTurnByItself(state, context)) {
    if (!isRunning(rotation) || isSparing(rotation))
      return beginRotation(state, { ...request, isCompromised: false, isAutomatic: true }, context)
    return applyRotation({ ...state, automaticAt: countedAt(state, context.now) }, hastened, context)
  }
  const isWalking =
    isRunning(rotation) && !isSparing(rotation) && rotation.phase !== 'halted' && !rotation.paused
  const isHurry =
    mode === 'emergency' && isWalking && (rotation.mode !== 'emergency' || isProven(rotation, context))
  return isHurry && context.policy.canMint ? applyRotation(state, hastened, context) : undefined
}

/** Its key answered once, and is asked again only later: it is all that there is now. */
function isProven({ phase, confirmations, wakeAt }: Rotation, { now }: ChangeContext): boolean {
  return phase === 'proving' && confirmations > 0 && wakeAt > now
}

/**
 * Keys that make each other, none of which works, and no new one that is made already and meant to stay: what is under way
 * can come to nothing, and only a person can bring another.
 */
export function isHopeless(state: CredentialState, policy: Policy): boolean {
  return policy.isSelfMinting === true && handedOut(state) === undefined && !isMade(state)
}

/** The new key of what is under way is there, and nobody has given it up. */
function isMade({ rotation }: CredentialState): boolean {
  return isRunning(rotation) && pendingOf(rotation) !== undefined && rotation.discard === undefined
}

/**
 * A person brings one: what is hopeless makes room. A key that was given up and that nothing could end is retired; it, and
 * any attempt whose answer was never seen, is left to the sweep, which ends it as soon as there is a key to do it with.
 */
export function giveUpHopeless(state: CredentialState, context: ChangeContext): Change | undefined {
  const { rotation } = state
  if (!isRunning(rotation) || rotation.phase === 'awaiting' || !isHopeless(state, context.policy))
    return undefined
  const { halt: _halt, discard: _discard, ...rest } = rotation
  const fresh = { marker: context.marker(), version: context.uuid() }
  const ended = end(rest, 'superseded', { ...context, fresh }, 'no key works that could make or end another')
  const given = pendingOf(ended)
  const attempts = ended.attempts.map((one) => (one === given ? { ...one, outcome: 'open' as const } : one))
  const retired =
    given === undefined
      ? state
      : withRecord(state, given.version, { stage: 'retired', retiredAt: context.now })
  const next = settleAttempts({ ...retired, rotation: ended }, { ...ended, attempts }, context.now)
  return { state: next, events: [rotationEvent(next, ended, context.now)] }
}

function countedAt(state: CredentialState, now: number): readonly number[] {
  return [...state.automaticAt.filter((at) => at > now - 86_400_000), now]
}

export function applyRotation(
  state: CredentialState,
  event: RotationEvent,
  context: ChangeContext,
  added?: NewVersion,
): Change {
  const before = state.rotation
  if (before === undefined) return { state, events: [] }
  const stepped = step(before, event, {
    now: context.now,
    policy: context.policy,
    fresh: { marker: context.marker(), version: context.uuid() },
    fence: state.fence,
    isOutage: handedOut(state) === undefined,
    ...(added === undefined ? {} : { added: keyFacts({ ...added, meta: soundMeta(added.meta) }) }),
  })
  if (stepped === before) return { state, events: [] }
  const rotation = withOld(
    event.kind === 'emergency_asked' ? withCompromised(stepped, state) : stepped,
    state,
  )
  let next: CredentialState = { ...state, rotation }
  if (added !== undefined) next = withVersion(next, added, context.now)
  const proven = event.kind === 'proved' ? pendingOf(before)?.version : undefined
  if (event.kind === 'proved' && proven !== undefined) {
    const isGood = isAuthentic(event.verdict.kind) && event.isOurs
    next = withRecord(next, proven, {
      verdict: event.verdict,
      checkedAt: context.now,
      ...(isGood ? { verifiedAt: context.now } : {}),
    })
  }
  next = settleAttempts(next, rotation, context.now)
  const told =
    rotation.phase !== before.phase ||
    rotation.paused !== before.paused ||
    rotation.confirmations !== before.confirmations
  const events = told ? [rotationEvent(next, rotation, context.now)] : []
  if (rotation.phase === 'halted' && before.phase !== 'halted') {
    events.push(
      eventOf(next, 'alert', context.now, {
        code: 'rotation_halted',
        summary: rotation.halt?.summary,
        fix: rotation.halt?.fix,
      }),
    )
  }
  const given = givenUp(rotation)
  if (given !== undefined && givenUp(before) === undefined) {
    const spareless = withoutSpare(next, given, context.now)
    next = spareless.state
    events.push(...spareless.events)
  }
  if (rotation.phase !== 'done') return { state: next, events }
  const ended = endRotation(next, before, rotation, context)
  return { state: ended.state, events: [...ended.events, ...events] }
}

/**
 * What became of attempts: a key that is gone is retired, whatever becomes of the rotation; and where nobody goes on, an
 * attempt whose answer was never seen is handed to the sweep, which looks for it also while the rotation is halted.
 */
function settleAttempts(state: CredentialState, rotation: Rotation, now: number): CredentialState {
  const gone = new Set(rotation.attempts.filter((one) => one.outcome === 'gone').map((one) => one.version))
  const versions = state.versions.map(
    (one): VersionRecord =>
      gone.has(one.version) && one.stage === 'pending' ? { ...one, stage: 'retired', retiredAt: now } : one,
  )
  if (rotation.phase !== 'done' && rotation.phase !== 'halted') return { ...state, versions }
  const open = rotation.attempts.filter((one) => one.outcome === 'open')
  const handedOn = open.map(({ marker, version, startedAt }) => ({
    marker,
    version,
    rotation: rotation.id,
    until: startedAt + openAttemptMs,
    nextAt: now,
  }))
  return {
    ...state,
    versions,
    rotation: open.length === 0 ? rotation : withoutAttempts(rotation, (one) => one.outcome === 'open'),
    openAttempts: [...state.openAttempts, ...handedOn].slice(-openAttemptsMax),
  }
}

/** Why the making of a spare was given up. */
function givenUp({ discard }: Rotation): Rotation['discard'] {
  return discard?.outcome === 'given_up' ? discard : undefined
}

function endRotation(
  state: CredentialState,
  before: Rotation,
  rotation: Rotation,
  context: ChangeContext,
): Change {
  if (rotation.outcome !== 'promoted' && rotation.outcome !== 'standby') return { state, events: [] }
  const to = pendingOf(before)?.version
  assert(to !== undefined, 'a promotion has a pending version')
  if (rotation.outcome === 'standby') return spareReady(withSpare(state, to, context.now), to, context)
  const by = {
    who: rotation.requestedBy,
    why: rotation.reason,
    compromised: rotation.compromised,
    rotation: rotation.id,
    isInStore: true,
  }
  return takeOver(state, to, by, context)
}

/** Where the last key has died while it was being made, nobody waits for anything else. */
function spareReady(state: CredentialState, to: VersionId, context: ChangeContext): Change {
  if (handedOut(state) !== undefined) return { state, events: [] }
  const by = { who: 'failover', why: 'a spare is ready, and nothing else is handed out', isInStore: false }
  return takeOver(state, to, by, context)
}

export function rotationEvent(state: CredentialState, rotation: Rotation, now: number): NewCredentialEvent {
  const { id, phase, mode, confirmations } = rotation
  return eventOf(state, 'rotation', now, {
    id,
    phase,
    mode,
    confirmations,
    outcome: rotation.outcome ?? null,
    paused: rotation.paused,
  })
}
