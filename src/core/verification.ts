import {
  type Change,
  type ChangeContext,
  candidateOf,
  eventOf,
  handedOut,
  nextLive,
  recordOf,
  withRecord,
  withVersion,
} from './credential.ts'
import { alertExpiry } from './expiry.ts'
import { failOver, isTurning, mintingFix, replaceDead, turnOutOfOutage } from './failover.ts'
import { nextCheckAt } from './schedule.ts'
import { takeOver } from './take-over.ts'
import { mayRotateByItself, startRotation } from './turning.ts'
import {
  type Belonging,
  type CredentialName,
  type CredentialState,
  type Fingerprint,
  isAuthentic,
  type NewCredentialEvent,
  type Policy,
  type Verdict,
  type VersionId,
  type VersionMeta,
  type VersionRecord,
} from './types.ts'

/** What one look at the primary store brought. */
export type StoreReading =
  | {
      readonly kind: 'read'
      readonly version: VersionId
      readonly fingerprint: Fingerprint
      readonly meta: VersionMeta
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly code: string; readonly summary: string; readonly fix: string }

export interface CheckOutcome {
  readonly verdict: Verdict
  readonly isOurs: boolean
  readonly belonging: Belonging | undefined
}

/** Two probes in a row have to reject a key before it is withdrawn (invariant 1). */
const conclusive: Conclusive = { count: 2, spanMs: 0 }
/** A key that some edges may not know yet: refused for this long, with a probe in every gap and no acceptance between. */
const newKeySpanMs = 3_000
const suspectEveryMs = 1_000

/** What a look at the store means: nothing new, a first key, somebody else's change, or trouble. */
export function observeStore(
  state: CredentialState,
  reading: StoreReading,
  context: ChangeContext & { readonly fraction: number },
): Change {
  const { now, policy } = context
  const pollMs = policy.storePollMs * (0.9 + 0.2 * context.fraction)
  const looked: CredentialState = { ...state, storeReadAt: now, nextStoreReadAt: now + Math.round(pollMs) }
  if (reading.kind === 'failed')
    return storeFailed(looked, reading, now + Math.min(pollMs, policy.retryBaseMs * 10), now)
  const { storeTrouble: _mended, ...rest } = looked
  const healthy = state.storeTrouble?.code === 'store_changed' ? looked : rest
  if (reading.kind === 'absent') return storeEmpty(looked, context)
  return storeRead(healthy, reading, context)
}

function storeFailed(
  state: CredentialState,
  reading: Extract<StoreReading, { kind: 'failed' }>,
  nextStoreReadAt: number,
  now: number,
): Change {
  const { code, summary, fix } = reading
  const isNew = state.storeTrouble?.code !== code
  const since = isNew ? now : (state.storeTrouble?.since ?? now)
  const troubled = { ...state, nextStoreReadAt, storeTrouble: { since, code, summary, fix } }
  return { state: troubled, events: isNew ? [eventOf(troubled, 'alert', now, { code, summary, fix })] : [] }
}

/** An empty store is a beginning where Keyturn can mint, and an outage where it cannot. */
function storeEmpty(state: CredentialState, context: ChangeContext): Change {
  const { storeCurrent: _none, storeTrouble, ...rest } = state
  if (state.current === undefined && isTurning(state)) return { state: rest, events: [] }
  if (state.current === undefined && mayRotateByItself(rest, context)) {
    return startRotation(
      rest,
      {
        mode: 'normal',
        isCompromised: false,
        reason: 'the store holds no key yet',
        requestedBy: 'start',
        isAutomatic: true,
      },
      context,
    )
  }
  const isNew = storeTrouble?.code !== 'store_absent'
  const trouble = {
    since: isNew ? context.now : (storeTrouble?.since ?? context.now),
    code: 'store_absent',
    summary: `The store holds no key for ${state.name}.`,
    fix: context.policy.storeWritable
      ? `Bring one: keyturn bring ${state.name} < key.txt`
      : `Put the key where this store reads it from; ${takenUp}.`,
  }
  const { code, summary, fix } = trouble
  const empty = { ...rest, storeTrouble: trouble }
  return {
    state: empty,
    events: isNew ? [eventOf(empty, 'alert', context.now, { code, summary, fix })] : [],
  }
}

function storeRead(
  state: CredentialState,
  reading: Extract<StoreReading, { kind: 'read' }>,
  context: ChangeContext,
): Change {
  const { now } = context
  const known = recordOf(state, reading.version)
  const isSwapped = known !== undefined && known.fingerprint !== reading.fingerprint
  if (isSwapped)
    return alarm(
      state,
      reading.version,
      'The value of a known version changed in the store: somebody overwrote it.',
      context,
    )
  const { version, fingerprint, meta } = reading
  const added =
    known === undefined ? withVersion(state, { version, fingerprint, meta, origin: 'found' }, now) : state
  const seen: CredentialState = { ...added, storeCurrent: reading.version }
  if (reading.version === state.current) return { state: clearChanged(seen), events: [] }
  const candidate = candidateOf(seen)
  if (candidate !== undefined) {
    return {
      state: withRecord(seen, candidate.version, { nextCheckAt: candidate.nextCheckAt ?? now }),
      events: [],
    }
  }
  const isOut = known?.stage === 'retired' || known?.withdrawnAt !== undefined || known?.compromised === true
  // Seen there before, it is what we left behind ourselves, in a store that cannot be written.
  const isNew = state.storeCurrent !== reading.version || state.storeTrouble?.code === 'store_changed'
  if (!isOut || !isNew || seen.isAlignmentDue) return { state: seen, events: [] }
  return alarm(
    seen,
    reading.version,
    'Somebody made a retired or withdrawn key current in the store.',
    context,
  )
}

