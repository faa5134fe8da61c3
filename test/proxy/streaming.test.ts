import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { errorIn, json, open, openAIKey, type Rig, refuseKey, startRig, until, whole } from './harness.ts'

const chat = 'POST /v1/chat/completions'

function send(
  rig: Rig,
  options: { readonly headers?: readonly string[]; readonly body?: string; readonly line?: string } = {},
) {
  const { headers = [], body = '{}', line = chat } = options
  const connection = open(rig.port)
  const lines = [
    `${line} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${rig.service.token}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
    '',
    body,
  ]
  connection.socket.write(lines.join('\r\n'))
  return connection
}

/** The upstream's end of one answer, in the hands of the test. */
async function heldAnswer(rig: Rig): Promise<ServerResponse> {
  let held: ServerResponse | undefined
  rig.answer = (request, response) => {
    request.on('error', () => undefined)
    request.resume()
    held = response
  }
  return new Promise((resolve) => {
    void until(() => held !== undefined).then(() => resolve(held as ServerResponse))
  })
}

describe('an answer that comes piece by piece', () => {
  it('has its head before its first piece, and every piece by itself, as soon as it is there', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { text } = send(rig)
    const response = await upstream
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'req_1' }).flushHeaders()
    await until(() => text().includes('\r\n\r\n'))
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*content-type: text\/event-stream\r\n[^]*\r\n\r\n$/)
    const headEnd = text().length
    let got = ''
    for (let count = 0; count < 50; count += 1) {
      const piece = `data: {"n":${count}}\n\n`
      response.write(piece)
      got += `${piece.length.toString(16)}\r\n${piece}\r\n`
      await until(() => text().length >= headEnd + got.length)
      expect(text().slice(headEnd)).toBe(got)
    }
    response.end()
    await until(() => text().endsWith('0\r\n\r\n'))
    expect(text().slice(headEnd)).toBe(`${got}0\r\n\r\n`)
  })

  it('keeps pieces apart that arrive in one packet', async () => {
    const rig = await startRig()
    rig.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.socket?.cork()
      for (const piece of ['data: a\n\n', 'data: bb\n\n', 'data: ccc\n\n']) response.write(piece)
      response.end()
      response.socket?.uncork()
    }
    const answer = await rig.ask(chat, { body: '{}' })
    expect(answer.body).toBe('9\r\ndata: a\n\n\r\na\r\ndata: bb\n\n\r\nb\r\ndata: ccc\n\n\r\n0\r\n\r\n')
  })

  it('ends the call of OpenAI as soon as the caller is gone', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { socket, text } = send(rig)
    const response = await upstream
    response.writeHead(200).write('data: a\n\n')
    await until(() => text().includes('data: a'))
    const closed = new Promise<void>((resolve) => response.once('close', () => resolve()))
    socket.destroy()
    await closed
    expect(response.writableEnded).toBe(false)
  })

  it('ends it also while no answer has begun', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { socket } = send(rig)
    const response = await upstream
    const closed = new Promise<void>((resolve) => response.once('close', () => resolve()))
    socket.destroy()
    await closed
    expect(response.headersSent).toBe(false)
  })

  it('breaks off for the caller where it broke off: half of an answer never looks like a whole one', async () => {
    const rig = await startRig()
    for (const head of [{}, { 'content-length': '100' }]) {
      const upstream = heldAnswer(rig)
      const { text, closed } = send(rig)
      const response = await upstream
      response.writeHead(200, head).write('half')
      await until(() => text().includes('half'))
      response.socket?.destroy()
      await closed
      expect(text().endsWith('half') || text().endsWith('half\r\n')).toBe(true)
    }
  })

  it('waits for a slow reader, and keeps next to nothing of it in memory', async () => {
    const rig = await startRig()
    let written = 0
    const piece = Buffer.alloc(65_536, 'a')
    let response: ServerResponse | undefined
    rig.answer = (request, answer) => {
      request.resume()
      response = answer
      answer.writeHead(200)
      const pump = () => {
        while (written < 256 * 1_048_576) {
          written += piece.length
          if (!answer.write(piece)) {
            answer.once('drain', pump)
            return
          }
        }
        answer.end()
      }
      pump()
    }
    const { socket } = send(rig)
    socket.pause()
    // What the kernel and both ends buffer fills up; then nothing moves any more.
    let seen = -1
    await until(() => {
      const isStill = written === seen && response !== undefined && response.writableNeedDrain
      seen = written
      return isStill
    })
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(written).toBeLessThan(64 * 1_048_576)
    socket.destroy()
  })
})

describe('a long body', () => {
  it('goes up as it comes, byte for byte, while the caller is still sending', async () => {
    const rig = await startRig({ limits: { bufferBytesMax: 1_000 } })
    const digest = createHash('sha256')
    const sent = createHash('sha256')
    let length = 0
    rig.answer = (request, response) => {
      request.on('data', (chunk: Buffer) => {
        length += chunk.length
        digest.update(chunk)
      })
      request.on('end', () => json(response, 200, { ok: true }))
    }
    const { socket, text } = open(rig.port)
    const total = 3_000_000
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: ${total}\r\n\r\n`,
    )
    for (let index = 0; index < 3; index += 1) {
      const piece = Buffer.alloc(1_000_000, String(index))
      sent.update(piece)
      socket.write(piece)
      await until(() => length === (index + 1) * 1_000_000)
    }
    await until(() => text().includes('{"ok":true}'))
    expect(digest.digest('hex')).toBe(sent.digest('hex'))
    expect(rig.arrived[0]?.headers['content-length']).toBe(String(total))
  })

  it('is held back where OpenAI takes nothing', async () => {
    const rig = await startRig()
    rig.answer = (request) => {
      request.pause()
    }
    const { socket } = open(rig.port)
    const total = 256 * 1_048_576
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: ${total}\r\n\r\n`,
    )
    const piece = Buffer.alloc(1_048_576)
    let taken = 0
    const pump = () => {
      taken += piece.length
      if (taken < total) socket.write(piece, pump)
    }
    socket.write(piece, pump)
    await until(() => rig.arrived.length === 1)
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(taken).toBeLessThan(64 * 1_048_576)
  })

  it('is answered also where OpenAI does not wait for its end', async () => {
    const rig = await startRig({ limits: { bufferBytesMax: 1_000 } })
    rig.answer = (_request, response) => json(response, 400, { error: { message: 'no', code: 'early' } })
    const { socket, text } = open(rig.port)
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: 100000\r\n\r\n{`,
    )
    await until(() => text().includes('early'))
    expect(text()).toMatch(/^HTTP\/1\.1 400/)
  })

  it('waits for a word where the caller waits for one', async () => {
    const rig = await startRig()
    const { socket, text } = open(rig.port)
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
    )
    await until(() => text().startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
    socket.write('{}')
    await until(() => text().includes('{"ok":true}'))
    expect(rig.arrived[0]?.headers.expect).toBeUndefined()
  })
})

