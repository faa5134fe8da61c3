import type { Urgency } from '../core/budget.ts'
import { recordOf } from '../core/credential.ts'
import { inspectSecret } from '../core/key-inspection.ts'
import type { Issuer } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import { asUnfit } from '../core/self-minting.ts'
import type { CredentialState, VersionId } from '../core/types.ts'
import { verifyOutcome } from '../core/verdict-outcome.ts'
import type { CheckOutcome } from '../core/verification.ts'
import { organizationOf } from './pace.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

export interface Probe extends CheckOutcome {
  /** It is genuine but lacks a scope or a model that was declared. */
  readonly lacksDeclared: boolean
}

/** One verification of one secret: asks the issuer, and concludes. */
export async function probe(
  setup: Pick<CredentialSetup, 'expected' | 'isInternal'> & {
    readonly issuer: Pick<Issuer, 'verify' | 'baseUrl'>
  },
  state: CredentialState,
  target: {
    readonly secret: Secret
    readonly version?: VersionId
    /** Default: nobody may wait. Of any other kind the first question was taken from the pace already. */
    readonly urgency?: Urgency
  },
  deps: Pick<EngineDeps, 'system' | 'pace' | 'telemetry'>,
): Promise<Probe> {
  const ask = (): Promise<Probe> => askAndConclude(setup, state, target, deps)
  if (deps.telemetry === undefined) return await ask()
  const operation = { part: 'verification', name: 'verify', credential: state.name } as const
  return await deps.telemetry.run(operation, ask, ({ verdict }) => ({
    outcome: verdict.kind,
    cause: verdict.cause,
    ...(verdict.status === undefined ? {} : { status: verdict.status }),
    ...(verdict.requestId === undefined ? {} : { requestId: verdict.requestId }),
  }))
}

async function askAndConclude(...[setup, state, target, deps]: Parameters<typeof probe>): Promise<Probe> {
  const observations = await setup.issuer.verify(target.secret, setup.expected)
  const { urgency = 'urgent' } = target
  const count = observations.length - (urgency === 'urgent' ? 0 : 1)
  if (count > 0) deps.pace?.note(organizationOf(setup), urgency, count)
  const expiresAt = recordOf(state, target.version)?.meta.expiresAt
  const outcome = verifyOutcome(observations, {
    expected: setup.expected,
    ...(state.belonging === undefined ? {} : { known: state.belonging }),
    // That an admin key cannot call models explains nothing where it does not have to.
    ...(setup.isInternal === true ? {} : { keyKind: inspectSecret(target.secret).kind }),
    now: deps.system.now(),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  })
  const isUnfit = setup.isInternal === true && outcome.lacksDeclared
  const verdict = isUnfit ? asUnfit(outcome.verdict) : outcome.verdict
  return { ...outcome, verdict, belonging: outcome.belonging }
}
