import { describe, expect, it } from 'vitest'
import type { TokenAnswer } from '../../src/api/types.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger } from '../../src/core/ports.ts'
import { createServer } from '../../src/server/server.ts'
import { canary, keyNumber } from './fake-service.ts'
import { bearer, type Harness, problemOf, signerIn, startServer, until } from './harness.ts'

const path = '/v1/credentials/openai'

describe('what an app may do', () => {
  it('lists only the credentials of its token, without secrets', async () => {
    const harness = await startServer()
    const text = await (await harness.get('/v1/credentials')).text()
    expect((JSON.parse(text) as { items: { name: string }[] }).items.map(({ name }) => name)).toEqual([
      'openai',
    ])
    expect(text).not.toContain(canary)
    const all = await harness.send('GET', '/v1/credentials')
    expect(((await all.json()) as { items: unknown[] }).items).toHaveLength(2)
  })

  it('reports a rejection under the name of its token', async () => {
    const harness = await startServer()
    const report = { version: 'version-1', status: 401, code: 'invalid_api_key', requestId: 'req_1' }
    const response = await harness.send('POST', `${path}/reports`, report, bearer(harness.app))
    expect([response.status, await response.json()]).toEqual([
      200,
      { generation: 1, version: 'version-1', verdict: 'valid' },
    ])
    expect(harness.service.reports).toEqual([{ name: 'openai', report, actor: 'web' }])
    const other = await harness.send('POST', `${path}/reports`, report, bearer(harness.other))
    expect(other.status).toBe(404)
  })

  it('sees its own leases; an operator sees all and drops one', async () => {
    const harness = await startServer()
    const { token } = await harness.tokens.create({ name: 'cron', role: 'app', credentials: ['*'] })
    await harness.get(path, { 'keyturn-instance': 'web-1' })
    await harness.get(path, { ...bearer(token), 'keyturn-instance': 'cron/1' })
    const seen = async (headers: Record<string, string>) => {
      const { items } = (await (await harness.get(`${path}/leases`, headers)).json()) as {
        items: { instance: string }[]
      }
      return items.map(({ instance }) => instance)
    }
    expect(await seen({})).toEqual(['web-1'])
    expect(await seen(bearer(harness.operator))).toEqual(['web-1', 'cron/1'])
    const dropping = await harness.send('DELETE', `${path}/leases/${encodeURIComponent('cron/1')}`)
    expect([dropping.status, await dropping.text()]).toEqual([204, ''])
    expect(await seen(bearer(harness.operator))).toEqual(['web-1'])
    expect((await harness.send('DELETE', `${path}/leases/nobody`)).status).toBe(404)
  })

  it('ends a lease of its own, and learns nothing of what others hold under that name', async () => {
    const harness = await startServer()
    const { token } = await harness.tokens.create({ name: 'cron', role: 'app', credentials: ['*'] })
    await harness.get(path, { 'keyturn-instance': 'web-1' })
    await harness.get(path, { ...bearer(token), 'keyturn-instance': 'web-1' })
    const held = async () => (await harness.service.leases('openai')).map(({ app }) => app)
    const end = async (instance: string, headers: Record<string, string>) => {
      const answer = await harness.send('DELETE', `${path}/leases/${instance}`, undefined, headers)
      return [answer.status, await answer.text()]
    }
    // Theirs is not its own, nor is one that nobody has: both are answered as if there had been one.
    await harness.get(path, { ...bearer(token), 'keyturn-instance': 'theirs' })
    for (const instance of ['theirs', 'nobody', `%00`, 'x'.repeat(200)])
      expect(await end(instance, bearer(harness.app))).toEqual([204, ''])
    expect(await held()).toEqual(['web', 'cron', 'cron'])
    expect(await end('web-1', bearer(harness.app))).toEqual([204, ''])
    expect(await held()).toEqual(['cron', 'cron'])
    // Whoever may drop everybody's says that it is the instance itself, and then ends its own alone.
    const ops = bearer(harness.operator)
    await harness.get(path, { ...ops, 'keyturn-instance': 'web-1' })
    expect(await end('web-1', { ...ops, 'keyturn-instance': 'web-1' })).toEqual([204, ''])
    expect(await held()).toEqual(['cron', 'cron'])
    expect(await end('web-1', { ...ops, 'keyturn-instance': 'web-2' })).toEqual([204, ''])
    expect(await held()).toEqual(['cron'])
  })

  it('tells an operator who listens and who only asks now and then', async () => {
    const harness = await startServer()
    await harness.get(path, { 'keyturn-instance': 'web-1' })
    const stream = await harness.get(`${path}/events`, { 'keyturn-instance': 'web-2' })
    const radius = await harness.get(`${path}/blast-radius`, bearer(harness.operator))
    const { holders } = (await radius.json()) as { holders: { instance: string; isListening: boolean }[] }
    expect(holders.map(({ instance, isListening }) => [instance, isListening])).toEqual([
      ['web-1', false],
      ['web-2', true],
    ])
    await stream.body?.cancel()
    const wrong = await harness.get(`${path}/blast-radius?version=a/b`, bearer(harness.operator))
    expect(wrong.status).toBe(404)
  })

  it.each([
    ['GET', `${path}/versions`],
    ['POST', `${path}/versions`],
    ['POST', `${path}/verifications`],
    ['GET', `${path}/rotations`],
    ['POST', `${path}/rotations`],
    ['GET', `${path}/rotations/rotation-1`],
    ['POST', `${path}/rotations/rotation-1/pause`],
    ['POST', `${path}/rollbacks`],
    ['POST', `${path}/versions/version-1/revocations`],
    ['GET', `${path}/blast-radius`],
    ['GET', '/v1/tokens'],
    ['POST', '/v1/tokens'],
    ['DELETE', '/v1/tokens/tok_1'],
    ['GET', '/metrics'],
  ])('does not %s %s', async (method, target) => {
    const harness = await startServer()
    const response = await harness.send(method, target, undefined, bearer(harness.app))
    expect([response.status, (await problemOf(response)).code]).toEqual([403, 'forbidden'])
    const nobody = await harness.send(method, target, undefined, { authorization: '' })
    expect(nobody.status).toBe(401)
  })
})

