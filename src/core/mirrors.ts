import { backoffMs } from './backoff.ts'
import {
  type Change,
  type ChangeContext,
  eventOf,
  handedOut,
  isOut,
  type NewVersion,
  recordOf,
  withRecord,
  withVersion,
} from './credential.ts'
import { isTurning } from './failover.ts'
import { isWalking } from './retirement.ts'
import { isRunning, pendingOf } from './rotation.ts'
import type {
  CredentialState,
  MirrorId,
  MirrorState,
  NewCredentialEvent,
  Policy,
  VersionId,
  VersionRecord,
} from './types.ts'

/**
 * Mirrors: copies of a credential in other stores, for readers who do not ask Keyturn.
 *
 * A mirror has no walk of its own. What it should hold follows from the state of the credential at any moment (the pending
 * key staged, the current one current, retired ones retired, dead ones destroyed), and it is brought there again and
 * again: after every change, after every failure, and at every poll, since somebody may have changed it by hand. So a
 * mirror that was away for a week needs no memory of what it missed.
 *
 * A mirror never holds up handing out. It holds up the promotion only while its first attempt to stage is under way, and it
 * holds up the end of an old key for as long as it has that key.
 */
export interface MirrorGoal {
  /** Not current there, and not to be found by other readers of the store. */
  readonly staged: readonly VersionId[]
  /** Undefined where nothing is handed out: then it is left as it is. */
  readonly current: VersionId | undefined
  readonly retired: readonly VersionId[]
  readonly destroyed: readonly VersionId[]
  /** Equal for equal goals. */
  readonly key: string
}

/** What one attempt to bring a mirror to its goal brought. `goal` is the key of that goal. */
export type MirrorReading = { readonly goal: string; readonly holds: MirrorState['holds'] } & (
  | {
      readonly kind: 'reached'
      readonly current: VersionId | undefined
      /** It had been there before, and somebody had changed it meanwhile. */
      readonly wasChanged: boolean
    }
  | { readonly kind: 'foreign'; readonly found: Omit<NewVersion, 'origin'> }
  | { readonly kind: 'failed'; readonly code: string; readonly summary: string; readonly fix: string }
)

export function mirrorOf(state: CredentialState, id: MirrorId): MirrorState | undefined {
  return state.mirrors?.find((one) => one.id === id)
}

export function mirrorGoal(state: CredentialState, mirror: MirrorState | undefined): MirrorGoal {
  const { rotation } = state
  // A spare is for Keyturn alone: a mirror gets it when it takes over.
  const isCopied = isRunning(rotation) && rotation.mode !== 'standby' && rotation.discard === undefined
  const pending = isCopied ? pendingOf(rotation) : undefined
  const staged = pending === undefined ? [] : [pending.version]
  const current = handedOut(state)?.version
  const held = new Set((mirror?.holds ?? []).map(({ version }) => version))
  // What is on record no more has been over for long.
  const gone = [...held].filter((version) => (recordOf(state, version)?.stage ?? 'retired') === 'retired')
  const isKept = (version: VersionId): boolean =>
    state.retirements.some((one) => one.version === version && isWalking(one) && one.phase !== 'destroying')
  const retired = gone.filter(isKept)
  const destroyed = gone.filter((version) => !isKept(version))
  const dated = (version: VersionId): string =>
    `${version}@${recordOf(state, version)?.meta.expiresAt ?? 'never'}`
  const key = [staged.map(dated), current === undefined ? [] : [dated(current)], retired, destroyed]
    .map((versions) => versions.join(','))
    .join(';')
  return { staged, current, retired, destroyed, key }
}

/** When each mirror wants to be seen to, and whether that is a step of something that has begun. */
export function mirrorWishes(
  state: CredentialState,
  { mirrors }: Pick<Policy, 'mirrors'>,
): readonly { readonly id: MirrorId; readonly at: number; readonly isStep: boolean }[] {
  // A mirror is a copy: before there is anything to copy, nothing is asked of it.
  if (state.current === undefined) return []
  return mirrors.map((id) => {
    const mirror = mirrorOf(state, id)
    const { key } = mirrorGoal(state, mirror)
    const isTried = mirror?.tried === key
    return { id, at: isTried ? mirror.nextAt : 0, isStep: mirror?.reached !== key }
  })
}

/**
 * Whether a mirror may still have the pending key staged before it is promoted. One that failed is not waited for: it is
 * retried, and catches up.
 */
export function isMirrorAwaited(state: CredentialState, { mirrors }: Pick<Policy, 'mirrors'>): boolean {
  return (
    state.rotation?.mode !== 'emergency' &&
    mirrorWishes(state, { mirrors }).some(
      ({ id, at }) => at === 0 && mirrorOf(state, id)?.trouble === undefined,
    )
  )
}

/** Keys that somebody put into a mirror, which nobody has judged yet. While a rotation walks they wait. */
export function mirrorCandidates(state: CredentialState): readonly VersionRecord[] {
  return isTurning(state) && state.rotation?.phase !== 'awaiting' ? [] : unjudged(state)
}

export function unjudged(state: CredentialState): readonly VersionRecord[] {
  return (state.mirrors ?? [])
    .map(({ foreign }) => (foreign?.isRefused === false ? recordOf(state, foreign.version) : undefined))
    .filter((record) => record !== undefined)
    .filter((record) => record.stage === 'pending' && record.withdrawnAt === undefined)
}

