import type { ProbeExpectation } from '../../core/ports.ts'
import type { Secret } from '../../core/secret.ts'
import type { Observation, Verdict } from '../../core/types.ts'
import { classify, type VerdictContext } from '../../core/verdict.ts'
import { combine } from '../../core/verdict-outcome.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts, Setting } from '../facts.ts'
import type { Budget } from './budget.ts'
import type { Known } from './known-credential.ts'
import type { Way } from './layers.ts'

/** Programs need one of them or both; which, the source tells at best. Proven without cost by the issuer. */
export const inferenceScopes = ['api.responses.write', 'model.request'] as const
const modelsMax = 10
const idPattern = /^[A-Za-z0-9_-]{1,128}$/

export interface Authentication {
  readonly observations: readonly Observation[]
  readonly verdict: Verdict
  /** Asked for and refused. */
  readonly missingScopes: readonly string[]
  readonly provenScopes: readonly string[]
  readonly sentOrganization: Setting | undefined
  readonly sentProject: Setting | undefined
}

export interface Asking {
  readonly way: Way
  readonly secret: Secret
  readonly facts: Facts
  readonly known: Known | undefined
  readonly budget: Budget
  /** Without the headers of organisation and project. */
  readonly isBare?: boolean
}

/** Has the issuer verify the key as the service does, and draws the same conclusions. */
export async function authenticate(context: DoctorContext, asking: Asking): Promise<Authentication> {
  const { way, secret, facts, known, budget, isBare = false } = asking
  const sentOrganization = isBare ? undefined : sendable(facts.organization)
  const sentProject = isBare ? undefined : sendable(facts.project)
  const { target, proxy } = way
  const sent = {
    ...(sentOrganization === undefined ? {} : { organization: sentOrganization.value }),
    ...(sentProject === undefined ? {} : { project: sentProject.value }),
  }
  // A gateway's endpoints are its own: what is free at OpenAI may not be there.
  const scopes = target.kind === 'gateway' ? [] : scopesOf(known)
  const expected: ProbeExpectation = { ...sent, scopes, models: modelsOf(context, way, facts) }
  const issuer = context.openIssuer({
    baseUrl: target.baseUrl,
    ...sent,
    timeoutMs: budget.stepMs(2),
    ...(proxy?.url === undefined ? {} : { proxy: proxy.url }),
  })
  try {
    const observations = await issuer.verify(secret, expected)
    const states = new Map(scopes.map((scope) => [scope, scopeState(observations, scope)]))
    const inState = (state: ScopeState) => scopes.filter((scope) => states.get(scope) === state)
    return {
      observations,
      verdict: conclude(observations, verdictContext(context, sent, known), inState('proven').length > 0),
      missingScopes: inState('missing'),
      provenScopes: inState('proven'),
      sentOrganization,
      sentProject,
    }
  } finally {
    await issuer.close()
  }
}

/** A key that may not list models is good for a program that only calls them. */
function conclude(
  observations: readonly Observation[],
  verdictContext: VerdictContext,
  isOfUse: boolean,
): Verdict {
  const verdict = combine(observations, {}, verdictContext)
  if (verdict.cause !== 'scope_missing' || !isOfUse) return verdict
  return combine(
    observations.filter((one) => classify(one, verdictContext).cause !== 'scope_missing').map(asAccepted),
    {},
    verdictContext,
  )
}

/** The refusal of an empty body says that the permission was there. */
function asAccepted(observation: Observation): Observation {
  return observation.kind === 'answer' && observation.isIssuers && observation.status === 400
    ? { ...observation, status: 200 }
    : observation
}

type ScopeState = 'proven' | 'missing' | 'untested'

function scopeState(observations: readonly Observation[], scope: string): ScopeState {
  const own = observations.find(({ probe }) => probe === `scope:${scope}`)
  if (own?.kind !== 'answer' || !own.isIssuers) return 'untested'
  if (classify(own).cause === 'scope_missing') return 'missing'
  return own.status === 400 || (own.status >= 200 && own.status <= 299) ? 'proven' : 'untested'
}

function scopesOf(known: Known | undefined): readonly string[] {
  const declared = known?.isIts === true ? (known.credential.expectation.scopes ?? []) : []
  return [...new Set([...inferenceScopes, ...declared])]
}

/** Those that the program names; a gateway has names of its own. */
function modelsOf({ options }: DoctorContext, { target }: Way, facts: Facts): readonly string[] {
  const asked = options.model === undefined ? [] : [options.model]
  const named = target.kind === 'gateway' ? [] : facts.models.map(({ value }) => value)
  return [...new Set([...asked, ...named])].slice(0, modelsMax)
}

function verdictContext(
  { system }: DoctorContext,
  sent: { readonly organization?: string; readonly project?: string },
  known: Known | undefined,
): VerdictContext {
  return {
    now: system.now(),
    ...(sent.organization === undefined ? {} : { sentOrganization: sent.organization }),
    ...(sent.project === undefined ? {} : { sentProject: sent.project }),
    ...(known?.expiresAt === undefined ? {} : { expiresAt: known.expiresAt }),
  }
}

/** Undefined where it is not set, or no id at all: that is told of, and not sent. */
function sendable(setting: Setting | undefined): Setting | undefined {
  return setting !== undefined && idPattern.test(setting.value) ? setting : undefined
}

export function isId(text: string): boolean {
  return idPattern.test(text)
}