describe('a key that OpenAI refuses', () => {
  /** Keyturn turns to another key as soon as it is told. */
  async function turning(options?: Parameters<typeof startRig>[0]) {
    const rig = await startRig(options)
    const next = openAIKey()
    rig.answer = (request, response, arrived) => {
      if (request.headers.authorization === `Bearer ${next}`) whole(request, response, arrived)
      else request.on('end', () => refuseKey(response, rig.key)).resume()
    }
    rig.service.onReport = () => rig.service.turn({ apiKey: next })
    return { rig, next }
  }

  it('is replaced by the next one, and the request sent once more: the caller sees nothing of it', async () => {
    const { rig, next } = await turning()
    const answer = await rig.ask(chat, { body: '{"model":"m"}' })
    expect([answer.status, answer.body]).toEqual([200, '{"ok":true}'])
    expect(rig.arrived.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${rig.key}`,
      `Bearer ${next}`,
    ])
    expect(rig.arrived[1]?.body).toBe('{"model":"m"}')
    expect(rig.service.reports).toHaveLength(1)
  })

  it('is replaced for many requests at once by one report', async () => {
    const { rig } = await turning()
    const answers = await Promise.all(Array.from({ length: 20 }, () => rig.ask(chat, { body: '{}' })))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(rig.service.reports).toHaveLength(1)
  })

  it('is a 503 that says so for a body too long to be kept, and the next request has the next key', async () => {
    const { rig } = await turning({ limits: { bufferBytesMax: 1_000 } })
    const answer = await rig.ask(chat, { body: 'a'.repeat(2_000) })
    expect([answer.status, errorIn(answer).code, answer.headers.get('retry-after')]).toEqual([
      503,
      'no_verified_key',
      '1',
    ])
    await rig.service.until(() => rig.service.reports.length === 1)
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
  })

  it('is tried twice at most', async () => {
    const { rig } = await turning()
    const next = openAIKey()
    rig.service.onReport = () => rig.service.turn({ apiKey: next })
    rig.answer = (request, response) => request.on('end', () => refuseKey(response, next)).resume()
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.status, rig.arrived.length]).toEqual([503, 2])
  })

  it.each([
    ['a missing scope', 401, { error: { message: 'insufficient permissions', code: 'missing_scope' } }],
    ['the wrong organisation', 401, { error: { message: 'mismatch', code: 'mismatched_organization' } }],
    ['no envelope', 401, { code: 'invalid_api_key' }],
    ['another status', 403, { error: { message: 'x', code: 'invalid_api_key' } }],
  ])('is not it where it is about %s: that is passed on, and nobody is told', async (_what, status, body) => {
    const rig = await startRig()
    rig.answer = (_request, response) => json(response, status, body)
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, body])
    expect(rig.service.reports).toEqual([])
    expect(rig.arrived).toHaveLength(1)
  })
})

describe('what Keyturn sees', () => {
  it('is which generation has requests under way, until the last of them has ended', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { text } = send(rig)
    const response = await upstream
    response.writeHead(200).write('a')
    await until(() => text().includes('a'))
    // The stream begins a moment after the first key; only then is a promotion told.
    await rig.service.until(() => rig.service.streams.size === 1)
    rig.service.turn({ apiKey: openAIKey() })
    await rig.service.request(
      (seen) =>
        seen.headers['keyturn-generation-in-flight'] === '1' && seen.headers['if-none-match'] !== undefined,
    )
    const told = rig.service.hands().length
    response.end()
    await rig.service.until(() =>
      rig.service
        .hands()
        .slice(told)
        .some(({ headers }) => headers['keyturn-generation-in-flight'] === '2'),
    )
    expect(new Set(rig.service.hands().map(({ headers }) => headers['keyturn-instance']))).toEqual(
      new Set(['proxy-of-a-test']),
    )
    expect(new Set(rig.service.hands().map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Bearer ${rig.service.token}`]),
    )
  })
})

