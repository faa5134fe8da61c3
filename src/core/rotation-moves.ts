import { backoffMs } from './backoff.ts'
import { assert } from './errors.ts'
import { checkOf, type Note, type StepEvidence, tallied, withStep } from './evidence.ts'
import type { RotationContext } from './rotation-events.ts'
import { isWaitingForStep } from './steering.ts'
import type {
  Attempt,
  Discard,
  Halt,
  KeyId,
  PermissionFinding,
  Rotation,
  RotationPhase,
  Step,
  Verdict,
  VersionId,
} from './types.ts'

/** How a rotation moves from phase to phase: the straight work under the decisions of rotation-phases.ts. */
const stepsMax = 60
const permissionsMax = 60
const residueMax = 20
const formerAttemptsMax = 20
/** A rotation that waits for a person has no deadline worth the name. */
const neverMs = 3_650 * 86_400_000

/** The attempt whose key is in the store as pending. */
export function pendingOf(rotation: Rotation): Attempt | undefined {
  const attempt = rotation.attempts.at(-1)
  return attempt?.outcome === 'staged' ? attempt : undefined
}

export function startMinting(
  rotation: Rotation,
  context: RotationContext,
  note: Note,
  after?: Discard,
): Rotation {
  const number = rotation.attempts.length + 1
  if (number > context.policy.attemptsMax) {
    return halt(rotation, context, {
      reason: 'attempts_exhausted',
      summary:
        `${context.policy.attemptsMax} attempts brought no working key. ${after?.summary ?? ''}`.trim(),
      fix: after?.fix || 'Look at the steps of this rotation, mend the cause, then resume it.',
    })
  }
  if (context.policy.isManual && rotation.mode === 'rehearsal')
    return end(
      rotation,
      'rehearsed',
      context,
      withMore(note, '; the key itself is proven when a person brings it'),
    )
  if (context.policy.isManual)
    return enter(rotation, 'awaiting', context, withMore(note, ': waits for the operator to bring a key'))
  const attempt: Attempt = { ...context.fresh, number, startedAt: context.now, outcome: 'open' }
  return enter({ ...rotation, attempts: [...rotation.attempts, attempt] }, 'minting', context, note)
}

export function startProving(rotation: Rotation, context: RotationContext, note: Note): Rotation {
  const { provingSince: _since, ...rest } = rotation
  return enter({ ...rest, confirmations: 0 }, 'proving', context, note)
}

export function withAttempt(rotation: Rotation, change: Partial<Attempt>): Rotation {
  const last = rotation.attempts.at(-1)
  assert(last !== undefined, 'a rotation past checking has an attempt')
  return { ...rotation, attempts: [...rotation.attempts.slice(0, -1), { ...last, ...change }] }
}

export function withFound(
  rotation: Rotation,
  found: { readonly version: VersionId; readonly keyId: KeyId },
  context: Pick<RotationContext, 'added'>,
): Rotation {
  const known = rotation.attempts.find((one) => one.version === found.version)
  assert(known !== undefined, 'what was found belongs to an attempt')
  const others = rotation.attempts.filter((one) => one !== known)
  const staged: Attempt = { ...known, outcome: 'staged', keyId: found.keyId, ...keyAdded(context) }
  return { ...rotation, attempts: [...others, staged] }
}

/** What the version that came with the event is told by, for the attempt it belongs to. */
export function keyAdded({ added }: Pick<RotationContext, 'added'>): Pick<Attempt, 'key'> {
  return added === undefined ? {} : { key: added }
}

/** Attempts that leave the walk stay on record: what became of their keys is asked for later. */
export function withoutAttempts(rotation: Rotation, left: (attempt: Attempt) => boolean): Rotation {
  const former = [...(rotation.formerAttempts ?? []), ...rotation.attempts.filter(left)]
  return {
    ...rotation,
    attempts: rotation.attempts.filter((one) => !left(one)),
    ...(former.length === 0 ? {} : { formerAttempts: former.slice(-formerAttemptsMax) }),
  }
}

/** One more verification of the pending key. */
export function withCheck(
  rotation: Rotation,
  proof: { readonly verdict: Verdict; readonly isOurs: boolean; readonly at?: number },
  context: RotationContext,
): Rotation {
  const check = checkOf(proof.verdict, proof.at ?? context.now, proof.isOurs)
  // What the ledger takes twice, because its answer was lost, is one verification all the same.
  if (rotation.checks?.latest.at(-1)?.at === check.at) return rotation
  return { ...rotation, checks: tallied(rotation.checks, check) }
}

function verifications(rotation: Rotation): StepEvidence | undefined {
  const version = pendingOf(rotation)?.version
  const { checks } = rotation
  return checks === undefined || version === undefined
    ? undefined
    : { kind: 'verifications', version, checks: checks.latest, total: checks.total }
}

export function withBrought(rotation: Rotation, version: VersionId, context: RotationContext): Rotation {
  const attempt: Attempt = {
    number: rotation.attempts.length + 1,
    marker: context.fresh.marker,
    version,
    startedAt: context.now,
    outcome: 'staged',
    ...keyAdded(context),
  }
  return { ...rotation, attempts: [...rotation.attempts, attempt] }
}

