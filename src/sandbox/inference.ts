// What chat completions and responses share: the gates behind authentication, the answer's text and its tokens.

import type { AuthenticCall } from './call.ts'
import { type ApiError, apiError, badRequest, invalidType } from './errors.ts'
import { isObject } from './input.ts'
import { modelProblem } from './models.ts'

const WORDS = 'This is a short and always equal answer that no model has written'.split(' ')

/** The answer in pieces, one per token. */
export function answerPieces(call: AuthenticCall, tokensMax: number | null): string[] {
  const count = Math.min(call.knobs.streamChunks, tokensMax ?? call.knobs.streamChunks)
  return Array.from({ length: count }, (_, index) => {
    const word = WORDS[index % WORDS.length] ?? ''
    return index === 0 ? word : ` ${word}`
  })
}

/** A rough count, as stable as the answer: four characters are a token. */
export function inputTokens(input: unknown): number {
  return Math.max(1, Math.ceil(JSON.stringify(input).length / 4))
}

export interface GatePass {
  readonly headers: Record<string, string>
  readonly error?: ApiError
}

/** The account's gates, in the order: model, verification, throttling, counted limits, billing. */
export function passGates(call: AuthenticCall, request: { model: string; tokens: number }): GatePass {
  const { knobs, key } = call
  const { model, tokens } = request
  const early =
    modelProblem(call, model) ??
    (knobs.unverifiedModels.includes(model) ? apiError('organization_not_verified', { model }) : undefined) ??
    throttleError(call, model)
  if (early !== undefined) return { headers: {}, error: early }
  const pass = call.services.limiter.take({
    organization: key.organization,
    model,
    tokens,
    at: call.at,
    knobs,
  })
  const error = pass.error ?? billingError(call)
  return error === undefined ? pass : { headers: pass.headers, error }
}

export function throttleError(call: AuthenticCall, model?: string): ApiError | undefined {
  const { throttle } = call.knobs
  const details = { organization: call.key.organization, ...(model === undefined ? {} : { model }) }
  if (throttle === false) return undefined
  if (throttle === 'slow_down') return apiError('slow_down')
  return apiError(throttle === 'tokens' ? 'rate_limit_tokens' : 'rate_limit_requests', details)
}

export function billingError(call: AuthenticCall): ApiError | undefined {
  const { billing, billingProject } = call.knobs
  if (billing === null || (billingProject !== null && billingProject !== call.key.project)) return undefined
  return apiError(billing)
}

export type FieldCheck = (value: unknown, name: string) => ApiError | undefined

/** Checks every given field; null stands for absent, as in the published types. */
export function checkFields(
  body: Record<string, unknown>,
  fields: Readonly<Record<string, FieldCheck>>,
): ApiError | undefined {
  for (const [name, check] of Object.entries(fields)) {
    const value = body[name]
    const problem = value === undefined || value === null ? undefined : check(value, name)
    if (problem !== undefined) return problem
  }
  return undefined
}

export const anything: FieldCheck = () => undefined

export const aString: FieldCheck = (value, name) =>
  typeof value === 'string' ? undefined : invalidType(name, 'a string', value)

export const aFlag: FieldCheck = (value, name) =>
  typeof value === 'boolean' ? undefined : invalidType(name, 'a boolean', value)

export const anObject: FieldCheck = (value, name) =>
  isObject(value) ? undefined : invalidType(name, 'an object', value)

export const anArray: FieldCheck = (value, name) =>
  Array.isArray(value) ? undefined : invalidType(name, 'an array', value)

export const aDecimal =
  (from: number, to: number): FieldCheck =>
  (value, name) =>
    typeof value === 'number'
      ? outside(value, name, { from, to, word: 'decimal' })
      : invalidType(name, 'a decimal', value)

export const anInteger =
  (from: number, to: number): FieldCheck =>
  (value, name) =>
    typeof value === 'number' && Number.isInteger(value)
      ? outside(value, name, { from, to, word: 'integer' })
      : invalidType(name, 'an integer', value)

function outside(
  value: number,
  name: string,
  range: { from: number; to: number; word: string },
): ApiError | undefined {
  const { from, to, word } = range
  if (value >= from && value <= to) return undefined
  const [side, sign, bound] = value < from ? ['below minimum', '>=', from] : ['above maximum', '<=', to]
  return badRequest(
    `Invalid '${name}': ${word} ${side} value. Expected a value ${sign} ${bound}, but got ${value} instead.`,
    name,
    `${word}_${side === 'below minimum' ? 'below_min' : 'above_max'}_value`,
  )
}

/** Waits between two pieces of a stream. */
export function pause(call: AuthenticCall, signal: AbortSignal): Promise<void> {
  return call.services.sleep(call.knobs.streamChunkDelayMs, signal)
}
