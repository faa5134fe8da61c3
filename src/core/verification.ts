import {
  type Change,
  type ChangeContext,
  candidateOf,
  currentOf,
  eventOf,
  handedOut,
  isDoubtful,
  nextLive,
  recordOf,
  withRecord,
} from './credential.ts'
import { alertExpiry } from './expiry.ts'
import { failOver, mintingFix, replaceDead, turnOutOfOutage } from './failover.ts'
import { isExpired } from './last-known-good.ts'
import { refuseInMirror, unjudged } from './mirrors.ts'
import { pendingOf } from './rotation.ts'
import { end } from './rotation-moves.ts'
import { nextCheckAt } from './schedule.ts'
import { alarm, remedy } from './store-look.ts'
import { takeOver } from './take-over.ts'
import {
  type Belonging,
  type CredentialName,
  type CredentialState,
  isAuthentic,
  type NewCredentialEvent,
  type Stage,
  type Verdict,
  type VersionId,
  type VersionRecord,
} from './types.ts'

export interface CheckOutcome {
  readonly verdict: Verdict
  readonly isOurs: boolean
  readonly belonging: Belonging | undefined
  /** It is genuine but lacks a scope or a model that was declared. */
  readonly lacksDeclared?: boolean
  /** When it was answered. What the ledger takes twice, because its answer was lost, is one check all the same. */
  readonly at?: number
}

/** Two probes in a row have to reject a key before it is withdrawn (invariant 1). */
export const conclusive: Conclusive = { count: 2, spanMs: 0 }
/** A key that some edges may not know yet: refused for this long, with a probe in every gap and no acceptance between. */
export const newKeySpanMs = 3_000
const suspectEveryMs = 1_000

/** What a check of a version means: noted, adopted, or withdrawn with the next live version taking over at once. */
export function recordCheck(
  state: CredentialState,
  version: VersionId,
  seen: CheckOutcome,
  context: ChangeContext & { readonly fraction: number },
): Change {
  const before = recordOf(state, version)
  if (before === undefined || before.stage === 'retired') return { state, events: [] }
  const verdict =
    seen.verdict.kind === 'rejected'
      ? { ...seen.verdict, fix: remedy(state.name, context.policy) }
      : seen.verdict
  const check = { ...seen, verdict }
  const isCandidate = candidateOf(state)?.version === version
  const isInMirror = unjudged(state).some((one) => one.version === version)
  const isNew = isActivating(state, before, context)
  const needed = isNew ? { ...conclusive, spanMs: newKeySpanMs } : conclusive
  const noted = checkedRecord(before, check, needed, { ...context, name: state.name })
  const isLag = isNew && verdict.kind === 'rejected' && !isSettled(noted.rejections, needed)
  const after: VersionRecord = isLag ? { ...noted, verdict: { ...verdict, ...activationLag } } : noted
  // Replaced whole: what a check takes back (rejections, a due check) must not live on beside what it notes.
  const checked = { ...state, versions: state.versions.map((one) => (one === before ? after : one)) }
  const events: NewCredentialEvent[] = []
  if (
    before.verdict?.kind !== after.verdict?.kind &&
    version === state.current &&
    after.verdict !== undefined
  ) {
    const { kind, cause, summary, fix } = after.verdict
    events.push(eventOf(checked, 'verdict', context.now, { version, verdict: kind, cause, summary, fix }))
  }
  // A key that can make no others is never taken up for one that has to, whoever put it there.
  const isUnfit = context.policy.isSelfMinting === true && check.lacksDeclared === true
  const isGood = isAuthentic(check.verdict.kind) && check.isOurs && !isUnfit
  const isDead = isSettled(after.rejections, needed)
  if (isCandidate || isInMirror) {
    const refuse = isCandidate ? refuseCandidate : refuseMirrored
    const judged = isGood
      ? adopt(checked, version, { ...check, isInStore: isCandidate }, context)
      : refuse(checked, after, { ...check, isDead }, context)
    return { state: judged.state, events: [...events, ...judged.events] }
  }
  if (!isDead || before.withdrawnAt !== undefined) {
    const isStillOut = isDead && version === state.current
    const next = isStillOut
      ? turnOutOfOutage(checked, check.verdict, context)
      : (replaceExpired(checked, after, context) ?? alertExpiry(checked, context))
    return { state: next.state, events: [...events, ...next.events] }
  }
  // A key in reserve that is dead must never be what a failover chooses.
  if (version !== state.current) {
    const withdrawn = withRecord(checked, version, { withdrawnAt: context.now })
    return { state: withdrawn, events: [...events, ...spareRejected(withdrawn, before, check, context)] }
  }
  const failed = failOver(checked, check.verdict, context)
  return { state: failed.state, events: [...events, ...failed.events] }
}