export function discard(
  rotation: Rotation,
  context: RotationContext,
  why: Discard,
  note: Note = why.summary,
): Rotation {
  if (rotation.mode === 'rehearsal' && why.next === 'halt')
    return enter(failed(rotation, haltOf(rotation, context, why)), 'discarding', context, note)
  // Under the token of a store there is room for one key: the next one comes with the store's next rotation.
  const next = rotation.steering !== undefined && why.next === 'mint' ? 'halt' : why.next
  return enter({ ...rotation, discard: { ...why, next } }, 'discarding', context, note)
}

export function enter(
  rotation: Rotation,
  phase: RotationPhase,
  context: RotationContext,
  note: Note,
  delayMs = 0,
): Rotation {
  const { checks: _over, ...rest } = rotation
  const entered = {
    ...rest,
    phase,
    phaseAt: context.now,
    deadlineAt: deadlineOf(phase, context),
    wakeAt: context.now + delayMs,
    retries: 0,
  }
  // Whatever proving ends in, it ends so because of what its verifications brought.
  return noted(entered, context, {
    text: textOf(note),
    evidence: evidenceOf(note) ?? verifications(rotation),
  })
}

/** The same with a few words more. */
export function withMore(note: Note, words: string): Note {
  return { text: textOf(note) + words, evidence: evidenceOf(note) }
}

function textOf(note: Note): string {
  return typeof note === 'string' ? note : note.text
}

function evidenceOf(note: Note): StepEvidence | undefined {
  return typeof note === 'string' ? undefined : note.evidence
}

export function deadlineOf(phase: RotationPhase, context: RotationContext): number {
  return context.now + (phase === 'awaiting' ? neverMs : context.policy.phaseDeadlineMs)
}

/**
 * From one part of promoting to another, under the deadline of the whole: a store that answers now from one replica and
 * now from another would otherwise send us round for ever.
 */
export function goOn(
  rotation: Rotation,
  phase: 'promoting' | 'confirming' | 'inspecting',
  context: RotationContext,
  note: Note,
  delayMs = 0,
): Rotation {
  return { ...enter(rotation, phase, context, note, delayMs), deadlineAt: rotation.deadlineAt }
}

/** Stays in the phase and tries again later: exponential, from retryBaseMs up to retryMaxMs, or as the other side asks. */
export function retry(rotation: Rotation, context: RotationContext, askedMs = 0): Rotation {
  const { policy } = context
  const delayMs = Math.max(backoffMs(policy, rotation.retries), Math.min(askedMs, policy.retryMaxMs))
  return { ...rotation, retries: rotation.retries + 1, wakeAt: context.now + delayMs }
}

/** Waits for the end of a blackout, with the whole deadline after it. */
export function hold(rotation: Rotation, until: number, context: RotationContext): Rotation {
  if (rotation.wakeAt >= until) return rotation
  const held = { ...rotation, wakeAt: until, deadlineAt: until + context.policy.phaseDeadlineMs }
  return noted(held, context, `waits for the end of a blackout at ${new Date(until).toISOString()}`)
}

export function pastDeadline(rotation: Rotation, context: RotationContext): Rotation {
  if (rotation.phase === 'done' || rotation.phase === 'halted') return rotation
  if (rotation.mode === 'standby') return giveUp(rotation, context, spareOverdue(rotation, context))
  if (isWaitingForStep(rotation)) return halt(rotation, context, stepOverdue(rotation))
  const again = rotation.mode === 'rehearsal' ? 'rehearse again' : 'resume'
  const fixes: Partial<Record<RotationPhase, string>> = {
    checking: `Run keyturn status to see what the store and OpenAI answered; mend it, then ${again}.`,
    reconciling: `Check that OpenAI’s admin API and the store can be reached; then ${again}.`,
    proving: `Check that OpenAI can be reached from here; then ${again}.`,
    discarding: 'Delete the pending key by hand in OpenAI’s dashboard, or mend the cause and resume.',
  }
  return halt(rotation, context, {
    reason: 'deadline_passed',
    summary: `The rotation could not get past ${rotation.phase} in ${Math.round(context.policy.phaseDeadlineMs / 1000)} seconds.`,
    fix: fixes[rotation.phase] ?? `Check that the store can be reached; then ${again}.`,
  })
}

function stepOverdue({ credential, steering }: Rotation): Pick<Halt, 'reason' | 'summary' | 'fix'> {
  return {
    reason: 'deadline_passed',
    summary: `The new key is ${steering?.upTo ?? 'staged'}, and the rotation of the store did not go on.`,
    fix: `Look at the function that rotates the secret: its next step goes on from here. Or give it up: keyturn abort ${credential}.`,
  }
}

