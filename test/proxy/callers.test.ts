import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import {
  errorIn,
  heldAnswer,
  json,
  open,
  openAIKey,
  refuseKey,
  send,
  startRig,
  until,
  whole,
} from './harness.ts'

const chat = 'POST /v1/chat/completions'

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

  it('is replaced for long bodies one after another: each gives back the room that it took', async () => {
    const { rig, next } = await turning({ limits: { buffersBytesMax: 100_000 } })
    const body = 'a'.repeat(90_000)
    for (const count of [1, 2, 3]) {
      expect((await rig.ask(chat, { body })).status).toBe(200)
      rig.service.turn({ apiKey: rig.key })
      await rig.service.until(() => rig.service.answer().apiKey === rig.key)
      expect(rig.arrived.filter(({ headers }) => headers.authorization === `Bearer ${next}`)).toHaveLength(
        count,
      )
    }
  })

  it('is tried twice at most', async () => {
    const { rig } = await turning()
    rig.service.onReport = () => rig.service.turn({ apiKey: openAIKey() })
    rig.answer = (request, response) => request.on('end', () => refuseKey(response, rig.key)).resume()
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

  it('is not refused for an event stream that something in front of Keyturn does not let through', async () => {
    const rig = await startRig({ hasStream: false })
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
    await rig.service.request(({ path }) => path.endsWith('/events'))
    await until(() => rig.logged.length > 0)
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
  })

  it('who sends nothing of long bodies takes no room of those who send short ones', async () => {
    const rig = await startRig({ limits: { buffersBytesMax: 100_000 } })
    const next = openAIKey()
    rig.answer = (request, response, arrived) => {
      if (request.headers.authorization === `Bearer ${next}`) whole(request, response, arrived)
      else request.on('end', () => refuseKey(response, rig.key)).resume()
    }
    rig.service.onReport = () => rig.service.turn({ apiKey: next })
    const held = open(rig.port)
    held.socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: 100000\r\n\r\n`,
    )
    await rig.service.until(() => rig.service.hands().length > 0)
    expect((await rig.ask(chat, { body: '{}' })).status).toBe(200)
    expect(rig.arrived).toHaveLength(2)
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

  it('that is new while all places are taken leaves nothing behind that would keep others out', async () => {
    const rig = await startRig({ limits: { requestsMax: 1, unprovenMax: 1 } })
    const upstream = heldAnswer(rig)
    const { text } = send(rig)
    const response = await upstream
    const guess = (token: string) =>
      rig.raw([
        'GET /v1/models HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${token}`,
        'Connection: close',
      ])
    expect((await guess('a-token-that-nobody-made')).status).toBe(429)
    response.end()
    await until(() => text().includes('0\r\n\r\n'))
    expect((await guess('another-token-that-nobody-made')).status).toBe(401)
  })

  it('that is new is let in while others guess more than Keyturn bears: they wait themselves, and hold no place', async () => {
    const rig = await startRig({ limits: { unprovenMax: 2 } })
    rig.service.override = (request, response) => {
      if (request.headers.authorization === `Bearer ${rig.service.token}`) return false
      response.writeHead(429, { 'content-type': 'application/problem+json', 'retry-after': '1' })
      response.end(
        JSON.stringify({
          type: 'urn:keyturn:error:too_many_requests',
          code: 'too_many_requests',
          detail: 'Too many requests without a good token came from this address.',
        }),
      )
      return true
    }
    const guesses = [1, 2].map((index) => {
      const guess = open(rig.port)
      guess.socket.write(
        `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer guess-number-${index}-of-many\r\n\r\n`,
      )
      return guess
    })
    await until(() => guesses.every(({ text }) => text().startsWith('HTTP/1.1 429')))
    expect(guesses[0]?.text()).toMatch(/retry-after: 1\r\n/i)
    expect(rig.service.hands()).toHaveLength(2)
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
  })

  it('that is known finds a place while new ones wait for Keyturn', async () => {
    const rig = await startRig({ limits: { requestsMax: 4, requestsPerCallerMax: 2 } })
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    // Keyturn answers nobody any more.
    rig.service.override = () => true
    const guess = (token: string) =>
      `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`
    const { socket, text } = open(rig.port)
    socket.write((guess('guess-number-1-of-many') + guess('guess-number-2-of-many')).repeat(2))
    await rig.service.until(() => rig.service.hands().length >= 2)
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    expect(text()).toBe('')
  })

  it('uses no key any more when the proxy has stopped, and Keyturn hears of it under the name of its token', async () => {
    const rig = await startRig()
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    await rig.stop()
    const last = rig.service.seen.at(-1)
    expect([last?.method, last?.path, last?.headers.authorization]).toEqual([
      'DELETE',
      '/v1/credentials/openai/leases/proxy-of-a-test',
      `Bearer ${rig.service.token}`,
    ])
  })

  it('that is new finds a place again as soon as those before are let in or refused; who found none leaves nothing', async () => {
    const rig = await startRig({ limits: { requestsMax: 4, requestsPerCallerMax: 2, unprovenMax: 3 } })
    const guess = async (name: string) => {
      const { status } = await rig.raw([
        'GET /v1/models HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer a-${name}-token-that-nobody-made`,
        'Connection: close',
      ])
      return status
    }
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    expect([await guess('first'), await guess('second'), await guess('third')]).toEqual([401, 401, 401])
    const asking: ServerResponse[] = []
    rig.service.override = ({ headers }, response) => {
      const isGuess = headers.authorization?.endsWith('-token-that-nobody-made') === true
      if (isGuess) asking.push(response)
      return isGuess
    }
    const refuseAll = () => {
      for (const response of asking.splice(0)) {
        response.writeHead(401, { 'content-type': 'application/problem+json' })
        const problem = { type: 'urn:keyturn:error:unauthenticated', code: 'unauthenticated', detail: 'no' }
        response.end(JSON.stringify(problem))
      }
    }
    const held = open(rig.port)
    held.socket.write(
      'GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-held-token-that-nobody-made\r\n\r\n'.repeat(
        2,
      ),
    )
    await until(() => asking.length === 1)
    expect([await guess('fourth'), await guess('fifth'), await guess('sixth')]).toEqual([429, 429, 429])
    refuseAll()
    await until(() => (held.text().match(/HTTP\/1\.1 401/g) ?? []).length === 2)
    const both = Promise.all([guess('seventh'), guess('eighth')])
    await until(() => asking.length === 2)
    refuseAll()
    expect(await both).toEqual([401, 401])
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
    expect((await rig.ask('GET /v1/models')).status).toBe(200)
    // Whoever is still known asks whether the key has changed; only a new one asks for it.
    const first = rig.service
      .hands()
      .filter(({ headers }) => headers.authorization === `Bearer ${rig.service.token}`)
      .filter(({ headers }) => headers['if-none-match'] === undefined)
    expect(first).toHaveLength(1)
  })

  it('that was refused is refused again for a while without asking', async () => {
    const rig = await startRig({ limits: { refusedHeldMs: 60_000 } })
    for (const _again of [1, 2, 3]) {
      const { status } = await rig.raw([
        'GET /v1/models HTTP/1.1',
        'Host: localhost',
        'Authorization: Bearer a-token-that-nobody-made',
        'Connection: close',
      ])
      expect(status).toBe(401)
    }
    expect(rig.service.hands()).toHaveLength(1)
  })
})
