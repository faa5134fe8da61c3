import { buildPolicy } from '../../src/config/policy.ts'
import { policySchema } from '../../src/config/schema.ts'
import { quarterly } from '../../src/core/schedule.ts'
import { reconcileTimes } from '../../src/engine/reconciler.ts'
import { diceOf } from './dice.ts'
import { optionsOf, type SimOptions } from './options.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/**
 * A whole quarter at the cadence that is shipped: the policy and the schedule of a configuration that says nothing, faults
 * as rare as they are. What goes wrong here goes wrong slowly: due times, expiries, bounds per day.
 */
export function quarterOptionsOf(seed: number): SimOptions {
  const { fate, issuer, store, ...drawn } = optionsOf(seed)
  const dice = diceOf(seed, 'quarter')
  const issuerConfig = { kind: 'openai' } as Parameters<typeof buildPolicy>[1]
  const policy = buildPolicy(policySchema.parse({}), issuerConfig)
  return {
    ...drawn,
    issuer,
    store,
    fate,
    replicas: dice.pick([1, 1, 2]),
    credentials: drawn.credentials.slice(0, 1).map((one) => ({
      ...one,
      mirrors: dice.pick([0, 0, 1]),
      apps: 1,
      schedule: quarterly,
      policy,
    })),
    chaosMs: 91 * dayMs,
    // The old key of the last turn has to end, whoever held it back.
    convergeMs: policy.overlapMs + policy.drainLimitMs + 2 * dayMs,
    eventsMax: 20_000_000,
    appEveryMs: [5 * minuteMs],
    faultRate: dice.pick([0, 0.001, 0.01]),
    crashRate: dice.pick([0, 0.000_01, 0.000_1]),
    fateEveryMs: dice.pick([8, 24, 72]) * hourMs,
    beatMs: minuteMs,
    // Time servers set it right; left alone for a quarter it would be out by a quarter of an hour.
    drift: 0,
    reconcile: reconcileTimes,
    isLong: true,
  }
}
