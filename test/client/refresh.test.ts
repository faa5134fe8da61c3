import { describe, expect, it, vi } from 'vitest'
import { limits } from '../../src/client/limits.ts'
import type { Fetch } from '../../src/index.ts'
import { problem, testKey } from './fake-service.ts'
import { clientOf, serviceForTest, turnOfLoop } from './support.ts'

const baseUrl = 'https://openai.test/v1'
const address = `${baseUrl}/chat/completions`

interface Sent {
  readonly url: string
  readonly method: string
  readonly key: string | null
  readonly headers: Headers
  readonly body: string
}

/** An OpenAI in a function: it knows which keys are alive and notes what it was sent. */
function openAI(alive: Set<string>, answer: () => Response = () => Response.json({ ok: true })) {
  const sent: Sent[] = []
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init)
    const key = request.headers.get('authorization')?.replace('Bearer ', '') ?? null
    const { url, method, headers } = request
    sent.push({ url, method, key, headers, body: await request.text() })
    return key !== null && alive.has(key) ? answer() : refused()
  }
  return { sent, fetch }
}

function refused(code = 'invalid_api_key', init: ResponseInit = {}): Response {
  const error = { message: 'Incorrect API key provided.', type: 'invalid_request_error', param: null, code }
  return Response.json({ error }, { status: 401, headers: { 'x-request-id': 'req_1' }, ...init })
}

/** A service whose key is dead at OpenAI; it hands out another one when that is reported. */
async function deadKey() {
  const service = await serviceForTest({ baseUrl })
  const [dead, fresh] = [service.answer().apiKey, testKey()]
  service.onReport = () => service.turn({ apiKey: fresh })
  const client = clientOf(service)
  await client.getOpenAIKey()
  const issuer = openAI(new Set([fresh]))
  const authorization = { authorization: `Bearer ${dead}` }
  return { service, client, dead, fresh, issuer, authorization, fetch: client.withKeyRefresh(issuer.fetch) }
}

