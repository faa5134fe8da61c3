import { APIError } from 'openai'
import { describe, expect, test } from 'vitest'
import { ask, chatBody, open, responseBody, sdk } from './support.ts'

const TEXT = 'This is a short and always equal answer'
const messages = [{ role: 'user' as const, content: 'Hello' }]

async function ready(knobs = {}) {
  const sandbox = await open({ knobs })
  const { id, value } = sandbox.createServiceAccountKey()
  return { sandbox, id, value, client: sdk(sandbox, value) }
}

describe('through the official SDK', () => {
  test('models are listed and retrieved', async () => {
    const { client } = await ready()
    const ids: string[] = []
    for await (const model of client.models.list()) ids.push(model.id)
    expect(ids).toContain('gpt-5-mini')
    expect((await client.models.retrieve('gpt-5-mini')).object).toBe('model')
  })

  test('a chat completion is whole, deterministic and counted', async () => {
    const { client } = await ready()
    const answer = await client.chat.completions.create({ model: 'gpt-5-mini', messages, n: 2 })
    expect(answer.choices.map((choice) => choice.message.content)).toEqual([TEXT, TEXT])
    expect(answer.usage?.completion_tokens).toBe(16)
    const cut = await client.chat.completions.create({
      model: 'gpt-5-mini',
      messages,
      max_completion_tokens: 3,
    })
    expect([cut.choices[0]?.message.content, cut.choices[0]?.finish_reason]).toEqual(['This is a', 'length'])
  })

  test('a streamed chat completion adds up, ends with its usage and with [DONE]', async () => {
    const { sandbox, value, client } = await ready()
    const stream = await client.chat.completions.create({
      model: 'gpt-5-mini',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    const usages: unknown[] = []
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (chunk.usage) usages.push(chunk.usage.completion_tokens)
    }
    expect([text, usages]).toEqual([TEXT, [8]])
    const helper = client.chat.completions.stream({ model: 'gpt-5-mini', messages })
    expect(await helper.finalContent()).toBe(TEXT)
    const raw = await ask(sandbox, '/chat/completions', { key: value, body: { ...chatBody, stream: true } })
    expect(raw.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(raw.text.endsWith('data: [DONE]\n\n')).toBe(true)
    expect(raw.text).not.toContain('"usage"')
  })

  test('a response is whole, or incomplete when its tokens run out', async () => {
    const { client } = await ready({ streamChunks: 20 })
    const answer = await client.responses.create({ model: 'gpt-5-mini', input: 'Hello' })
    expect([answer.status, answer.output_text.split(' ').length]).toEqual(['completed', 20])
    const cut = await client.responses.create({ model: 'gpt-5-mini', input: 'Hello', max_output_tokens: 16 })
    expect([cut.status, cut.incomplete_details?.reason]).toEqual(['incomplete', 'max_output_tokens'])
  })

  test('a streamed response has typed events with rising sequence numbers', async () => {
    const { client } = await ready()
    const stream = await client.responses.create({ model: 'gpt-5-mini', input: 'Hello', stream: true })
    const types: string[] = []
    const numbers: number[] = []
    for await (const event of stream) {
      types.push(event.type)
      numbers.push(event.sequence_number)
    }
    expect(numbers).toEqual(numbers.map((_, index) => index))
    expect(types.slice(0, 5)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
    ])
    expect(types.at(-1)).toBe('response.completed')
    const helper = client.responses.stream({ model: 'gpt-5-mini', input: 'Hello' })
    expect((await helper.finalResponse()).output_text).toBe(TEXT)
  })

  test('an error inside a stream reaches the caller, after a 200', async () => {
    const { client } = await ready({ streamError: true })
    const chat = await client.chat.completions.create({ model: 'gpt-5-mini', messages, stream: true })
    const seen: string[] = []
    const reading = (async () => {
      for await (const chunk of chat) seen.push(chunk.choices[0]?.delta.content ?? '')
    })()
    await expect(reading).rejects.toThrow(APIError)
    expect(seen.join('')).toBe('This is a short')
    const types: string[] = []
    for await (const event of await client.responses.create({ ...responseBody, stream: true }))
      types.push(event.type)
    expect(types.at(-1)).toBe('response.failed')
  })
})

describe('what is asked is checked', () => {
  test.each([
    ['/chat/completions', { messages }, null, null, /you must provide a model parameter/],
    ['/chat/completions', { model: 'gpt-5' }, 'messages', 'missing_required_parameter', /'messages'/],
    ['/chat/completions', { ...chatBody, speed: 1 }, null, null, /argument supplied: speed/],
    ['/chat/completions', { ...chatBody, messages: [] }, 'messages', 'empty_array', /empty array/],
    [
      '/chat/completions',
      { ...chatBody, messages: [{ role: 'boss', content: 'x' }] },
      'messages[0].role',
      'invalid_value',
      /'boss'/,
    ],
    [
      '/chat/completions',
      { ...chatBody, temperature: 3 },
      'temperature',
      'decimal_above_max_value',
      /Expected a value <= 2, but got 3/,
    ],
    ['/chat/completions', { ...chatBody, max_tokens: 5 }, 'max_tokens', 'unsupported_parameter', /Use 'max_/],
    ['/chat/completions', { ...chatBody, stream_options: {} }, 'stream_options', null, /only allowed when/],
    ['/responses', { ...responseBody, speed: 1 }, 'speed', 'unknown_parameter', /'speed'/],
    ['/responses', { input: 'x' }, 'model', 'missing_required_parameter', /'model'/],
    ['/responses', { model: 'gpt-5' }, 'input', 'missing_required_parameter', /'input'/],
    ['/responses', { ...responseBody, input: 5 }, 'input', 'invalid_type', /but got an integer instead/],
    ['/responses', '{', null, null, /could not parse the JSON body/],
  ] as const)('%s %j', async (path, body, param, code, message) => {
    const { sandbox, value } = await ready()
    const { status, json } = await ask(sandbox, path, { key: value, body })
    expect([status, json.error?.param, json.error?.code]).toEqual([400, param, code])
    expect(json.error?.message).toMatch(message)
  })

  test('the scope is checked before the body, so that a bad body can probe for it', async () => {
    const { sandbox } = await ready()
    const { value } = sandbox.createServiceAccountKey({ scopes: ['api.model.read'] })
    expect((await ask(sandbox, '/responses', { key: value, body: { speed: 1 } })).status).toBe(401)
  })

  test('unknown paths, wrong methods, other media types and huge bodies', async () => {
    const { sandbox, value: key } = await ready()
    const url = await ask(sandbox, '/nothing', { key })
    expect([url.status, url.json.error?.message]).toEqual([404, 'Invalid URL (GET /v1/nothing)'])
    expect((await ask(sandbox, '/models', { key, method: 'POST' })).status).toBe(405)
    const headers = { 'content-type': 'text/plain' }
    const media = await ask(sandbox, '/responses', { key, method: 'POST', body: 'x', headers })
    expect(media.json.error?.code).toBe('unsupported_content_type')
    const huge = await ask(sandbox, '/responses', { key, body: { input: 'x'.repeat(1_100_000) } })
    expect(huge.status).toBe(413)
  })
})

test('answers carry the headers that OpenAI documents', async () => {
  const { sandbox, value: key } = await ready({ dateSkewMs: 5_000 })
  const { headers } = await ask(sandbox, '/responses', { key, body: responseBody })
  expect(headers.get('x-request-id')).toMatch(/^req_[0-9a-f]+$/)
  expect(headers.get('openai-organization')).toBe(sandbox.organization)
  expect(headers.get('openai-project')).toBe(sandbox.project)
  expect(headers.get('openai-version')).toBe('2020-10-01')
  expect(Number(headers.get('openai-processing-ms'))).toBeGreaterThan(0)
  expect(headers.get('date')).toBe('Fri, 20 Nov 2026 12:00:05 GMT')
  for (const what of ['limit', 'remaining', 'reset'])
    for (const unit of ['requests', 'tokens'])
      expect(headers.get(`x-ratelimit-${what}-${unit}`)).not.toBeNull()
})