/**
 * It has expired, and OpenAI cannot be asked: one that lives takes its place. It is not withdrawn, since nobody said that
 * it is dead.
 */
function replaceExpired(
  state: CredentialState,
  record: VersionRecord,
  context: ChangeContext,
): Change | undefined {
  const isAsked = record.version === state.current && record.verdict?.kind === 'unknown'
  const next = isAsked && isExpired(record, context.now) ? nextLive(state, context.now) : undefined
  if (next === undefined || isDoubtful(next)) return undefined
  const why = 'the key handed out has expired, and OpenAI cannot be asked'
  return takeOver(
    state,
    next.version,
    { who: 'failover', why, isInStore: state.storeCurrent === next.version },
    context,
  )
}

/**
 * A key that is handed out after a single proof (a first one, or an emergency's) may be refused by edges that do not
 * know it yet, and withdrawing it would be for good. While that can be the reason, every edge has to refuse it.
 */
function isActivating(
  state: CredentialState,
  record: VersionRecord,
  { now, policy }: ChangeContext,
): boolean {
  if (record.origin === 'found' || now >= record.addedAt + policy.activationGraceMs) return false
  // A spare has time: nobody has it.
  if (record.stage === 'standby') return true
  if (record.version !== state.current) return false
  const { rotation } = state
  const isUrgent = rotation?.mode === 'emergency' && rotation.attempts.at(-1)?.version === record.version
  return isUrgent || nextLive(state, now) === undefined
}

/** What is shown of a refusal that is not believed yet: nobody should read that a key is dead which works. */
const activationLag = {
  kind: 'unknown',
  cause: 'activation_lag',
  summary: 'OpenAI does not know the new key everywhere yet.',
  fix: 'Nothing to do: it is asked again until all of OpenAI answers alike.',
} as const

export interface Conclusive {
  readonly count: number
  readonly spanMs: number
}

export function isSettled(rejections: VersionRecord['rejections'], needed: Conclusive): boolean {
  if (rejections === undefined) return false
  return rejections.count >= needed.count && rejections.lastAt - rejections.firstAt >= needed.spanMs
}

