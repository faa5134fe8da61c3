import type { Log } from '../core/ports.ts'
import { type Demand, type Stretch, stretched, stretchOf } from '../core/stretch.ts'
import type { CredentialName } from '../core/types.ts'
import { organizationOf, type Pace } from './pace.ts'
import { type CredentialSetup, engineLimits } from './setup.ts'

/** The set-ups with the intervals that the rate of each organisation allows. */
export function withinRates(
  setups: readonly CredentialSetup[],
  {
    pace,
    isAlive,
    log,
  }: { readonly pace: Pick<Pace, 'perMinute'>; readonly isAlive: boolean; readonly log: Log },
): ReadonlyMap<CredentialName, CredentialSetup> {
  const demands = new Map<string, Demand[]>()
  for (const setup of setups) {
    const organization = organizationOf(setup)
    const others = demands.get(organization) ?? []
    if (others.length === 0) demands.set(organization, others)
    // What of the models is proven is in the answer to the first question.
    others.push({ policy: setup.policy, requests: 1 + (setup.expected.scopes?.length ?? 0) })
  }
  const stretches = new Map<string, Stretch>()
  for (const [organization, all] of demands) {
    const stretch = stretchOf(all, pace.perMinute)
    stretches.set(organization, stretch)
    if (stretch.factor > 1)
      log(
        'warn',
        'keys are verified less often than configured, so that their organisation stays in its rate',
        {
          organization: organization.split(' ')[1] || 'not configured',
          credentials: all.length,
          perMinute: pace.perMinute,
          factor: Math.round(stretch.factor * 100) / 100,
        },
      )
  }
  return new Map(
    setups.map((setup) => {
      const stretch = stretches.get(organizationOf(setup))
      const { policy } = setup
      const paced = stretch === undefined ? policy : stretched(policy, stretch)
      const confirmMs = Math.max(policy.storePollMs, engineLimits.storeConfirmMs)
      return [setup.name, { ...setup, policy: isAlive ? { ...paced, storeConfirmMs: confirmMs } : paced }]
    }),
  )
}
