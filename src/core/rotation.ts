import { assert } from './errors.ts'
import {
  type Attempt,
  type Discard,
  type Halt,
  isAuthentic,
  type KeyId,
  type Policy,
  type Rotation,
  type RotationMode,
  type RotationPhase,
  type Step,
  type Verdict,
  type VersionId,
} from './types.ts'

/**
 * One rotation, as a table in code: `step` says what an event makes of it, `effectOf` says what it wants done now.
 *
 * Effects are derived from the state and not returned by `step`: whoever finds a rotation after a crash knows what it
 * wants without knowing how it came there. Every effect is safe to repeat, with one exception, `mint`; that is why a
 * rotation found in `minting` by anybody but the one who is minting goes to `reconciling` (event `resumed`).
 */
export type RotationEvent =
  | { readonly kind: 'resumed' }
  | { readonly kind: 'deadline_passed' }
  | { readonly kind: 'checked' }
  | { readonly kind: 'check_failed'; readonly reason: string; readonly summary: string; readonly fix: string }
  | { readonly kind: 'check_unknown' }
  | { readonly kind: 'minted'; readonly keyId: KeyId }
  | { readonly kind: 'mint_refused'; readonly verdict: Verdict }
  | { readonly kind: 'mint_unknown'; readonly keyId?: KeyId }
  | {
      readonly kind: 'reconciled'
      readonly found: { readonly version: VersionId; readonly keyId: KeyId } | undefined
    }
  | { readonly kind: 'reconcile_failed' }
  | { readonly kind: 'brought'; readonly version: VersionId }
  | {
      readonly kind: 'proved'
      readonly verdict: Verdict
      readonly isOurs: boolean
      readonly lacksDeclared: boolean
    }
  | { readonly kind: 'pending_lost' }
  | { readonly kind: 'discarded' }
  | { readonly kind: 'discard_failed' }
  | { readonly kind: 'extended' }
  | { readonly kind: 'extend_refused' }
  | { readonly kind: 'extend_unknown' }
  | { readonly kind: 'promoted' }
  | { readonly kind: 'promote_lost' }
  | { readonly kind: 'promote_gone' }
  | { readonly kind: 'promote_unknown' }
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'confirm_lost' }
  | { readonly kind: 'confirm_unknown' }
  | { readonly kind: 'inspected'; readonly finding: 'ours' | 'unchanged' | 'adopted' | 'foreign' }
  | { readonly kind: 'inspect_unknown' }
  | { readonly kind: 'pause_asked'; readonly by: string }
  | { readonly kind: 'resume_asked'; readonly by: string }
  | { readonly kind: 'abort_asked'; readonly by: string }
  | {
      readonly kind: 'emergency_asked'
      readonly by: string
      readonly reason: string
      readonly isCompromised: boolean
    }

export type RotationEventKind = RotationEvent['kind']

export type RotationEffect =
  | { readonly kind: 'check' }
  | { readonly kind: 'mint'; readonly attempt: Attempt }
  | { readonly kind: 'reconcile'; readonly attempts: readonly Attempt[] }
  | { readonly kind: 'prove'; readonly version: VersionId }
  | { readonly kind: 'discard'; readonly version: VersionId; readonly keyId?: KeyId }
  | { readonly kind: 'extend'; readonly version: VersionId; readonly keyId: KeyId }
  | { readonly kind: 'promote'; readonly from: VersionId | undefined; readonly to: VersionId }
  | { readonly kind: 'confirm'; readonly to: VersionId }
  | { readonly kind: 'inspect'; readonly from: VersionId | undefined; readonly to: VersionId }

/** What a step may use beside the rotation and the event. `fresh` names the next attempt, should one be needed. */
export interface RotationContext {
  readonly now: number
  readonly policy: Policy
  readonly fresh: { readonly marker: string; readonly version: VersionId }
}

const stepsMax = 60
/** A rotation that waits for a person has no deadline worth the name. */
const neverMs = 3_650 * 86_400_000

