import type { ProbeExpectation } from './ports.ts'
import type { Belonging, Observation, Verdict, VerdictKind } from './types.ts'
import { classify, conclude, fallsShort, isGenuine, rowOf, type VerdictContext } from './verdict.ts'

export type Belongs = 'yes' | 'no' | 'untold'

export interface VerifyContext extends Omit<VerdictContext, 'sentOrganization' | 'sentProject'> {
  readonly expected: ProbeExpectation
  /** Whom the credential's key first answered for; counts where the configuration names nobody. */
  readonly known?: Belonging
}

export interface VerifyOutcome {
  /** The decisive verdict. It is authentic for a genuine key of somebody else's too, with the cause `key_foreign`. */
  readonly verdict: Verdict
  /** Whom it answered for, as far as was told; only for a key that is ours. Keep the first one. */
  readonly belonging?: Belonging
  readonly belongs: Belongs
  /** A version is verified when its verdict is authentic and it is ours. */
  readonly isOurs: boolean
  /** Genuine and ours, but without a scope or model that was declared: not to be promoted. */
  readonly lacksDeclared: boolean
}

const notOurs = { isOurs: false, lacksDeclared: false } as const

/**
 * Everything that one verification concludes: the verdict of all its probes together, and belonging (invariant 1).
 * Where belonging could be told once and no longer can, the verdict is `unknown`: that withdraws nothing and verifies
 * nothing new.
 */
export function verifyOutcome(observations: readonly Observation[], context: VerifyContext): VerifyOutcome {
  const { expected, known } = context
  const sent = sentContext(context)
  const verdict = combine(observations, expected, sent)
  if (!isGenuine(verdict)) return { verdict, belongs: 'untold', ...notOurs }

  const wanted = wantedBelonging(expected, known)
  const belongs = belongsTo(observations, wanted, expected)
  const decisive = observations[0]
  if (belongs === 'no') {
    const context = { ...sent, ...renamed(wanted) }
    return { verdict: conclude(rowOf('key_foreign'), decisive, { context }), belongs, ...notOurs }
  }
  // With nothing to compare with, the first answer counts: there is nobody it could contradict.
  if (belongs === 'untold' && Object.keys(wanted).length > 0)
    return { verdict: conclude(rowOf('belonging_untold'), decisive), belongs, ...notOurs }
  const belonging = toldBelonging(observations)
  const told = Object.keys(belonging).length > 0 ? { belonging } : {}
  return { verdict, ...told, belongs, isOurs: true, lacksDeclared: fallsShort(verdict) }
}

/** How much a conclusion of a later probe weighs against the first one's; higher wins, equal keeps the earlier. */
const weight: Readonly<Record<VerdictKind, number>> = {
  rejected: 6,
  blocked: 5,
  misconfigured: 5,
  exhausted: 3,
  throttled: 2,
  restricted: 1,
  valid: 0,
  unknown: -1,
}
const declaredWeight = 4

/**
 * The verdict of several probes of one verification. The first probe decides whether anything can be concluded at all.
 * Later ones can only make it worse: an edge that rejects a key outweighs one that still accepts it, and quota shows at
 * the endpoints of models only. Later probes that saw nothing are passed over: untested is not missing.
 */
export function combine(
  observations: readonly Observation[],
  expected: ProbeExpectation,
  context: VerdictContext = {},
): Verdict {
  const [first, ...rest] = observations
  if (first === undefined) return conclude(rowOf('not_probed'), undefined)
  const decisive = decide(first, observations, expected, context)
  if (!isGenuine(decisive)) return decisive

  let heaviest = decisive
  for (const observation of rest) {
    const verdict = classify(observation, context)
    // What a probe finds missing concerns what was declared, and is judged below against the declaration.
    if (verdict.kind === 'restricted') continue
    if (weight[verdict.kind] > weight[heaviest.kind]) heaviest = verdict
  }
  const declared = declaredVerdict(observations, expected, context)
  return declared !== undefined && weight[heaviest.kind] < declaredWeight ? declared : heaviest
}

/**
 * What the first probe says. A key that may not list models is restricted only as far as anybody needs more: where every
 * declared scope was proven by a probe of its own, it is what it was made to be.
 */
function decide(
  first: Observation,
  observations: readonly Observation[],
  expected: ProbeExpectation,
  context: VerdictContext,
): Verdict {
  const verdict = classify(first, context)
  const scopes = expected.scopes ?? []
  if (verdict.cause !== 'scope_missing' || scopes.length === 0) return verdict
  return scopes.every((scope) => isScopeProven(observations, scope))
    ? conclude(rowOf('valid'), undefined)
    : verdict
}