describe('a caller', () => {
  it('whose token is taken back is refused as soon as Keyturn says so, while others go on', async () => {
    const rig = await startRig()
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
    await rig.service.until(() => rig.service.streams.size === 1)
    rig.service.override = (_request, response) => {
      response.writeHead(401, { 'content-type': 'application/problem+json' })
      response.end(
        JSON.stringify({ type: 'urn:keyturn:error:unauthenticated', code: 'unauthenticated', detail: 'no' }),
      )
      return true
    }
    for (const stream of rig.service.streams) stream.end()
    let status = 200
    while (status === 200) status = (await rig.ask(chat, { body: '{}' })).status
    expect(status).toBe(401)
    rig.service.override = undefined
    while (status === 401) status = (await rig.ask(chat, { body: '{}' })).status
    expect(status).toBe(200)
  })

  it('goes on while Keyturn is away, with the key that was good', async () => {
    const rig = await startRig()
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
    await rig.service.close()
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
  })

  it('that comes first while Keyturn has no key gets a 503 that says when to try again', async () => {
    const rig = await startRig()
    rig.service.override = (_request, response) => {
      response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '30' })
      response.end(
        JSON.stringify({
          type: 'urn:keyturn:error:no_verified_key',
          code: 'no_verified_key',
          detail: 'No key is good.',
          fix: 'See keyturn status.',
        }),
      )
      return true
    }
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.status, errorIn(answer).code, answer.headers.get('retry-after')]).toEqual([
      503,
      'no_verified_key',
      '30',
    ])
    expect(errorIn(answer).message).toContain('See keyturn status.')
  })

  it('cannot take all that there is', async () => {
    const rig = await startRig({ limits: { requestsMax: 10, requestsPerCallerMax: 2 } })
    rig.answer = (request) => void request.resume()
    send(rig)
    send(rig)
    await until(() => rig.arrived.length === 2)
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.status, errorIn(answer).code, answer.headers.get('retry-after')]).toEqual([
      429,
      'too_many_requests',
      '1',
    ])
  })

  it('that is one of too many new ones is asked to wait, and takes no place of those who are good', async () => {
    const rig = await startRig({ limits: { callersMax: 3, unprovenMax: 2 } })
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    for (let index = 0; index < 10; index += 1) {
      const guess = await rig.raw([
        'GET /v1/models HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer guess-number-${index}-of-many`,
        'Connection: close',
      ])
      expect(guess.status).toBe(401)
    }
    const hands = rig.service
      .hands()
      .filter(({ headers }) => headers.authorization === `Bearer ${rig.service.token}`)
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    expect(
      rig.service.hands().filter(({ headers }) => headers.authorization === `Bearer ${rig.service.token}`),
    ).toHaveLength(hands.length)
  })
})

