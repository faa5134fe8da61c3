import { candidateOf, currentOf, recordOf } from './credential.ts'
import { isWalking, type RetirementEffect, retirementEffectOf } from './retirement.ts'
import { effectOf, isRunning, type RotationEffect } from './rotation.ts'
import type { CredentialState, Policy, VersionId, VersionRecord } from './types.ts'

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
  | {
      readonly lane: `retire:${string}`
      readonly kind: 'retire'
      readonly id: string
      readonly effect: RetirementEffect
    }
  | { readonly lane: 'sweep'; readonly kind: 'sweep'; readonly marker: string; readonly version: VersionId }

export interface Plan {
  readonly duties: readonly Duty[]
  /** When there will be something to do that is not to be done now; Infinity if never. */
  readonly wakeAt: number
}

interface Wish {
  readonly at: number
  readonly duty: Duty
}

/** The duties due at `now` on lanes that are free, and the earliest instant of all others. Pure. */
export function plan(state: CredentialState, policy: Policy, now: number, busy: ReadonlySet<string>): Plan {
  const wishes = [
    ...storeWishes(state),
    ...verifyWishes(state),
    ...rotationWishes(state, policy),
    ...retirementWishes(state),
    ...sweepWishes(state),
  ]
  const duties: Duty[] = []
  const taken = new Set(busy)
  let wakeAt = Number.POSITIVE_INFINITY
  for (const wish of wishes.toSorted((a, b) => a.at - b.at)) {
    if (busy.has(wish.duty.lane)) continue
    if (wish.at > now) {
      wakeAt = Math.min(wakeAt, wish.at)
    } else if (!taken.has(wish.duty.lane)) {
      taken.add(wish.duty.lane)
      duties.push(wish.duty)
    }
  }
  return { duties, wakeAt }
}

/** When the ledger must wake a worker for this credential, nobody being at it. */
export function dueAt(state: CredentialState, policy: Policy): number {
  return plan(state, policy, Number.NEGATIVE_INFINITY, new Set()).wakeAt
}

function storeWishes(state: CredentialState): readonly Wish[] {
  const look: Wish = { at: state.nextStoreReadAt, duty: { lane: 'store', kind: 'look' } }
  if (!state.isAlignmentDue || state.current === undefined) return [look]
  // Shares the clock of the looks: a store that cannot be read cannot be written either.
  return [
    {
      at: Math.min(state.nextStoreReadAt, state.storeReadAt ?? 0),
      duty: { lane: 'store', kind: 'align', to: state.current },
    },
  ]
}

function verifyWishes(state: CredentialState): readonly Wish[] {
  const wanted = [
    currentOf(state),
    candidateOf(state),
    ...state.versions.filter((one) => one.stage === 'standby'),
  ]
  return wanted
    .filter((one): one is VersionRecord => one?.nextCheckAt !== undefined)
    .map((one) => ({
      at: one.nextCheckAt ?? 0,
      duty: { lane: 'verify', kind: 'verify', version: one.version },
    }))
}

function rotationWishes(state: CredentialState, policy: Policy): readonly Wish[] {
  const { rotation } = state
  if (!isRunning(rotation)) {
    const isPossible = (policy.canMint || policy.isManual) && policy.storeWritable
    return state.nextRotationAt === undefined || !isPossible
      ? []
      : [{ at: state.nextRotationAt, duty: { lane: 'rotate', kind: 'start' } }]
  }
  if (rotation.paused || rotation.phase === 'halted') return []
  const deadline: Wish = { at: rotation.deadlineAt, duty: { lane: 'rotate', kind: 'deadline' } }
  const effect = effectOf(rotation)
  // A promotion compares with what the store calls current: a takeover that is not written yet goes first.
  if (effect === undefined || (effect.kind === 'promote' && state.isAlignmentDue)) return [deadline]
  // Whatever is due first goes first: after a long sleep there is one more try, and the deadline starves behind none.
  return [{ at: rotation.wakeAt, duty: { lane: 'rotate', kind: 'rotate', effect } }, deadline]
}

function retirementWishes(state: CredentialState): readonly Wish[] {
  const wishes: Wish[] = []
  for (const one of state.retirements.filter(isWalking)) {
    const effect = retirementEffectOf(one)
    // The store must not be asked to retire what it still calls current.
    const isHeldUp = effect?.kind === 'retire' && state.isAlignmentDue === true
    if (effect !== undefined && !isHeldUp)
      wishes.push({ at: one.wakeAt, duty: { lane: `retire:${one.id}`, kind: 'retire', id: one.id, effect } })
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

/** Every version whose secret the service has to hold in memory to do its work without waiting for the store. */
export function secretsWanted(state: CredentialState): readonly VersionId[] {
  const live = state.versions
    .filter((one) => one.stage === 'previous' || one.stage === 'standby')
    .map((one) => one.version)
  const current = recordOf(state, state.current)
  return current === undefined ? live : [current.version, ...live]
}
