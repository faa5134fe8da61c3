import { type Evidence, newRetirement, type RetirementEvent } from '../../src/core/retirement.ts'
import type { Policy, Retirement, RetirementPhase } from '../../src/core/types.ts'
import { minuteMs, policyOf, startAt, verdictOf, type Walked, walkRetirement } from './fixtures.ts'

export const policy = policyOf()
export const by = 'ada'
export function evidenceOf(change: Partial<Evidence> = {}): RetirementEvent {
  const quiet: Evidence = {
    holders: [],
    lastUsedAt: null,
    ownProbeAt: undefined,
    isListed: true,
    sharedWith: undefined,
    stores: [],
  }
  return { kind: 'evidence', evidence: { ...quiet, ...change } }
}
type Listed = 'present' | 'absent' | 'unknown'
export const probed = (listed: Listed, kind?: Parameters<typeof verdictOf>[0]): RetirementEvent => ({
  kind: 'death_probed',
  listed,
  verdict: kind === undefined ? undefined : verdictOf(kind),
})
export const currentProved = (kind: Parameters<typeof verdictOf>[0], isOurs = true): RetirementEvent => ({
  kind: 'current_proved',
  verdict: verdictOf(kind),
  isOurs,
})
export const open = evidenceOf()
export const dead = probed('absent', 'rejected')
export const forced: RetirementEvent = { kind: 'forced', by }
export const takenBack: RetirementEvent = { kind: 'taken_back', by }

export function begin(
  options: {
    readonly isForced?: boolean
    readonly keyId?: string | undefined
    readonly policy?: Policy
  } = {},
): Walked<Retirement> {
  const request = {
    id: 't-1',
    version: 'v-old',
    keyId: 'keyId' in options ? options.keyId : 'key-old',
    isForced: options.isForced ?? false,
    why: 'replaced',
  }
  return { at: newRetirement(request, { now: startAt, policy: options.policy ?? policy }), now: startAt }
}

export function walk(
  events: readonly (RetirementEvent | number)[],
  options: { readonly isForced?: boolean; readonly policy?: Policy } = {},
): Walked<Retirement> {
  return walkRetirement(begin(options), events, options.policy ?? policy)
}

export const overlap = policy.overlapMs
export const toRetiring = [overlap, open]
export const toProving = [...toRetiring, { kind: 'retired' } as const]
export const toRevoking = [...toProving, currentProved('valid')]
export const toDying = [...toRevoking, { kind: 'revoked' } as const]
export const toUnproven = [...toDying, policy.deadLimitMs, probed('present', 'unknown')]
export const toDestroying = [...toDying, dead, minuteMs, dead, minuteMs, dead]

export const states: Readonly<Record<RetirementPhase, Walked<Retirement>>> = {
  // The overlap is over, so that what arrives is judged by what it says.
  draining: walk([overlap]),
  retiring: walk(toRetiring),
  proving_current: walk(toProving),
  revoking: walk(toRevoking),
  dying: walk([...toDying, dead, minuteMs, dead, minuteMs]),
  unproven: walk([...toUnproven, dead, minuteMs, dead, minuteMs]),
  destroying: walk(toDestroying),
  halted: walk([...toRevoking, { kind: 'revoke_refused' }]),
  dead: walk([...toDestroying, { kind: 'destroyed' }]),
  kept: walk([takenBack]),
}
