// POST /v1/responses, whole and streamed as typed events.

import { type AuthenticCall, json, type Reply, type Route, refuse, type StreamWriter } from './call.ts'
import { type ApiError, apiError, invalidType, missingParameter, unknownParameter } from './errors.ts'
import {
  aDecimal,
  aFlag,
  anArray,
  anInteger,
  anObject,
  answerPieces,
  anything,
  aString,
  checkFields,
  type FieldCheck,
  inputTokens,
  passGates,
  pause,
} from './inference.ts'
import { isObject } from './input.ts'
import { seconds } from './views.ts'

const TOKENS_MAX = 1_000_000

const fields: Readonly<Record<string, FieldCheck>> = {
  model: aString,
  input: (value, name) =>
    typeof value === 'string' || Array.isArray(value)
      ? undefined
      : invalidType(name, 'one of a string or an array of input items', value),
  background: aFlag,
  context_management: anything,
  conversation: anything,
  include: anArray,
  instructions: aString,
  max_output_tokens: anInteger(16, TOKENS_MAX),
  max_tool_calls: anInteger(1, TOKENS_MAX),
  metadata: anObject,
  moderation: anObject,
  parallel_tool_calls: aFlag,
  previous_response_id: aString,
  prompt: anObject,
  prompt_cache_key: aString,
  prompt_cache_options: anObject,
  prompt_cache_retention: aString,
  reasoning: anObject,
  safety_identifier: aString,
  service_tier: aString,
  store: aFlag,
  stream: aFlag,
  stream_options: anObject,
  temperature: aDecimal(0, 2),
  text: anObject,
  tool_choice: anything,
  tools: anArray,
  top_logprobs: anInteger(0, 20),
  top_p: aDecimal(0, 1),
  truncation: aString,
  user: aString,
}

export const responseRoutes: readonly Route[] = [
  {
    method: 'POST',
    pattern: '/responses',
    area: 'inference',
    scopes: ['api.responses.write', 'model.request', 'api.model.request'],
    handle: respond,
  },
]

function respond(call: AuthenticCall): Reply {
  const { body } = call
  if (!isObject(body)) return refuse(invalidType('body', 'an object', body))
  const problem = bodyProblem(body)
  if (problem !== undefined) return refuse(problem)
  const model = String(body['model'])
  const tokensMax = typeof body['max_output_tokens'] === 'number' ? body['max_output_tokens'] : null
  const inputCount = inputTokens(body['input'] ?? body['prompt'] ?? '')
  const gates = passGates(call, { model, tokens: inputCount + (tokensMax ?? call.knobs.streamChunks) })
  if (gates.error !== undefined)
    return refuse({ ...gates.error, headers: { ...gates.headers, ...gates.error.headers } })

  const answer: ResponseAnswer = {
    id: call.services.world.newId('resp_'),
    itemId: call.services.world.newId('msg_'),
    createdAt: seconds(call.at),
    model,
    pieces: answerPieces(call, tokensMax),
    wanted: call.knobs.streamChunks,
    inputTokens: inputCount,
    instructions: typeof body['instructions'] === 'string' ? body['instructions'] : null,
    tokensMax,
  }
  if (body['stream'] !== true) return json(responseView(answer, endOf(answer)), 200, gates.headers)
  return {
    kind: 'stream',
    headers: gates.headers,
    run: (write, signal) => streamAnswer({ call, answer, write, signal }),
  }
}

function bodyProblem(body: Record<string, unknown>): ApiError | undefined {
  const stray = Object.keys(body).find((name) => !Object.hasOwn(fields, name))
  if (stray !== undefined) return unknownParameter(stray)
  if (body['model'] === undefined) return missingParameter('model')
  if (body['input'] === undefined && body['prompt'] === undefined) return missingParameter('input')
  return checkFields(body, fields)
}

export interface ResponseAnswer {
  readonly id: string
  readonly itemId: string
  readonly createdAt: number
  readonly model: string
  readonly pieces: readonly string[]
  readonly wanted: number
  readonly inputTokens: number
  readonly instructions: string | null
  readonly tokensMax: number | null
}

