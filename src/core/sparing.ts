import { type Change, type ChangeContext, isOut } from './credential.ts'
import { keyFacts } from './evidence.ts'
import { newRetirement } from './retirement.ts'
import { isRunning, isSparing } from './rotation.ts'
import { end } from './rotation-moves.ts'
import { freshUntil, spareDueAt, sparesOf, surplusSpares, withStarted } from './standby.ts'
import { takeOver, withRetirements } from './take-over.ts'
import { applyRotation, beginRotation, rotationEvent, startRotation } from './turning.ts'
import type { CredentialState, Rotation, VersionRecord } from './types.ts'

/** What is done about spares: one is made, one is retired, one is handed out in place of a compromised key. */
export function tendSpare(state: CredentialState, context: ChangeContext): Change {
  const dueAt = spareDueAt(state, context.policy)
  if (dueAt === undefined || dueAt > context.now) return { state, events: [] }
  const surplus = surplusSpares(state, context.policy)
  return surplus.length > 0 ? retireSpares(state, surplus, context) : makeSpare(state, context)
}

function makeSpare(state: CredentialState, context: ChangeContext): Change {
  const request = {
    mode: 'standby',
    isCompromised: false,
    reason: reasonToMake(state, context),
    requestedBy: 'standby',
    isAutomatic: false,
  } as const
  return startRotation(withStarted(state, context.policy, context.now), request, context)
}

function reasonToMake(state: CredentialState, { policy, now }: ChangeContext): string {
  const [spare] = sparesOf(state)
  if (spare === undefined) return 'there is no spare'
  if (freshUntil(spare, state, policy) === Number.NEGATIVE_INFINITY)
    return 'the spare is on the service account of the current key'
  const days = Math.floor((now - spare.addedAt) / 86_400_000)
  return days === 0 ? 'the spare has aged' : `the spare is ${days} ${days === 1 ? 'day' : 'days'} old`
}

/**
 * Never handed out, a spare has no app to wait for and no overlap; all else that is asked of an old key is asked of it too.
 * One that was rejected is nobody's hurry, and whether OpenAI goes on listing it tells a loss of keys from trouble with the
 * account (invariant 5): it is kept as long as an old key.
 */
function retireSpares(
  state: CredentialState,
  spares: readonly VersionRecord[],
  context: ChangeContext,
): Change {
  const versions = state.versions.map((one): VersionRecord => {
    if (!spares.includes(one)) return one
    const { nextCheckAt: _drained, ...rest } = one
    return { ...rest, stage: 'previous' }
  })
  const started = spares.map((spare) =>
    newRetirement(
      {
        id: context.uuid(),
        version: spare.version,
        keyId: spare.meta.keyId,
        isForced: false,
        wasSpare: true,
        overlapMs: isOut(spare) ? context.policy.overlapMs : 0,
        why: 'a spare that is not needed any more',
        key: keyFacts(spare),
        requestedBy: 'standby',
        reason: 'a spare that is not needed any more',
      },
      context,
    ),
  )
  return { state: withRetirements({ ...state, versions }, started), events: [] }
}

/**
 * The current key is in the wrong hands and a spare is there: it is handed out at once and the old key is revoked. Another
 * spare follows by itself. A rotation that is under way goes on in a hurry.
 */
export function turnToSpare(
  state: CredentialState,
  spare: VersionRecord,
  request: Pick<Rotation, 'reason' | 'requestedBy'>,
  context: ChangeContext,
): Change {
  const { reason, requestedBy } = request
  const begun = hastened(state, spare, request, context)
  const by = {
    who: requestedBy,
    why: reason,
    compromised: state.current,
    isInStore: state.storeCurrent === spare.version,
  }
  const turned = takeOver(begun.state, spare.version, by, context)
  return { state: turned.state, events: [...begun.events, ...turned.events] }
}

function hastened(
  state: CredentialState,
  spare: VersionRecord,
  request: Pick<Rotation, 'reason' | 'requestedBy'>,
  context: ChangeContext,
): Change {
  const { reason, requestedBy: by } = request
  const asked = { ...request, mode: 'emergency', isCompromised: true, isAutomatic: false } as const
  if (isSparing(state.rotation)) return beginRotation(state, asked, context)
  if (isRunning(state.rotation))
    return applyRotation(state, { kind: 'emergency_asked', by, reason, isCompromised: true }, context)
  const started = startRotation(state, asked, context)
  return withSpareFor(started.state, spare, context)
}

/** A rotation that is over as soon as it has begun: its key was made and proven before. */
function withSpareFor(state: CredentialState, spare: VersionRecord, context: ChangeContext): Change {
  const { rotation } = state
  if (rotation === undefined) return { state, events: [] }
  const { keyId, marker = context.marker() } = spare.meta
  const attempt = {
    number: 1,
    marker,
    version: spare.version,
    startedAt: spare.addedAt,
    outcome: 'staged' as const,
    ...(keyId === undefined ? {} : { keyId }),
  }
  const moves = { ...context, fresh: { marker, version: spare.version } }
  const ended = end(
    { ...rotation, attempts: [attempt] },
    'promoted',
    moves,
    'a spare was ready: it is handed out at once, and the store follows',
  )
  const turned = { ...state, rotation: ended }
  return { state: turned, events: [rotationEvent(turned, ended, context.now)] }
}