function declaredVerdict(
  observations: readonly Observation[],
  expected: ProbeExpectation,
  context: VerdictContext,
): Verdict | undefined {
  const scopes = (expected.scopes ?? []).filter((scope) => isScopeMissing(observations, scope))
  if (scopes.length > 0)
    return conclude(rowOf('declared_scope_missing'), observations[0], { context, missing: scopes })
  const models = (expected.models ?? []).filter((model) => isModelMissing(observations, model))
  if (models.length > 0)
    return conclude(rowOf('declared_model_missing'), observations[0], { context, missing: models })
  return undefined
}

/** Only a refusal that names scopes says that one is missing: any other answer leaves the scope untested. */
function isScopeMissing(observations: readonly Observation[], scope: string): boolean {
  return observations.some(
    (observation) =>
      classify(observation).cause === 'scope_missing' &&
      (observation.probe === `scope:${scope}` ||
        (observation.kind === 'answer' && observation.missingScopes?.includes(scope) === true)),
  )
}

/** The endpoint judged the (deliberately invalid) request, or answered it: the permission was there. */
function isScopeProven(observations: readonly Observation[], scope: string): boolean {
  return observations.some(
    (observation) =>
      observation.probe === `scope:${scope}` &&
      observation.kind === 'answer' &&
      observation.isIssuers &&
      (observation.status === 400 || (observation.status >= 200 && observation.status <= 299)),
  )
}

function isModelMissing(observations: readonly Observation[], model: string): boolean {
  const answers = observations.filter((observation) => observation.kind === 'answer')
  if (answers.some((answer) => answer.models?.includes(model) === true)) return false
  const own = observations.find((observation) => observation.probe === `model:${model}`)
  if (own !== undefined) return classify(own).cause === 'model_not_visible'
  return answers[0]?.models !== undefined
}

/**
 * Whether the key answers for whom it should. `untold` where the issuer does not say.
 *
 * The `openai-organization` response header holds either the id (`org-…`) or a short name (`user-…` or the company's),
 * as public traces show, so an id and a short name cannot be compared. Where the configured organisation was sent as a
 * header and the key was accepted with it, that acceptance is the proof: a key of another organisation is answered
 * `mismatched_organization`. Values of one form that differ are a clear no.
 */
export function belongsTo(
  observations: readonly Observation[],
  wanted: Belonging,
  sent: Belonging = {},
): Belongs {
  const told = toldAll(observations)
  const fields = (['organization', 'project'] as const).map((field) => {
    const expected = wanted[field]
    if (expected === undefined) return undefined
    const values = told.map((belonging) => belonging[field]).filter((value) => value !== undefined)
    if (values.some((value) => value !== expected && isComparable(field, value, expected))) return 'no'
    const isProven = values.includes(expected) || (sent[field] === expected && told.length > 0)
    return isProven ? 'yes' : 'untold'
  })
  if (fields.includes('no')) return 'no'
  const [organization, project] = fields
  // The project header is not documented; where it is missing, the organisation speaks for both.
  if (organization === 'yes') return 'yes'
  return organization === undefined && project === 'yes' ? 'yes' : 'untold'
}

function isComparable(field: 'organization' | 'project', left: string, right: string): boolean {
  const prefix = field === 'organization' ? 'org-' : 'proj_'
  return left.startsWith(prefix) === right.startsWith(prefix)
}

/** What each answer told that proves the key genuine; refusals of other kinds speak for nobody. */
function toldAll(observations: readonly Observation[]): readonly Belonging[] {
  const told: Belonging[] = []
  for (const observation of observations)
    if (observation.kind === 'answer' && speaksForKey(observation)) told.push(observation)
  return told
}

/** A refused scope probe (400) is the issuer's answer to an accepted key as well, though it has no verdict of its own. */
function speaksForKey(answer: Extract<Observation, { kind: 'answer' }>): boolean {
  return isGenuine(classify(answer)) || (answer.isIssuers && answer.status === 400)
}

function toldBelonging(observations: readonly Observation[]): Belonging {
  const told = toldAll(observations)
  const organization = told.find((entry) => entry.organization !== undefined)?.organization
  const project = told.find((entry) => entry.project !== undefined)?.project
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}

/** Field by field: what is configured, else what was first seen. */
function wantedBelonging(expected: ProbeExpectation, known: Belonging | undefined): Belonging {
  const organization = expected.organization ?? known?.organization
  const project = expected.project ?? known?.project
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}

function sentContext(context: VerifyContext): VerdictContext {
  const { expected, known: _known, ...rest } = context
  return { ...rest, ...renamed(expected) }
}

function renamed({ organization, project }: Belonging): VerdictContext {
  return {
    ...(organization === undefined ? {} : { sentOrganization: organization }),
    ...(project === undefined ? {} : { sentProject: project }),
  }
}