export function newRotation(
  request: {
    readonly id: string
    readonly credential: string
    readonly mode: RotationMode
    readonly isCompromised: boolean
    readonly reason: string
    readonly requestedBy: string
    readonly from: VersionId | undefined
  },
  context: Pick<RotationContext, 'now' | 'policy'>,
): Rotation {
  const { from, ...rest } = request
  return {
    ...rest,
    ...(from === undefined ? {} : { from }),
    startedAt: context.now,
    phase: 'checking',
    phaseAt: context.now,
    deadlineAt: context.now + context.policy.phaseDeadlineMs,
    wakeAt: context.now,
    paused: false,
    attempts: [],
    confirmations: 0,
    retries: 0,
    steps: [
      { at: context.now, phase: 'checking', note: `asked for by ${request.requestedBy}: ${request.reason}` },
    ],
  }
}

export function isRunning(rotation: Rotation | undefined): rotation is Rotation {
  return rotation !== undefined && rotation.phase !== 'done'
}

/** What the rotation wants done now; undefined while it waits for a person or has ended. The caller minds `wakeAt` and `paused`. */
export function effectOf(rotation: Rotation): RotationEffect | undefined {
  const attempt = rotation.attempts.at(-1)
  const pending = pendingOf(rotation)
  switch (rotation.phase) {
    case 'checking':
      return { kind: 'check' }
    case 'minting':
      assert(attempt?.outcome === 'open', 'a rotation that mints has an open attempt')
      return { kind: 'mint', attempt }
    case 'reconciling':
      return { kind: 'reconcile', attempts: rotation.attempts.filter((one) => one.outcome === 'open') }
    case 'awaiting':
    case 'halted':
    case 'done':
      return undefined
    case 'discarding':
      assert(pending !== undefined, 'a rotation that discards has a pending version')
      return pending.keyId === undefined
        ? { kind: 'discard', version: pending.version }
        : { kind: 'discard', version: pending.version, keyId: pending.keyId }
    case 'extending':
      assert(pending?.keyId !== undefined, 'a rotation that extends knows the key id')
      return { kind: 'extend', version: pending.version, keyId: pending.keyId }
    case 'proving':
    case 'promoting':
    case 'confirming':
    case 'inspecting':
      assert(pending !== undefined, `a rotation in ${rotation.phase} has a pending version`)
      return pendingEffect(rotation.phase, rotation.from, pending.version)
  }
}

function pendingEffect(
  phase: 'proving' | 'promoting' | 'confirming' | 'inspecting',
  from: VersionId | undefined,
  to: VersionId,
): RotationEffect {
  switch (phase) {
    case 'proving':
      return { kind: 'prove', version: to }
    case 'promoting':
      return { kind: 'promote', from, to }
    case 'confirming':
      return { kind: 'confirm', to }
    case 'inspecting':
      return { kind: 'inspect', from, to }
  }
}

/** The attempt whose key is in the store as pending. */
export function pendingOf(rotation: Rotation): Attempt | undefined {
  const attempt = rotation.attempts.at(-1)
  return attempt?.outcome === 'staged' ? attempt : undefined
}

/** Total: an event that means nothing in a phase leaves the rotation as it is (the very same object). */
export function step(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  const asked = stepAsked(rotation, event, context)
  if (asked !== undefined) return asked
  if (event.kind === 'deadline_passed') return pastDeadline(rotation, context)
  switch (rotation.phase) {
    case 'checking':
      return stepChecking(rotation, event, context)
    case 'minting':
      return stepMinting(rotation, event, context)
    case 'reconciling':
      return stepReconciling(rotation, event, context)
    case 'awaiting':
      return event.kind === 'brought'
        ? startProving(withBrought(rotation, event.version, context), context, 'the operator brought a key')
        : rotation
    case 'proving':
      return stepProving(rotation, event, context)
    case 'discarding':
      return stepDiscarding(rotation, event, context)
    case 'extending':
      return stepExtending(rotation, event, context)
    case 'promoting':
      return stepPromoting(rotation, event, context)
    case 'confirming':
      return stepConfirming(rotation, event, context)
    case 'inspecting':
      return stepInspecting(rotation, event, context)
    case 'halted':
    case 'done':
      return rotation
  }
}

// ------------------------------------------------------------ what people ask