describe('the upstream', () => {
  it('that is not there is a 502 with the cause', async () => {
    const rig = await startRig()
    rig.service.restore({ baseUrl: 'http://127.0.0.1:9/v1' })
    const away = await startRig({ upstream: new URL('http://127.0.0.1:9/v1') })
    away.service.restore({ baseUrl: 'http://127.0.0.1:9/v1' })
    const answer = await away.ask('GET /v1/models')
    expect([answer.status, errorIn(answer).code]).toEqual([502, 'issuer_unreachable'])
    expect(errorIn(answer).message).toContain('ECONNREFUSED')
  })

  it('that never answers is a 504', async () => {
    const rig = await startRig({ limits: { upstreamTimeoutMs: 300 } })
    rig.answer = (request) => void request.resume()
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.status, errorIn(answer).code]).toEqual([504, 'timeout'])
  })
})

describe('a stop', () => {
  it('lets requests under way end, takes no new ones, and leaves nothing open', async () => {
    const rig = await startRig({ limits: { drainMs: 10_000 } })
    const upstream = heldAnswer(rig)
    const { socket, text, closed } = send(rig)
    const response = await upstream
    response.writeHead(200, { 'content-length': '4' }).write('ha')
    await until(() => text().includes('ha'))
    const stopped = rig.stop()
    response.end('lf')
    await Promise.all([stopped, closed])
    expect(text().endsWith('half')).toBe(true)
    expect(socket.destroyed).toBe(true)
    expect((await rig.raw(['GET /v1/models HTTP/1.1', 'Host: localhost', 'Connection: close'])).status).toBe(
      0,
    )
  })

  it('ends what does not end by itself in time', async () => {
    const rig = await startRig({ limits: { drainMs: 100 } })
    rig.answer = (request) => void request.resume()
    const { closed } = send(rig)
    await until(() => rig.arrived.length === 1)
    await Promise.all([rig.stop(), closed])
    expect(rig.arrived).toHaveLength(1)
  })
})
