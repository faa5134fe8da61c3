// GET /v1/models and /v1/models/{id}. They run no model, so billing does not stop them (seen in public logs) unless
// the knob `billingOnModels` says so, since nothing tells how the newest billing codes behave here.

import { type AuthenticCall, json, type Reply, type Route, refuse } from './call.ts'
import type { ApiError } from './errors.ts'
import { billingError, throttleError } from './inference.ts'
import { available, modelProblem, modelView } from './models.ts'

const scopes = ['api.model.read']

export const modelRoutes: readonly Route[] = [
  { method: 'GET', pattern: '/models', area: 'inference', scopes, handle: listModels },
  { method: 'GET', pattern: '/models/:model', area: 'inference', scopes, handle: retrieveModel },
]

function listModels(call: AuthenticCall): Reply {
  const problem = gateProblem(call)
  if (problem !== undefined) return refuse(problem)
  const shown = available.filter((model) => !call.knobs.forbiddenModels.includes(model))
  return json({ object: 'list' as const, data: shown.map((model) => modelView(model, 'system')) })
}

function retrieveModel(call: AuthenticCall): Reply {
  const model = call.parameters['model'] ?? ''
  const problem = gateProblem(call) ?? modelProblem(call, model)
  return problem === undefined ? json(modelView(model, 'system')) : refuse(problem)
}

function gateProblem(call: AuthenticCall): ApiError | undefined {
  const throttled = throttleError(call)
  if (throttled !== undefined) return throttled
  const { limiter } = call.services
  const organization = call.key.organization
  const pass = limiter.take({ organization, model: 'models', tokens: 0, at: call.at, knobs: call.knobs })
  return pass.error ?? (call.knobs.billingOnModels ? billingError(call) : undefined)
}