function stepAsked(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation | undefined {
  switch (event.kind) {
    case 'pause_asked':
      if (rotation.phase === 'done' || rotation.paused) return rotation
      return noted({ ...rotation, paused: true }, context, `paused by ${event.by}`)
    case 'resume_asked':
      return resume(rotation, event.by, context)
    case 'abort_asked':
      return abort(rotation, event.by, context)
    case 'emergency_asked':
      return hasten(rotation, event, context)
    default:
      return undefined
  }
}

function resume(rotation: Rotation, by: string, context: RotationContext): Rotation {
  if (rotation.phase === 'halted') return reenter(rotation, context, `resumed by ${by}`)
  if (!rotation.paused || rotation.phase === 'done') return rotation
  const rested = {
    ...rotation,
    paused: false,
    wakeAt: context.now,
    deadlineAt: deadlineOf(rotation.phase, context),
  }
  return noted(rested, context, `resumed by ${by}`)
}

/**
 * Takes up a halted rotation where its facts say: a staged key is proven again, or discarded to the end where that was
 * begun; only where there is none are open attempts reconciled, since going on from there means to mint another.
 */
function reenter(rotation: Rotation, context: RotationContext, note: string): Rotation {
  const { halt: _halt, ...rest } = { ...rotation, paused: false }
  const from = rotation.halt?.from
  if (pendingOf(rotation) === undefined) {
    if (rotation.attempts.some((one) => one.outcome === 'open'))
      return enter(rest, 'reconciling', context, note)
    const { discard: _discard, ...fresh } = rest
    return enter({ ...fresh, attempts: [] }, 'checking', context, note)
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
    then: 'end',
    outcome: 'aborted',
    reason: 'aborted',
    summary: `Aborted by ${by}.`,
    fix: '',
  }
  const { halt: _halt, ...rest } = { ...rotation, paused: false, discard }
  if (pendingOf(rotation) !== undefined) return enter(rest, 'discarding', context, `aborted by ${by}`)
  if (rotation.attempts.some((one) => one.outcome === 'open'))
    return enter(rest, 'reconciling', context, `aborted by ${by}`)
  return end(rest, 'aborted', context, `aborted by ${by}`)
}

/** An emergency supersedes every phase: the walk goes on, at once and with the least proof that is still proof. */
function hasten(
  rotation: Rotation,
  event: Extract<RotationEvent, { kind: 'emergency_asked' }>,
  context: RotationContext,
): Rotation {
  if (rotation.phase === 'done') return rotation
  const { discard, ...rest } = rotation
  // A discard that has begun goes on to its end, since the key may be half dead, and another key follows.
  const isStaged = pendingOf(rotation) !== undefined
  const urgent: Rotation = {
    ...rest,
    ...(discard !== undefined && isStaged ? { discard: followedByMint(discard) } : {}),
    mode: 'emergency',
    isCompromised: rotation.isCompromised || event.isCompromised,
    reason: event.reason,
    requestedBy: event.by,
    paused: false,
    wakeAt: context.now,
  }
  const note = `emergency asked for by ${event.by}: ${event.reason}`
  if (rotation.phase === 'halted') return reenter(urgent, context, note)
  return noted({ ...urgent, deadlineAt: deadlineOf(rotation.phase, context) }, context, note)
}

function followedByMint(discard: Discard): Discard {
  const { outcome: _outcome, ...rest } = discard
  return { ...rest, then: 'mint' }
}

// ------------------------------------------------------------ phase by phase

function stepChecking(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'checked':
      return startMinting(rotation, context, 'store and issuer allow it')
    case 'check_failed':
      return halt(rotation, context, event)
    case 'check_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

function stepMinting(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'minted':
      return startProving(
        withAttempt(rotation, { outcome: 'staged', keyId: event.keyId }),
        context,
        'a key was minted and staged',
      )
    case 'mint_refused':
      if (event.verdict.kind === 'throttled') {
        return retry(rotation, context, event.verdict.retryAfterMs)
      }
      return halt(withAttempt(rotation, { outcome: 'refused' }), context, {
        reason: 'minting_refused',
        summary: `OpenAI refused to make a key. ${event.verdict.summary}`,
        fix: event.verdict.fix,
      })
    case 'mint_unknown': {
      const known = event.keyId === undefined ? rotation : withAttempt(rotation, { keyId: event.keyId })
      return enter(
        known,
        'reconciling',
        context,
        'nobody knows whether a key was made: looking for it',
        context.policy.retryBaseMs,
      )
    }
    case 'resumed':
      return enter(
        rotation,
        'reconciling',
        context,
        'minting was interrupted: looking for a key that may have been made',
      )
    default:
      return rotation
  }
}

function stepReconciling(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'reconciled': {
      if (event.found !== undefined) {
        const found = withFound(rotation, event.found)
        if (rotation.discard !== undefined)
          return enter(found, 'discarding', context, 'the key was found in the store')
        return startProving(found, context, 'the key was found in the store')
      }
      if (rotation.discard?.then === 'end')
        return end(rotation, rotation.discard.outcome ?? 'aborted', context, 'no key was left behind')
      return startMinting(rotation, context, 'no key was left behind')
    }
    case 'reconcile_failed':
      return retry(rotation, context)
    default:
      return rotation
  }
}

