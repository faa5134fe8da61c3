import { dueRotation, withPlan } from '../core/schedule.ts'
import type { CredentialState } from '../core/types.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

/** The state with its next rotation planned, and whether one is due now. */
export function planned(
  state: CredentialState,
  setup: CredentialSetup,
  deps: Pick<EngineDeps, 'occurrences' | 'installation'>,
  now: number,
): { readonly isDue: boolean; readonly state: CredentialState } {
  const seed = `${deps.installation}:${setup.name}`
  const schedule =
    setup.schedule === undefined ? null : { ...setup.schedule, seed, occurrences: deps.occurrences }
  const { isDue, plan } = dueRotation(state, schedule, now)
  const isSame =
    plan.nextRotationAt === state.nextRotationAt &&
    plan.scheduleKey === state.scheduleKey &&
    plan.lastScheduledAt === state.lastScheduledAt
  return { isDue, state: isSame ? state : withPlan(state, plan) }
}