describe('a request whose key is refused', () => {
  it('is reported, and sent once more with the new key, method, headers and body kept', async () => {
    const { service, dead, fresh, issuer, authorization, fetch } = await deadKey()
    const headers = { ...authorization, 'x-own': 'kept', 'content-type': 'application/json' }
    const response = await fetch(address, { method: 'POST', headers, body: '{"a":1}' })
    expect(await response.json()).toEqual({ ok: true })
    expect(service.reports).toEqual([
      { version: 'v1', status: 401, code: 'invalid_api_key', requestId: 'req_1' },
    ])
    expect(issuer.sent.map(({ key }) => key)).toEqual([dead, fresh])
    expect(issuer.sent[1]).toMatchObject({ url: address, method: 'POST', body: '{"a":1}' })
    expect(issuer.sent[1]?.headers.get('x-own')).toBe('kept')
  })

  const bodies: [string, () => RequestInit['body']][] = [
    ['bytes', () => new TextEncoder().encode('content')],
    ['a buffer', () => new TextEncoder().encode('content').buffer],
    ['a blob', () => new Blob(['content'])],
    ['a query', () => new URLSearchParams({ content: '1' })],
    [
      'a form',
      () => {
        const form = new FormData()
        form.set('file', new Blob(['content']), 'a.txt')
        return form
      },
    ],
  ]
  it.each(bodies)('is sent once more with the same body: %s', async (_, body) => {
    const { issuer, authorization, fetch } = await deadKey()
    const response = await fetch(address, { method: 'POST', headers: authorization, body: body() ?? null })
    expect(response.status).toBe(200)
    expect(issuer.sent.map((sent) => sent.body.includes('content'))).toEqual([true, true])
  })

  it('is sent once more as a Request, body included', async () => {
    const { issuer, authorization, fetch } = await deadKey()
    const response = await fetch(
      new Request(address, { method: 'PUT', headers: authorization, body: 'content' }),
    )
    expect(response.status).toBe(200)
    expect(issuer.sent.map(({ method, body }) => `${method} ${body}`)).toEqual(['PUT content', 'PUT content'])
  })

  it('is sent once more without a body', async () => {
    const { fetch, authorization } = await deadKey()
    expect((await fetch(new URL(`${baseUrl}/models`), { headers: authorization })).status).toBe(200)
  })

  it('is reported but not sent again when its body is a stream', async () => {
    const { service, issuer, authorization, fetch } = await deadKey()
    const body = new Blob(['content']).stream()
    const init = { method: 'POST', headers: authorization, body, duplex: 'half' } as const
    const response = await fetch(address, init)
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_api_key' } })
    expect(issuer.sent).toHaveLength(1)
    await service.until(() => service.reports.length === 1)
  })

  it('is one of fifty: one report, fifty answers', async () => {
    const { service, issuer, authorization, fetch } = await deadKey()
    const requests = Array.from({ length: 50 }, () => fetch(address, { headers: authorization }))
    const responses = await Promise.all(requests)
    expect(responses.every((response) => response.status === 200)).toBe(true)
    expect(service.reports).toHaveLength(1)
    expect(issuer.sent).toHaveLength(100)
  })

  it('is sent once more without a report when the key had turned already', async () => {
    const { service, client, fresh, authorization, fetch } = await deadKey()
    service.onReport = () => undefined
    service.turn({ apiKey: fresh })
    await service.until(() => service.streams.size === 1)
    while ((await client.getOpenAIKey()) !== fresh) await turnOfLoop()
    expect((await fetch(address, { headers: authorization })).status).toBe(200)
    expect(service.reports).toHaveLength(0)
  })

  it('is sent once more at most', async () => {
    const { issuer, authorization, client } = await deadKey()
    const nothingAlive = openAI(new Set())
    const response = await client.withKeyRefresh(nothingAlive.fetch)(address, { headers: authorization })
    expect(response.status).toBe(401)
    expect(nothingAlive.sent).toHaveLength(2)
    expect(issuer.sent).toHaveLength(0)
  })

  it('takes the key of a lower generation, when the service was restored and the served one is dead', async () => {
    const { service, fresh, authorization, fetch } = await deadKey()
    service.onReport = () => service.restore({ generation: 0, apiKey: fresh, version: 'v0' })
    expect((await fetch(address, { headers: authorization })).status).toBe(200)
  })

  it('gets its own answer back, body untouched, when there is no other key, and the next one does so without a wait', async () => {
    const { service, authorization, fetch, issuer } = await deadKey()
    service.onReport = () => undefined
    service.override = (request, response) => {
      if (request.method === 'POST') return false
      problem(response, { status: 403, code: 'forbidden', detail: 'No.' })
      return true
    }
    const first = await fetch(address, { headers: authorization })
    expect(await first.json()).toMatchObject({ error: { code: 'invalid_api_key' } })
    const second = await fetch(address, { headers: authorization })
    expect(second.status).toBe(401)
    expect(service.reports).toHaveLength(1)
    expect(issuer.sent).toHaveLength(2)
  })

  it('waits for a key that comes a little later, with questions the service holds', async () => {
    const { service, fresh, authorization, fetch } = await deadKey()
    service.onReport = () => undefined
    const pending = fetch(address, { headers: authorization })
    await service.request((seen) => seen.wait !== undefined && seen.headers['if-none-match'] !== undefined)
    service.turn({ apiKey: fresh })
    expect((await pending).status).toBe(200)
  })

  it('ends at once when the app aborts while it waits', async () => {
    const { service, authorization, fetch } = await deadKey()
    service.onReport = () => undefined
    const abort = new AbortController()
    const pending = fetch(address, { headers: authorization, signal: abort.signal })
    await service.until(() => service.reports.length === 1)
    abort.abort(new RangeError('enough'))
    await expect(pending).rejects.toThrow('enough')
  })

  it('is sent once more even when reports are refused', async () => {
    const { service, fresh, authorization, fetch } = await deadKey()
    service.override = (request, response) => {
      if (request.method !== 'POST') return false
      service.turn({ apiKey: fresh })
      problem(response, { status: 429, code: 'too_many_requests', detail: 'Enough.' })
      return true
    }
    expect((await fetch(address, { headers: authorization })).status).toBe(200)
  })
})

