import { askedEvidence, type Note } from './evidence.ts'
import type { RotationContext, RotationEvent } from './rotation-events.ts'
import { deadlineOf, end, enter, noted, pendingOf, startProving, withoutAttempts } from './rotation-moves.ts'
import { furtherOf, isUsedUp } from './steering.ts'
import type { Discard, Reach, Rotation } from './types.ts'

/** What people ask of a rotation, in whatever phase it is; undefined for events that nobody asked for. */
export function stepAsked(
  rotation: Rotation,
  event: RotationEvent,
  context: RotationContext,
): Rotation | undefined {
  switch (event.kind) {
    case 'pause_asked':
      if (rotation.phase === 'done' || rotation.paused) return rotation
      return noted({ ...rotation, paused: true }, context, asked('paused', event.by))
    case 'resume_asked':
      return resume(rotation, event.by, context)
    case 'steered':
      return goFurther(rotation, event, context)
    case 'abort_asked':
      return abort(rotation, event.by, context)
    case 'emergency_asked':
      return hasten(rotation, { ...event, mode: 'emergency' }, context)
    case 'rotation_asked':
      if (rotation.mode !== 'standby') return rotation
      return hasten(rotation, { ...event, mode: 'normal', isCompromised: false }, context)
    default:
      return undefined
  }
}

function asked(what: string, by: string): Note {
  return { text: `${what} by ${by}`, evidence: askedEvidence({ by }) }
}

function resume(rotation: Rotation, by: string, context: RotationContext): Rotation {
  if (rotation.phase === 'halted') return reenter(rotation, context, asked('resumed', by))
  if (!rotation.paused || rotation.phase === 'done') return rotation
  const rested = {
    ...rotation,
    paused: false,
    wakeAt: context.now,
    deadlineAt: deadlineOf(rotation.phase, context),
  }
  return noted(rested, context, asked('resumed', by))
}

/** What was allowed once stays allowed: steps come late, twice and in any order. Whatever halted it is tried anew. */
function goFurther(
  rotation: Rotation,
  event: { readonly by: string; readonly upTo: Reach },
  context: RotationContext,
): Rotation {
  const { steering, phase } = rotation
  if (steering === undefined || phase === 'done' || isUsedUp(rotation)) return rotation
  const upTo = furtherOf(steering.upTo, event.upTo)
  if (phase === 'halted')
    return reenter(
      { ...rotation, steering: { ...steering, upTo } },
      context,
      asked('taken up again', event.by),
    )
  if (upTo === steering.upTo) return rotation
  const further = { ...rotation, steering: { ...steering, upTo }, deadlineAt: deadlineOf(phase, context) }
  return noted(further, context, asked(`may go on until it is ${upTo}: asked for`, event.by))
}

/**
 * Takes up a halted rotation where its facts say: a staged key is proven again, or discarded to the end where that was
 * begun; only where there is none are open attempts reconciled, since going on from there means to mint another.
 */
function reenter(rotation: Rotation, context: RotationContext, note: Note): Rotation {
  const { halt: _halt, ...rest } = { ...rotation, paused: false }
  const from = rotation.halt?.from
  if (pendingOf(rotation) === undefined) {
    if (rotation.attempts.some((one) => one.outcome === 'open'))
      return enter(rest, 'reconciling', context, note)
    const { discard: _discard, ...fresh } = rest
    // What a person brought and what did not work is followed by what that person brings next.
    const wasBrought = rotation.attempts.some((one) => one.outcome === 'gone' && one.keyId === undefined)
    return enter(
      withoutAttempts(fresh, () => true),
      wasBrought ? 'awaiting' : 'checking',
      context,
      note,
    )
  }
  if (from === 'discarding' && rotation.discard !== undefined) return enter(rest, 'discarding', context, note)
  if (from === 'confirming' || from === 'inspecting' || from === 'promoting')
    return enter(rest, 'inspecting', context, note)
  return startProving(rest, context, note)
}

/** Before anything is moved, an abort takes the pending key back; after that it is too late and a rollback is the way. */
function abort(rotation: Rotation, by: string, context: RotationContext): Rotation {
  const phase = rotation.phase === 'halted' ? rotation.halt?.from : rotation.phase
  const isMoving = phase === 'promoting' || phase === 'confirming' || phase === 'inspecting'
  // What is current was read before that halt, and it was not ours: nothing was moved.
  const isElsewhere = rotation.halt?.reason === 'store_changed'
  if (phase === 'done' || (isMoving && !isElsewhere)) return rotation
  const discard: Discard = {
    next: 'end',
    outcome: 'aborted',
    reason: 'aborted',
    summary: `Aborted by ${by}.`,
    fix: '',
  }
  const { halt: _halt, failure: _failure, ...rest } = { ...rotation, paused: false, discard }
  if (pendingOf(rotation) !== undefined) return enter(rest, 'discarding', context, asked('aborted', by))
  if (rotation.attempts.some((one) => one.outcome === 'open'))
    return enter(rest, 'reconciling', context, asked('aborted', by))
  return end(rest, 'aborted', context, asked('aborted', by))
}

/**
 * An emergency supersedes every phase: the walk goes on, at once and with the least proof that is still proof. In the same
 * way any rotation supersedes the making of a spare, and its key becomes the new one.
 */
function hasten(
  before: Rotation,
  event: {
    readonly mode: 'normal' | 'emergency'
    readonly by: string
    readonly reason: string
    readonly isCompromised: boolean
  },
  context: RotationContext,
): Rotation {
  if (before.phase === 'done') return before
  const rotation = before.mode === 'standby' ? withoutPast(before) : before
  // Whoever drove it is not waited for either.
  const { discard, failure: _failure, steering: _steering, ...rest } = rotation
  // A discard that has begun goes on to its end, since the key may be half dead, and another key follows.
  const isStaged = pendingOf(rotation) !== undefined
  const urgent: Rotation = {
    ...rest,
    ...(discard !== undefined && isStaged ? { discard: followedByMint(discard) } : {}),
    mode: event.mode,
    isCompromised: rotation.isCompromised || event.isCompromised,
    reason: event.reason,
    requestedBy: event.by,
    paused: false,
    wakeAt: context.now,
  }
  const what = event.mode === 'emergency' ? 'emergency' : 'rotation'
  const note: Note = {
    text: `${what} asked for by ${event.by}: ${event.reason}`,
    evidence: askedEvidence(event),
  }
  if (rotation.phase === 'halted') return reenter(urgent, context, note)
  // Nobody is waited for where a key can be minted.
  if (rotation.phase === 'awaiting' && context.policy.canMint) return enter(urgent, 'checking', context, note)
  return noted({ ...urgent, deadlineAt: deadlineOf(rotation.phase, context) }, context, note)
}

/** Keys of which nothing is left: how often a spare was tried does not count against the rotation that it becomes. */
function withoutPast(rotation: Rotation): Rotation {
  const left = withoutAttempts(rotation, (one) => one.outcome !== 'open' && one.outcome !== 'staged')
  return { ...left, attempts: left.attempts.map((one, index) => ({ ...one, number: index + 1 })) }
}

function followedByMint(discard: Discard): Discard {
  const { outcome: _outcome, ...rest } = discard
  return { ...rest, next: 'mint' }
}
