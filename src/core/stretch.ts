import type { Policy } from './types.ts'

/** Of the rate, what the schedule plans for; the rest is for what cannot be planned. */
const plannedShare = 0.8
const minuteMs = 60_000

/** What one credential asks of its organisation. */
export interface Demand {
  readonly policy: Pick<Policy, 'verifyEveryMs' | 'verifyCloselyEveryMs' | 'standby'>
  /** Requests of one verification: the key itself, and what of its scopes is proven with it. */
  readonly requests: number
}

export interface Stretch {
  /** At least 1; every regular interval of the organisation is multiplied by it. */
  readonly factor: number
  /** No key of the organisation is asked again sooner than this, while nothing is known of it. */
  readonly unsureEveryMs: number
}

/**
 * By how much regular verification has to be drawn out so that a whole organisation stays within its rate. It follows
 * from the configuration alone: every replica comes to the same, and since each check is claimed by one of them, the rate
 * is that of the organisation however many replicas there are.
 */
export function stretchOf(demands: readonly Demand[], perMinute: number): Stretch {
  const planned = perMinute * plannedShare
  let load = 0
  let requests = 0
  for (const { policy, requests: each } of demands) {
    const keys = policy.standby ? 2 : 1
    requests += each * keys
    load += (each * keys * minuteMs) / Math.max(1, policy.verifyEveryMs)
  }
  return { factor: Math.max(1, load / planned), unsureEveryMs: Math.ceil((requests / planned) * minuteMs) }
}

/** The policy as the rate allows it; the very same object where it is not in the way. */
export function stretched(policy: Policy, { factor, unsureEveryMs }: Stretch): Policy {
  const isSlower = unsureEveryMs > policy.verifyCloselyEveryMs
  if (factor === 1 && !isSlower) return policy
  return {
    ...policy,
    ...(factor === 1
      ? {}
      : {
          verifyEveryMs: Math.ceil(policy.verifyEveryMs * factor),
          verifyConfiguredMs: policy.verifyEveryMs,
        }),
    ...(isSlower ? { verifyUnsureEveryMs: unsureEveryMs } : {}),
  }
}