function stepProving(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  if (event.kind === 'pending_lost') {
    return discardLost(rotation, context)
  }
  if (event.kind !== 'proved') return rotation
  const { verdict } = event
  if (isAuthentic(verdict.kind) && !event.isOurs) {
    return discard(rotation, context, {
      then: 'halt',
      reason: 'foreign_key',
      summary: 'The new key answers for another organisation or project than the configured one.',
      fix: 'Compare organization and project of the credential with those of the service account that mints.',
    })
  }
  if (event.lacksDeclared) {
    return discard(rotation, context, {
      then: 'halt',
      reason: 'scope_missing',
      summary: verdict.summary,
      fix: verdict.fix,
    })
  }
  if (isAuthentic(verdict.kind)) return confirmOnce(rotation, context, verdict)
  switch (verdict.kind) {
    case 'rejected':
      return refusedWhileProving(rotation, context, verdict)
    case 'blocked':
    case 'misconfigured':
      return halt(rotation, context, {
        reason: `proving_${verdict.kind}`,
        summary: verdict.summary,
        fix: verdict.fix,
      })
    default:
      return retry(rotation, context, verdict.retryAfterMs)
  }
}

function confirmOnce(rotation: Rotation, context: RotationContext, verdict: Verdict): Rotation {
  const isUrgent = rotation.mode === 'emergency' || rotation.from === undefined
  const needed = isUrgent ? 1 : context.policy.provingCount
  const settleMs = isUrgent ? 0 : context.policy.provingSettleMs
  const provingSince = rotation.provingSince ?? context.now
  const proven = { ...rotation, confirmations: rotation.confirmations + 1, provingSince, retries: 0 }
  const isSettled = context.now - provingSince >= settleMs
  if (proven.confirmations < needed || !isSettled) {
    const gapMs = Math.max(context.policy.retryBaseMs / 10, settleMs / Math.max(1, needed - 1))
    return { ...proven, wakeAt: context.now + Math.ceil(gapMs) }
  }
  const note = `proven ${proven.confirmations} times (${verdict.kind})`
  if (rotation.mode === 'rehearsal') {
    return discard(
      proven,
      context,
      {
        then: 'end',
        outcome: 'rehearsed',
        reason: 'rehearsed',
        summary: 'The rehearsal went through.',
        fix: '',
      },
      note,
    )
  }
  const isMinted = pendingOf(rotation)?.keyId !== undefined
  return enter(proven, isMinted && context.policy.expiryManaged ? 'extending' : 'promoting', context, note)
}

/** A new key may be refused for a while by some of the issuer's edges; only a rejection that outlasts the grace is believed. */
function refusedWhileProving(rotation: Rotation, context: RotationContext, verdict: Verdict): Rotation {
  const stagedAt = rotation.attempts.at(-1)?.startedAt ?? rotation.phaseAt
  if (context.now < stagedAt + context.policy.activationGraceMs) {
    const { provingSince: _since, ...rest } = rotation
    return retry({ ...rest, confirmations: 0 }, context)
  }
  return discard(rotation, context, {
    then: isBrought(rotation) ? 'halt' : 'mint',
    reason: 'key_rejected',
    summary: `The new key does not work. ${verdict.summary}`,
    fix: verdict.fix,
  })
}

function discardLost(rotation: Rotation, context: RotationContext): Rotation {
  return discard(rotation, context, {
    then: isBrought(rotation) ? 'halt' : 'mint',
    reason: 'pending_lost',
    summary: 'The new key vanished from the store before it was promoted.',
    fix: 'Find out who else writes to this secret.',
  })
}

