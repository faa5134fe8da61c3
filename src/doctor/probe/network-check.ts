import { fingerprint } from '../../core/fingerprint.ts'
import { inspectSecret, type KeyShape } from '../../core/key-inspection.ts'
import { isGenuine } from '../../core/verdict.ts'
import type { Check } from '../check.ts'
import type { DoctorContext, Step } from '../context.ts'
import type { Facts, KeyPlace } from '../facts.ts'
import type { Finding } from '../finding.ts'
import type { Attempt, RawAnswer } from '../network.ts'
import { answerFinding, rightBaseUrl } from './answer-findings.ts'
import { type Authentication, authenticate } from './authenticate.ts'
import { lookAtBaseUrl, type Target, wrongBaseUrl } from './base-url.ts'
import { type Budget, createBudget } from './budget.ts'
import { skewFinding } from './clock.ts'
import { consentTo } from './consent.ts'
import { effectiveBaseUrl } from './effective-base-url.ts'
import { billableFinding, keyFindings } from './key-findings.ts'
import { requestWithKey } from './keyed-request.ts'
import { type Known, knownCredential } from './known-credential.ts'
import { layerFinding, unusableProxy } from './layer-findings.ts'
import { askWithoutKey, type Layers, probeLayers, type Way } from './layers.ts'
import { askModel, rateLimitFinding } from './limits.ts'
import { adminKeyFor, lookAtSpend } from './look-at-spend.ts'
import { missingModels, modelFindings, retiringModels, visibleModels } from './models.ts'
import { proxyInForce } from './proxy-settings.ts'
import { type Shown, shownWithout } from './shown.ts'
import type { Told } from './verdict-findings.ts'
import { whoAnswers } from './who-answers.ts'

/**
 * Everything between the program and OpenAI: the address, the proxy, the layers below a call, then what OpenAI says of the
 * key, its models and its limits. The key that the program uses is sent, and no other; to the base URL alone, and not where only strangers' files name that.
 */
export const networkCheck: Check = {
  name: 'network',
  needsNetwork: true,
  async run(facts, context) {
    const shape = facts.key === undefined ? undefined : inspectSecret(facts.key.text)
    const { setting } = effectiveBaseUrl(facts)
    const look = lookAtBaseUrl(setting, shape?.provider)
    if (look.target === undefined) return []
    const consent = consentTo(context, facts, { target: look.target, setting })
    if (consent.kind === 'nothing') return [consent.finding]
    const target = consent.kind === 'all' ? look.target : { ...look.target, maySendKey: false }
    const way: Way = { target, proxy: proxyInForce(context.env, target.url) }
    const visit = visitOf(context, facts, way)
    const unusable = unusableProxy(way)
    const withheld = consent.kind === 'all' ? [] : [consent.finding]
    return [...withheld, ...(unusable === undefined ? [] : [unusable]), ...(await examineWay(visit, shape))]
  },
}

/** The address alone: what is wrong with it can be read. In the source, its own check tells it. */
export const baseUrlCheck: Check = {
  name: 'base URL',
  needsNetwork: false,
  async run(facts) {
    const provider = facts.key === undefined ? undefined : inspectSecret(facts.key.text).provider
    const { setting, isInSource } = effectiveBaseUrl(facts)
    const { finding } = lookAtBaseUrl(setting, provider)
    return finding === undefined || isInSource ? [] : [finding]
  },
}

/** What all parts of one run share. */
interface Visit {
  readonly context: DoctorContext
  readonly facts: Facts
  readonly way: Way
  readonly budget: Budget
  readonly shown: Shown
}

function visitOf(context: DoctorContext, facts: Facts, way: Way): Visit {
  const admin = adminKeyFor(context, facts, way)
  const secrets = [...facts.keys, ...(facts.key === undefined ? [] : [facts.key])].map(({ text }) => text)
  const shown = shownWithout(admin === undefined ? secrets : [...secrets, admin])
  return { context, facts, way, budget: createBudget(context), shown }
}

async function examineWay(visit: Visit, shape: KeyShape | undefined): Promise<readonly Finding[]> {
  const { context, facts, way, budget, shown } = visit
  const key = facts.key !== undefined && isAskable(shape, way.target) ? facts.key : undefined
  const { layers, more } = await probeLayers(context, way, budget, async () =>
    key === undefined ? undefined : await askWithKey(visit, key),
  )
  const failed = await failedLayer(visit, layers)
  const foreign = failed ?? answerFinding({ way, layers, shown })
  if (foreign !== undefined) {
    tell(context, key === undefined ? [] : [{ name: 'auth', state: 'skipped' }])
    return [foreign]
  }
  // Without a key the network is all there is to see.
  if (facts.key === undefined) return []
  const skew = skewFinding(layers)?.finding
  tell(context, [{ name: 'clock', state: skew === undefined ? 'passed' : 'failed', tookMs: 0 }])
  const clock = skew === undefined ? [] : [skew]
  const right = await rightBaseUrl(context, { way, layers }, budget)
  if (right === undefined)
    return key === undefined || more === undefined
      ? clock
      : [...clock, ...(await judgeKey({ ...visit, layers }, key, more))]
  const wrong = wrongBaseUrl({
    place: way.target.place,
    what: `${way.target.baseUrl}/models is not there (HTTP 404), and ${right.baseUrl}/models is`,
    right: right.baseUrl,
  })
  if (key === undefined) return [wrong, ...clock]
  const beside = { ...visit, way: { ...way, target: right } }
  const asked = await askWithKey(beside, key)
  return [wrong, ...clock, ...(await judgeKey({ ...beside, layers }, key, asked))]
}