describe('what is passed through untouched', () => {
  it.each([
    ['a missing scope', () => refused('missing_scope')],
    ['a wrong organisation', () => refused('mismatched_organization')],
    ['no code', () => Response.json({ error: { code: null } }, { status: 401 })],
    [
      'a proxy page',
      () => new Response('invalid_api_key', { status: 401, headers: { 'content-type': 'text/html' } }),
    ],
    [
      'a body beyond the limit',
      () => refused(`invalid_api_key`, { headers: { 'content-length': '9999999' } }),
    ],
    [
      'a long body',
      () =>
        Response.json(
          { error: { code: 'invalid_api_key', pad: 'x'.repeat(limits.refusalBytesMax) } },
          { status: 401 },
        ),
    ],
    ['another status', () => refused('invalid_api_key', { status: 403 })],
    ['no body', () => new Response(null, { status: 401, headers: { 'content-type': 'application/json' } })],
  ])('a refusal that is not about the key: %s', async (_, answer) => {
    const { service, client, dead, authorization } = await deadKey()
    const expected = await answer().text()
    const issuer = openAI(new Set([dead]), answer)
    const response = await client.withKeyRefresh(issuer.fetch)(address, { headers: authorization })
    expect(await response.text()).toBe(expected)
    expect(issuer.sent).toHaveLength(1)
    expect(service.reports).toHaveLength(0)
  })

  it('a refusal whose body does not end, after a moment', async () => {
    const { client, dead, authorization } = await deadKey()
    const endless = () => {
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{')),
      })
      return new Response(body, { status: 401, headers: { 'content-type': 'application/json' } })
    }
    const response = await client.withKeyRefresh(openAI(new Set([dead]), endless).fetch)(address, {
      headers: authorization,
    })
    expect(response.status).toBe(401)
    await response.body?.cancel()
  })

  it('a request to another origin, with our key or without', async () => {
    const { service, issuer, authorization, fetch, fresh } = await deadKey()
    for (const other of ['https://elsewhere.test/v1', 'http://openai.test/v1', 'https://openai.test:444/v1'])
      expect((await fetch(other, { headers: authorization })).status).toBe(401)
    expect(service.reports).toHaveLength(0)
    expect(issuer.sent.some(({ key }) => key === fresh)).toBe(false)
  })

  it('a request with a key that is not ours, or none', async () => {
    const { service, issuer, fetch, fresh } = await deadKey()
    expect((await fetch(address, { headers: { authorization: 'Bearer somebody-elses' } })).status).toBe(401)
    expect((await fetch(address)).status).toBe(401)
    expect(service.reports).toHaveLength(0)
    expect(issuer.sent.map(({ key }) => key)).not.toContain(fresh)
  })

  it('is not given a key when the new credential is for another origin', async () => {
    const { service, issuer, authorization, fetch, fresh } = await deadKey()
    service.onReport = () => service.turn({ apiKey: fresh, baseUrl: 'https://elsewhere.test/v1' })
    expect((await fetch(address, { headers: authorization })).status).toBe(401)
    expect(issuer.sent).toHaveLength(1)
  })

  it('a failure of the connection, as it is', async () => {
    const { client, authorization } = await deadKey()
    const broken = vi.fn<Fetch>().mockRejectedValue(new TypeError('fetch failed'))
    await expect(client.withKeyRefresh(broken)(address, { headers: authorization })).rejects.toThrow(
      'fetch failed',
    )
    expect(broken).toHaveBeenCalledTimes(1)
  })
})