function spareOverdue(
  rotation: Rotation,
  { policy }: RotationContext,
): Pick<Halt, 'reason' | 'summary' | 'fix'> {
  const seconds = Math.round(policy.phaseDeadlineMs / 1000)
  return {
    reason: 'deadline_passed',
    summary: `The making of a spare could not get past ${rotation.phase} in ${seconds} seconds.`,
    fix: 'Check that the store and OpenAI’s admin API can be reached from here; it is tried again by itself.',
  }
}

export function halt(
  rotation: Rotation,
  context: RotationContext,
  why: Pick<Halt, 'reason' | 'summary' | 'fix'>,
  evidence?: StepEvidence,
): Rotation {
  if (rotation.mode === 'standby') return giveUp(rotation, context, why)
  const halted = haltOf(rotation, context, why)
  const note = { text: `${why.reason}: ${why.summary}`, evidence }
  // That a key could not be ended is for a person to see to, also in a rehearsal.
  if (rotation.mode === 'rehearsal' && rotation.phase !== 'discarding')
    return endInFailure(failed(rotation, halted), context, note)
  return enter({ ...rotation, halt: halted }, 'halted', context, note)
}

function haltOf(
  rotation: Rotation,
  { now }: RotationContext,
  { reason, summary, fix }: Pick<Halt, 'reason' | 'summary' | 'fix'>,
): Halt {
  return { from: rotation.phase, reason, summary, fix, at: now }
}

// ----------------------------------------------------------------- rehearsing

/** What stands in its way is what a rehearsal is to find out: it takes its key back and ends. */
function failed(rotation: Rotation, failure: Halt): Rotation {
  const { reason, summary, fix } = failure
  const discard: Discard = { next: 'end', outcome: 'rehearsal_failed', reason, summary, fix }
  return { ...rotation, failure, discard }
}

function endInFailure(rotation: Rotation, context: RotationContext, note: Note): Rotation {
  if (pendingOf(rotation) !== undefined) return enter(rotation, 'discarding', context, note)
  const isOpen = rotation.attempts.some((one) => one.outcome === 'open')
  if (isOpen && rotation.phase !== 'reconciling') return enter(rotation, 'reconciling', context, note)
  const { discard: _over, ...rest } = rotation
  return end(rest, 'rehearsal_failed', context, note)
}

export function withPermissions(
  rotation: Rotation,
  found: readonly PermissionFinding[] | undefined,
): Rotation {
  if (rotation.mode !== 'rehearsal' || found === undefined) return rotation
  return { ...rotation, permissions: found.slice(0, permissionsMax) }
}

/** What only showed when it was needed. It is never crowded out by what was asked beforehand. */
export function withFinding(rotation: Rotation, found: PermissionFinding | undefined): Rotation {
  if (rotation.mode !== 'rehearsal' || found === undefined) return rotation
  const isSame = (one: PermissionFinding): boolean =>
    one.permission === found.permission && one.resource === found.resource
  const others = (rotation.permissions ?? []).filter((one) => !isSame(one))
  return { ...rotation, permissions: [...others.slice(0, permissionsMax - 1), found] }
}

export function withResidue(rotation: Rotation, left: readonly string[] | undefined): Rotation {
  if (left === undefined || left.length === 0) return rotation
  const all = [...new Set([...(rotation.residue ?? []), ...left])]
  return { ...rotation, residue: all.slice(-residueMax) }
}

// --------------------------------------------------------------------- spares

/** Nobody waits for a spare: its walk ends where another would halt, and what it has made is taken away first. */
function giveUp(
  rotation: Rotation,
  context: RotationContext,
  { reason, summary, fix }: Pick<Halt, 'reason' | 'summary' | 'fix'>,
): Rotation {
  const isGivenUp = rotation.discard?.outcome === 'given_up'
  const why: Discard = { next: 'end', outcome: 'given_up', reason, summary, fix }
  const given = { ...rotation, discard: isGivenUp ? rotation.discard : why }
  const note = `${reason}: ${summary}`
  return pendingOf(rotation) === undefined
    ? end(given, 'given_up', context, note)
    : enter(given, 'discarding', context, note)
}

export function end(
  rotation: Rotation,
  outcome: NonNullable<Rotation['outcome']>,
  context: RotationContext,
  note: Note,
): Rotation {
  return { ...enter(withUnanswered(rotation), 'done', context, note), outcome, endedAt: context.now }
}

/** A mint that was never answered may still land: the sweep looks for it, and whoever rehearsed is told. */
function withUnanswered(rotation: Rotation): Rotation {
  if (rotation.mode !== 'rehearsal') return rotation
  const open = rotation.attempts.filter((one) => one.outcome === 'open')
  return withResidue(
    rotation,
    open.map(
      ({ marker }) =>
        `OpenAI never answered whether it made the key ${marker}: it is looked for during 24 hours, and revoked if it turns up.`,
    ),
  )
}

export function noted(rotation: Rotation, context: RotationContext, note: Note): Rotation {
  const evidence = evidenceOf(note)
  const line: Step = {
    at: context.now,
    phase: rotation.phase,
    note: textOf(note),
    ...(evidence === undefined ? {} : { evidence }),
  }
  return { ...rotation, ...withStep(rotation, line, stepsMax) }
}
