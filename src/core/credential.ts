import { assert } from './errors.ts'
import { isWalking, newRetirement, type RetirementEvent, stepRetirement } from './retirement.ts'
import { isRunning, newRotation, pendingOf, type RotationEvent, step } from './rotation.ts'
import {
  type Belonging,
  type CredentialName,
  type CredentialState,
  type Fingerprint,
  isAuthentic,
  type NewCredentialEvent,
  type Policy,
  type Retirement,
  type Rotation,
  type RotationMode,
  type VersionId,
  type VersionMeta,
  type VersionOrigin,
  type VersionRecord,
} from './types.ts'

/**
 * What happens to a credential as a whole. Every function takes the state and returns the changed one together with the
 * events that apps and operators are told, so that both are committed at once or not at all.
 */
export interface Change {
  readonly state: CredentialState
  readonly events: readonly NewCredentialEvent[]
}

export interface ChangeContext {
  readonly now: number
  readonly policy: Policy
  /** UUIDs, drawn when called. */
  readonly uuid: () => string
  /** A fresh random name for a key at the issuer. */
  readonly marker: () => string
}

/** What the engine knows of a version that has just appeared. */
export interface NewVersion {
  readonly version: VersionId
  readonly fingerprint: Fingerprint
  readonly meta: VersionMeta
  readonly origin: VersionOrigin
}

/** An attempt whose answer was never seen is looked for again this long: a mint that timed out can land late. */
export const openAttemptMs = 24 * 3_600_000
/** Versions and retirements that nothing waits for any more, kept for people to look at. */
const endedMax = 20
const openAttemptsMax = 100

export function initialState(name: CredentialName, now: number): CredentialState {
  return {
    name,
    revision: 0,
    // A ledger that was lost begins above every fence it ever gave out: it claims far less than once a millisecond.
    fence: now,
    generation: 0,
    versions: [],
    nextStoreReadAt: now,
    retirements: [],
    openAttempts: [],
    automaticAt: [],
  }
}

// ------------------------------------------------------------------- looking

export function recordOf(state: CredentialState, version: VersionId | undefined): VersionRecord | undefined {
  return version === undefined ? undefined : state.versions.find((one) => one.version === version)
}

export function currentOf(state: CredentialState): VersionRecord | undefined {
  return recordOf(state, state.current)
}

/** What may be handed out: the current version, proven ours, not withdrawn (invariant 1). */
export function handedOut(state: CredentialState): VersionRecord | undefined {
  const current = currentOf(state)
  return current?.verifiedAt !== undefined && current.withdrawnAt === undefined && !current.compromised
    ? current
    : undefined
}

/** A version that a rollback or a failover may choose: alive as far as is known, proven once, never withdrawn. */
export function isLive(record: VersionRecord, now: number): boolean {
  const isExpired = record.meta.expiresAt !== undefined && record.meta.expiresAt <= now
  const isSpoilt = record.withdrawnAt !== undefined || record.compromised === true || isExpired
  return record.stage !== 'retired' && record.verifiedAt !== undefined && !isSpoilt
}

/** Standbys first, then the version that was current last. */
export function nextLive(state: CredentialState, now: number): VersionRecord | undefined {
  const rank = (one: VersionRecord): number => (one.stage === 'standby' ? 2 : 1)
  return state.versions
    .filter((one) => one.version !== state.current && one.stage !== 'pending' && isLive(one, now))
    .toSorted((a, b) => rank(b) - rank(a) || (b.promotedAt ?? 0) - (a.promotedAt ?? 0))[0]
}

/** A version that somebody else made current in the store: to be verified, then adopted or alarmed. */
export function candidateOf(state: CredentialState): VersionRecord | undefined {
  if (state.storeCurrent === undefined || state.storeCurrent === state.current || state.isAlignmentDue)
    return undefined
  const { rotation } = state
  const isMoving =
    rotation?.phase === 'promoting' || rotation?.phase === 'confirming' || rotation?.phase === 'inspecting'
  if (
    isMoving ||
    (rotation !== undefined && isRunning(rotation) && pendingOf(rotation)?.version === state.storeCurrent)
  )
    return undefined
  const record = recordOf(state, state.storeCurrent)
  const isOut =
    record?.stage === 'retired' || record?.withdrawnAt !== undefined || record?.compromised === true
  return isOut ? undefined : record
}