describe('what an operator does', () => {
  it('starts a rotation, watches it, pauses, resumes and aborts it', async () => {
    const harness = await startServer()
    const started = await harness.send('POST', `${path}/rotations`, { mode: 'emergency', reason: 'leak' })
    expect(started.status).toBe(202)
    expect(started.headers.get('location')).toBe(`${path}/rotations/rotation-1`)
    expect(await started.json()).toMatchObject({ id: 'rotation-1', mode: 'emergency', requestedBy: 'ops' })
    const list = (await (await harness.send('GET', `${path}/rotations`)).json()) as { items: unknown[] }
    expect(list.items).toHaveLength(1)
    expect(await (await harness.send('GET', `${path}/rotations/rotation-1`)).json()).toEqual(list.items[0])
    const paused = await harness.send('POST', `${path}/rotations/rotation-1/pause`)
    expect([paused.status, await paused.json()]).toEqual([200, expect.objectContaining({ isPaused: true })])
    await harness.send('POST', `${path}/rotations/rotation-1/resume`)
    await harness.send('POST', `${path}/rotations/rotation-1/abort`, {})
    expect(harness.service.acts).toEqual(['pause', 'resume', 'abort'])
    expect((await harness.send('POST', `${path}/rotations/rotation-9/pause`)).status).toBe(404)
    expect((await harness.send('POST', `${path}/rotations/rotation-1/explode`)).status).toBe(404)
  })

  it('starts one with no body at all', async () => {
    const harness = await startServer()
    expect((await harness.send('POST', `${path}/rotations`)).status).toBe(202)
    expect(harness.service.rotationsStarted).toEqual([{}])
  })

  it('verifies, lists, rolls back, brings and revokes', async () => {
    const harness = await startServer()
    expect((await harness.send('POST', `${path}/verifications`)).status).toBe(200)
    expect((await harness.send('GET', `${path}/versions`)).status).toBe(200)
    expect((await harness.send('POST', `${path}/rollbacks`, { to: 'version-0' })).status).toBe(200)
    const brought = await harness.send('POST', `${path}/versions`, { apiKey: keyNumber(77) })
    expect(brought.status).toBe(201)
    expect(await brought.text()).not.toContain(canary)
    const last = await harness.send('POST', `${path}/versions/version-1/revocations`, {})
    expect([last.status, (await problemOf(last)).code]).toEqual([409, 'last_working_key'])
    expect((await harness.send('POST', `${path}/versions/nope/revocations`)).status).toBe(404)
    expect((await harness.send('POST', `${path}/versions/n%20pe/revocations`)).status).toBe(404)
  })

  it('makes a token that works, lists it without itself, and revokes it', async () => {
    const harness = await startServer()
    const response = await harness.send('POST', '/v1/tokens', {
      name: 'billing',
      role: 'app',
      credentials: ['openai'],
      expiresInSeconds: 60,
    })
    expect(response.status).toBe(201)
    const { token, id } = (await response.json()) as TokenAnswer
    expect((await harness.get(path, bearer(token))).status).toBe(200)
    const list = await (await harness.send('GET', '/v1/tokens')).text()
    expect(list).toContain(id)
    expect(list).not.toContain(token.slice(7))
    expect((await harness.send('DELETE', `/v1/tokens/${id}`)).status).toBe(204)
    expect((await harness.get(path, bearer(token))).status).toBe(401)
    expect((await harness.send('DELETE', `/v1/tokens/${id}`)).status).toBe(404)
  })

  it('gets no token or key out to a web page', async () => {
    const harness = await startServer()
    const origin = { origin: 'http://evil.example' }
    for (const [method, target] of [
      ['GET', '/v1/tokens'],
      ['POST', '/v1/tokens'],
      ['POST', `${path}/versions`],
      ['GET', path],
    ] as const)
      expect((await harness.send(method, target, undefined, origin)).status).toBe(403)
  })
})

