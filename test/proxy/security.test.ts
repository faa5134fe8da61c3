import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { errorIn, json, masked, open, type Rig, refuseKey, startRig, until } from './harness.ts'

const models = 'GET /v1/models'
const chat = 'POST /v1/chat/completions'
const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] })

function head(rig: Rig, line: string, ...headers: readonly string[]): string[] {
  return [`${line} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${rig.service.token}`, ...headers]
}

describe('what goes up', () => {
  it('is the key, the organisation and the project of the credential, and nothing by which the caller is known', async () => {
    const rig = await startRig()
    const secrets = [
      'cookie-canary',
      'proxy-canary',
      'azure-canary',
      'aws-canary',
      'trace-canary',
      'org-canary',
    ]
    const answer = await rig.ask(chat, {
      body,
      headers: [
        'Content-Type: application/json',
        'Accept: application/json',
        'User-Agent: OpenAI/JS 7.55.0',
        'X-Stainless-Lang: js',
        'OpenAI-Beta: assistants=v2',
        'Idempotency-Key: once-1',
        'Cookie: session=cookie-canary',
        'Proxy-Authorization: Basic proxy-canary',
        'api-key: azure-canary',
        'X-Api-Key: azure-canary',
        'X-Amz-Security-Token: aws-canary',
        'Baggage: trace-canary',
        'OpenAI-Organization: org-canary',
        'openai-project: org-canary',
        'Forwarded: for=trace-canary',
        'X-Forwarded-For: trace-canary',
        'Connection: X-Stainless-Lang',
        'Keep-Alive: timeout=99',
        'TE: trailers',
        'Trailer: X-Api-Key',
      ],
    })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { ok: true }])
    const [sent] = rig.arrived
    expect(sent?.body).toBe(body)
    expect(sent?.headers).toEqual({
      host: new URL(rig.service.answer().baseUrl).host,
      connection: 'keep-alive',
      authorization: `Bearer ${rig.key}`,
      'openai-organization': 'org-test',
      'openai-project': 'proj_test',
      'content-type': 'application/json',
      'content-length': String(body.length),
      accept: 'application/json',
      'user-agent': 'OpenAI/JS 7.55.0',
      'x-stainless-lang': 'js',
      'openai-beta': 'assistants=v2',
      'idempotency-key': 'once-1',
    })
    const all = JSON.stringify(rig.arrived)
    for (const secret of [...secrets, rig.service.token]) expect(all).not.toContain(secret)
  })

  it.each([
    ['the address', 'GET /v1/models?key=TOKEN', []],
    ['a header that goes on', models, ['User-Agent: me/TOKEN']],
    ['a header of OpenAI', models, ['OpenAI-Beta: TOKEN']],
  ])('is never the token, also where it stands in %s', async (_where, line, headers) => {
    const rig = await startRig()
    const fill = (text: string) => text.replace('TOKEN', rig.service.token)
    const answer = await rig.ask(fill(line), { headers: headers.map(fill) })
    expect([answer.status, errorIn(answer).code]).toEqual([400, 'bad_request'])
    expect(rig.arrived).toEqual([])
    expect(answer.text).not.toContain(rig.service.token)
  })

  it('is nothing at all where a key of OpenAI was given for a token; nor is Keyturn shown it', async () => {
    const rig = await startRig()
    const answer = await rig.raw([
      `${models} HTTP/1.1`,
      'Host: localhost',
      `Authorization: Bearer ${rig.key}`,
      'Connection: close',
    ])
    expect([answer.status, errorIn(answer).message]).toEqual([
      401,
      expect.stringContaining('keyturn token create'),
    ])
    expect([rig.arrived, rig.service.seen]).toEqual([[], []])
    expect(answer.text).not.toContain(rig.key.slice(0, 20))
  })

  it('is asked of Keyturn for what it may take as a token, a web token or a short one, also where it stands elsewhere by chance', async () => {
    const rig = await startRig()
    const webToken = ['eyJhbGciOiJub25lIn0', 'eyJzdWIiOiJhcHAifQ', 'c2lnbmF0dXJl'].join('.')
    for (const [token, agent] of [
      [webToken, 'app'],
      ['app', 'app/1'],
    ]) {
      const answer = await rig.raw([
        `${models} HTTP/1.1`,
        'Host: localhost',
        `Authorization: Bearer ${token}`,
        `User-Agent: ${agent}`,
        'Connection: close',
      ])
      expect([answer.status, errorIn(answer).message]).toEqual([
        401,
        expect.stringContaining('Keyturn refused the token'),
      ])
    }
    expect(new Set(rig.service.hands().map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Bearer ${webToken}`, 'Bearer app']),
    )
  })

  it('goes to the upstream alone, whatever the service says', async () => {
    const rig = await startRig({ upstream: new URL('https://api.openai.com/v1') })
    const answer = await rig.ask(models)
    expect([answer.status, errorIn(answer).code]).toEqual([503, 'config_invalid'])
    expect(errorIn(answer).message).toContain(`--upstream ${rig.service.answer().baseUrl}`)
    expect(rig.arrived).toEqual([])
  })
})

describe('what comes back', () => {
  it('never holds the key, whole or in part, where OpenAI quotes it in an error', async () => {
    const rig = await startRig()
    for (const [status, words] of [
      [403, `Key ${rig.key} lacks scopes`],
      [400, `bad: ${masked(rig.key)}`],
      [500, `${rig.key.slice(0, 11)}...${rig.key.slice(-4)} failed`],
      [429, `${rig.key.slice(0, 7)}…${rig.key.slice(-4)}`],
    ] as const) {
      rig.answer = (_request, response) =>
        json(
          response,
          status,
          { error: { message: words, code: 'x' } },
          { 'x-echo': rig.key, 'x-part': masked(rig.key) },
        )
      const answer = await rig.ask(models)
      expect([answer.status, errorIn(answer).code]).toEqual([status, 'x'])
      expect(answer.text).not.toContain(rig.key)
      expect(answer.body).not.toContain(rig.key.slice(0, 7))
      expect(answer.body).not.toContain(rig.key.slice(-4))
      expect([answer.headers.has('x-echo'), answer.headers.has('x-part')]).toEqual([false, false])
    }
  })

  it('never holds it in an error that is compressed, and is withheld where it cannot be looked through', async () => {
    const rig = await startRig()
    const error = JSON.stringify({ error: { message: `bad ${masked(rig.key)}`, code: 'x' } })
    rig.answer = (_request, response) =>
      response
        .writeHead(400, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(error))
    const answer = await rig.ask(models)
    expect([answer.status, errorIn(answer).code, answer.headers.get('content-encoding')]).toEqual([
      400,
      'x',
      undefined,
    ])
    expect(answer.body).not.toContain(rig.key.slice(-4))
    for (const [encoding, bytes] of [
      ['gzip', Buffer.from('no gzip')],
      ['gzip', gzipSync(Buffer.alloc(200_000, rig.key))],
      ['unknown', Buffer.from(rig.key)],
      ['identity', Buffer.alloc(200_000, rig.key)],
      ['identity', Buffer.from([0xff, 0xfe, 0x00])],
    ] as const) {
      rig.answer = (_request, response) =>
        response.writeHead(400, { 'content-encoding': encoding }).end(bytes)
      const withheld = await rig.ask(models)
      expect([withheld.status, errorIn(withheld).type]).toEqual([400, 'keyturn_proxy_error'])
      expect(withheld.text).not.toContain(rig.key.slice(0, 20))
    }
  })

  it('never holds it where the key was refused, nor in the log, and Keyturn is told', async () => {
    const rig = await startRig()
    rig.answer = (_request, response) => refuseKey(response, rig.key)
    rig.service.onReport = () => rig.service.turn({ apiKey: rig.key })
    const answering = rig.ask(models)
    await rig.service.until(() => rig.service.reports.length > 0)
    await rig.stop()
    const answer = await answering
    expect(rig.service.reports[0]).toEqual({
      version: 'v1',
      status: 401,
      code: 'invalid_api_key',
      requestId: 'req_refused',
    })
    expect(answer.text + rig.logged.join()).not.toContain(rig.key.slice(-4))
  })

  it('has no cookies, no headers of another connection and nothing that lets a page of a browser read it', async () => {
    const rig = await startRig()
    rig.answer = (_request, response) =>
      json(
        response,
        200,
        {},
        {
          'set-cookie': '__cf_bm=1',
          'access-control-allow-origin': '*',
          'access-control-expose-headers': 'x-request-id',
          'strict-transport-security': 'max-age=1',
          'alt-svc': 'h3=":443"',
          'proxy-authenticate': 'Basic',
          'x-echo': rig.key,
          'x-request-id': 'req_1',
          'x-ratelimit-remaining-requests': '9',
        },
      )
    const answer = await rig.ask(models)
    expect([...answer.headers.keys()].sort()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'date',
      'x-ratelimit-remaining-requests',
      'x-request-id',
    ])
  })

  it('has nothing that the upstream says is of its own connection, and every other byte as it came', async () => {
    const rig = await startRig()
    for (const status of [200, 400]) {
      rig.answer = (_request, response) =>
        response
          .writeHead(status, { connection: 'close, X-Hop', 'x-hop': '1', 'x-note': 'caf\u00e9' })
          .end('{}')
      const answer = await rig.ask(models)
      expect([answer.status, answer.headers.has('x-hop'), answer.headers.get('x-note')]).toEqual([
        status,
        false,
        'caf\u00e9',
      ])
    }
  })

  it('is no redirect: it could lead a caller and its token elsewhere', async () => {
    const rig = await startRig()
    rig.answer = (_request, response) => response.writeHead(307, { location: 'https://evil.example/' }).end()
    const answer = await rig.ask(models)
    expect([answer.status, answer.headers.get('location')]).toEqual([502, undefined])
  })
})

describe('a request that is framed in two ways, or badly', () => {
  it.each([
    [
      'a length and chunks',
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      '0\r\n\r\nGET /v1/organization/projects HTTP/1.1\r\n\r\n',
    ],
    ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], 'hello!'],
    ['two equal lengths', ['Content-Length: 5', 'Content-Length: 5'], 'hello'],
    ['a length that is no number', ['Content-Length: 5a'], 'hello'],
    ['a negative length', ['Content-Length: -1'], ''],
    ['two codings', ['Transfer-Encoding: chunked, chunked'], '0\r\n\r\n'],
    ['a coding twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n'],
    ['an unknown coding', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
    ['a coding that the proxy does not undo', ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'],
    ['a space before the colon', ['Transfer-Encoding : chunked'], '0\r\n\r\n'],
    ['a folded coding', ['Transfer-Encoding:', ' chunked'], '0\r\n\r\n'],
    ['a size of chunks that is none', ['Transfer-Encoding: chunked'], 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a bare line feed in a header', ['X-A: 1\nX-B: 2'], ''],
    ['a bare carriage return in a header', ['X-A: 1\rX-B: 2'], ''],
    ['a NUL in a header', ['X-A: 1\u0000'], ''],
    ['two hosts', ['Host: evil.example'], ''],
    ['two tokens', ['Authorization: Bearer another-token-of-somebody'], ''],
    ['two credentials', ['Keyturn-Credential: openai', 'Keyturn-Credential: other'], ''],
  ])('with %s goes nowhere', async (_what, headers, text) => {
    const rig = await startRig()
    const { socket, text: answer, closed } = open(rig.port)
    // Its sender stays to hear the answer: whoever hangs up would be let go of, however it is framed.
    const lines = [...head(rig, chat, 'Connection: close', ...headers), '', text]
    socket.write(Buffer.from(lines.join('\r\n'), 'latin1'))
    await closed
    // Where it shows only in the body, the connection ends without a word.
    expect(answer()).toMatch(/^$|^HTTP\/1\.1 400 [^]*"type":"keyturn_proxy_error"/)
    expect(answer().match(/HTTP\/1\.1 2/g)).toBeNull()
    expect(rig.arrived.map(({ url }) => url)).toEqual([])
  })

  it('is made anew for the upstream: what looks like a second request inside of a body is a body', async () => {
    const rig = await startRig()
    const inner = 'GET /v1/organization/projects HTTP/1.1\r\nHost: x\r\n\r\n'
    const chunked = `${inner.length.toString(16)};ext=1\r\n${inner}\r\n0\r\nAuthorization: Bearer evil\r\n\r\n`
    const answer = await rig.raw(head(rig, chat, 'Transfer-Encoding: chunked', 'Connection: close'), chunked)
    expect(answer.status).toBe(200)
    expect(rig.arrived.map(({ url, body: text }) => [url, text])).toEqual([['/v1/chat/completions', inner]])
    expect(rig.arrived[0]?.headers['transfer-encoding']).toBeUndefined()
    expect(rig.arrived[0]?.headers.authorization).toBe(`Bearer ${rig.key}`)
  })

  it('keeps callers apart on one connection: each request has the token that it came with', async () => {
    const rig = await startRig()
    const { socket, text } = open(rig.port)
    const get = (token: string) =>
      `${models} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`
    socket.write(get(rig.service.token) + get('a-token-that-nobody-made') + get(rig.service.token))
    await until(() => (text().match(/HTTP\/1\.1 \d{3}/g) ?? []).length === 3)
    expect(text().match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401', 'HTTP/1.1 200'])
    expect(rig.arrived).toHaveLength(2)
  })
})

describe('a request of which something is too much', () => {
  it.each([
    ['a header of 40 KB', [`X-A: ${'a'.repeat(40_000)}`], 431],
    ['101 headers', Array.from({ length: 101 }, (_one, index) => `X-${index}: 1`), 431],
    ['3,000 headers', Array.from({ length: 3_000 }, () => 'a:'), 431],
    ['a body that is said to be of 2 TB', ['Content-Length: 2199023255552'], 413],
    ['an Expect that nobody knows', ['Expect: the-unexpected'], 417],
  ])('as %s is refused', async (_what, headers, status) => {
    const rig = await startRig()
    const answer = await rig.raw(head(rig, chat, ...headers, 'Connection: close'))
    expect([answer.status, errorIn(answer).type]).toEqual([status, 'keyturn_proxy_error'])
    expect(rig.arrived).toEqual([])
  })

  it('as a connection more than there may be is ended without a word', async () => {
    const rig = await startRig({ limits: { connectionsMax: 1 } })
    const first = open(rig.port)
    first.socket.write(`${models} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await until(() => first.text().includes('"code":"unauthenticated"'))
    const second = open(rig.port)
    second.socket.write(`${models} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await second.closed
    expect(second.text()).toBe('')
  })

  it('as a long address is refused', async () => {
    const rig = await startRig()
    expect((await rig.ask(`GET /v1/models?a=${'a'.repeat(9_000)}`)).status).toBe(431)
  })

  it('as a body that turns out too long is cut off, and the upstream gets no whole request', async () => {
    const rig = await startRig({ limits: { bodyBytesMax: 100_000, bufferBytesMax: 1_000 } })
    let wasWhole = false
    rig.answer = (request) => {
      request.on('error', () => undefined)
      request.on('end', () => (wasWhole = true)).resume()
    }
    const chunk = `3e8\r\n${'a'.repeat(1_000)}\r\n`
    const answer = await rig.raw(
      head(rig, chat, 'Transfer-Encoding: chunked', 'Connection: close'),
      `${chunk.repeat(200)}0\r\n\r\n`,
    )
    expect([answer.status, errorIn(answer).message]).toEqual([413, expect.stringContaining('--max-body')])
    expect(wasWhole).toBe(false)
  })
})

describe('a request that was refused', () => {
  it.each([
    ['before anybody was asked', () => '', 401],
    ['by Keyturn', () => 'Authorization: Bearer a-token-that-nobody-made\r\n', 401],
    ['by the upstream', (rig: Rig) => `Authorization: Bearer ${rig.service.token}\r\n`, 400],
  ] as const)(
    '%s, and sends its body slower than it may, loses its connection',
    async (_who, token, status) => {
      const rig = await startRig({ limits: { drainTimeoutMs: 50, bufferBytesMax: 1_000 } })
      rig.answer = (request, response) => {
        request.on('error', () => undefined)
        json(response, 400, { error: { message: 'no', code: 'x' } })
      }
      const { socket, text, closed } = open(rig.port)
      const lines = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n${token(rig)}Content-Length: 100000\r\n\r\n`
      socket.write(`${lines}a`)
      await closed
      expect(text()).toContain(`HTTP/1.1 ${status} `)
      expect(text()).toMatch(/"code":"(?:unauthenticated|x)"/)
    },
  )
})

describe('a request that was refused and goes on sending', () => {
  it('loses its connection after as much as it may', async () => {
    const rig = await startRig({ limits: { drainBytesMax: 1_000, drainTimeoutMs: 3_600_000 } })
    const { socket, text, closed } = open(rig.port)
    socket.write(`${chat} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n`)
    await until(() => text().includes('"code":"unauthenticated"'))
    socket.write(Buffer.alloc(2_000, 'a'))
    await closed
    expect(text()).toMatch(/^HTTP\/1\.1 401 /)
  })
})

describe('a request from where it must not come', () => {
  it.each([
    ['another name that leads here', ['Host: evil.example'], 421],
    ['a name that begins like ours', ['Host: localhost.evil.example'], 421],
    ['no host', [], 421],
    ['a page', ['Host: localhost', 'Origin: http://localhost:3000'], 403],
    ['a page without an origin', ['Host: localhost', 'Origin: null'], 403],
    ['an image in a page', ['Host: localhost', 'Sec-Fetch-Site: cross-site'], 403],
    ['a frame in a page', ['Host: localhost', 'Sec-Fetch-Dest: iframe'], 403],
    ['a click in a page', ['Host: localhost', 'Sec-Fetch-User: ?1'], 403],
    ['an upgrade to a WebSocket', ['Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'], 501],
  ])('as from %s is refused before anybody is asked', async (_what, headers, status) => {
    const rig = await startRig()
    const token = `Authorization: Bearer ${rig.service.token}`
    const answer = await rig.raw([
      `${models} HTTP/1.1`,
      token,
      ...headers,
      ...(status === 501 ? [] : ['Connection: close']),
    ])
    expect([answer.status, errorIn(answer).type]).toEqual([status, 'keyturn_proxy_error'])
    expect(answer.text.toLowerCase()).not.toContain('access-control')
    expect([rig.arrived, rig.service.seen]).toEqual([[], []])
  })

  it.each([
    ['a tunnel', 'CONNECT api.openai.com:443', 405],
    ['an address of the whole', 'GET http://localhost/v1/models', 400],
    ['a preflight', 'OPTIONS /v1/models', 405],
    ['a trace', 'TRACE /v1/models', 405],
    ['a change of the organisation', 'POST /v1/organization/projects', 403],
    ['the same behind dots', 'POST /v1/models/../organization/projects', 400],
    ['the same encoded', 'POST /v1/%6frganization/projects', 400],
    ['a path of no API', 'GET /admin', 404],
    ['a client secret for a browser', 'POST /v1/realtime/client_secrets', 404],
  ])('as %s is refused', async (_what, line, status) => {
    const rig = await startRig()
    const answer = await rig.ask(line)
    expect([answer.status, errorIn(answer).type]).toEqual([status, 'keyturn_proxy_error'])
    expect(rig.arrived).toEqual([])
  })

  it('as for a credential that is not served is refused, by header and by path', async () => {
    const rig = await startRig({ credentials: ['openai', 'openai-eval'] })
    for (const [line, headers] of [
      [models, ['Keyturn-Credential: admin']],
      ['GET /admin/v1/models', []],
    ] as const) {
      const answer = await rig.ask(line, { headers })
      expect([answer.status, errorIn(answer).message]).toEqual([
        403,
        expect.stringContaining('openai, openai-eval'),
      ])
    }
    expect((await rig.ask(models, { headers: ['Keyturn-Credential: openai-eval'] })).status).toBe(200)
    expect((await rig.ask('GET /openai-eval/v1/models')).status).toBe(200)
    expect(new Set(rig.service.hands().map(({ path }) => path))).toEqual(
      new Set(['/v1/credentials/openai-eval']),
    )
  })
})
