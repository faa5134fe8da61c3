import { describe, expect, it } from 'vitest'
import { limits } from '../../src/client/limits.ts'
import type { KeyturnClient, KeyturnClientError } from '../../src/index.ts'
import { type FakeService, problem, testKey } from './fake-service.ts'
import { clientOf, drive, errorOf, handTime, serviceForTest, turnOfLoop } from './support.ts'

/** Waits, turn by turn, until the client serves this key; the test's time limit bounds it. */
async function served(client: KeyturnClient, key: string): Promise<void> {
  while ((await client.getOpenAIKey()) !== key) await turnOfLoop()
}

/** A client that has its first key and an open stream, with the question that seconds the stream answered. */
async function following(
  service: FakeService,
  options: Parameters<typeof clientOf>[1] = {},
): Promise<KeyturnClient> {
  const client = clientOf(service, options)
  await client.getOpenAIKey()
  await service.until(() => service.streams.size === 1 && service.hands().length === 2)
  return client
}

describe('behind the event stream', () => {
  it('serves a new key as soon as it is promoted, without being asked', async () => {
    const service = await serviceForTest()
    const client = await following(service)
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await served(client, fresh)
    expect(service.hands()).toHaveLength(3)
  })

  it('serves the old key while the new one is fetched', async () => {
    const service = await serviceForTest()
    const client = await following(service)
    const old = service.answer().apiKey
    let release: () => void = () => undefined
    service.override = (request, response) => {
      if (!service.hands().includes(request)) return false
      release = () => {
        service.override = undefined
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(service.answer()))
      }
      return true
    }
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await service.until(() => service.hands().length === 3)
    expect(await client.getOpenAIKey()).toBe(old)
    release()
    await served(client, fresh)
  })

  it('asks with the tag of what it has, and takes "nothing new" for an answer', async () => {
    const service = await serviceForTest()
    await following(service)
    expect(service.hands()[1]?.headers['if-none-match']).toBe('W/"1-v1-valid"')
  })

  it('asks again when more happens while it asks', async () => {
    const service = await serviceForTest()
    const client = await following(service)
    const [second, third] = [testKey(), testKey()]
    service.turn({ apiKey: second })
    service.turn({ apiKey: third })
    await served(client, third)
  })

  it('leaves events alone that cannot have changed the key', async () => {
    const service = await serviceForTest()
    const client = await following(service)
    service.send('event: rotation\ndata: {"generation":1}\n\n')
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await served(client, fresh)
    expect(service.hands()).toHaveLength(3)
  })

  it('connects again after the stream broke, with the last event id, and asks for what it missed', async () => {
    const service = await serviceForTest()
    const client = await following(service)
    const second = testKey()
    service.turn({ apiKey: second })
    await served(client, second)
    for (const stream of service.streams) stream.destroy()
    await service.until(() => service.streams.size === 0)
    const third = testKey()
    service.turn({ apiKey: third })
    await served(client, third)
    const again = await service.request((seen) => seen.headers['last-event-id'] !== undefined)
    expect(again).toMatchObject({ path: '/v1/credentials/openai/events', headers: { 'last-event-id': '1' } })
  })

  it('takes a stream that falls silent for dead', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    await client.getOpenAIKey()
    hand.advance(limits.followAfterMs)
    await service.until(() => service.streams.size === 1 && service.hands().length === 2)
    hand.advance(limits.streamSilenceMs)
    await service.until(() => service.streams.size === 0)
    await hand.timer(limits.backoffBaseMs / 2)
    hand.advance(limits.backoffMaxMs)
    await service.until(() => service.streams.size === 1)
  })
})

describe('without an event stream', () => {
  it('lets the service hold its questions', async () => {
    const service = await serviceForTest({}, { hasStream: false })
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    await client.getOpenAIKey()
    await drive(hand, () => service.seen.some((seen) => seen.wait === limits.holdSeconds))
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await served(client, fresh)
  })

  it('asks at intervals where the service does not hold questions', async () => {
    const service = await serviceForTest({}, { hasStream: false, isHolding: false })
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    await client.getOpenAIKey()
    const startedAt = hand.platform.now?.() ?? 0
    await drive(hand, () => service.hands().length >= 5)
    const waits = service.hands().map((request) => request.wait)
    expect(waits).toEqual([undefined, limits.holdSeconds, undefined, undefined, undefined])
    expect((hand.platform.now?.() ?? 0) - startedAt).toBeGreaterThan(3 * limits.pollMs)
  })

  it('tells once that there is no stream, since that is a matter of the set-up', async () => {
    const service = await serviceForTest({}, { hasStream: false, isHolding: false })
    const hand = handTime()
    const errors: KeyturnClientError[] = []
    const client = clientOf(service, { platform: hand.platform, onError: (error) => errors.push(error) })
    await client.getOpenAIKey()
    const streams = () => service.seen.filter((request) => request.path.endsWith('/events'))
    await drive(hand, () => streams().length >= 3)
    expect(errors.map((error) => error.code)).toEqual(['not_found'])
    expect(errors[0]?.message).toContain('the events of the credential "openai"')
  })

  it('asks at intervals, and opens no stream, through a fetch of the app', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    let calls = 0
    const client = clientOf(service, {
      platform: hand.platform,
      fetch: (input, init) => {
        calls += 1
        return fetch(input, init)
      },
    })
    await client.getOpenAIKey()
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await drive(hand, async () => (await client.getOpenAIKey()) === fresh)
    expect(service.seen.every((request) => !request.path.endsWith('/events'))).toBe(true)
    expect(calls).toBe(service.seen.length)
  })
})

