import { promotionHeldUntil } from './blackout.ts'
import { candidateOf, currentOf } from './credential.ts'
import { nextTurnAt } from './expiry.ts'
import { isMirrorAwaited, mirrorCandidates, mirrorWishes, unjudged } from './mirrors.ts'
import { isWalking, type RetirementEffect, retirementEffectOf } from './retirement.ts'
import { effectOf, isRunning, isSparing, pendingOf, type RotationEffect } from './rotation.ts'
import { spareDueAt } from './standby.ts'
import { isWaitingForStep } from './steering.ts'
import type { CredentialState, MirrorId, Policy, RotationPhase, VersionId, VersionRecord } from './types.ts'

/**
 * What a credential wants done now. Duties of different lanes go on side by side, those of one lane one after another,
 * so that a slow answer of the admin API never delays the probe that decides a failover.
 */
export type Duty =
  | { readonly lane: 'store'; readonly kind: 'look' }
  | { readonly lane: 'store'; readonly kind: 'align'; readonly to: VersionId }
  | { readonly lane: 'verify'; readonly kind: 'verify'; readonly version: VersionId }
  | { readonly lane: 'rotate'; readonly kind: 'rotate'; readonly effect: RotationEffect }
  | { readonly lane: 'rotate'; readonly kind: 'deadline' }
  | { readonly lane: 'rotate'; readonly kind: 'start' }
  /** A blackout has begun: the promotion waits for its end. */
  | { readonly lane: 'rotate'; readonly kind: 'hold' }
  | { readonly lane: 'rotate'; readonly kind: 'spare' }
  | {
      readonly lane: `retire:${string}`
      readonly kind: 'retire'
      readonly id: string
      readonly effect: RetirementEffect
    }
  | { readonly lane: `mirror:${string}`; readonly kind: 'mirror'; readonly id: MirrorId }
  | { readonly lane: 'sweep'; readonly kind: 'sweep'; readonly marker: string; readonly version: VersionId }

export interface Plan {
  readonly duties: readonly Duty[]
  /** When there will be something to do that is not to be done now; Infinity if never. */
  readonly wakeAt: number
  /** When the next step of something that has begun will be due: worth a short wait. Infinity if never. */
  readonly stepAt: number
}

interface Wish {
  readonly at: number
  readonly duty: Duty
  /** It brings something to its end that has begun, unlike what comes round regularly. */
  readonly isStep?: boolean
}

/** The duties due at `now` on lanes that are free, and the earliest instant of all others. Pure. */
export function plan(state: CredentialState, policy: Policy, now: number, busy: ReadonlySet<string>): Plan {
  const duties: Duty[] = []
  const taken = new Set(busy)
  let wakeAt = Number.POSITIVE_INFINITY
  let stepAt = Number.POSITIVE_INFINITY
  for (const wish of wishesOf(state, policy, now).toSorted((a, b) => a.at - b.at)) {
    if (busy.has(wish.duty.lane)) continue
    if (wish.at > now) {
      wakeAt = Math.min(wakeAt, wish.at)
      if (wish.isStep === true) stepAt = Math.min(stepAt, wish.at)
    } else if (!taken.has(wish.duty.lane)) {
      taken.add(wish.duty.lane)
      duties.push(wish.duty)
    }
  }
  return { duties, wakeAt, stepAt }
}

/** `now`: what is held back by a blackout then waits for its end. */
function wishesOf(state: CredentialState, policy: Policy, now: number): readonly Wish[] {
  return [
    ...storeWishes(state),
    ...verifyWishes(state),
    ...rotationWishes(state, policy, now),
    ...retirementWishes(state),
    ...mirrorWishes(state, policy).map(
      ({ id, at, isStep }): Wish => ({ at, isStep, duty: { lane: `mirror:${id}`, kind: 'mirror', id } }),
    ),
    ...sweepWishes(state),
  ]
}

/** When the ledger must wake a worker for this credential, nobody being at it. */
export function dueAt(state: CredentialState, policy: Policy, now = Number.NEGATIVE_INFINITY): number {
  return Math.min(Number.POSITIVE_INFINITY, ...wishesOf(state, policy, now).map(({ at }) => at))
}

/** The same for the next step of something that has begun. */
export function stepAt(state: CredentialState, policy: Policy, now = Number.NEGATIVE_INFINITY): number {
  const steps = wishesOf(state, policy, now).filter(({ isStep }) => isStep === true)
  return Math.min(Number.POSITIVE_INFINITY, ...steps.map(({ at }) => at))
}

function storeWishes(state: CredentialState): readonly Wish[] {
  const look: Wish = { at: state.nextStoreReadAt, duty: { lane: 'store', kind: 'look' } }
  if (!state.isAlignmentDue || state.current === undefined) return [look]
  // Shares the clock of the looks: a store that cannot be read cannot be written either.
  return [
    {
      at: Math.min(state.nextStoreReadAt, state.storeReadAt ?? 0),
      duty: { lane: 'store', kind: 'align', to: state.current },
      isStep: true,
    },
  ]
}

