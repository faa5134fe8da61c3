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
  const { error, headers } = passGate(call)
  if (error !== undefined) return refuse(error, headers)
  const shown = available.filter((model) => !call.knobs.forbiddenModels.includes(model))
  return json({ object: 'list' as const, data: shown.map((model) => modelView(model, call)) }, 200, headers)
}

function retrieveModel(call: AuthenticCall): Reply {
  const model = call.parameters['model'] ?? ''
  const { error, headers } = passGate(call)
  const problem = error ?? modelProblem(call, model)
  return problem === undefined ? json(modelView(model, call), 200, headers) : refuse(problem, headers)
}

function passGate(call: AuthenticCall): { error?: ApiError | undefined; headers: Record<string, string> } {
  const throttled = throttleError(call)
  if (throttled !== undefined) return { error: throttled, headers: {} }
  const { limiter } = call.services
  const organization = call.key.organization
  const pass = limiter.take({ organization, model: 'models', tokens: 0, at: call.at, knobs: call.knobs })
  const error = pass.error ?? (call.knobs.billingOnModels ? billingError(call) : undefined)
  return { error, headers: call.knobs.rateLimitHeadersOnModels ? pass.headers : {} }
}