type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed'

function endOf(answer: ResponseAnswer): 'completed' | 'incomplete' {
  return answer.pieces.length < answer.wanted ? 'incomplete' : 'completed'
}

export function messageView(answer: ResponseAnswer, status: 'in_progress' | 'completed' | 'incomplete') {
  return {
    id: answer.itemId,
    type: 'message' as const,
    role: 'assistant' as const,
    status,
    content: status === 'in_progress' ? [] : [textView(answer.pieces.join(''))],
  }
}

export function textView(text: string) {
  return { type: 'output_text' as const, text, annotations: [], logprobs: [] }
}

export function responseView(answer: ResponseAnswer, status: Status, error: ApiError | null = null) {
  const isDone = status === 'completed' || status === 'incomplete'
  return {
    id: answer.id,
    object: 'response' as const,
    created_at: answer.createdAt,
    completed_at: status === 'completed' ? answer.createdAt : null,
    status,
    background: false,
    // The published list of codes is narrow, so an overload arrives as a server error with its own message.
    error: error === null ? null : { code: 'server_error' as const, message: error.message },
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' as const } : null,
    instructions: answer.instructions,
    max_output_tokens: answer.tokensMax,
    model: answer.model,
    output: isDone ? [messageView(answer, status)] : [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default' as const,
    temperature: 1,
    text: { format: { type: 'text' as const } },
    tool_choice: 'auto' as const,
    tools: [],
    top_p: 1,
    truncation: 'disabled' as const,
    metadata: {},
    access_programs: null,
    ...(isDone ? { usage: usageView(answer) } : {}),
  }
}

function usageView(answer: ResponseAnswer) {
  return {
    input_tokens: answer.inputTokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: answer.pieces.length,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: answer.inputTokens + answer.pieces.length,
  }
}

/** The events of one answer, in order and without their sequence numbers. */
export function responseEvents(answer: ResponseAnswer, broken: ApiError | undefined) {
  const place = { item_id: answer.itemId, output_index: 0, content_index: 0 }
  const text = answer.pieces.join('')
  const end = endOf(answer)
  const deltas = answer.pieces.map((delta) => ({
    type: 'response.output_text.delta' as const,
    ...place,
    delta,
    logprobs: [],
  }))
  const opening = [
    { type: 'response.created' as const, response: responseView(answer, 'in_progress') },
    { type: 'response.in_progress' as const, response: responseView(answer, 'in_progress') },
    {
      type: 'response.output_item.added' as const,
      output_index: 0,
      item: messageView(answer, 'in_progress'),
    },
    { type: 'response.content_part.added' as const, ...place, part: textView('') },
  ]
  if (broken !== undefined)
    return [
      ...opening,
      ...deltas.slice(0, Math.floor(deltas.length / 2)),
      { type: 'response.failed' as const, response: responseView(answer, 'failed', broken) },
    ]
  return [
    ...opening,
    ...deltas,
    { type: 'response.output_text.done' as const, ...place, text, logprobs: [] },
    { type: 'response.content_part.done' as const, ...place, part: textView(text) },
    { type: 'response.output_item.done' as const, output_index: 0, item: messageView(answer, end) },
    end === 'completed'
      ? { type: 'response.completed' as const, response: responseView(answer, 'completed') }
      : { type: 'response.incomplete' as const, response: responseView(answer, 'incomplete') },
  ]
}

async function streamAnswer(input: {
  call: AuthenticCall
  answer: ResponseAnswer
  write: StreamWriter
  signal: AbortSignal
}): Promise<void> {
  const { call, answer, write, signal } = input
  const broken = call.breakStream === undefined ? undefined : apiError(call.breakStream)
  for (const [index, event] of responseEvents(answer, broken).entries()) {
    if (event.type === 'response.output_text.delta') await pause(call, signal)
    const data = JSON.stringify({ ...event, sequence_number: index })
    if (!(await write(`event: ${event.type}\ndata: ${data}\n\n`))) return
  }
}
