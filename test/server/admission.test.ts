import { describe, expect, it } from 'vitest'
import type { Problem } from '../../src/api/types.ts'
import { bearer, type Harness, problemOf, rawGet, rawRequest, startServer, until } from './harness.ts'

/** The fast lane answers the plain path; a query sends the same request to the application; the list is a route of its own. */
const lanes = [
  { lane: 'the fast lane', path: '/v1/credentials/openai', isSecret: true },
  { lane: 'the application', path: '/v1/credentials/openai?wait=0', isSecret: true },
  { lane: 'a route without a secret', path: '/v1/credentials', isSecret: false },
]

for (const { lane, path, isSecret } of lanes) admissionSuite(lane, path, isSecret)

/** What every route that needs a token owes, however it is answered. */
function admissionSuite(lane: string, path: string, isSecret: boolean): void {
  const raw = async (harness: Harness, headers: readonly string[]) => {
    const answer = await rawRequest(harness.port, rawGet(path, headers))
    return { ...answer, problem: answer.status >= 400 ? (JSON.parse(answer.body) as Problem) : undefined }
  }
  const authorized = (harness: Harness) => `Authorization: Bearer ${harness.app}`

  describe(`admission by ${lane}`, () => {
    it('answers a caller with a good token', async () => {
      const harness = await startServer()
      expect((await harness.get(path)).status).toBe(200)
    })

    it.each([
      ['no token', ''],
      ['an unknown token', `Bearer kt_app_${'A'.repeat(43)}`],
      ['an empty token', 'Bearer '],
      ['another scheme', 'Basic dXNlcjpwYXNz'],
      ['a token that is far too long', `Bearer ${'A'.repeat(5_000)}`],
      ['a token with bytes beyond ASCII', 'Bearer kt_app_\u00e9\u00e8'],
    ])('refuses %s with 401 and says how to come back', async (_what, authorization) => {
      const harness = await startServer()
      const response = await harness.get(path, { authorization })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toContain('Bearer')
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(await problemOf(response)).toMatchObject({
        type: 'urn:keyturn:error:unauthenticated',
        code: 'unauthenticated',
        status: 401,
        fix: expect.stringContaining('Authorization: Bearer'),
      })
    })

    it('takes the scheme in any case, and not the token', async () => {
      const harness = await startServer()
      expect((await harness.get(path, { authorization: `bearer ${harness.app}` })).status).toBe(200)
      expect((await harness.get(path, { authorization: `Bearer ${harness.app.toUpperCase()}` })).status).toBe(
        401,
      )
      expect((await harness.get(path, { authorization: `Bearer ${harness.app}x` })).status).toBe(401)
    })

    it('forgets a caller at once when the token is revoked', async () => {
      const harness = await startServer()
      expect((await harness.get(path)).status).toBe(200)
      await harness.tokens.revoke(harness.appId)
      expect((await harness.get(path)).status).toBe(401)
    })

    it('refuses a token from the moment at which it expires, though it was just remembered', async () => {
      const harness = await startServer()
      const { token } = await harness.tokens.create({
        name: 'brief',
        role: 'app',
        credentials: ['*'],
        expiresInSeconds: 30,
      })
      expect((await harness.get(path, bearer(token))).status).toBe(200)
      harness.system.shiftMs += 30_000
      expect((await harness.get(path, bearer(token))).status).toBe(401)
    })

    it.each(['127.0.0.1', 'localhost', 'LOCALHOST:80', '127.9.8.7:7420', '[::1]:7420', 'app.localhost'])(
      'answers under the loopback name %s',
      async (host) => {
        const harness = await startServer()
        expect((await raw(harness, [`Host: ${host}`, authorized(harness)])).status).toBe(200)
      },
    )

    it.each([
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '127.0.0.1@evil.example',
      '[::2]',
      '10.0.0.1',
      'localhost:99999999',
      'localhost/',
      '::1',
      '',
    ])('refuses the Host %j, whoever asks', async (host) => {
      const harness = await startServer()
      const answer = await raw(harness, [`Host: ${host}`, authorized(harness)])
      expect(answer.status).toBe(421)
      expect(answer.problem?.code).toBe('forbidden')
      expect(answer.problem?.fix).toContain('allowedHosts')
    })

    it('refuses a request without Host, and one with two', async () => {
      const harness = await startServer()
      const none = await raw(harness, [authorized(harness)])
      expect([none.status, none.problem?.code]).toEqual([400, 'bad_request'])
      const two = await raw(harness, ['Host: localhost', 'Host: evil.example', authorized(harness)])
      expect([two.status, two.problem?.code]).toEqual([400, 'bad_request'])
    })

    it('answers under further names of the configuration', async () => {
      const harness = await startServer({ allowedHosts: ['keyturn.internal'] })
      expect((await raw(harness, ['Host: keyturn.internal:80', authorized(harness)])).status).toBe(200)
      expect((await raw(harness, ['Host: keyturn.external', authorized(harness)])).status).toBe(421)
    })

    it(`${isSecret ? 'refuses' : 'answers'} a request with an Origin`, async () => {
      const harness = await startServer()
      const answer = await raw(harness, ['Host: localhost', 'Origin: http://localhost', authorized(harness)])
      expect(answer.status).toBe(isSecret ? 403 : 200)
      expect(answer.text.includes('apiKey')).toBe(false)
    })

    it('refuses headers beyond 16 KiB with 431', async () => {
      const harness = await startServer()
      const answer = await raw(harness, ['Host: localhost', `X-Filler: ${'f'.repeat(17_000)}`])
      expect([answer.status, answer.problem?.code]).toEqual([431, 'payload_too_large'])
    })

    it('refuses a body beyond 64 KiB before it asks who sends it', async () => {
      const harness = await startServer()
      const answer = await raw(harness, ['Host: localhost', 'Content-Length: 65537'])
      expect([answer.status, answer.problem?.code]).toEqual([413, 'payload_too_large'])
    })

    it('refuses a body that is not JSON before it asks who sends it', async () => {
      const harness = await startServer()
      const answer = await raw(harness, ['Host: localhost', 'Content-Type: text/plain', 'Content-Length: 1'])
      expect([answer.status, answer.problem?.code]).toEqual([415, 'unsupported_media_type'])
    })

    it.each([
      ['a header line without a colon', 'broken header'],
      ['a length that is no number', 'Content-Length: many'],
      ['two ways to frame a body', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
      ['a header name with a space', 'Host : localhost'],
    ])('refuses %s with 400 and closes', async (_what, header) => {
      const harness = await startServer()
      const answer = await raw(harness, ['Host: localhost', header])
      expect([answer.status, answer.problem?.code]).toEqual([400, 'bad_request'])
      expect(answer.headers.get('connection')).toBe('close')
    })

    it('refuses a method it does not know, and one it does not take', async () => {
      const harness = await startServer()
      const unknown = await rawRequest(harness.port, rawGet(path, ['Host: localhost'], 'FROBNICATE'))
      expect(unknown.status).toBe(400)
      const other = await rawRequest(harness.port, rawGet(path, ['Host: localhost'], 'PATCH'))
      expect(other.status).toBe(405)
      expect(other.headers.get('allow')).toBe('GET, HEAD')
    })

    it('gives each refusal an id of its own, in a header and in the problem', async () => {
      const harness = await startServer()
      const responses = await Promise.all([1, 2].map(() => harness.get(path, { authorization: '' })))
      const ids = responses.map((response) => response.headers.get('x-request-id'))
      expect(new Set(ids).size).toBe(2)
      const [first] = responses
      if (first === undefined) throw new Error('no response')
      expect((await problemOf(first)).instance).toBe(`urn:keyturn:request:${ids[0]}`)
    })
  })
}

describe('the order of the checks', () => {
  it('names the first that fails: URL, Host, Origin, size, type, token, grant, existence, content', async () => {
    const harness = await startServer()
    const path = '/v1/credentials/openai/versions'
    const wrong = {
      url: `?${'x'.repeat(3_000)}`,
      host: 'Host: evil.example',
      origin: 'Origin: http://evil.example',
      size: 'Content-Length: 70000',
      type: 'Content-Type: text/plain',
    }
    const status = async (target: string, headers: string[], body = '') =>
      (await rawRequest(harness.port, `${rawGet(target, headers, 'POST')}${body}`)).status
    expect(await status(path + wrong.url, [wrong.host, wrong.origin, wrong.size, wrong.type])).toBe(414)
    expect(await status(path, [wrong.host, wrong.origin, wrong.size, wrong.type])).toBe(421)
    const host = 'Host: localhost'
    expect(await status(path, [host, wrong.origin, wrong.size, wrong.type])).toBe(403)
    expect(await status(path, [host, wrong.size, wrong.type])).toBe(413)
    const length = 'Content-Length: 2'
    expect(await status(path, [host, length, wrong.type], '{}')).toBe(415)
    const type = 'Content-Type: application/json'
    expect(await status(path, [host, length, type], '{}')).toBe(401)
    const app = `Authorization: Bearer ${harness.app}`
    expect(await status(path, [host, length, type, app], '{}')).toBe(403)
    const operator = `Authorization: Bearer ${harness.operator}`
    expect(await status('/v1/credentials/nope/versions', [host, length, type, operator], '{}')).toBe(404)
    expect(await status(path, [host, length, type, operator], '{}')).toBe(400)
  })

  it('tells an app the same of a credential it may not see and of one that is not there', async () => {
    const harness = await startServer()
    const bodies = await Promise.all(
      ['openai-prod', 'openai-nope', 'Not%20A%20Name', 'a'.repeat(300)].map(async (name) => {
        const response = await harness.get(`/v1/credentials/${name}`)
        expect(response.status).toBe(404)
        const { instance: _instance, ...problem } = await problemOf(response)
        return JSON.stringify(problem)
      }),
    )
    expect(new Set(bodies).size).toBe(1)
  })

  it('refuses a caller that never finishes its headers, and goes on with the others', async () => {
    const harness = await startServer({ limits: { headersTimeoutMs: 100, requestTimeoutMs: 200 } })
    const slow = rawRequest(harness.port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n')
    expect((await harness.get('/healthz')).status).toBe(200)
    const answer = await slow
    expect(answer.status).toBe(408)
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'timeout' })
  })

  it('takes no more connections than its limit', async () => {
    const harness = await startServer({ limits: { connectionsMax: 2, stopMs: 50 } })
    const held = [1, 2].map(() => rawRequest(harness.port, 'GET /healthz HTTP/1.1\r\n'))
    const third = await rawRequest(harness.port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(third.text).toBe('')
    await until(() => harness.logs.some((line) => line.includes('too many are open')))
    await harness.server.stop()
    await Promise.all(held)
  })
})
