import { describe, expect, it } from 'vitest'
import type { CredentialAnswer } from '../../src/api/types.ts'
import { matchesEtag } from '../../src/server/hand-out.ts'
import { keyNumber } from './fake-service.ts'
import { bearer, problemOf, startServer, until } from './harness.ts'

const path = '/v1/credentials/openai'

describe.each([
  ['the fast lane', path],
  ['the application', `${path}?wait=0`],
])('the hand-out by %s', (_lane, path) => {
  it('holds the key and all that goes with it, and is never kept by a cache', async () => {
    const harness = await startServer()
    const response = await harness.get(path)
    const body = await response.text()
    expect(JSON.parse(body)).toEqual({
      name: 'openai',
      apiKey: keyNumber(1),
      organization: 'org-test',
      project: null,
      baseUrl: 'https://api.openai.com/v1',
      version: 'version-1',
      fingerprint: 'f00000000001',
      stage: 'current',
      verdict: 'valid',
      verifiedAt: '2026-01-02T03:04:05.000Z',
      rotatesAt: '2026-01-03T03:04:05.000Z',
      staleAfterSeconds: 3600,
      generation: 1,
    } satisfies CredentialAnswer)
    const { headers } = response
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(headers.get('content-length')).toBe(String(Buffer.byteLength(body)))
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('keyturn-generation')).toBe('1')
    expect(Number(headers.get('keyturn-verified-age'))).toBeGreaterThan(0)
  })

  it('changes its ETag with the version and with the verdict, and not when the key is merely proven again', async () => {
    const harness = await startServer()
    const etag = async () => (await harness.get(path)).headers.get('etag')
    const first = await etag()
    harness.service.reprove('openai')
    expect(await etag()).toBe(first)
    harness.service.setVerdict('openai', 'throttled')
    const second = await etag()
    expect(second).not.toBe(first)
    harness.service.promote('openai')
    expect(new Set([first, second, await etag()]).size).toBe(3)
  })

  it('answers 304 without a body while If-None-Match still holds', async () => {
    const harness = await startServer()
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    for (const header of [etag, '*', `"other", ${etag}`, etag.replace('W/', '')]) {
      const unchanged = await harness.get(path, { 'if-none-match': header })
      expect([unchanged.status, await unchanged.text()]).toEqual([304, ''])
      expect(unchanged.headers.get('etag')).toBe(etag)
      expect(unchanged.headers.get('keyturn-generation')).toBe('1')
    }
    harness.service.promote('openai')
    const changed = await harness.get(path, { 'if-none-match': etag })
    expect(changed.status).toBe(200)
    expect(await changed.json()).toMatchObject({ apiKey: keyNumber(3), generation: 2 })
  })

  it('answers 503 with the reason, the fix and when to come back while there is no verified key', async () => {
    const harness = await startServer()
    await harness.get(path)
    harness.service.withdraw('openai')
    const response = await harness.get(path)
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(response.headers.get('keyturn-generation')).toBe('2')
    expect(await problemOf(response)).toMatchObject({
      code: 'no_verified_key',
      detail: 'openai: every key was refused',
      fix: 'Bring a key.',
    })
  })

  it('notes who asks as a lease, under the name of the token and never above the current generation', async () => {
    const harness = await startServer()
    const instance = { 'keyturn-instance': 'web-1/42' }
    await harness.get(path, instance)
    harness.service.promote('openai')
    await harness.get(path, { ...instance, 'keyturn-generation-in-flight': '1' })
    await harness.get(path, { ...instance, 'keyturn-generation-in-flight': '999' })
    const lease = { name: 'openai', instance: 'web-1/42', app: 'web' }
    expect(harness.service.touches).toEqual([
      { ...lease, generation: 1 },
      { ...lease, generation: 1 },
      { ...lease, generation: 2 },
    ])
  })

  it.each([
    { 'keyturn-instance': 'x'.repeat(129) },
    { 'keyturn-instance': 'two words' },
    { 'keyturn-instance': 'web', 'keyturn-generation-in-flight': '-1' },
    { 'keyturn-instance': 'web', 'keyturn-generation-in-flight': '1e3' },
  ])('refuses the lease headers %j', async (headers) => {
    const harness = await startServer()
    const response = await harness.get(path, headers)
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toMatch(/Keyturn-(Instance|Generation-In-Flight)/)
    expect(harness.service.touches).toEqual([])
  })

  it('tells HEAD all but the body', async () => {
    const harness = await startServer()
    const response = await fetch(harness.url + path, { method: 'HEAD', headers: bearer(harness.app) })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(100)
  })

  it('answers an operator too', async () => {
    const harness = await startServer()
    expect((await harness.get(path, bearer(harness.operator))).status).toBe(200)
  })
})

