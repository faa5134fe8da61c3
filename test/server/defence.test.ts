import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Operation, operations } from '../../src/api/operations.ts'
import type { Problem } from '../../src/api/types.ts'
import { createCaller } from '../../src/server/auth/caller.ts'
import { createFastLane, type FastLaneOptions } from '../../src/server/fast-lane.ts'
import { canary } from './fake-service.ts'
import { bearer, type Harness, rawGet, rawRequest, startServer, until } from './harness.ts'

/** The same request by the fast lane and by the application. */
const paths = ['/v1/credentials/openai', '/v1/credentials/openai?wait=0']
const loopback = { address: '127.0.0.1', bits: 32 }

async function ask(
  harness: Harness,
  path: string,
  headers: readonly string[],
  token = harness.app,
  method = 'GET',
) {
  const all = ['Host: localhost', `Authorization: Bearer ${token}`, ...headers]
  const answer = await rawRequest(harness.port, rawGet(path, all, method))
  const problem = answer.status >= 400 ? (JSON.parse(answer.body) as Problem) : undefined
  return { ...answer, problem }
}

describe.each(paths)('a request that was passed on, to %s', (path) => {
  it.each([
    'X-Forwarded-For: 192.0.2.1',
    'x-forwarded-for: 127.0.0.1',
    'X-Forwarded-Host: localhost',
    'X-FORWARDED-PROTO: https',
    'X-Forwarded: for=192.0.2.1',
    'Forwarded: for=192.0.2.1',
    'Forwarded-For: 192.0.2.1',
    'X-Real-IP: 192.0.2.1',
    'X-Client-IP: 192.0.2.1',
    'Client-IP: 192.0.2.1',
    'True-Client-IP: 192.0.2.1',
    'CF-Connecting-IP: 192.0.2.1',
    'Via: 1.1 proxy',
  ])('is refused with "%s" from somebody who is no trusted proxy', async (header) => {
    const harness = await startServer({ trustedProxies: [{ address: '10.0.0.0', bits: 8 }] })
    const answer = await ask(harness, path, [header])
    expect([answer.status, answer.problem?.code]).toEqual([403, 'forbidden'])
    expect(answer.problem?.fix).toContain('trustedProxies')
    expect(answer.text).not.toContain('apiKey')
  })

  it.each(['X-Forwarded-For: 192.0.2.1', 'Forwarded: for="[2001:db8::1]:80";proto=https', 'Via: 1.1 a'])(
    'is answered with "%s" from a trusted proxy',
    async (header) => {
      const harness = await startServer({ trustedProxies: [loopback] })
      expect((await ask(harness, path, [header])).status).toBe(200)
    },
  )

  it.each([
    ['no address', ['X-Forwarded-For: unknown']],
    ['an empty one', ['X-Forwarded-For:']],
    ['two that disagree', ['X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.2']],
    ['more hops than there can be', [`X-Forwarded-For: ${Array(30).fill('192.0.2.1').join(', ')}`]],
  ])('is refused by a trusted proxy that names %s', async (_what, headers) => {
    const harness = await startServer({ trustedProxies: [loopback] })
    const answer = await ask(harness, path, headers)
    expect([answer.status, answer.problem?.code]).toEqual([400, 'bad_request'])
  })
})

