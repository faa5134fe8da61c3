import { assert } from './errors.ts'
import type { Occurrences } from './ports.ts'
import type { CredentialState, Policy } from './types.ts'

/** Once a quarter, at three in the morning of its first day. */
export const quarterly = '0 3 1 1,4,7,10 *'

export interface Schedule {
  /** A cron expression of five fields, or of six with seconds first. */
  readonly expression: string
  /** An IANA name, e.g. `Europe/Berlin`. */
  readonly timeZone: string
  /** Each rotation comes at a random instant up to this long after its occurrence. */
  readonly jitterMs: number
  /** What the jitter is drawn from: the same for one credential of one installation, different for any two. */
  readonly seed: string
  readonly occurrences: Occurrences
}

export interface ScheduledRotation {
  /** The instant that the expression names. */
  readonly occurrenceAt: number
  /** `occurrenceAt` plus the jitter: when the rotation starts. */
  readonly dueAt: number
}

/** What the state keeps of the schedule. All absent: nothing is scheduled. */
export type RotationPlan = Pick<CredentialState, 'nextRotationAt' | 'lastScheduledAt' | 'scheduleKey'>

/**
 * The first occurrence strictly after an instant, with its jitter. The jitter is uniform in whole milliseconds from 0
 * to `jitterMs` (both included) and a pure function of seed and occurrence, so that every replica, and the same one
 * after a restart, comes to the same instant.
 */
export function nextRotation(
  request: Schedule & { readonly afterAt: number },
): ScheduledRotation | undefined {
  const { expression, timeZone, jitterMs, seed, afterAt, occurrences } = request
  assert(Number.isFinite(jitterMs) && jitterMs >= 0, 'a jitter is a duration in milliseconds')
  const occurrenceAt = occurrences.next(expression, timeZone, afterAt)
  if (occurrenceAt === undefined) return undefined
  assert(occurrenceAt > afterAt, 'the next occurrence lies after the instant it was asked for')
  const jitter = Math.floor(fractionOf(`${seed}\n${occurrenceAt}`) * (Math.floor(jitterMs) + 1))
  return { occurrenceAt, dueAt: occurrenceAt + jitter }
}

/**
 * Whether the schedule wants a rotation now, and the plan to keep from now on (merge it with `withPlan`). With `isDue`
 * the plan is already the one after: commit it together with the start of the rotation, so that a crash repeats both or
 * neither.
 *
 * However many occurrences were missed, they are caught up by one rotation. A clock that was set back finds a plan that
 * still lies ahead, and the occurrence planned next is always later than the one before: nothing fires twice. A
 * credential without a plan waits for the next occurrence. A changed schedule is planned anew from now on, after what
 * was overdue under the old one.
 */
export function dueRotation(
  state: RotationPlan,
  schedule: Schedule | null,
  now: number,
): { readonly isDue: boolean; readonly plan: RotationPlan } {
  if (schedule === null) return { isDue: false, plan: {} }
  const isDue = state.nextRotationAt !== undefined && state.nextRotationAt <= now
  const isSameSchedule = state.scheduleKey === scheduleKeyOf(schedule)
  if (!isDue && isSameSchedule && state.nextRotationAt !== undefined) return { isDue, plan: planOf(state) }
  const passedAt = isSameSchedule ? state.lastScheduledAt : undefined
  return { isDue, plan: planAfter(schedule, Math.max(now, passedAt ?? now)) }
}

/** The state with this plan and no other. */
export function withPlan(state: CredentialState, plan: RotationPlan): CredentialState {
  const { nextRotationAt: _next, lastScheduledAt: _last, scheduleKey: _key, ...rest } = state
  return { ...rest, ...plan }
}

/** Names everything that a plan is computed from, apart from the seed. */
function scheduleKeyOf(schedule: Pick<Schedule, 'expression' | 'timeZone' | 'jitterMs'>): string {
  return `${schedule.expression} ${schedule.timeZone} ${schedule.jitterMs}`
}

function planAfter(schedule: Schedule, afterAt: number): RotationPlan {
  const next = nextRotation({ ...schedule, afterAt })
  const scheduleKey = scheduleKeyOf(schedule)
  return next === undefined
    ? { scheduleKey }
    : { nextRotationAt: next.dueAt, lastScheduledAt: next.occurrenceAt, scheduleKey }
}

function planOf(state: RotationPlan): RotationPlan {
  const { nextRotationAt, lastScheduledAt, scheduleKey } = state
  return {
    ...(nextRotationAt === undefined ? {} : { nextRotationAt }),
    ...(lastScheduledAt === undefined ? {} : { lastScheduledAt }),
    ...(scheduleKey === undefined ? {} : { scheduleKey }),
  }
}

// ------------------------------------------------------------ verification

/** Either way, around the interval of close checks. */
const closeJitterShare = 0.1
/** Regular checks come within this part of the interval after their place in it, and at least this far apart. */
const jitterShare = 0.05

export interface CheckMoment {
  readonly promotedAt: number | undefined
  /** When the check was made that the next one follows. */
  readonly now: number
  readonly policy: Pick<Policy, 'verifyEveryMs' | 'verifyCloselyEveryMs' | 'verifyCloselyForMs'>
  /** Uniform in [0, 1). */
  readonly fraction: number
  /** What the place of its regular checks in their interval is drawn from: the name of the credential. */
  readonly seed: string
}

/**
 * When a key that is in use is verified next: closely for a while after its promotion, with a jitter of 10 percent either
 * way, then regularly. A draining key has no next check: probing it would look like use.
 */
export function nextCheckAt({ promotedAt, now, policy, fraction, seed }: CheckMoment): number {
  const sinceMs = promotedAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, now - promotedAt)
  if (sinceMs >= policy.verifyCloselyForMs) return regularCheckAt({ now, policy, fraction, seed })
  const closelyMs = Math.min(policy.verifyCloselyEveryMs, policy.verifyEveryMs)
  const share = 1 - closeJitterShare + 2 * closeJitterShare * fraction
  return now + Math.max(1, Math.round(closelyMs * share))
}

/**
 * Each credential has a place of its own in the interval, which follows from its name and nothing else: however checks
 * were bunched by a start, an outage or many promotions at once, the next ones are spread evenly again, on every replica
 * alike. Not sooner than a twentieth of the interval from now, and at most eleven tenths of it away.
 */
export function regularCheckAt({
  now,
  policy,
  fraction,
  seed,
}: Pick<CheckMoment, 'now' | 'fraction' | 'seed'> & {
  readonly policy: Pick<Policy, 'verifyEveryMs'>
}): number {
  const everyMs = Math.max(1, policy.verifyEveryMs)
  const placeMs = fractionOf(seed) * everyMs
  const earliestAt = now + jitterShare * everyMs
  const turnAt = Math.ceil((earliestAt - placeMs) / everyMs) * everyMs + placeMs
  return Math.max(now + 1, Math.round(turnAt + jitterShare * fraction * everyMs))
}

// -------------------------------------------------------------- randomness

/** Uniform in [0, 1), the same for the same text: FNV-1a twice, mixed as MurmurHash3 ends. Nothing secret rests on it. */
function fractionOf(text: string): number {
  const high = mix(fnv1a(text, 0x811c9dc5)) >>> 11
  const low = mix(fnv1a(text, 0x01000193))
  return (high * 2 ** 32 + low) / 2 ** 53
}

function fnv1a(text: string, start: number): number {
  let sum = start
  for (let index = 0; index < text.length; index += 1)
    sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193)
  return sum >>> 0
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