function clearChanged(state: CredentialState): CredentialState {
  if (state.storeTrouble?.code !== 'store_changed') return state
  const { storeTrouble: _over, ...rest } = state
  return rest
}

function alarm(state: CredentialState, version: VersionId, summary: string, context: ChangeContext): Change {
  const { policy } = context
  const fix =
    policy.canMint && policy.storeWritable
      ? `It is not handed out. Put the right key back, or run: keyturn rotate ${state.name}`
      : `It is not handed out. ${remedy(state.name, policy)}`
  const isNew = state.storeTrouble?.code !== 'store_changed'
  const since = isNew ? context.now : (state.storeTrouble?.since ?? context.now)
  const alarmed = { ...state, storeTrouble: { since, code: 'store_changed', summary, fix } }
  return {
    state: alarmed,
    events: isNew
      ? [eventOf(alarmed, 'alert', context.now, { code: 'store_changed', version, summary, fix })]
      : [],
  }
}

/** How a working key gets in, in the words of what this set-up can do: not every store takes one from Keyturn. */
function remedy(name: CredentialName, policy: Policy): string {
  if (!policy.storeWritable) return `Put a working key where the store of ${name} reads it from; ${takenUp}.`
  const bringing = `bring a working key: keyturn bring ${name} < key.txt`
  return policy.canMint
    ? `Turn the key: keyturn rotate ${name} --emergency; or ${bringing}`
    : upperFirst(bringing)
}

const takenUp = 'it is taken up by itself, a variable of the environment after a restart'

function upperFirst(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

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
  const isNew = isActivating(state, before, context)
  const needed = isNew ? { ...conclusive, spanMs: newKeySpanMs } : conclusive
  const noted = checkedRecord(before, check, needed, context)
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
  const isGood = isAuthentic(check.verdict.kind) && check.isOurs
  if (isCandidate) {
    const adopted = isGood
      ? adopt(checked, version, check, context)
      : refuseCandidate(checked, after, { ...check, isDead: isSettled(after.rejections, needed) }, context)
    return { state: adopted.state, events: [...events, ...adopted.events] }
  }
  const isDead = isSettled(after.rejections, needed)
  if (!isDead || before.withdrawnAt !== undefined) {
    const isStillOut = isDead && version === state.current
    const next = isStillOut ? turnOutOfOutage(checked, check.verdict, context) : alertExpiry(checked, context)
    return { state: next.state, events: [...events, ...next.events] }
  }
  // A key in reserve that is dead must never be what a failover chooses.
  if (version !== state.current)
    return { state: withRecord(checked, version, { withdrawnAt: context.now }), events }
  const failed = failOver(checked, check.verdict, context)
  return { state: failed.state, events: [...events, ...failed.events] }
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
  if (record.version !== state.current || record.origin === 'found') return false
  if (now >= record.addedAt + policy.activationGraceMs) return false
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

interface Conclusive {
  readonly count: number
  readonly spanMs: number
}

function isSettled(rejections: VersionRecord['rejections'], needed: Conclusive): boolean {
  if (rejections === undefined) return false
  return rejections.count >= needed.count && rejections.lastAt - rejections.firstAt >= needed.spanMs
}

function checkedRecord(
  before: VersionRecord,
  check: CheckOutcome,
  needed: Conclusive,
  context: ChangeContext & { readonly fraction: number },
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
    const isApart = earlier === undefined || Math.abs(now - earlier.lastAt) >= policy.rejectionGapMs
    const count = (earlier?.count ?? 0) + (isApart ? 1 : 0)
    const rejections = {
      count,
      firstAt: earlier?.firstAt ?? now,
      lastAt: isApart ? now : (earlier?.lastAt ?? now),
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
  const soonMs = isSuspect ? suspectEveryMs : Math.min(policy.verifyCloselyEveryMs, policy.verifyEveryMs)
  if (isSuspect || isUnsure) return { ...kept, nextCheckAt: now + Math.max(soonMs, askedMs) }
  const { promotedAt, nextCheckAt: dueAt, meta } = before
  const nextAt = nextCheckAt({ promotedAt, now, policy, fraction, dueAt })
  // It is looked at when it expires, so that no app gets a dead key until the interval is over.
  const isExpiring = meta.expiresAt !== undefined && meta.expiresAt > now && meta.expiresAt < nextAt
  return { ...kept, nextCheckAt: isExpiring ? (meta.expiresAt ?? nextAt) : nextAt }
}

function adopt(
  state: CredentialState,
  version: VersionId,
  check: CheckOutcome,
  context: ChangeContext,
): Change {
  const first =
    state.belonging === undefined && check.belonging !== undefined
      ? { ...state, belonging: check.belonging }
      : state
  const why =
    state.current === undefined
      ? 'the key found in the store works and is ours'
      : 'somebody put another working key of ours into the store'
  return takeOver(
    first,
    version,
    { who: state.current === undefined ? 'start' : 'store', why, isInStore: true },
    context,
  )
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
  // Probes stay at least a second apart, however many apps report.
  const earliest = (record.checkedAt ?? 0) + suspectEveryMs
  const dueAt =
    record.rejections === undefined
      ? Math.max(now, earliest)
      : Math.min(record.nextCheckAt ?? now, Math.max(now, earliest))
  return withRecord(state, version, {
    suspectUntil: now + forMs,
    nextCheckAt: Math.min(record.nextCheckAt ?? dueAt, dueAt),
  })
}