/** A record with what a check of it saw, and when it is checked next. */
export function checkedRecord(
  before: VersionRecord,
  check: CheckOutcome,
  needed: Conclusive,
  context: Pick<ChangeContext, 'now' | 'policy'> & {
    readonly fraction: number
    readonly name: CredentialName
  },
): VersionRecord {
  const { now, policy, fraction } = context
  const isGood = isAuthentic(check.verdict.kind) && check.isOurs
  const { rejections: earlier, nextCheckAt: _due, ...rest } = before
  const base: VersionRecord = {
    ...rest,
    verdict: check.verdict,
    checkedAt: now,
    ...(isGood ? { verifiedAt: now } : {}),
  }
  const isSuspect = before.suspectUntil !== undefined && before.suspectUntil > now
  if (check.verdict.kind === 'rejected') {
    const at = check.at ?? now
    const isApart = earlier === undefined || Math.abs(at - earlier.lastAt) >= policy.rejectionGapMs
    const count = (earlier?.count ?? 0) + (isApart ? 1 : 0)
    const rejections = {
      count,
      firstAt: earlier?.firstAt ?? at,
      lastAt: isApart ? at : (earlier?.lastAt ?? at),
    }
    return {
      ...base,
      rejections,
      nextCheckAt: now + (isSettled(rejections, needed) ? policy.verifyEveryMs : policy.rejectionGapMs),
    }
  }
  // No answer neither adds to the rejections nor takes them back: only the key's own voice does.
  const kept =
    isAuthentic(check.verdict.kind) || earlier === undefined ? base : { ...base, rejections: earlier }
  if (before.stage === 'previous') return kept
  const isUnsure = check.verdict.kind === 'unknown' || check.verdict.kind === 'misconfigured'
  const askedMs = Math.min(check.verdict.retryAfterMs ?? 0, policy.verifyEveryMs)
  const unsureMs = Math.max(policy.verifyCloselyEveryMs, policy.verifyUnsureEveryMs ?? 0)
  const soonMs = isSuspect ? suspectEveryMs : Math.min(unsureMs, policy.verifyEveryMs)
  if (isSuspect || isUnsure) return { ...kept, nextCheckAt: now + Math.max(soonMs, askedMs) }
  const { promotedAt, meta, stage } = before
  const nextAt = nextCheckAt({ promotedAt, now, policy, fraction, seed: checkSeed(context.name, stage) })
  // It is looked at when it expires, so that no app gets a dead key until the interval is over.
  const isExpiring = meta.expiresAt !== undefined && meta.expiresAt > now && meta.expiresAt < nextAt
  return { ...kept, nextCheckAt: isExpiring ? (meta.expiresAt ?? nextAt) : nextAt }
}

/** A spare has a place of its own in the interval, so that it is not asked in the same breath as the current key. */
export function checkSeed(name: CredentialName, stage: Stage): string {
  return stage === 'standby' ? `${name}\nstandby` : name
}

/** Nobody is without a key for that, and another spare is made: told all the same, since something ends keys. */
function spareRejected(
  state: CredentialState,
  { stage, version }: VersionRecord,
  { verdict }: CheckOutcome,
  context: ChangeContext,
): readonly NewCredentialEvent[] {
  if (stage !== 'standby') return []
  const summary = `The spare key was rejected and is not used. ${verdict.summary}`
  const fix = 'Find out who ended it; another one is made by itself.'
  return [eventOf(state, 'alert', context.now, { code: 'standby_rejected', version, summary, fix })]
}

function adopt(
  state: CredentialState,
  version: VersionId,
  check: CheckOutcome & {
    /** In the primary store, and not in a mirror only. */
    readonly isInStore: boolean
  },
  context: ChangeContext,
): Change {
  const { isInStore } = check
  const begun = withoutStart(state, context)
  const first =
    state.belonging === undefined && check.belonging !== undefined
      ? { ...begun, belonging: check.belonging }
      : begun
  const why =
    state.current === undefined
      ? 'the key found in the store works and is ours'
      : `somebody put another working key of ours into ${isInStore ? 'the store' : 'a mirror'}`
  const who = state.current === undefined ? 'start' : isInStore ? 'store' : 'mirror'
  const known = isInStore ? first : withRecord(first, version, { isUnstored: true })
  return takeOver(known, version, { who, why, isInStore }, context)
}

/** The rotation for a first key, which could not be made, is over when a person has put one there. */
function withoutStart(state: CredentialState, context: ChangeContext): CredentialState {
  const { rotation } = state
  const isIdle = rotation?.phase === 'halted' && pendingOf(rotation) === undefined
  if (!isIdle || rotation.requestedBy !== 'start' || state.current !== undefined) return state
  const fresh = { marker: context.marker(), version: context.uuid() }
  const { halt: _halt, ...rest } = rotation
  const note = 'a key was put into the store meanwhile'
  return { ...state, rotation: end(rest, 'superseded', { ...context, fresh }, note) }
}

type Refusal = CheckOutcome & {
  /** It was refused often enough to be believed. */
  readonly isDead: boolean
}