describe('while Keyturn is in trouble', () => {
  it('goes on serving, tells once, backs off, and comes back by itself', async () => {
    const service = await serviceForTest({}, { hasStream: false })
    const hand = handTime()
    const errors: KeyturnClientError[] = []
    const client = clientOf(service, { platform: hand.platform, onError: (error) => errors.push(error) })
    const key = await client.getOpenAIKey()
    let refused = 0
    service.override = (request, response) => {
      if (service.hands().includes(request)) refused += 1
      problem(response, { status: 500, code: 'internal', detail: 'A bug.' })
      return true
    }
    const startedAt = hand.platform.now?.() ?? 0
    await drive(hand, () => refused >= 12)
    expect(await client.getOpenAIKey()).toBe(key)
    expect((hand.platform.now?.() ?? 0) - startedAt).toBeGreaterThan(limits.backoffMaxMs)
    expect(errors.filter((error) => error.code === 'internal')).toHaveLength(1)
    service.override = undefined
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await drive(hand, async () => (await client.getOpenAIKey()) === fresh)
  })

  it.each([
    { status: 401, code: 'unauthenticated', detail: 'The token was revoked.' },
    { status: 503, code: 'caller_unverifiable', detail: 'Whose token this is cannot be told now.' },
  ])('keeps the key when its token is refused later: $code', async (refusal) => {
    const service = await serviceForTest()
    const errors: string[] = []
    const client = await following(service, { onError: (error) => errors.push(error.code) })
    const key = await client.getOpenAIKey()
    service.override = (_, response) => {
      problem(response, refusal)
      return true
    }
    service.turn({ apiKey: testKey() })
    while (!errors.includes(refusal.code)) await turnOfLoop()
    expect(await client.getOpenAIKey()).toBe(key)
  })

  it('lives through an onError that throws', async () => {
    const service = await serviceForTest()
    const warned: string[] = []
    const client = await following(service, {
      onError: () => {
        throw new TypeError('from the app')
      },
      platform: { warn: (error) => warned.push(error.code) },
    })
    service.override = (_, response) => {
      problem(response, { status: 500, code: 'internal', detail: 'A bug.' })
      return true
    }
    service.turn({ apiKey: testKey() })
    while (warned.length === 0) await turnOfLoop()
    service.override = undefined
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    await served(client, fresh)
  })
})

describe('what the service says of a key', () => {
  const withoutKey = (service: FakeService, generation: number | undefined) => {
    service.override = (request, response) => {
      if (!service.hands().includes(request)) return false
      const headers = generation === undefined ? {} : { 'keyturn-generation': String(generation) }
      problem(response, {
        status: 503,
        code: 'no_verified_key',
        detail: 'None left.',
        fix: 'Bring a key.',
        headers,
      })
      return true
    }
    service.send('event: outage\ndata: {"generation":2}\n\n')
  }

  it('withdraws it when it says so of a later generation', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    await client.getOpenAIKey()
    hand.advance(limits.followAfterMs)
    await service.until(() => service.streams.size === 1 && service.hands().length === 2)
    withoutKey(service, 2)
    await service.until(() => service.hands().length >= 3)
    let error: unknown
    const ask = () =>
      client.getOpenAIKey().catch((thrown: unknown) => {
        error = thrown
      })
    // The key of before is handed out until the answer is there; then another one is waited for, for as long as a first key.
    while (error === undefined) {
      let isOver = false
      void ask().finally(() => {
        isOver = true
      })
      await drive(hand, () => isOver)
      await turnOfLoop()
    }
    expect(error).toMatchObject({ code: 'no_verified_key', fix: 'Bring a key.' })
  })

  it.each([undefined, 1, 0])(
    'does not withdraw it when the service only does not know yet (generation %s)',
    async (generation) => {
      const service = await serviceForTest()
      const errors: string[] = []
      const client = await following(service, { onError: (error) => errors.push(error.code) })
      const key = await client.getOpenAIKey()
      withoutKey(service, generation)
      while (!errors.includes('no_verified_key')) await turnOfLoop()
      expect(await client.getOpenAIKey()).toBe(key)
    },
  )

  it('is not believed when it is older than what is known: a replica that lags', async () => {
    const service = await serviceForTest({ generation: 7 })
    const client = await following(service)
    const key = await client.getOpenAIKey()
    service.restore({ generation: 6, apiKey: testKey() })
    service.send('event: verdict\ndata: {"generation":6}\n\n')
    await service.until(() => service.hands().length === 3)
    await turnOfLoop()
    await turnOfLoop()
    expect(await client.getOpenAIKey()).toBe(key)
  })

  it('is believed in the end when the service was restored from a backup', async () => {
    const service = await serviceForTest({ generation: 7 }, { hasStream: false, isHolding: false })
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    const old = await client.getOpenAIKey()
    const startedAt = hand.platform.now?.() ?? 0
    const restored = testKey()
    service.restore({ generation: 2, apiKey: restored })
    await drive(hand, async () => (await client.getOpenAIKey()) !== old)
    expect(await client.getOpenAIKey()).toBe(restored)
    expect((hand.platform.now?.() ?? 0) - startedAt).toBeGreaterThanOrEqual(limits.lowerSpanMs)
  })
})

describe('a closed client', () => {
  it('lets go of the stream', async () => {
    const service = await serviceForTest()
    const client = await following(service)
    client.close()
    await service.until(() => service.streams.size === 0)
    expect((await errorOf(client.getOpenAIKey())).code).toBe('stopping')
  })
})