/** Another key in place of one that a person brought can only come from a person. */
function isBrought(rotation: Rotation): boolean {
  return pendingOf(rotation)?.keyId === undefined
}

function stepDiscarding(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  if (event.kind === 'discard_failed') return retry(rotation, context)
  if (event.kind !== 'discarded') return rotation
  const why = rotation.discard
  assert(why !== undefined, 'a rotation that discards says why')
  const { discard: _discard, ...rest } = withAttempt(rotation, { outcome: 'gone' })
  switch (why.then) {
    case 'end':
      return end(rest, why.outcome ?? 'aborted', context, 'the pending key is gone')
    case 'halt':
      return halt(rest, context, why)
    case 'mint':
      return startMinting(rest, context, 'the pending key is gone', why)
  }
}

function stepExtending(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'extended':
      return enter(rotation, 'promoting', context, 'its life was extended and confirmed')
    case 'extend_refused':
      return halt(rotation, context, {
        reason: 'expiry_not_extended',
        summary:
          'OpenAI refused to lengthen the life of the new key, which would die too soon to be handed out.',
        fix: 'Set keyExpiry below the organisation’s limit, or expiry: fixed where keys cannot be updated; then resume the rotation.',
      })
    case 'extend_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

function stepPromoting(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'promoted':
      return goOn(rotation, 'confirming', context, 'moved to current in the store')
    case 'promote_lost':
      return goOn(rotation, 'inspecting', context, 'somebody else changed what is current: looking at it')
    case 'promote_gone':
      return discardLost(rotation, context)
    case 'promote_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

function stepConfirming(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'confirmed':
      return end(rotation, 'promoted', context, 'read back from the store')
    case 'confirm_lost':
      return goOn(rotation, 'inspecting', context, 'the store reads back something else: looking at it')
    case 'confirm_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

function stepInspecting(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  if (event.kind === 'inspect_unknown') return retry(rotation, context)
  if (event.kind !== 'inspected') return rotation
  switch (event.finding) {
    case 'ours':
      return goOn(rotation, 'confirming', context, 'it is ours after all', context.policy.retryBaseMs)
    case 'unchanged':
      return goOn(rotation, 'promoting', context, 'nobody changed it after all', context.policy.retryBaseMs)
    case 'adopted':
      return discard(rotation, context, {
        then: 'end',
        outcome: 'superseded',
        reason: 'superseded',
        summary: 'Somebody put another working key into the store meanwhile; it was adopted.',
        fix: '',
      })
    case 'foreign':
      return halt(rotation, context, {
        reason: 'store_changed',
        summary: 'Somebody put another key into the store meanwhile, and it does not work or is not ours.',
        fix: 'Put the right key back into the store, or run keyturn rollback; then resume or abort this rotation.',
      })
  }
}

// ------------------------------------------------------------------- helpers

function startMinting(rotation: Rotation, context: RotationContext, note: string, after?: Discard): Rotation {
  const number = rotation.attempts.length + 1
  if (number > context.policy.attemptsMax) {
    return halt(rotation, context, {
      reason: 'attempts_exhausted',
      summary:
        `${context.policy.attemptsMax} attempts brought no working key. ${after?.summary ?? ''}`.trim(),
      fix: after?.fix || 'Look at the steps of this rotation, mend the cause, then resume it.',
    })
  }
  if (context.policy.isManual)
    return enter(rotation, 'awaiting', context, `${note}: waits for the operator to bring a key`)
  const attempt: Attempt = { ...context.fresh, number, startedAt: context.now, outcome: 'open' }
  return enter({ ...rotation, attempts: [...rotation.attempts, attempt] }, 'minting', context, note)
}

function startProving(rotation: Rotation, context: RotationContext, note: string): Rotation {
  const { provingSince: _since, ...rest } = rotation
  return enter({ ...rest, confirmations: 0 }, 'proving', context, note)
}

function withAttempt(rotation: Rotation, change: Partial<Attempt>): Rotation {
  const last = rotation.attempts.at(-1)
  assert(last !== undefined, 'a rotation past checking has an attempt')
  return { ...rotation, attempts: [...rotation.attempts.slice(0, -1), { ...last, ...change }] }
}

function withFound(
  rotation: Rotation,
  found: { readonly version: VersionId; readonly keyId: KeyId },
): Rotation {
  const known = rotation.attempts.find((one) => one.version === found.version)
  assert(known !== undefined, 'what was found belongs to an attempt')
  const others = rotation.attempts.filter((one) => one !== known)
  return { ...rotation, attempts: [...others, { ...known, outcome: 'staged', keyId: found.keyId }] }
}

function withBrought(rotation: Rotation, version: VersionId, context: RotationContext): Rotation {
  const attempt: Attempt = {
    number: rotation.attempts.length + 1,
    marker: context.fresh.marker,
    version,
    startedAt: context.now,
    outcome: 'staged',
  }
  return { ...rotation, attempts: [...rotation.attempts, attempt] }
}

function discard(rotation: Rotation, context: RotationContext, why: Discard, note = why.summary): Rotation {
  return enter({ ...rotation, discard: why }, 'discarding', context, note)
}

function enter(
  rotation: Rotation,
  phase: RotationPhase,
  context: RotationContext,
  note: string,
  delayMs = 0,
): Rotation {
  const entered = {
    ...rotation,
    phase,
    phaseAt: context.now,
    deadlineAt: deadlineOf(phase, context),
    wakeAt: context.now + delayMs,
    retries: 0,
  }
  return noted(entered, context, note)
}

function deadlineOf(phase: RotationPhase, context: RotationContext): number {
  return context.now + (phase === 'awaiting' ? neverMs : context.policy.phaseDeadlineMs)
}

/**
 * From one part of promoting to another, under the deadline of the whole: a store that answers now from one replica and
 * now from another would otherwise send us round for ever.
 */
function goOn(
  rotation: Rotation,
  phase: 'promoting' | 'confirming' | 'inspecting',
  context: RotationContext,
  note: string,
  delayMs = 0,
): Rotation {
  return { ...enter(rotation, phase, context, note, delayMs), deadlineAt: rotation.deadlineAt }
}

/** Stays in the phase and tries again later: exponential, from retryBaseMs up to retryMaxMs, or as the other side asks. */
function retry(rotation: Rotation, context: RotationContext, askedMs = 0): Rotation {
  const { retryBaseMs, retryMaxMs } = context.policy
  const delayMs = Math.max(
    Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(rotation.retries, 20)),
    Math.min(askedMs, retryMaxMs),
  )
  return { ...rotation, retries: rotation.retries + 1, wakeAt: context.now + delayMs }
}

function pastDeadline(rotation: Rotation, context: RotationContext): Rotation {
  if (rotation.phase === 'done' || rotation.phase === 'halted') return rotation
  const fixes: Partial<Record<RotationPhase, string>> = {
    checking: 'Run keyturn status to see what the store and OpenAI answered; mend it, then resume.',
    reconciling: 'Check that OpenAI’s admin API and the store can be reached; then resume.',
    proving: 'Check that OpenAI can be reached from here; then resume.',
    discarding: 'Delete the pending key by hand in OpenAI’s dashboard, or mend the cause and resume.',
  }
  return halt(rotation, context, {
    reason: 'deadline_passed',
    summary: `The rotation could not get past ${rotation.phase} in ${Math.round(context.policy.phaseDeadlineMs / 1000)} seconds.`,
    fix: fixes[rotation.phase] ?? 'Check that the store can be reached; then resume the rotation.',
  })
}

function halt(
  rotation: Rotation,
  context: RotationContext,
  why: { readonly reason: string; readonly summary: string; readonly fix: string },
): Rotation {
  const halted: Halt = {
    from: rotation.phase,
    reason: why.reason,
    summary: why.summary,
    fix: why.fix,
    at: context.now,
  }
  return enter({ ...rotation, halt: halted }, 'halted', context, `${why.reason}: ${why.summary}`)
}

function end(
  rotation: Rotation,
  outcome: NonNullable<Rotation['outcome']>,
  context: RotationContext,
  note: string,
): Rotation {
  return { ...enter(rotation, 'done', context, note), outcome, endedAt: context.now }
}

function noted(rotation: Rotation, context: RotationContext, note: string): Rotation {
  const line: Step = { at: context.now, phase: rotation.phase, note }
  return { ...rotation, steps: [...rotation.steps, line].slice(-stepsMax) }
}