describe('the rate limits', () => {
  const few = { requestsPerSecond: 1, burst: 3, failuresPerMinute: 2 }

  it('stop one caller on both lanes together, and no other', async () => {
    const harness = await startServer({ rateLimits: few })
    const [fast = '', behind = ''] = paths
    const statuses = []
    for (const path of [fast, behind, fast, fast, behind])
      statuses.push((await ask(harness, path, [])).status)
    expect(statuses).toEqual([200, 200, 200, 429, 429])
    const refused = await ask(harness, fast, [])
    expect(refused.problem?.code).toBe('too_many_requests')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await ask(harness, '/v1/credentials', [], harness.other)).status).toBe(200)
  })

  it('let the caller go on when time has passed', async () => {
    const harness = await startServer({ rateLimits: few })
    const [path = ''] = paths
    for (let count = 0; count < 3; count += 1) await ask(harness, path, [])
    expect((await ask(harness, path, [])).status).toBe(429)
    harness.system.shiftMs += 10_000
    let status = 429
    // The coarse clock looks at the time once a second.
    while (status === 429) status = (await ask(harness, path, [])).status
    expect(status).toBe(200)
  })

  it('stop an address that tries tokens, and nobody there who has one', async () => {
    const harness = await startServer({ rateLimits: few })
    const guess = `kt_app_${'A'.repeat(43)}`
    const statuses = []
    for (const path of [...paths, ...paths]) statuses.push((await ask(harness, path, [], guess)).status)
    expect(statuses).toEqual([401, 401, 429, 429])
    for (const path of paths) expect((await ask(harness, path, [])).status).toBe(200)
  })

  it('count by the client that a trusted proxy names, and by its whole network of IPv6', async () => {
    const harness = await startServer({ rateLimits: few, trustedProxies: [loopback] })
    const guess = `kt_app_${'A'.repeat(43)}`
    const from = async (client: string) =>
      (await ask(harness, '/v1/credentials', [`X-Forwarded-For: 198.51.100.9, ${client}`], guess)).status
    expect([await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.1')]).toEqual([
      401, 401, 429,
    ])
    expect(await from('192.0.2.2')).toBe(401)
    const statuses = []
    for (const end of ['1', '2:3', 'ffff:0:1']) statuses.push(await from(`2001:db8:0:1::${end}`))
    expect(statuses).toEqual([401, 401, 429])
    expect(await from('2001:db8:0:2::1')).toBe(401)
  })
})

describe('a browser', () => {
  const headers = ['Origin: null', 'Sec-Fetch-Site: none', 'Sec-Fetch-Dest: document', 'Sec-Fetch-User: ?1']

  it.each(headers)('gets no secret: %s', async (header) => {
    const harness = await startServer()
    for (const path of paths) {
      const answer = await ask(harness, path, [header])
      expect([answer.status, answer.problem?.code]).toEqual([403, 'forbidden'])
      expect(answer.text).not.toContain(canary)
    }
  })

  it('gets nothing for a page of another site on any route that needs a token', async () => {
    const harness = await startServer()
    for (const { method, path } of needing()) {
      const at = path.replaceAll(/\{\w+\}/g, 'openai')
      const head = [
        'Host: localhost',
        `Authorization: Bearer ${harness.operator}`,
        'Sec-Fetch-Site: cross-site',
      ]
      const answer = await rawRequest(harness.port, rawGet(at, head, method))
      expect([at, answer.status]).toEqual([at, 403])
    }
  })

  it('is told of no other origin that may ask, on no route and in no preflight', async () => {
    const harness = await startServer()
    for (const { method, path } of Object.values<Operation>(operations))
      for (const verb of [method, 'OPTIONS']) {
        const at = path.replaceAll(/\{\w+\}/g, 'openai')
        const head = [
          'Host: localhost',
          `Authorization: Bearer ${harness.operator}`,
          'Origin: http://evil.example',
          'Access-Control-Request-Method: GET',
          'Access-Control-Request-Headers: authorization',
        ]
        if (path.endsWith('/events') && verb === 'GET') continue
        const answer = await rawRequest(harness.port, rawGet(at, head, verb))
        expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
        if (verb === 'OPTIONS') expect([at, answer.status]).toEqual([at, 405])
      }
  })

  it('cannot let a cookie, a query or Basic stand for a token', async () => {
    const harness = await startServer()
    for (const path of paths)
      for (const token of [harness.app, harness.operator]) {
        const basic = Buffer.from(`:${token}`).toString('base64')
        for (const header of [
          `Cookie: token=${token}; Authorization=Bearer ${token}`,
          `Authorization: Basic ${basic}`,
        ]) {
          const answer = await rawRequest(harness.port, rawGet(path, ['Host: localhost', header]))
          expect(answer.status).toBe(401)
        }
        const separator = path.includes('?') ? '&' : '?'
        const inUrl = `${path}${separator}access_token=${token}`
        const answer = await rawRequest(harness.port, rawGet(inUrl, ['Host: localhost']))
        expect(answer.status).toBe(401)
        expect(answer.text).not.toContain(token)
      }
  })
})

