import type { Belonging, Observation } from '../../core/types.ts'
import { classify, isGenuine } from '../../core/verdict.ts'
import { belongsTo } from '../../core/verdict-outcome.ts'
import type { FindingCode } from '../catalogue.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts } from '../facts.ts'
import { describePlace, type Finding } from '../finding.ts'
import type { Attempt, RawAnswer } from '../network.ts'
import { type Asking, type Authentication, authenticate, isId } from './authenticate.ts'
import { codeOfCause } from './causes.ts'
import { observed } from './keyed-request.ts'
import { figuresOf } from './limits.ts'
import { neededScopes } from './needed-scopes.ts'
import { type Told, verdictFinding } from './verdict-findings.ts'

export interface KeyJudging extends Asking {
  readonly authentication: Authentication
  readonly told: Told
  /** The same call, made for the figures of the rate limits. */
  readonly raw: Attempt<RawAnswer> | undefined
}

/** What the verdict on the key comes to, with what a second look can add. */
export async function keyFindings(context: DoctorContext, judging: KeyJudging): Promise<readonly Finding[]> {
  const { authentication, way, facts, known } = judging
  const { verdict } = authentication
  const code = codeOfCause[verdict.cause]
  const needed = isGenuine(verdict) ? neededScopes(authentication, known, context.files) : []
  const told: Told = {
    ...judging.told,
    missingScopes: needed.length > 0 ? needed : authentication.missingScopes,
    figures: figuresOf(judging.raw),
    ...(code === 'authorization_stripped' ? { straight: await straight(context, judging) } : {}),
    ...(code === 'organization_wrong' || code === 'project_wrong'
      ? { own: await ownBelonging(context, judging) }
      : {}),
  }
  const findings = [...headerFindings(facts, told)]
  const foreignJson = way.target.kind === 'openai' ? undefined : gatewayFinding(authentication, told)
  const found = foreignJson === undefined ? verdictFinding(verdict, told) : (foreignJson ?? undefined)
  if (found !== undefined) findings.push(found)
  else if (needed.length > 0) {
    const missing = verdictFinding({ ...verdict, cause: 'scope_missing', missingScopes: needed }, told)
    if (missing !== undefined)
      findings.push({ ...missing, seen: `The key is refused: ${needed.join(', ')}.` })
  }
  const foreign = foreignKey(authentication, told)
  return foreign === undefined ? findings : [...findings, foreign]
}

/** Once more without the proxy, to prove that it is the proxy. */
async function straight(
  context: DoctorContext,
  judging: KeyJudging,
): Promise<Authentication['verdict'] | undefined> {
  const { way, budget } = judging
  if (way.proxy?.url === undefined || budget.isSpent) return undefined
  const { verdict } = await authenticate(context, { ...judging, way: { ...way, proxy: undefined } })
  return verdict
}

/** Whom the key answers for where no organisation and project is claimed. */
async function ownBelonging(context: DoctorContext, judging: KeyJudging): Promise<Belonging | undefined> {
  if (judging.budget.isSpent) return undefined
  const { verdict, observations } = await authenticate(context, { ...judging, isBare: true })
  return isGenuine(verdict) ? toldBelonging(observations) : undefined
}

function toldBelonging([first]: readonly Observation[]): Belonging {
  if (first?.kind !== 'answer') return {}
  const { organization, project } = first
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}

/** What is set for the headers and can be no id: the client would send it all the same, or break. */
function headerFindings({ organization, project }: Facts, told: Told): readonly Finding[] {
  const settings = [
    { setting: organization, code: 'organization_wrong', name: 'OPENAI_ORG_ID', form: 'org-…' },
    { setting: project, code: 'project_wrong', name: 'OPENAI_PROJECT_ID', form: 'proj_…' },
  ] as const
  return settings.flatMap(({ setting, code, name, form }) =>
    setting === undefined || setting.value === '' || isId(setting.value)
      ? []
      : [
          {
            code,
            severity: 'error',
            seen: `${describePlace(setting.place)} holds ${setting.value.length} characters that are no id (${form}).`,
            cause: 'What is set as the organisation or the project is no id of OpenAI.',
            fix: `unset ${name}`,
            place: setting.place,
            fingerprint: told.fingerprint,
          } satisfies Finding,
        ],
  )
}

/**
 * Servers of one's own answer in OpenAI's form without an id of the request, and no worse for it. Null: the key is good
 * there; undefined: it is as with OpenAI.
 */
function gatewayFinding({ observations }: Authentication, told: Told): Finding | null | undefined {
  const [first] = observations
  if (first?.kind !== 'answer' || first.isIssuers) return undefined
  if (first.status >= 200 && first.status <= 299) return null
  // A gateway may well have no list of models, and pass calls of them on.
  if (told.way.target.kind === 'gateway' && (first.status === 404 || first.status === 405)) return null
  if (first.status !== 401 && first.status !== 403) return undefined
  const { way, place, fingerprint } = told
  return {
    code: 'key_unknown',
    severity: 'error',
    seen: `HTTP ${first.status} from ${way.target.url.host} to GET ${way.target.baseUrl}/models with the key.`,
    cause: 'The server at the base URL does not accept the key; it is not OpenAI itself.',
    fix: `Put a key of ${way.target.url.host} into ${describePlace(place)}, or unset OPENAI_BASE_URL`,
    place,
    fingerprint,
  }
}

/** A good key that answers for somebody else than was expected. */
function foreignKey(
  { observations, verdict, sentOrganization, sentProject }: Authentication,
  told: Told,
): Finding | undefined {
  const { known, shown, place, fingerprint } = told
  if (known === undefined || !isGenuine(verdict)) return undefined
  const sent = {
    ...(sentOrganization === undefined ? {} : { organization: sentOrganization.value }),
    ...(sentProject === undefined ? {} : { project: sentProject.value }),
  }
  if (belongsTo(observations, known.expected, sent) !== 'no') return undefined
  const both = ({ organization, project }: Belonging) =>
    [organization, project].flatMap((id) => (id === undefined ? [] : [shown(id)])).join(' and ')
  const { credential } = known
  return {
    code: 'key_foreign',
    severity: 'error',
    seen: `The key answers for ${both(toldBelonging(observations))}; the credential ${credential.name} expects ${both(known.expected)}.`,
    cause:
      'The key is good and belongs to another organisation or project: that of another stage or account.',
    fix: `keyturn get ${credential.name} # the key that belongs here; the other one is in ${describePlace(place)}`,
    place,
    fingerprint,
  }
}

/** What a call of a model showed that a list of models does not. */
export function billableFinding(attempt: Attempt<RawAnswer>, told: Told): Finding | undefined {
  const verdict = classify(observed(attempt))
  const code = codeOfCause[verdict.cause]
  if (code === undefined || code === null || !codesOfCalls.includes(code)) return undefined
  return verdictFinding(verdict, { ...told, figures: figuresOf(attempt) })
}

const codesOfCalls: readonly FindingCode[] = [
  'quota_exhausted',
  'billing_inactive',
  'rate_limited',
  'openai_failing',
]