// ------------------------------------------------------------------ changing

export function withRecord(
  state: CredentialState,
  version: VersionId,
  change: Partial<VersionRecord>,
): CredentialState {
  return {
    ...state,
    versions: state.versions.map((one) => (one.version === version ? { ...one, ...change } : one)),
  }
}

export function withVersion(state: CredentialState, added: NewVersion, now: number): CredentialState {
  if (recordOf(state, added.version) !== undefined) {
    return withRecord(state, added.version, { meta: added.meta })
  }
  const record: VersionRecord = { ...added, stage: 'pending', addedAt: now }
  return bounded({ ...state, versions: [...state.versions, record] }, added.version)
}

/** Forgets the oldest versions that are neither handed out, in reserve, in the store, being turned nor on their way out. */
function bounded(state: CredentialState, added: VersionId): CredentialState {
  const needed = new Set([
    added,
    state.storeCurrent,
    ...(state.rotation?.attempts ?? []).map((one) => one.version),
    ...state.retirements.filter(isWalking).map((one) => one.version),
  ])
  const idle = state.versions.filter(
    (one) => one.stage !== 'current' && one.stage !== 'standby' && !needed.has(one.version),
  )
  const dropped = new Set(idle.slice(0, Math.max(0, idle.length - endedMax)))
  return { ...state, versions: state.versions.filter((one) => !dropped.has(one)) }
}

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
    const marked = one.version === by.compromised ? { ...one, compromised: true } : one
    if (one.version !== state.current || one.stage === 'retired') return marked
    const { nextCheckAt: _drained, ...rest } = marked
    return { ...rest, stage: 'previous' }
  })
  const { outage: _outage, storeTrouble, ...rest } = state
  const moved: CredentialState = {
    ...rest,
    ...(storeTrouble === undefined || storeTrouble.code === 'store_changed' ? {} : { storeTrouble }),
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
  by: { readonly who: string; readonly compromised?: VersionId | undefined },
  context: ChangeContext,
): Change {
  const retirement = state.retirements.find((one) => one.version === by.compromised)
  if (retirement === undefined) return { state, events: [] }
  if (retirement.phase !== 'kept')
    return applyRetirement(state, retirement.id, { kind: 'forced', by: by.who }, context)
  const alert = eventOf(state, 'alert', context.now, {
    code: 'revoke_by_hand',
    version: retirement.version,
    summary: 'A compromised key is alive that Keyturn did not make.',
    fix: `Delete it in OpenAI’s dashboard now, or run: keyturn revoke ${state.name} ${retirement.version}`,
  })
  return { state, events: [alert] }
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
    readonly why: string
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
        },
        context,
      ),
    )
  const replaced = new Set(started.map((one) => one.version))
  const others = state.retirements.filter((one) => !replaced.has(one.version))
  const ended = others.filter((one) => !isWalking(one))
  const dropped = new Set(ended.slice(0, Math.max(0, ended.length - endedMax)))
  return { ...state, retirements: [...others.filter((one) => !dropped.has(one)), ...started] }
}

export function eventOf(
  state: CredentialState,
  kind: NewCredentialEvent['kind'],
  now: number,
  data: Readonly<Record<string, unknown>>,
): NewCredentialEvent {
  return { at: now, credential: state.name, kind, generation: state.generation, data }
}

// ------------------------------------------------------------------ rotation

export function startRotation(
  state: CredentialState,
  request: {
    readonly mode: RotationMode
    readonly isCompromised: boolean
    readonly reason: string
    readonly requestedBy: string
    readonly isAutomatic: boolean
  },
  context: ChangeContext,
): Change {
  assert(!isRunning(state.rotation), 'one rotation of a credential at a time')
  const { isAutomatic, ...rest } = request
  const rotation = withCompromised(
    newRotation(
      { ...rest, id: context.uuid(), credential: state.name, from: comparedWith(state, isAutomatic) },
      context,
    ),
    state,
  )
  const dayAgo = context.now - 86_400_000
  const automaticAt = [
    ...state.automaticAt.filter((at) => at > dayAgo),
    ...(isAutomatic ? [context.now] : []),
  ]
  const started = { ...state, rotation, automaticAt }
  return { state: started, events: [rotationEvent(started, rotation, context.now)] }
}