function refuseCandidate(
  state: CredentialState,
  record: VersionRecord,
  check: Refusal,
  context: ChangeContext,
): Change {
  const isForeign = isAuthentic(check.verdict.kind) && !check.isOurs
  if (check.verdict.kind === 'unknown' || check.verdict.kind === 'throttled') return { state, events: [] }
  if (handedOut(state) === undefined) return noKey(state, record, { ...check, isForeign }, context)
  const summary = isForeign
    ? 'Somebody put a key of another organisation or project into the store.'
    : `Somebody put another key into the store, and it does not work. ${check.verdict.summary}`
  return alarm(state, record.version, summary, context)
}

/** Only what is conclusive ends it: a person who put a key there a moment ago must not lose it to an outage of ours. */
function refuseMirrored(
  state: CredentialState,
  record: VersionRecord,
  check: Refusal,
  context: ChangeContext,
): Change {
  if (isAuthentic(check.verdict.kind) || isElsewhere(check.verdict, state))
    return refuseInMirror(state, record.version, 'It belongs to another organisation or project.', context)
  return check.isDead
    ? refuseInMirror(state, record.version, check.verdict.summary, context)
    : { state, events: [] }
}

/** OpenAI said that the key is not of those who were named to it; it says so of the current key too where they are named wrongly. */
function isElsewhere({ cause }: Verdict, state: CredentialState): boolean {
  const current = currentOf(state)?.verdict
  const isNamedRightly = current !== undefined && isAuthentic(current.kind)
  return isNamedRightly && (cause === 'organization_mismatched' || cause === 'project_mismatched')
}

/** The first key there is, and it cannot be handed out. Where it is dead and another can be minted, that is done. */
function noKey(
  state: CredentialState,
  record: VersionRecord,
  check: Refusal & { readonly isForeign: boolean },
  context: ChangeContext,
): Change {
  const summary = check.isForeign
    ? 'The key in the store belongs to another organisation or project than the configured one.'
    : check.verdict.summary
  const settledAt = record.addedAt + context.policy.activationGraceMs
  // A person may have made it a moment ago, and some of the issuer's edges do not know it yet.
  const isYoung = check.isDead && context.now < settledAt
  const waiting = isYoung ? checkedAgainAt(state, record, settledAt) : state
  const turning = check.isDead && !isYoung ? replaceDead(waiting, check.verdict, context) : undefined
  const fix = check.isForeign
    ? 'Put a key of the configured organisation and project into the store, or mend organization and project in the configuration.'
    : turning === undefined
      ? check.verdict.fix
      : mintingFix
  const isNew = state.outage?.summary !== summary
  const outage = { since: state.outage?.since ?? context.now, summary, fix }
  const out = { ...(turning?.state ?? waiting), outage }
  const told = isNew ? [eventOf(out, 'outage', context.now, { summary, fix })] : []
  return { state: out, events: [...told, ...(turning?.events ?? [])] }
}

function checkedAgainAt(state: CredentialState, record: VersionRecord, at: number): CredentialState {
  return withRecord(state, record.version, { nextCheckAt: Math.min(record.nextCheckAt ?? at, at) })
}

/** An app says that its key was refused: a hint that makes us look, never evidence. */
export function suspect(
  state: CredentialState,
  version: VersionId,
  now: number,
  forMs = 60_000,
): CredentialState {
  const record = recordOf(state, version)
  if (record === undefined || version !== state.current) return state
  return withRecord(state, version, suspected(record, now, forMs))
}

/** Probes stay at least a second apart, however many apps report. */
export function suspected(
  record: VersionRecord,
  now: number,
  forMs = 60_000,
): Required<Pick<VersionRecord, 'suspectUntil' | 'nextCheckAt'>> {
  const earliest = (record.checkedAt ?? 0) + suspectEveryMs
  const dueAt =
    record.rejections === undefined
      ? Math.max(now, earliest)
      : Math.min(record.nextCheckAt ?? now, Math.max(now, earliest))
  return { suspectUntil: now + forMs, nextCheckAt: Math.min(record.nextCheckAt ?? dueAt, dueAt) }
}
