import type { ProbeExpectation } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { Observation } from '../core/types.ts'
import { isAuthentic } from '../core/types.ts'
import { classify } from '../core/verdict.ts'
import { modelEnds, modelIds } from './openai-observe.ts'
import type { Deadline, IssuerContext, Wire, WireRequest } from './openai-wire.ts'

/** How many declared scopes and models one verification proves; more are logged as untested. */
export const followUpsMax = 32
const concurrencyMax = 4

/**
 * Where a scope can be proven without cost. The body has an unknown field and none of the required ones, so that nothing
 * can ever run; 400 means that the permission was there, 401 or 403 with missing scopes that it was not (public scope
 * probers rely on it, November 2026). Reads answer with at most one entry, which is thrown away.
 */
const scopeProbes: Readonly<Record<string, Pick<WireRequest, 'method' | 'path'>>> = {
  'api.responses.write': { method: 'POST', path: '/responses' },
  'api.responses.read': { method: 'GET', path: '/responses/resp_keyturn_probe' },
  'model.request': { method: 'POST', path: '/chat/completions' },
  'api.model.request': { method: 'POST', path: '/chat/completions' },
  'api.files.read': { method: 'GET', path: '/files?limit=1' },
  'api.vector_stores.read': { method: 'GET', path: '/vector_stores?limit=1' },
  'api.assistants.read': { method: 'GET', path: '/assistants?limit=1' },
  'api.fine_tuning.jobs.read': { method: 'GET', path: '/fine_tuning/jobs?limit=1' },
  'api.batch.read': { method: 'GET', path: '/batches?limit=1' },
}
/** Proven or refuted by the first probe itself. */
const scopesOfFirstProbe: readonly string[] = ['api.model.read', 'model.read', 'api.all.read', 'api.all']
const invalidBody = { keyturn_probe: true } as const

/** Makes `verify` of an issuer that speaks the API of OpenAI; shared by all issuers that do. */
export function createVerify(
  wire: Wire,
  context: IssuerContext,
): (secret: Secret, expectation: ProbeExpectation) => Promise<readonly Observation[]> {
  const logged = new Set<string>()
  const logOnce = (scope: string) => {
    if (logged.has(scope) || logged.size >= 1_000) return
    logged.add(scope)
    context.log('info', 'a declared scope cannot be proven without cost, so it stays untested', { scope })
  }
  return async (secret, expectation) => {
    const deadline = wire.deadline()
    try {
      const probe = prober(wire, { secret, expectation, deadline })
      const first = await probe({ method: 'GET', path: '/models', probe: 'models' })
      // Nothing more can be learned of a key that is not genuine, and a dead one should not be sent ten times.
      if (!isAuthentic(classify(first).kind)) return [first]
      const wanted = followUps(first, expectation, logOnce)
      if (wanted.length > followUpsMax)
        context.log('warn', 'more scopes and models are declared than one verification proves', {
          declared: wanted.length,
          proven: followUpsMax,
        })
      const rest = await inParallel(wanted.slice(0, followUpsMax), probe)
      return [first, ...rest]
    } finally {
      deadline.end()
    }
  }
}

type Probe = Pick<WireRequest, 'method' | 'path'> & { readonly probe: string }

function prober(
  wire: Wire,
  call: {
    readonly secret: Secret
    readonly expectation: ProbeExpectation
    readonly deadline: Deadline
  },
): (probe: Probe) => Promise<Observation> {
  const { organization, project } = call.expectation
  const headers = {
    ...(organization === undefined ? {} : { 'openai-organization': organization }),
    ...(project === undefined ? {} : { 'openai-project': project }),
  }
  return async (probe) => {
    const body = probe.method === 'POST' ? { body: invalidBody } : {}
    const { secret, deadline } = call
    const answer = await wire.send({ ...probe, ...body, secret, headers, deadline })
    return probe.probe.startsWith('scope:') ? answer.observation : withModels(answer.observation, answer.body)
  }
}

/** A 2xx proves a key only if it is what was asked for: a list of models, or the one model. */
function withModels(
  observation: Observation,
  body: Readonly<Record<string, unknown>> | undefined,
): Observation {
  if (observation.kind === 'no_answer' || observation.status > 299 || !observation.isIssuers)
    return observation
  if (observation.probe === 'models') {
    const models = modelIds(body)
    if (models === undefined) return { ...observation, isIssuers: false }
    const ends = modelEnds(body)
    return { ...observation, models, ...(ends === undefined ? {} : { modelEnds: ends }) }
  }
  const id = observation.probe?.slice('model:'.length)
  return body?.['id'] === id && id !== undefined
    ? { ...observation, models: [id] }
    : { ...observation, isIssuers: false }
}

function followUps(
  first: Observation,
  expectation: ProbeExpectation,
  skip: (scope: string) => void,
): readonly Probe[] {
  const probes: Probe[] = []
  for (const scope of new Set(expectation.scopes)) {
    const probe = Object.hasOwn(scopeProbes, scope) ? scopeProbes[scope] : undefined
    if (probe !== undefined) probes.push({ ...probe, probe: `scope:${scope}` })
    else if (!scopesOfFirstProbe.includes(scope)) skip(scope)
  }
  const visible = first.kind === 'answer' ? first.models : undefined
  for (const model of new Set(expectation.models)) {
    // The list may be incomplete, so what it lacks is asked for by its name.
    if (visible?.includes(model) === true) continue
    probes.push({ method: 'GET', path: `/models/${encodeURIComponent(model)}`, probe: `model:${model}` })
  }
  return probes
}

/** Keeps the order of the probes. */
async function inParallel(
  probes: readonly Probe[],
  send: (probe: Probe) => Promise<Observation>,
): Promise<readonly Observation[]> {
  const answers: Observation[] = []
  for (let start = 0; start < probes.length; start += concurrencyMax)
    answers.push(...(await Promise.all(probes.slice(start, start + concurrencyMax).map(send))))
  return answers
}