/** Writes down which key it is that was said to be in the wrong hands, when that is said. */
function withCompromised(rotation: Rotation, state: CredentialState): Rotation {
  const isNews = rotation.isCompromised && rotation.compromised === undefined && state.current !== undefined
  return isNews ? { ...rotation, compromised: state.current } : rotation
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
  const { now, policy } = context
  const today = state.automaticAt.filter((at) => at > now - 86_400_000).length
  return (
    policy.canMint && policy.storeWritable && !isRunning(state.rotation) && today < policy.automaticPerDayMax
  )
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
  })
  if (stepped === before) return { state, events: [] }
  const rotation = event.kind === 'emergency_asked' ? withCompromised(stepped, state) : stepped
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
    until: startedAt + openAttemptMs,
    nextAt: now,
  }))
  return {
    ...state,
    versions,
    rotation: { ...rotation, attempts: rotation.attempts.filter((one) => one.outcome !== 'open') },
    openAttempts: [...state.openAttempts, ...handedOn].slice(-openAttemptsMax),
  }
}

function endRotation(
  state: CredentialState,
  before: Rotation,
  rotation: Rotation,
  context: ChangeContext,
): Change {
  if (rotation.outcome !== 'promoted') return { state, events: [] }
  const to = pendingOf(before)?.version
  assert(to !== undefined, 'a promotion has a pending version')
  const by = {
    who: rotation.requestedBy,
    why: rotation.reason,
    compromised: rotation.compromised,
    isInStore: true,
  }
  return takeOver(state, to, by, context)
}

function rotationEvent(state: CredentialState, rotation: Rotation, now: number): NewCredentialEvent {
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

// ---------------------------------------------------------------- retirement

export function applyRetirement(
  state: CredentialState,
  id: string,
  event: RetirementEvent,
  context: ChangeContext,
): Change {
  const before = state.retirements.find((one) => one.id === id)
  if (before === undefined) return { state, events: [] }
  const after = stepRetirement(before, event, context)
  if (after === before) return { state, events: [] }
  let next: CredentialState = {
    ...state,
    retirements: state.retirements.map((one) => (one === before ? after : one)),
  }
  if (event.kind === 'death_probed' && event.verdict !== undefined) {
    next = withRecord(next, before.version, { verdict: event.verdict, checkedAt: context.now })
  }
  const events: NewCredentialEvent[] = []
  if (after.phase !== before.phase) {
    next = settleStage(next, after, context.now)
    events.push(retirementEvent(next, after, context.now))
    if (after.phase === 'retiring')
      events.push(eventOf(next, 'revoking', context.now, { version: after.version }))
    if (after.phase === 'halted')
      events.push(
        eventOf(next, 'alert', context.now, {
          code: 'retirement_halted',
          summary: after.halt?.summary,
          fix: after.halt?.fix,
        }),
      )
    if (after.phase === 'unproven')
      events.push(eventOf(next, 'alert', context.now, { code: 'key_not_dead', version: after.version }))
  }
  if (after.isLimitAlerted && !before.isLimitAlerted) {
    events.push(
      eventOf(next, 'alert', context.now, {
        code: 'key_still_used',
        version: after.version,
        heldBy: after.heldBy ?? '',
      }),
    )
  }
  return { state: next, events }
}

/** `retired` is terminal and is written in the same commit that opens the way to the delete. */
function settleStage(state: CredentialState, retirement: Retirement, now: number): CredentialState {
  if (retirement.phase !== 'retiring') return state
  assert(state.current !== retirement.version, 'the current version is never retired')
  return withRecord(state, retirement.version, { stage: 'retired', retiredAt: now })
}

function retirementEvent(state: CredentialState, retirement: Retirement, now: number): NewCredentialEvent {
  const { id, version, phase } = retirement
  return eventOf(state, 'retirement', now, { id, version, phase, heldBy: retirement.heldBy ?? null })
}

// ---------------------------------------------------------------- belonging

/** Whom a key has to answer for: what the configuration says, and where it is silent, what the first key answered. */
export function expectedBelonging(state: CredentialState, configured: Belonging): Belonging {
  const organization = configured.organization ?? state.belonging?.organization
  const project = configured.project ?? state.belonging?.project
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}