/** What an attempt means: in line, somebody else's change, or trouble. */
export function observeMirror(
  state: CredentialState,
  id: MirrorId,
  reading: MirrorReading,
  context: ChangeContext & { readonly fraction: number },
): Change {
  const { now, policy } = context
  const before: MirrorState = mirrorOf(state, id) ?? { id, nextAt: now, retries: 0, holds: [] }
  const { trouble, foreign, ...rest } = before
  const seen = { ...rest, tried: reading.goal, holds: reading.holds }
  switch (reading.kind) {
    case 'reached': {
      const { current: left, currentAt, ...others } = seen
      const since = left === reading.current && !reading.wasChanged ? (currentAt ?? now) : now
      const after: MirrorState = {
        ...others,
        reached: reading.goal,
        ...(reading.current === undefined ? {} : { current: reading.current, currentAt: since }),
        readAt: now,
        nextAt: now + Math.round(policy.storePollMs * (0.9 + 0.2 * context.fraction)),
        retries: 0,
      }
      const next = withMirror(state, after, policy)
      // Of a foreign key somebody was told when it was found.
      const isTold = trouble?.code === 'mirror_drift' || !reading.wasChanged
      const event = { code: 'mirror_drift', mirror: id, ...putRight(id) }
      return { state: next, events: isTold ? [] : [eventOf(next, 'alert', now, event)] }
    }
    case 'foreign':
      return observeForeign(state, { ...seen, ...kept({ trouble, foreign }) }, reading.found, context)
    case 'failed': {
      const { code: cause, summary, fix } = reading
      const after: MirrorState = {
        ...seen,
        ...kept({ foreign }),
        nextAt: now + backoffMs(policy, before.retries),
        retries: before.retries + 1,
      }
      return troubled(state, before, after, { code: 'mirror_behind', cause, summary, fix }, context)
    }
  }
}

function observeForeign(
  state: CredentialState,
  seen: MirrorState,
  found: Omit<NewVersion, 'origin'>,
  context: ChangeContext,
): Change {
  const { now, policy } = context
  const isNew = seen.foreign?.version !== found.version
  const isKnown = recordOf(state, found.version) !== undefined
  const added = isKnown ? state : withVersion(state, { ...found, origin: 'found' }, now)
  const record = recordOf(added, found.version)
  const isSpoilt = record !== undefined && isOut(record)
  // Where the primary cannot be written nothing could be adopted, and the copy follows it.
  const isRefused = !policy.storeWritable || isSpoilt
  // What is out already, as retired or withdrawn, keeps the mark of why and when.
  const isMarked = isNew && !isSpoilt
  const checked = isMarked
    ? withRecord(added, found.version, isRefused ? { withdrawnAt: now } : { nextCheckAt: now })
    : added
  const after: MirrorState = {
    ...seen,
    readAt: now,
    foreign: isNew
      ? { version: found.version, isRefused }
      : (seen.foreign ?? { version: found.version, isRefused }),
    nextAt: isRefused ? now : now + policy.verifyCloselyEveryMs,
    retries: 0,
  }
  const summary = `Somebody put another key into the mirror ${seen.id}.`
  const fix = isRefused
    ? 'It is not handed out, and the right key is put back.'
    : 'It is not handed out before it has been verified; where it does not work or is not ours, the right key is put back.'
  return troubled(checked, seen, after, { code: 'mirror_drift', summary, fix }, context)
}

/** A key that somebody put into a mirror works and is ours, or never will: in the latter case the mirror is put right. */
export function refuseInMirror(
  state: CredentialState,
  version: VersionId,
  why: string,
  context: ChangeContext,
): Change {
  const { now, policy } = context
  const having = (state.mirrors ?? []).filter((one) => one.foreign?.version === version)
  if (having.length === 0) return { state, events: [] }
  let next = withRecord(state, version, { withdrawnAt: now })
  for (const mirror of having)
    next = withMirror(next, { ...mirror, foreign: { version, isRefused: true }, nextAt: now }, policy)
  const events = having.map(({ id }) => {
    const summary = `Somebody put another key into the mirror ${id}, and it is not handed out. ${why}`
    const event = { code: 'mirror_drift', mirror: id, version, summary, fix: putRight(id).fix }
    return eventOf(next, 'alert', now, event)
  })
  return { state: next, events }
}

function putRight(id: MirrorId): { readonly summary: string; readonly fix: string } {
  return {
    summary: `Somebody changed the mirror ${id}; the right key was put back.`,
    fix: 'Find out who else writes to this secret.',
  }
}

function troubled(
  state: CredentialState,
  before: MirrorState,
  after: MirrorState,
  trouble: Omit<NonNullable<MirrorState['trouble']>, 'since'>,
  { now, policy }: ChangeContext,
): Change {
  const earlier = before.trouble
  const isNew = earlier?.code !== trouble.code || earlier.cause !== trouble.cause
  const since = isNew ? now : earlier.since
  const next = withMirror(state, { ...after, trouble: { since, ...trouble } }, policy)
  const { code, cause, summary, fix } = trouble
  const events: NewCredentialEvent[] = isNew
    ? [eventOf(next, 'alert', now, { code, mirror: after.id, cause: cause ?? null, summary, fix })]
    : []
  return { state: next, events }
}

/** Without those that are configured no more. The very same object where there are none. */
export function configuredMirrors(
  state: CredentialState,
  { mirrors }: Pick<Policy, 'mirrors'>,
): CredentialState {
  const kept = (state.mirrors ?? []).filter(({ id }) => mirrors.includes(id))
  return kept.length === (state.mirrors ?? []).length ? state : { ...state, mirrors: kept }
}

function withMirror(
  state: CredentialState,
  mirror: MirrorState,
  policy: Pick<Policy, 'mirrors'>,
): CredentialState {
  const others = (configuredMirrors(state, policy).mirrors ?? []).filter((one) => one.id !== mirror.id)
  return { ...state, mirrors: [...others, mirror] }
}

function kept<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<Fields>
}
