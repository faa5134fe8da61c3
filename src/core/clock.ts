import { openAttemptMs } from './credential.ts'
import { isWalking } from './retirement.ts'
import { isRunning } from './rotation.ts'
import type { CredentialState, Policy, Retirement, Rotation, VersionRecord } from './types.ts'

/** The regular interval may be drawn out by this much (jitter, spreading). */
const spread = 1.1
const suspectMs = 60_000

/**
 * The state with every instant that a clock set back has left out of reach brought back: what was written down while
 * it was hours ahead would otherwise not be looked at for hours. What has happened, happened by now; what is to come,
 * comes within the wait that belongs to it. The very same object where nothing is out of reach.
 */
export function withinReach(state: CredentialState, now: number, policy: Policy): CredentialState {
  const reached: CredentialState = {
    ...state,
    nextStoreReadAt: Math.min(
      state.nextStoreReadAt,
      now + Math.max(policy.storePollMs, policy.storeConfirmMs ?? 0) * spread,
    ),
    ...past(state, 'storeReadAt', now),
    versions: state.versions.map((one) => versionWithinReach(one, now, policy)),
    ...(isRunning(state.rotation) ? { rotation: rotationWithinReach(state.rotation, now, policy) } : {}),
    retirements: state.retirements.map((one) =>
      isWalking(one) ? retirementWithinReach(one, now, policy) : one,
    ),
    ...(state.mirrors === undefined
      ? {}
      : {
          mirrors: state.mirrors.map((one) => ({
            ...one,
            ...past(one, 'readAt', now),
            ...past(one, 'currentAt', now),
            nextAt: Math.min(one.nextAt, now + policy.storePollMs * spread),
          })),
        }),
    openAttempts: state.openAttempts.map((one) => ({
      ...one,
      until: Math.min(one.until, now + openAttemptMs),
      nextAt: Math.min(one.nextAt, now + policy.retryMaxMs * 5),
    })),
    automaticAt: state.automaticAt.map((at) => Math.min(at, now)),
    ...(state.standby === undefined
      ? {}
      : {
          standby: { ...state.standby, startedAt: state.standby.startedAt.map((at) => Math.min(at, now)) },
        }),
  }
  return JSON.stringify(reached) === JSON.stringify(state) ? state : reached
}

function versionWithinReach(record: VersionRecord, now: number, policy: Policy): VersionRecord {
  const { nextCheckAt, suspectUntil, rejections } = record
  return {
    ...record,
    ...past(record, 'checkedAt', now),
    ...past(record, 'verifiedAt', now),
    ...past(record, 'promotedAt', now),
    ...(nextCheckAt === undefined
      ? {}
      : { nextCheckAt: Math.min(nextCheckAt, now + policy.verifyEveryMs * spread) }),
    ...(suspectUntil === undefined ? {} : { suspectUntil: Math.min(suspectUntil, now + suspectMs) }),
    ...(rejections === undefined
      ? {}
      : {
          rejections: {
            ...rejections,
            firstAt: Math.min(rejections.firstAt, now),
            lastAt: Math.min(rejections.lastAt, now),
          },
        }),
    addedAt: Math.min(record.addedAt, now),
  }
}

function rotationWithinReach(rotation: Rotation, now: number, policy: Policy): Rotation {
  const waitMs = Math.max(policy.retryMaxMs, policy.provingSettleMs)
  return {
    ...rotation,
    ...past(rotation, 'provingSince', now),
    wakeAt: Math.min(rotation.wakeAt, now + waitMs),
    deadlineAt:
      rotation.phase === 'awaiting'
        ? rotation.deadlineAt
        : Math.min(rotation.deadlineAt, now + policy.phaseDeadlineMs),
    attempts: rotation.attempts.map((one) => ({ ...one, startedAt: Math.min(one.startedAt, now) })),
  }
}

/** The overlap is not cut short: what was promised to apps is at most begun anew. */
function retirementWithinReach(retirement: Retirement, now: number, policy: Policy): Retirement {
  const overlapUntil = Math.min(retirement.overlapUntil, now + policy.overlapMs)
  const waitMs = Math.max(policy.retryMaxMs, policy.deadSpanMs)
  return {
    ...retirement,
    ...past(retirement, 'rejectedSince', now),
    phaseAt: Math.min(retirement.phaseAt, now),
    overlapUntil,
    limitAt: Math.min(retirement.limitAt, overlapUntil + policy.drainLimitMs),
    wakeAt: Math.min(retirement.wakeAt, Math.max(overlapUntil, now + waitMs)),
  }
}

function past<Key extends string>(
  from: { readonly [key in Key]?: number | undefined },
  key: Key,
  now: number,
): { readonly [key in Key]?: number } {
  const at = from[key]
  // The one key that was asked for; a computed name is typed too widely by the language.
  return at === undefined ? {} : ({ [key]: Math.min(at, now) } as { readonly [key in Key]?: number })
}