describe('a request that is odd', () => {
  it.each(paths)('in having two tokens is refused, whichever is good: %s', async (path) => {
    const harness = await startServer()
    const good = `Authorization: Bearer ${harness.app}`
    const bad = 'authorization: Bearer nobody'
    for (const pair of [
      [good, bad],
      [bad, good],
      [good, good],
    ]) {
      const answer = await rawRequest(harness.port, rawGet(path, ['Host: localhost', ...pair]))
      expect(answer.status).toBe(400)
      expect(answer.text).not.toContain('apiKey')
    }
  })

  it('in its method is told so, whatever a router would make of it', async () => {
    const harness = await startServer()
    for (const verb of ['QUERY', 'TRACE', 'PROPFIND', 'PATCH']) {
      const answer = await ask(harness, '/v1/credentials', [], harness.app, verb)
      expect([verb, answer.status, answer.headers.get('allow')]).toEqual([verb, 405, 'GET, HEAD'])
    }
  })

  it.each(paths)('in having more headers than the parser keeps hides none behind them: %s', async (path) => {
    const harness = await startServer()
    const filler = Array.from({ length: 2_100 }, () => 'a:')
    const answer = await ask(harness, path, [...filler, 'X-Forwarded-For: 192.0.2.1'])
    expect([answer.status, answer.problem?.code]).toEqual([431, 'payload_too_large'])
  })
})