async function failedLayer(visit: Visit, layers: Layers): Promise<Finding | undefined> {
  const { context, way, budget, shown } = visit
  const now = context.system.now()
  const finding = layerFinding({ layers, way, shown, now })
  if (finding?.code !== 'proxy_failed' || budget.isSpent) return finding
  const straight = await askWithoutKey(context, { target: way.target, proxy: undefined }, budget.stepMs())
  return layerFinding({ layers, way, shown, now, straight })
}

/** Placeholders, other providers' keys and texts that are none are told of by the checks of keys, and sent to nobody. */
function isAskable(shape: KeyShape | undefined, target: Target): boolean {
  if (shape === undefined || !target.maySendKey) return false
  if (shape.problems.some(({ isFatal }) => isFatal)) return false
  if (shape.kind === 'other_provider') return target.kind === 'gateway'
  return shape.kind !== 'placeholder' && shape.kind !== 'admin'
}

interface Asked {
  readonly known: Known | undefined
  readonly authentication: Authentication
  readonly raw: Attempt<RawAnswer> | undefined
}

async function askWithKey(visit: Visit, { text: secret }: KeyPlace): Promise<Asked> {
  const { context, facts, way, budget } = visit
  const known = knownCredential(facts, secret, context.system)
  const startedAt = context.system.now()
  const about = way.target.url.host
  tell(context, [{ name: 'auth', about, state: 'running' }])
  const [authentication, raw] = await Promise.all([
    authenticate(context, { way, secret, facts, known, budget }),
    way.target.kind === 'gateway'
      ? undefined
      : requestWithKey(context, way, { method: 'GET', path: '/models', secret }, budget.stepMs()),
  ])
  const state = isAccepted(authentication, way.target) ? 'passed' : 'failed'
  tell(context, [{ name: 'auth', about, state, tookMs: context.system.now() - startedAt }])
  return { known, authentication, raw }
}

/** OpenAI says so itself; of a server of one's own that answers as it should it is taken. */
function isAccepted({ verdict, observations: [first] }: Authentication, { kind }: Target): boolean {
  if (isGenuine(verdict)) return true
  return kind !== 'openai' && first?.kind === 'answer' && first.status >= 200 && first.status <= 299
}

async function judgeKey(
  visit: Visit & { readonly layers: Layers },
  key: KeyPlace,
  { known, authentication, raw }: Asked,
): Promise<readonly Finding[]> {
  const { context, facts, way, budget, shown, layers } = visit
  const told: Told = {
    way,
    shown,
    place: key.place,
    fingerprint: fingerprint(key.text, context.system),
    known,
    sentOrganization: authentication.sentOrganization,
    sentProject: authentication.sentProject,
    missingScopes: authentication.missingScopes,
    who: layers.http?.kind === 'done' ? whoAnswers(layers.http.answer, undefined, shown) : undefined,
  }
  const asking = { way, secret: key.text, facts, known, budget }
  const findings = await keyFindings(context, { ...asking, authentication, told, raw })
  if (!isGenuine(authentication.verdict)) return findings
  const [models, limits, spend] = await Promise.all([
    lookAtModels(visit, key, authentication),
    lookAtLimits(visit, key, { authentication, raw, told }),
    lookAtMoney(visit, authentication),
  ])
  return [...findings, ...models, ...limits, ...spend]
}

async function lookAtModels(
  { context, facts, way, budget, shown }: Visit,
  { text: secret }: KeyPlace,
  { observations }: Authentication,
): Promise<readonly Finding[]> {
  const missing = missingModels(facts, context.options, observations)
  if (facts.models.length > 0 || context.options.model !== undefined)
    tell(context, [{ name: 'models', state: missing.length === 0 ? 'passed' : 'failed', tookMs: 0 }])
  const visible = visibleModels(observations) ?? []
  const retiring = retiringModels(facts, context.options, { observations, now: context.system.now(), shown })
  return [...(await modelFindings(context, { way, secret, missing, visible, shown, budget })), ...retiring]
}

async function lookAtLimits(
  { context, way, budget }: Visit,
  { text: secret, place }: KeyPlace,
  { authentication, raw, told }: Pick<Asked, 'authentication' | 'raw'> & { readonly told: Told },
): Promise<readonly Finding[]> {
  // What is used up is no more near.
  if (authentication.verdict.kind === 'throttled' || authentication.verdict.kind === 'exhausted') return []
  const startedAt = context.system.now()
  const called = context.options.isBillable
    ? await askModel(context, { way, secret, authentication, budget })
    : undefined
  const refused =
    called === undefined ? undefined : billableFinding(called.attempt, { ...told, asked: called.asked })
  const seen = called?.attempt.kind === 'done' ? called.attempt : raw
  const near = seen?.kind === 'done' ? rateLimitFinding(seen.answer, place) : undefined
  const found = refused ?? near
  const tookMs = context.system.now() - startedAt
  tell(context, [{ name: 'quota', state: found === undefined ? 'passed' : 'failed', tookMs }])
  return found === undefined ? [] : [found]
}

async function lookAtMoney(visit: Visit, { observations }: Authentication): Promise<readonly Finding[]> {
  const { context, facts, way, budget } = visit
  const secret = adminKeyFor(context, facts, way)
  if (secret === undefined) return []
  const [first] = observations
  const project = first?.kind === 'answer' ? first.project : undefined
  return await lookAtSpend(context, { way, secret, project, budget })
}

function tell(context: DoctorContext, steps: readonly Step[]): void {
  for (const step of steps) context.onStep(step)
}
