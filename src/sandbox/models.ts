// The models that the sandbox has. Which ones exist matters less than that some do not, one is retired and several
// are of another kind.

import type { AuthenticCall } from './call.ts'
import { type ApiError, apiError } from './errors.ts'

const CREATED = 1_715_367_049

export const inferenceModels = [
  'gpt-6.1-sol',
  'gpt-6.1-terra',
  'gpt-6-luna',
  'gpt-5.2',
  'gpt-5.2-mini',
  'gpt-5',
  'gpt-5-mini',
  'gpt-5-nano',
  'gpt-4.1',
  'gpt-4.1-mini',
  'gpt-4o',
  'gpt-4o-mini',
  'gpt-4o-mini-2024-07-18',
] as const

const otherModels = ['text-embedding-3-small', 'text-embedding-3-large', 'omni-moderation-latest'] as const

/** Models that were shut down. */
export const retiredModels = ['gpt-3.5-turbo-0301', 'text-davinci-003', 'gpt-4-vision-preview'] as const

/** Every model that `GET /v1/models` lists. */
export const available: readonly string[] = [...inferenceModels, ...otherModels]

/** Why this caller cannot have the model, or nothing. */
export function modelProblem(call: AuthenticCall, model: string): ApiError | undefined {
  if ((retiredModels as readonly string[]).includes(model)) return apiError('model_retired', { model })
  if (!available.includes(model)) return apiError('model_not_found', { model })
  if (call.knobs.forbiddenModels.includes(model))
    return apiError('model_forbidden', { model, project: call.key.project ?? 'unknown' })
  return undefined
}

export function modelView(id: string, call: AuthenticCall) {
  const shutdown_date = call.knobs.modelShutdowns[id] ?? null
  return { id, object: 'model' as const, created: CREATED, owned_by: 'system', shutdown_date }
}