describe('a long-poll', () => {
  it('answers as soon as another version is current', async () => {
    const harness = await startServer()
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const waiting = harness.get(`${path}?wait=60`, { 'if-none-match': etag })
    await waitersAre(harness, 1)
    harness.service.reprove('openai')
    harness.service.promote('openai')
    const response = await waiting
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ generation: 2 })
    await waitersAre(harness, 0)
  })

  it('answers 304 when its time is over', async () => {
    const harness = await startServer()
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const response = await harness.get(`${path}?wait=1`, { 'if-none-match': etag })
    expect(response.status).toBe(304)
  })

  it('answers at once where If-None-Match differs already or is not there', async () => {
    const harness = await startServer()
    expect((await harness.get(`${path}?wait=60`)).status).toBe(200)
    expect((await harness.get(`${path}?wait=60`, { 'if-none-match': '"x"' })).status).toBe(200)
  })

  it('notes nobody as a user who went away while the question was held', async () => {
    const harness = await startServer()
    const headers = {
      'keyturn-instance': 'web-1',
      'if-none-match': (await harness.get(path)).headers.get('etag') ?? '',
    }
    const leaving = new AbortController()
    const held = fetch(`${harness.url}${path}?wait=60`, {
      headers: { ...bearer(harness.app), ...headers },
      signal: leaving.signal,
    }).catch(() => undefined)
    await until(() => harness.service.touches.length === 1)
    // Its end overtakes the end of the connection.
    await harness.send('DELETE', `${path}/leases/web-1`, undefined, bearer(harness.app))
    leaving.abort()
    await held
    await waitersAre(harness, 0)
    expect(harness.service.touches).toHaveLength(1)
  })

  it('waits for a first key where there is none, and tells at once a client that holds one that it is gone', async () => {
    const harness = await startServer()
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const holding = harness.get(`${path}?wait=60`, { 'if-none-match': etag })
    await waitersAre(harness, 1)
    harness.service.withdraw('openai')
    expect((await holding).status).toBe(503)
    const waiting = harness.get(`${path}?wait=60`)
    await waitersAre(harness, 1)
    harness.service.promote('openai')
    expect((await waiting).status).toBe(200)
  })

  it.each(['61', '-1', '1.5', 'x', '', '1&wait=2'])('refuses ?wait=%s', async (wait) => {
    const harness = await startServer()
    const response = await harness.get(`${path}?wait=${wait}`)
    expect(response.status).toBe(400)
    expect(await problemOf(response)).toMatchObject({ detail: expect.stringContaining('`wait`') })
  })

  it('refuses one more than the limit, and makes room when a client goes away', async () => {
    const harness = await startServer({ limits: { waitersMax: 1 } })
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const gone = new AbortController()
    const headers = { ...bearer(harness.app), 'if-none-match': etag }
    const first = fetch(`${harness.url}${path}?wait=60`, { headers, signal: gone.signal }).catch(() => 'gone')
    await waitersAre(harness, 1)
    const second = await harness.get(`${path}?wait=60`, { 'if-none-match': etag })
    expect(second.status).toBe(429)
    expect(second.headers.get('retry-after')).not.toBeNull()
    gone.abort()
    expect(await first).toBe('gone')
    await waitersAre(harness, 0)
  })

  it('leaves room for others where one token has taken all that it may, and gives it back', async () => {
    const harness = await startServer({ limits: { waitersMax: 3, waitersPerTokenMax: 2 } })
    const another = await harness.tokens.create({ name: 'another', credentials: ['openai'] })
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const gone = new AbortController()
    const wait = (token: string, seconds = 60): Promise<number> =>
      fetch(`${harness.url}${path}?wait=${seconds}`, {
        headers: { ...bearer(token), 'if-none-match': etag },
        signal: gone.signal,
      }).then(
        ({ status }) => status,
        () => 0,
      )
    const held = [wait(harness.app), wait(harness.app)]
    await waitersAre(harness, 2)
    expect(await wait(harness.app)).toBe(429)
    expect(await wait(another.token, 1)).toBe(304)
    gone.abort()
    await Promise.all(held)
    await waitersAre(harness, 0)
    const again = await harness.get(`${path}?wait=1`, { 'if-none-match': etag })
    expect(again.status).toBe(304)
  })

  it('ends with 401 when its token is revoked meanwhile', async () => {
    const harness = await startServer()
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const waiting = harness.get(`${path}?wait=60`, { 'if-none-match': etag })
    await waitersAre(harness, 1)
    await harness.tokens.revoke(harness.appId)
    expect((await waiting).status).toBe(401)
  })
})

describe('matching an ETag', () => {
  it('takes lists, weak and strong tags and the star, and nothing else', () => {
    expect(matchesEtag(undefined, 'W/"a"')).toBe(false)
    expect(matchesEtag('', 'W/"a"')).toBe(false)
    expect(matchesEtag('"b"', 'W/"a"')).toBe(false)
    expect(matchesEtag('"a"', 'W/"a"')).toBe(true)
    expect(matchesEtag(' "b" , W/"a" ', 'W/"a"')).toBe(true)
  })
})

async function waitersAre(harness: Awaited<ReturnType<typeof startServer>>, count: number): Promise<void> {
  let seen = ''
  const look = async () => {
    const response = await harness.get('/metrics', bearer(harness.operator))
    seen = /^keyturn_long_polls (\d+)$/m.exec(await response.text())?.[1] ?? ''
  }
  while (seen !== String(count)) await look()
  await until(() => true)
}