function verifyWishes(state: CredentialState): readonly Wish[] {
  const wanted = [
    currentOf(state),
    candidateOf(state),
    ...mirrorCandidates(state),
    ...state.versions.filter((one) => one.stage === 'standby'),
  ]
  return wanted
    .filter((one): one is VersionRecord => one?.nextCheckAt !== undefined)
    .map((one) => ({
      at: one.nextCheckAt ?? 0,
      duty: { lane: 'verify', kind: 'verify', version: one.version },
      // Rejected once, or put there by somebody: only the next check says what becomes of it.
      isStep:
        one.withdrawnAt === undefined && (one.rejections !== undefined || one.version !== state.current),
    }))
}

function rotationWishes(state: CredentialState, policy: Policy, now: number): readonly Wish[] {
  const { rotation } = state
  if (!isRunning(rotation)) return [...startWishes(state, policy, now), ...spareWishes(state, policy)]
  const start = isSparing(rotation) ? startWishes(state, policy, now) : []
  if (rotation.paused || rotation.phase === 'halted') return start
  const deadline: Wish = { at: rotation.deadlineAt, duty: { lane: 'rotate', kind: 'deadline' } }
  const effect = effectOf(rotation)
  const isWaiting = isWaitingForStep(rotation) || (effect?.kind === 'promote' && isHeldUp(state, policy))
  if (effect === undefined || isWaiting) return [...start, deadline]
  const isHeld = effect.kind === 'promote' && isHeldBack(state, policy, Math.max(now, rotation.wakeAt))
  if (isHeld) return [{ at: rotation.wakeAt, duty: { lane: 'rotate', kind: 'hold' } }]
  // Whatever is due first goes first: after a long sleep there is one more try, and the deadline starves behind none.
  const next: Wish = { at: rotation.wakeAt, duty: { lane: 'rotate', kind: 'rotate', effect }, isStep: true }
  return [...start, next, deadline]
}

function startWishes(state: CredentialState, policy: Policy, now: number): readonly Wish[] {
  const at = nextTurnAt(state, policy, now)
  return at === undefined ? [] : [{ at, duty: { lane: 'rotate', kind: 'start' } }]
}

function spareWishes(state: CredentialState, policy: Policy): readonly Wish[] {
  const at = spareDueAt(state, policy)
  return at === undefined ? [] : [{ at, duty: { lane: 'rotate', kind: 'spare' } }]
}

/**
 * A promotion compares with what the store calls current: a takeover that is not written yet goes first. And so that it
 * happens everywhere at once, the mirrors get the key before it.
 */
function isHeldUp(state: CredentialState, policy: Policy): boolean {
  return state.isAlignmentDue === true || isMirrorAwaited(state, policy)
}

function isHeldBack(state: CredentialState, policy: Policy, at: number): boolean {
  return promotionHeldUntil(state, policy, at) !== undefined
}

function retirementWishes(state: CredentialState): readonly Wish[] {
  const wishes: Wish[] = []
  for (const one of state.retirements.filter(isWalking)) {
    const effect = retirementEffectOf(one)
    // The store must not be asked to retire what it still calls current.
    const isHeldUp = effect?.kind === 'retire' && state.isAlignmentDue === true
    if (effect !== undefined && !isHeldUp)
      wishes.push({
        at: one.wakeAt,
        duty: { lane: `retire:${one.id}`, kind: 'retire', id: one.id, effect },
        isStep: true,
      })
  }
  return wishes
}

function sweepWishes(state: CredentialState): readonly Wish[] {
  // While a rotation runs its own reconciling minds its own markers; here are only those of ended ones.
  return state.openAttempts.map((one) => ({
    at: one.nextAt,
    duty: { lane: 'sweep', kind: 'sweep', marker: one.marker, version: one.version },
  }))
}

/** Every version that is handed out or may be at any moment: held in memory, so that nobody waits for the store. */
export function secretsToHandOut(state: CredentialState): readonly VersionId[] {
  const live = state.versions.filter((one) => one.stage === 'previous' || one.stage === 'standby')
  const wanted = [currentOf(state), ...live].filter((one) => one !== undefined)
  return [...wanted.map((one) => one.version), ...comingNext(state)]
}

/** A key that is being proven is handed out by every replica at once when it is promoted: those that did not make it too. */
function comingNext({ rotation }: CredentialState): readonly VersionId[] {
  const isComing = isRunning(rotation) && rotation.mode !== 'rehearsal' && coming.has(rotation.phase)
  const next = isComing ? pendingOf(rotation) : undefined
  return next === undefined ? [] : [next.version]
}

const coming: ReadonlySet<RotationPhase> = new Set(['proving', 'extending', 'promoting', 'confirming'])

/** Those and every version that work goes on with; of all others no secret stays in memory. */
export function secretsWanted(state: CredentialState): readonly VersionId[] {
  const { rotation } = state
  const candidate = candidateOf(state)
  const attempts = isRunning(rotation) ? rotation.attempts.map((one) => one.version) : []
  const dying = state.retirements.filter(isWalking).map((one) => one.version)
  return [
    ...secretsToHandOut(state),
    ...(candidate === undefined ? [] : [candidate.version]),
    ...unjudged(state).map((one) => one.version),
    ...attempts,
    ...dying,
  ]
}