describe('a body that is wrong', () => {
  it.each([
    ['rotations', { mod: 'normal' }, 'unknown field `mod`'],
    ['rotations', { mode: 'quick' }, '`mode`'],
    ['rotations', { isCompromised: 'yes' }, '`isCompromised`: expected boolean'],
    ['rotations', { reason: 'x'.repeat(501) }, '`reason`'],
    ['rotations', [], 'expected object'],
    ['rotations', 'null', 'expected object'],
    ['rotations', '{"__proto__": {"mode": "normal"}}', '`__proto__`'],
    ['reports', {}, '`version`'],
    ['reports', { version: 'v', status: 42 }, '`status`'],
    ['versions', undefined, 'expected object'],
    ['versions', { apiKey: 'has spaces in it' }, '`apiKey`: expected visible ASCII'],
    ['verifications', { now: true }, 'unknown field `now`'],
  ])('%s %j is refused by the name of the field', async (route, body, what) => {
    const harness = await startServer()
    const response = await harness.send('POST', `${path}/${route}`, body)
    expect(response.status).toBe(400)
    const problem = await problemOf(response)
    expect(problem.code).toBe('bad_request')
    expect(problem.detail).toContain(what)
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it.each([
    ['{"mode": normal}', 'line 1, column 10'],
    ['{"mode": "normal",}', 'line 1, column 19'],
    ['{\n  "mode": "normal"\n  "reason": ""\n}', 'line 3, column 3'],
    ['{"mode": "nor', 'line 1, column 10'],
    ['{"mode": 01}', 'line 1, column 11'],
    ['[1, 2', 'line 1, column 6'],
    ['{} {}', 'line 1, column 4'],
    ['{"a" 1}', 'line 1, column 6'],
    ['[}', 'line 1, column 2'],
    ['"\t"', 'line 1, column 1'],
  ])('%j is not JSON, and it says where', async (body, where) => {
    const harness = await startServer()
    const response = await harness.send('POST', `${path}/rotations`, body)
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toBe(`The body is not JSON: it breaks at ${where}.`)
  })

  it('is refused when it grows beyond 64 KiB without having said so', async () => {
    const harness = await startServer()
    const chunks = async function* () {
      for (let count = 0; count < 70; count += 1) yield Buffer.alloc(1_024, 0x20)
    }
    const response = await fetch(`${harness.url}${path}/rotations`, {
      method: 'POST',
      headers: { ...bearer(harness.operator), 'content-type': 'application/json' },
      body: ReadableStream.from(chunks()),
      duplex: 'half',
    })
    expect([response.status, (await problemOf(response)).code]).toEqual([413, 'payload_too_large'])
  })

  it.each([
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/json; charset=latin1' },
    { 'content-encoding': 'gzip' },
  ])('of another kind is refused: %j', async (headers) => {
    const harness = await startServer()
    const response = await harness.send('POST', `${path}/rotations`, '{}', headers)
    expect([response.status, (await problemOf(response)).code]).toEqual([415, 'unsupported_media_type'])
  })

  it('names an unknown parameter, unless its name looks like anything else', async () => {
    const harness = await startServer()
    expect((await problemOf(await harness.get(`${path}?waitt=1`))).detail).toContain('`waitt`')
    const response = await harness.get(`${path}?${keyNumber(1)}=1`)
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain(canary)
  })
})

/** As the ledger's `remember`: the first value under a key stays. */
function rememberInMemory(): Ledger['remember'] {
  const kept = new Map<string, { requestHash: string; answer: string }>()
  return async ({ key, requestHash, answer }) => {
    const entry = kept.get(key) ?? { requestHash, answer }
    kept.set(key, entry)
    return entry
  }
}

describe.each([
  ['in memory', undefined],
  ['in the ledger', rememberInMemory],
])('an Idempotency-Key kept %s', (_where, makeRemember) => {
  const start = async () => startServer(makeRemember === undefined ? {} : { remember: makeRemember() })
  const rotate = (harness: Harness, body: unknown, key = 'key-1') =>
    harness.send('POST', `${path}/rotations`, body, { 'idempotency-key': key })

  it('gives a repeat the first answer and starts nothing', async () => {
    const harness = await start()
    const first = await rotate(harness, { reason: 'a', mode: 'normal' })
    const again = await rotate(harness, { mode: 'normal', reason: 'a' })
    expect([first.status, again.status]).toEqual([202, 202])
    expect(again.headers.get('location')).toBe(first.headers.get('location'))
    expect(await again.text()).toBe(await first.text())
    expect(harness.service.rotationsStarted).toHaveLength(1)
    expect((await rotate(harness, { mode: 'normal', reason: 'a' }, 'key-2')).status).toBe(202)
    expect(harness.service.rotationsStarted).toHaveLength(2)
  })

  it('starts one of many that come at once', async () => {
    const harness = await start()
    const responses = await Promise.all(Array.from({ length: 20 }, () => rotate(harness, {})))
    const bodies = await Promise.all(responses.map((response) => response.text()))
    expect([new Set(bodies).size, harness.service.rotationsStarted.length]).toEqual([1, 1])
  })

  it('refuses another body under the same key', async () => {
    const harness = await start()
    await rotate(harness, {})
    const response = await rotate(harness, { mode: 'rehearsal' })
    expect([response.status, (await problemOf(response)).code]).toEqual([422, 'idempotency_mismatch'])
  })

  it('repeats a refusal that is final, and tries again after one that is not', async () => {
    const harness = await start()
    harness.service.failNextRotation = new KeyturnError('rotation_in_progress', 'one is running')
    expect((await rotate(harness, {}, 'final')).status).toBe(409)
    const repeated = await rotate(harness, {}, 'final')
    expect([repeated.status, repeated.headers.get('content-type')]).toEqual([409, 'application/problem+json'])
    harness.service.failNextRotation = new KeyturnError('store_unreachable', 'away', { retryable: true })
    expect((await rotate(harness, {}, 'passing')).status).toBe(503)
    expect((await rotate(harness, {}, 'passing')).status).toBe(202)
  })

  it('keeps the keys of two callers and two credentials apart', async () => {
    const harness = await start()
    const { token } = await harness.tokens.create({ name: 'ops2', role: 'operator' })
    await rotate(harness, {})
    const other = await harness.send(
      'POST',
      `${path}/rotations`,
      { mode: 'rehearsal' },
      {
        ...bearer(token),
        'idempotency-key': 'key-1',
      },
    )
    expect(other.status).toBe(202)
    const elsewhere = await harness.send(
      'POST',
      '/v1/credentials/openai-prod/rotations',
      { mode: 'rehearsal' },
      {
        'idempotency-key': 'key-1',
      },
    )
    expect(elsewhere.status).toBe(202)
  })

  it('must be short and visible', async () => {
    const harness = await start()
    expect((await rotate(harness, {}, 'x'.repeat(129))).status).toBe(400)
    expect((await rotate(harness, {}, 'a b')).status).toBe(400)
  })
})

describe('an answer that was lost with the process that worked on it', () => {
  it('is never taken for one that did not begin', async () => {
    const remember = rememberInMemory()
    const first = await startServer({ remember })
    let isBegun = false
    first.service.rotate = () => {
      isBegun = true
      return new Promise(() => undefined)
    }
    const { token } = await first.tokens.create({ name: 'ops3', role: 'operator' })
    const headers = { ...bearer(token), 'idempotency-key': 'key-1' }
    const gone = new AbortController()
    const hanging = fetch(`${first.url}${path}/rotations`, { method: 'POST', headers, signal: gone.signal })
    hanging.catch(() => undefined)
    await until(() => isBegun)
    const second = await createServer({
      service: first.service,
      tokens: first.tokens,
      signer: signerIn(first.folder),
      listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      log: () => undefined,
      system: first.system,
      version: '1.2.3',
      isSandbox: true,
      remember,
    })
    const response = await fetch(`${second.url}${path}/rotations`, { method: 'POST', headers })
    expect([response.status, (await problemOf(response)).code]).toEqual([409, 'conflict'])
    gone.abort()
    await second.stop()
  })
})

describe('a fault of ours', () => {
  it('is a 500 with an id that stands in the log, and shows nothing of what went wrong', async () => {
    const harness = await startServer()
    harness.service.breakSummaries = true
    const response = await harness.send('GET', '/v1/credentials')
    expect(response.status).toBe(500)
    const text = await response.text()
    expect(text).not.toContain(canary)
    expect(JSON.parse(text)).toMatchObject({
      code: 'internal',
      detail: 'Keyturn failed to answer: TypeError',
    })
    const line = harness.logs.find((each) => each.includes('a request failed'))
    expect(line).toContain(response.headers.get('x-request-id'))
    expect(line).not.toContain(canary)
  })
})