describe('a connection that is held', () => {
  const limits = { headersTimeoutMs: 100, requestTimeoutMs: 200, silenceMs: 300, stopMs: 50 }
  /** Where others are still answered, who also may be held up by a machine that is busy. */
  const patient = { headersTimeoutMs: 60_000, requestTimeoutMs: 60_000, silenceMs: 300, stopMs: 50 }

  it('is let go when nothing is ever sent on it', async () => {
    const harness = await startServer({ limits })
    const { closed } = open(harness)
    await closed
  })

  it('is let go when a header comes one byte at a time', async () => {
    const harness = await startServer({ limits })
    const { socket, closed } = open(harness)
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
    const stop = drip(socket, 'a')
    await closed
    stop()
  })

  it('is let go when a body comes one byte at a time', async () => {
    const harness = await startServer({ limits })
    const { socket, closed, text } = open(harness)
    const head = `POST /v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${harness.operator}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{`
    socket.write(head)
    const stop = drip(socket, ' ')
    await closed
    stop()
    expect(text()).not.toMatch(/^HTTP\/1\.1 2/)
  })

  it('is let go when its answers are never read', async () => {
    const harness = await startServer({ limits: patient })
    const { socket, closed } = open(harness)
    socket.pause()
    socket.write('GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(2_000))
    // Who does not read learns of the end by writing.
    const stop = drip(socket, 'G')
    await closed
    stop()
    expect((await harness.get('/healthz')).status).toBe(200)
  })

  it('is let go when its answers of the fast lane are never read', async () => {
    const harness = await startServer({ limits: patient })
    const { socket, closed } = open(harness)
    socket.pause()
    const head = `GET /v1/credentials/openai HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${harness.app}\r\n\r\n`
    socket.write(head.repeat(30_000))
    const stop = drip(socket, 'G')
    await closed
    stop()
    expect((await harness.get('/healthz')).status).toBe(200)
  })

  it('sends chunks beyond the limit of a body to nobody', async () => {
    const harness = await startServer()
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`
    const head = `POST /v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${harness.operator}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
    const answer = await rawRequest(harness.port, head + chunk.repeat(5))
    expect(answer.status).toBe(413)
  })
})

it.each(['/', '/metrics'])('%s is for those with a grant only', async (path) => {
  const harness = await startServer()
  expect((await fetch(harness.url + path)).status).toBe(401)
  expect((await harness.get(path)).status).toBe(403)
  expect((await harness.send('GET', path)).status).toBe(200)
})

describe('a credential that the caller may not see', () => {
  it('looks like one that is not there, on every route, in status, headers and body', async () => {
    const harness = await startServer()
    for (const token of [harness.app, 'nobody'])
      for (const { method, path, body } of Object.values<Operation>(operations)) {
        if (!path.includes('{name}')) continue
        const told = async (name: string) => {
          const at = path.replace('{name}', name).replaceAll(/\{\w+\}/g, 'x')
          const sent = body === undefined ? undefined : '{"version":"v","status":401}'
          const answer = await harness.send(method, at, sent, bearer(token))
          const headers = [...answer.headers].filter(([key]) => key !== 'x-request-id' && key !== 'date')
          const { instance: _instance, ...problem } = (await answer.json()) as Problem
          return {
            status: answer.status,
            headers: headers.filter(([key]) => key !== 'content-length'),
            problem,
          }
        }
        const hidden = await told('openai-prod')
        expect(hidden, `${method} ${path}`).toEqual(await told('openai-nope'))
        expect(hidden.status).toBeGreaterThanOrEqual(401)
      }
  })

  it('is not looked up before the caller is known to be allowed to read it', () => {
    const asked: string[] = []
    const lane = createFastLane({
      handOuts: {
        prepared(name) {
          asked.push(name)
          return undefined
        },
      },
      visitors: {
        admit: (_socket, { authorization }) =>
          authorization === undefined
            ? undefined
            : {
                caller: createCaller({
                  id: 'a',
                  name: 'a',
                  kind: 'token',
                  grants: [{ credentials: ['mine'], may: ['read'] }],
                }),
                source: '127.0.0.1',
                row: undefined,
              },
      },
      headersMax: 100,
    } as Partial<FastLaneOptions> as FastLaneOptions)
    const look = (name: string, headers: readonly string[]) =>
      lane(
        {
          method: 'GET',
          url: `/v1/credentials/${name}`,
          rawHeaders: ['Host', 'localhost', ...headers],
          socket: {},
        } as IncomingMessage,
        {} as ServerResponse,
      )
    for (const name of ['mine', 'theirs', 'nope']) {
      look(name, [])
      look(name, ['Authorization', 'Bearer x'])
    }
    expect(asked).toEqual(['mine'])
  })

  it('is named to nobody by the answers that need no token, nor to apps by those that do', async () => {
    const harness = await startServer()
    for (const token of ['nobody', harness.app])
      for (const { method, path } of Object.values<Operation>(operations)) {
        if (path.includes('{') || method !== 'GET') continue
        const text = await (await harness.send('GET', path, undefined, bearer(token))).text()
        expect(text, `GET ${path}`).not.toContain('openai-prod')
        if (token === 'nobody') expect(text, `GET ${path}`).not.toContain('"openai"')
      }
  })
})

function needing(): readonly Operation[] {
  return Object.values<Operation>(operations).filter(({ access }) => access !== 'open')
}

function open(harness: Harness): { socket: Socket; closed: Promise<void>; text: () => string } {
  const socket = connect(harness.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => socket.destroy())
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { socket, closed, text: () => text }
}

/** A byte at every turn of the loop for as long as the other side takes them. */
function drip(socket: Socket, byte: string): () => void {
  let isOver = false
  void until(() => {
    if (!socket.destroyed && socket.writable && socket.writableLength < 1_000) socket.write(byte)
    return isOver || socket.destroyed
  })
  return () => {
    isOver = true
  }
}
