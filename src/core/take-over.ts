import { type Change, type ChangeContext, endedMax, eventOf, recordOf } from './credential.ts'
import { assert } from './errors.ts'
import { keyFacts } from './evidence.ts'
import { isWalking, newRetirement, stepRetirement } from './retirement.ts'
import { applyRetirement } from './retiring.ts'
import { isRunning, pendingOf } from './rotation.ts'
import type { CredentialState, Retirement, Rotation, VersionId, VersionRecord } from './types.ts'

/**
 * Makes another version the one that is handed out: a promotion that the store has confirmed, a failover, a rollback,
 * the adoption of what a person put into the store.
 */
export function takeOver(
  state: CredentialState,
  to: VersionId,
  by: {
    readonly who: string
    readonly why: string
    /** The version that is in the wrong hands: it never comes back and is revoked at once. */
    readonly compromised?: VersionId | undefined
    /** The rotation whose promotion this is. */
    readonly rotation?: string
    readonly isInStore: boolean
  },
  context: ChangeContext,
): Change {
  const record = recordOf(state, to)
  assert(record?.verifiedAt !== undefined, `only a verified version is handed out (${to})`)
  assert(record.stage !== 'retired', `a retired version never comes back (${to})`)
  const { now, policy } = context
  const versions = state.versions.map((one): VersionRecord => {
    if (one.version === to) return { ...one, stage: 'current', promotedAt: now, nextCheckAt: now }
    const isSpoilt = one.version === by.compromised || one.isLeaked === true
    const marked = isSpoilt ? { ...one, compromised: true } : one
    if (one.version !== state.current || one.stage === 'retired') return marked
    const { nextCheckAt: _drained, ...rest } = marked
    return { ...rest, stage: 'previous' }
  })
  const { outage: _outage, storeTrouble, ...rest } = state
  const moved: CredentialState = {
    ...rest,
    ...(storeTrouble === undefined || isOver(storeTrouble.code, by.isInStore) ? {} : { storeTrouble }),
    versions,
    current: to,
    generation: state.generation + 1,
    retirements: state.retirements.map((one) =>
      one.version === to ? stepRetirement(one, { kind: 'taken_back', by: by.who }, context) : one,
    ),
    ...(state.rotation === undefined ? {} : { rotation: rebased(state.rotation, state.current, to) }),
    ...(by.isInStore
      ? { storeCurrent: to, isAlignmentDue: false }
      : { isAlignmentDue: policy.storeWritable }),
  }
  const promoted = eventOf(moved, 'promoted', now, {
    version: to,
    fingerprint: record.fingerprint,
    by: by.who,
    why: by.why,
  })
  const walking = startRetirements(moved, { ...by, left: state.current }, context)
  const revoked = revokeCompromised(walking, by, context)
  return { state: revoked.state, events: [promoted, ...revoked.events] }
}

/** A compromised key does not drain, and where Keyturn cannot revoke it, somebody has to be told. */
function revokeCompromised(
  state: CredentialState,
  by: {
    readonly who: string
    readonly why: string
    readonly compromised?: VersionId | undefined
    readonly rotation?: string
  },
  context: ChangeContext,
): Change {
  const retirement = state.retirements.find((one) => one.version === by.compromised)
  if (retirement === undefined) return { state, events: [] }
  if (retirement.phase !== 'kept') {
    const forced = { kind: 'forced', by: by.who, reason: by.why } as const
    return applyRetirement(linked(state, retirement, by.rotation), retirement.id, forced, context)
  }
  const alert = eventOf(state, 'alert', context.now, {
    code: 'revoke_by_hand',
    version: retirement.version,
    summary: 'A compromised key is alive that Keyturn did not make.',
    fix: `Delete it in OpenAI’s dashboard now, or run: keyturn revoke ${state.name} ${retirement.version}`,
  })
  return { state, events: [alert] }
}

/** One that walks already, since a failover, is from now on this rotation's to tell of. */
function linked(
  state: CredentialState,
  retirement: Retirement,
  rotation: string | undefined,
): CredentialState {
  if (rotation === undefined || retirement.rotation !== undefined || !isWalking(retirement)) return state
  return {
    ...state,
    retirements: state.retirements.map((one) => (one === retirement ? { ...one, rotation } : one)),
  }
}

/** What was wrong with the store's content is mended by a takeover; that it cannot be reached is not. */
function isOver(code: string, isInStore: boolean): boolean {
  return code === 'store_changed' || (code === 'store_absent' && isInStore)
}

/** A rotation that has not moved anything yet compares with the new current one from now on. */
function rebased(rotation: Rotation, before: VersionId | undefined, to: VersionId): Rotation {
  return isRunning(rotation) && rotation.from === before && pendingOf(rotation)?.version !== to
    ? { ...rotation, from: to }
    : rotation
}

/** Every version that is alive and neither current nor kept in reserve walks towards its end. */
function startRetirements(
  state: CredentialState,
  by: {
    readonly who: string
    readonly why: string
    readonly rotation?: string
    /** What was current until now: it drains anew, also when it was taken back from draining once. */
    readonly left: VersionId | undefined
  },
  context: ChangeContext,
): CredentialState {
  const walking = new Set(
    state.retirements
      .filter((one) => one.phase !== 'kept' || one.version !== by.left)
      .map((one) => one.version),
  )
  const started = state.versions
    .filter((one) => one.stage === 'previous' && !walking.has(one.version))
    .map((one) =>
      newRetirement(
        {
          id: context.uuid(),
          version: one.version,
          // A key that Keyturn did not make is left to its owner, unless he says otherwise (keyturn revoke).
          keyId: one.origin === 'minted' ? one.meta.keyId : undefined,
          isForced: false,
          why: by.why,
          key: keyFacts(one),
          requestedBy: by.who,
          reason: by.why,
          rotation: by.rotation,
        },
        context,
      ),
    )
  return withRetirements(state, started)
}

/** Each in place of an earlier walk of the same version, and the oldest that have ended forgotten. */
export function withRetirements(state: CredentialState, started: readonly Retirement[]): CredentialState {
  const replaced = new Set(started.map((one) => one.version))
  const others = state.retirements.filter((one) => !replaced.has(one.version))
  const ended = others.filter((one) => !isWalking(one))
  const dropped = new Set(ended.slice(0, Math.max(0, ended.length - endedMax)))
  return { ...state, retirements: [...others.filter((one) => !dropped.has(one)), ...started] }
}
