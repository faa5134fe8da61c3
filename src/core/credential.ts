import { isWalking } from './retirement.ts'
import { isRunning, pendingOf } from './rotation.ts'
import { soundMeta } from './sound-meta.ts'
import type {
  CredentialName,
  CredentialState,
  Fingerprint,
  NewCredentialEvent,
  Outcast,
  Policy,
  VersionId,
  VersionMeta,
  VersionOrigin,
  VersionRecord,
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
export const endedMax = 20
export const openAttemptsMax = 100
/** Some sixty characters each. A key that is so many others ago was ended long since. */
const outcastsMax = 200

export function initialState(name: CredentialName, now: number): CredentialState {
  return {
    name,
    revision: 0,
    // A ledger that was lost begins above every fence it ever gave out: it claims far less than once a millisecond.
    fence: now,
    // So do generations, in seconds: apps that use one of a lost ledger count as not moved on until they are heard of again,
    // and take the first answer of the new one, whatever it is.
    generation: Math.floor(now / 1_000),
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

/** Whether another key can be made now: keys that make each other are made by the one that works. */
export function canMintNow(state: CredentialState, policy: Policy): boolean {
  return policy.canMint && (policy.isSelfMinting !== true || handedOut(state) !== undefined)
}

/** A version that a rollback or a failover may choose: alive as far as is known, proven once, never withdrawn. */
export function isLive(record: VersionRecord, now: number): boolean {
  const isExpired = record.meta.expiresAt !== undefined && record.meta.expiresAt <= now
  const isSpoilt = record.withdrawnAt !== undefined || record.compromised === true || isExpired
  // The value of an exchanged token is in no store: a credential that was federated before cannot go back to one.
  const isKept = record.stage !== 'retired' && record.origin !== 'exchanged'
  return isKept && record.verifiedAt !== undefined && !isSpoilt
}

/** It is never handed out again by itself, whatever it answers. */
export function isOut({ stage, withdrawnAt, compromised }: VersionRecord): boolean {
  return stage === 'retired' || withdrawnAt !== undefined || compromised === true
}

/** It was refused, or shut out, when it was asked last: that is not conclusive, and no reason to choose it. */
export function isDoubtful({ rejections, verdict }: VersionRecord): boolean {
  const isRefused = verdict?.kind === 'rejected' || verdict?.kind === 'blocked'
  return rejections !== undefined || isRefused || verdict?.kind === 'misconfigured'
}

/** Standbys first, then the version that was current last; those that are in doubt only where nothing else is left. */
export function nextLive(state: CredentialState, now: number): VersionRecord | undefined {
  const rank = (one: VersionRecord): number => (isDoubtful(one) ? 0 : 2) + (one.stage === 'standby' ? 1 : 0)
  return state.versions
    .filter((one) => one.version !== state.current && one.stage !== 'pending' && isLive(one, now))
    .filter((one) => one.isUnstored !== true)
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
  return record === undefined || isOut(record) ? undefined : record
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
  const meta = soundMeta(added.meta)
  if (recordOf(state, added.version) !== undefined) return withRecord(state, added.version, { meta })
  const record: VersionRecord = { ...added, ...spoiltAs(state, added), meta, stage: 'pending', addedAt: now }
  return bounded({ ...state, versions: [...state.versions, record] }, added.version)
}

/** A key outlives its version: under whatever id it comes back, it is as spoilt as it was. */
function spoiltAs(state: CredentialState, { fingerprint, origin }: NewVersion): Partial<VersionRecord> {
  const withdrawnAt = (state.outcasts ?? []).find((one) => one.fingerprint === fingerprint)?.withdrawnAt
  return {
    // A person may bring back what was withdrawn, but never what is in the wrong hands.
    ...(withdrawnAt === undefined || origin === 'brought' ? {} : { withdrawnAt }),
    ...(isCompromised(state, fingerprint) ? { compromised: true } : {}),
  }
}

/** Whether this key was once said to be in the wrong hands. */
export function isCompromised(state: CredentialState, fingerprint: Fingerprint): boolean {
  return [...state.versions, ...(state.outcasts ?? [])].some(
    (one) => one.fingerprint === fingerprint && one.compromised === true,
  )
}

/** Forgets the oldest versions that are neither handed out, in reserve, in the store, being turned nor on their way out. */
function bounded(state: CredentialState, added: VersionId): CredentialState {
  const needed = new Set([
    added,
    state.storeCurrent,
    ...(state.rotation?.attempts ?? []).map((one) => one.version),
    ...state.retirements.filter(isWalking).map((one) => one.version),
    ...(state.mirrors ?? []).map(({ foreign }) => foreign?.version),
  ])
  const idle = state.versions.filter(
    (one) => one.stage !== 'current' && one.stage !== 'standby' && !needed.has(one.version),
  )
  const dropped = new Set(idle.slice(0, Math.max(0, idle.length - endedMax)))
  if (dropped.size === 0) return state
  const versions = state.versions.filter((one) => !dropped.has(one))
  return { ...state, versions, ...withOutcasts(state, [...dropped]) }
}

function withOutcasts(
  state: CredentialState,
  dropped: readonly VersionRecord[],
): Pick<CredentialState, 'outcasts'> {
  const outcasts = dropped
    .filter((one) => one.withdrawnAt !== undefined || one.compromised === true)
    .map(
      ({ fingerprint, withdrawnAt, compromised }): Outcast => ({
        fingerprint,
        ...(withdrawnAt === undefined ? {} : { withdrawnAt }),
        ...(compromised === undefined ? {} : { compromised }),
      }),
    )
  if (outcasts.length === 0) return {}
  const news = new Set(outcasts.map((one) => one.fingerprint))
  const others = (state.outcasts ?? []).filter((one) => !news.has(one.fingerprint))
  // What is in the wrong hands is forgotten last: whoever holds it could have it forgotten by dead keys put into a store.
  const all = [...others, ...outcasts].toSorted(
    (one, other) => Number(one.compromised === true) - Number(other.compromised === true),
  )
  return { outcasts: all.slice(-outcastsMax) }
}

export function eventOf(
  state: CredentialState,
  kind: NewCredentialEvent['kind'],
  now: number,
  data: Readonly<Record<string, unknown>>,
): NewCredentialEvent {
  return { at: now, credential: state.name, kind, generation: state.generation, data }
}
