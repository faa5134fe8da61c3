// POST /v1/chat/completions, whole and streamed.

import { type AuthenticCall, json, type Reply, type Route, refuse, type StreamWriter } from './call.ts'
import { limits } from './defaults.ts'
import { type ApiError, apiError, badRequest, envelope, invalidType, missingParameter } from './errors.ts'
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
const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function']

const fields: Readonly<Record<string, FieldCheck>> = {
  model: aString,
  messages: anArray,
  audio: anObject,
  frequency_penalty: aDecimal(-2, 2),
  function_call: anything,
  functions: anArray,
  logit_bias: anObject,
  logprobs: aFlag,
  max_completion_tokens: anInteger(1, TOKENS_MAX),
  max_tokens: anInteger(1, TOKENS_MAX),
  metadata: anObject,
  modalities: anArray,
  moderation: anObject,
  n: anInteger(1, limits.choicesMax),
  parallel_tool_calls: aFlag,
  prediction: anObject,
  presence_penalty: aDecimal(-2, 2),
  prompt_cache_key: aString,
  prompt_cache_options: anObject,
  prompt_cache_retention: aString,
  reasoning_effort: aString,
  response_format: anObject,
  safety_identifier: aString,
  seed: anInteger(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  service_tier: aString,
  stop: anything,
  store: aFlag,
  stream: aFlag,
  stream_options: anObject,
  temperature: aDecimal(0, 2),
  tool_choice: anything,
  tools: anArray,
  top_logprobs: anInteger(0, 20),
  top_p: aDecimal(0, 1),
  user: aString,
  verbosity: aString,
  web_search_options: anObject,
}

export const chatRoutes: readonly Route[] = [
  {
    method: 'POST',
    pattern: '/chat/completions',
    area: 'inference',
    scopes: ['model.request', 'api.model.request', 'api.chat.completions.write'],
    handle: complete,
  },
]

interface ChatRequest {
  readonly model: string
  readonly promptTokens: number
  readonly tokensMax: number | null
  readonly choices: number
  readonly isStreamed: boolean
  readonly includesUsage: boolean
}

function complete(call: AuthenticCall): Reply {
  const read = readRequest(call.body)
  if ('error' in read) return refuse(read.error)
  const request = read.value
  const tokens = request.promptTokens + (request.tokensMax ?? call.knobs.streamChunks)
  const gates = passGates(call, { model: request.model, tokens })
  if (gates.error !== undefined)
    return refuse({ ...gates.error, headers: { ...gates.headers, ...gates.error.headers } })
  const answer = makeAnswer(call, request)
  if (!request.isStreamed) return json(completionView(answer), 200, gates.headers)
  return {
    kind: 'stream',
    headers: gates.headers,
    run: (write, signal) => streamAnswer({ call, request, answer, write, signal }),
  }
}

function readRequest(body: unknown): { value: ChatRequest } | { error: ApiError } {
  if (!isObject(body)) return { error: invalidType('body', 'an object', body) }
  if (typeof body['model'] !== 'string' || body['model'] === '')
    return { error: badRequest('you must provide a model parameter') }
  const stray = Object.keys(body).find((name) => !Object.hasOwn(fields, name))
  if (stray !== undefined) return { error: badRequest(`Unrecognized request argument supplied: ${stray}`) }
  if (body['messages'] === undefined) return { error: missingParameter('messages') }
  const problem = checkFields(body, fields) ?? messagesProblem(body['messages']) ?? togetherProblem(body)
  if (problem !== undefined) return { error: problem }
  const options = isObject(body['stream_options']) ? body['stream_options'] : {}
  const tokensMax = body['max_completion_tokens'] ?? body['max_tokens'] ?? null
  return {
    value: {
      model: body['model'],
      promptTokens: inputTokens(body['messages']),
      tokensMax: typeof tokensMax === 'number' ? tokensMax : null,
      choices: typeof body['n'] === 'number' ? body['n'] : 1,
      isStreamed: body['stream'] === true,
      includesUsage: options['include_usage'] === true,
    },
  }
}

function messagesProblem(messages: unknown): ApiError | undefined {
  if (!Array.isArray(messages) || messages.length === 0)
    return badRequest(
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      'messages',
      'empty_array',
    )
  for (const [index, message] of messages.entries()) {
    const name = `messages[${index}]`
    if (!isObject(message)) return invalidType(name, 'an object', message)
    if (message['role'] === undefined) return missingParameter(`${name}.role`)
    const role = message['role']
    if (typeof role !== 'string') return invalidType(`${name}.role`, 'a string', role)
    if (!ROLES.includes(role))
      return badRequest(
        `Invalid value: '${role}'. Supported values are: ${ROLES.map((known) => `'${known}'`).join(', ')}.`,
        `${name}.role`,
        'invalid_value',
      )
    if (message['content'] === undefined && message['role'] !== 'assistant')
      return missingParameter(`${name}.content`)
  }
  return undefined
}

function togetherProblem(body: Record<string, unknown>): ApiError | undefined {
  if (isObject(body['stream_options']) && body['stream'] !== true)
    return badRequest(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    )
  if (typeof body['max_tokens'] === 'number' && String(body['model']).startsWith('gpt-5'))
    return badRequest(
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      'max_tokens',
      'unsupported_parameter',
    )
  return undefined
}

export interface ChatAnswer {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly pieces: readonly string[]
  readonly choices: number
  readonly isCut: boolean
  readonly promptTokens: number
}

function makeAnswer(call: AuthenticCall, request: ChatRequest): ChatAnswer {
  const pieces = answerPieces(call, request.tokensMax)
  return {
    id: call.services.world.newId('chatcmpl-'),
    created: seconds(call.at),
    model: request.model,
    pieces,
    choices: request.choices,
    isCut: pieces.length < call.knobs.streamChunks,
    promptTokens: request.promptTokens,
  }
}

export function completionView(answer: ChatAnswer) {
  return {
    id: answer.id,
    object: 'chat.completion' as const,
    created: answer.created,
    model: answer.model,
    choices: Array.from({ length: answer.choices }, (_, index) => ({
      index,
      message: {
        role: 'assistant' as const,
        content: answer.pieces.join(''),
        refusal: null,
        annotations: [],
      },
      logprobs: null,
      finish_reason: answer.isCut ? ('length' as const) : ('stop' as const),
    })),
    usage: usageView(answer),
    service_tier: 'default' as const,
    system_fingerprint: 'fp_sandbox',
  }
}

function usageView(answer: ChatAnswer) {
  const completion = answer.pieces.length * answer.choices
  return {
    prompt_tokens: answer.promptTokens,
    completion_tokens: completion,
    total_tokens: answer.promptTokens + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

interface Delta {
  readonly role?: 'assistant'
  readonly content?: string
  readonly refusal?: null
}

type Finish = 'stop' | 'length' | null

/** One chunk for every choice, or the last one, which has no choices and the usage. */
export function chunkView(
  answer: ChatAnswer,
  part: { choice: number; delta: Delta; finish: Finish } | 'usage',
  includesUsage: boolean,
) {
  return {
    id: answer.id,
    object: 'chat.completion.chunk' as const,
    created: answer.created,
    model: answer.model,
    service_tier: 'default' as const,
    system_fingerprint: 'fp_sandbox',
    choices:
      part === 'usage'
        ? []
        : [{ index: part.choice, delta: part.delta, logprobs: null, finish_reason: part.finish }],
    ...(includesUsage ? { usage: part === 'usage' ? usageView(answer) : null } : {}),
  }
}

async function streamAnswer(input: {
  call: AuthenticCall
  request: ChatRequest
  answer: ChatAnswer
  write: StreamWriter
  signal: AbortSignal
}): Promise<void> {
  const { call, request, answer, write, signal } = input
  const send = (data: unknown) => write(`data: ${JSON.stringify(data)}\n\n`)
  const sendAll = async (delta: Delta, finish: Finish) => {
    for (let choice = 0; choice < answer.choices; choice += 1)
      if (!(await send(chunkView(answer, { choice, delta, finish }, request.includesUsage)))) return false
    return true
  }
  if (!(await sendAll({ role: 'assistant', content: '', refusal: null }, null))) return
  for (const [index, content] of answer.pieces.entries()) {
    if (call.breakStream !== undefined && index === Math.floor(answer.pieces.length / 2)) {
      await send(envelope(apiError(call.breakStream)))
      return
    }
    await pause(call, signal)
    if (!(await sendAll({ content }, null))) return
  }
  if (!(await sendAll({}, answer.isCut ? 'length' : 'stop'))) return
  if (request.includesUsage && !(await send(chunkView(answer, 'usage', true)))) return
  await write('data: [DONE]\n\n')
}
