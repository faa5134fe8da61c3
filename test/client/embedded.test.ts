import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createClient,
  type EmbeddedHandOut,
  type EmbeddedNoHandOut,
  type EmbeddedResolver,
} from '../../src/index.ts'
import { testKey } from './fake-service.ts'
import { drive, errorOf, handTime, turnOfLoop } from './support.ts'

function handOut(generation: number, key = testKey()): EmbeddedHandOut {
  return {
    kind: 'available',
    name: 'openai',
    version: `v${generation}`,
    fingerprint: '0123456789ab',
    stage: 'current',
    secret: { reveal: () => key },
    organization: undefined,
    project: 'proj_test',
    baseUrl: 'https://openai.test/v1',
    verdict: 'valid',
    verifiedAt: 0,
    rotatesAt: undefined,
    staleAfterMs: 8_640_000_000,
    generation,
  }
}

const none = (generation: number): EmbeddedNoHandOut => ({
  kind: 'unavailable',
  summary: 'the first check is under way.',
  fix: 'Wait for it.',
  generation,
})

function fakeResolver(first: EmbeddedHandOut | EmbeddedNoHandOut | undefined) {
  let now = first
  const listeners = new Set<() => void>()
  const reports: unknown[] = []
  let stops = 0
  const resolver: EmbeddedResolver = {
    handOut: () => now,
    onHandOut: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    report: (refusal) => {
      reports.push(refusal)
      return Promise.resolve({ generation: 1, version: 'v1', verdict: 'valid' })
    },
    stop: () => {
      stops += 1
    },
  }
  const set = (next: EmbeddedHandOut | EmbeddedNoHandOut) => {
    now = next
    for (const listener of listeners) listener()
  }
  return { resolver, reports, set, stops: () => stops, listeners }
}

function embeddedClient(resolver: EmbeddedResolver, env: Record<string, string> = {}) {
  const opened: unknown[] = []
  const hand = handTime()
  const client = createClient({
    env,
    onError: () => undefined,
    platform: hand.platform,
    timeoutMs: 10_000,
    openEmbedded: (options) => {
      opened.push(options)
      return Promise.resolve(resolver)
    },
  })
  onTestFinished(() => client.close())
  return { client, opened, hand }
}

describe('without an address of Keyturn', () => {
  it('the key is resolved in this process, opened once for all who ask', async () => {
    const key = testKey()
    const { resolver } = fakeResolver(handOut(1, key))
    const { client, opened } = embeddedClient(resolver, { KEYTURN_CREDENTIAL: 'openai-prod', OTHER: 'x' })
    const keys = await Promise.all(Array.from({ length: 1_000 }, () => client.getOpenAIKey()))
    expect(new Set(keys)).toEqual(new Set([key]))
    expect(opened).toEqual([
      { credential: 'openai-prod', env: { KEYTURN_CREDENTIAL: 'openai-prod', OTHER: 'x' } },
    ])
    expect({ ...(await client.getOpenAICredential()) }).toMatchObject({
      organization: null,
      project: 'proj_test',
      rotatesAt: null,
      verifiedAt: '1970-01-01T00:00:00.000Z',
    })
  })

  it('the first check is waited for', async () => {
    const fake = fakeResolver(none(0))
    const { client } = embeddedClient(fake.resolver)
    const waiting = client.getOpenAIKey()
    while (fake.listeners.size === 0) await turnOfLoop()
    const key = testKey()
    fake.set(handOut(1, key))
    expect(await waiting).toBe(key)
  })

  it('a check that does not end is not waited for for ever, and the reason is told', async () => {
    const { client, hand } = embeddedClient(fakeResolver(none(0)).resolver)
    let isOver = false
    const failing = errorOf(client.getOpenAIKey()).finally(() => {
      isOver = true
    })
    await drive(hand, () => isOver)
    expect(await failing).toMatchObject({ code: 'no_verified_key', fix: 'Wait for it.' })
  })

  it('a turn in this process is seen', async () => {
    const fake = fakeResolver(handOut(1))
    const { client, hand } = embeddedClient(fake.resolver)
    await client.getOpenAIKey()
    await drive(hand, () => fake.listeners.size > 0)
    const key = testKey()
    fake.set(handOut(2, key))
    while ((await client.getOpenAIKey()) !== key) await turnOfLoop()
    fake.set(none(3))
    await turnOfLoop()
    const next = testKey()
    const waiting = client.getOpenAIKey()
    fake.set(handOut(4, next))
    expect(await waiting).toBe(next)
  })

  it('a refused key is reported and replaced like with a service', async () => {
    const [dead, fresh] = [testKey(), testKey()]
    const fake = fakeResolver(handOut(1, dead))
    const { client } = embeddedClient(fake.resolver)
    await client.getOpenAIKey()
    const fetch = client.withKeyRefresh((input, init) => {
      const key = new Request(input, init).headers.get('authorization')
      if (key === `Bearer ${fresh}`) return Promise.resolve(Response.json({ ok: true }))
      queueMicrotask(() => fake.set(handOut(2, fresh)))
      return Promise.resolve(Response.json({ error: { code: 'invalid_api_key' } }, { status: 401 }))
    })
    const headers = { authorization: `Bearer ${dead}` }
    expect((await fetch('https://openai.test/v1/models', { headers })).status).toBe(200)
  })

  it('closing stops the resolver', async () => {
    const fake = fakeResolver(handOut(1))
    const { client } = embeddedClient(fake.resolver)
    await client.getOpenAIKey()
    client.close()
    while (fake.stops() === 0) await turnOfLoop()
    expect((await errorOf(client.getOpenAIKey())).code).toBe('stopping')
  })

  it('a name that is not configured is refused, saying where was looked and what to do', async () => {
    const { client } = embeddedClient(fakeResolver(undefined).resolver)
    const error = await errorOf(client.getOpenAIKey())
    expect(error.code).toBe('config_missing')
    expect(error.message).toContain('KEYTURN_URL is not set, so "openai" was looked for in this process')
    expect(error.fix).toMatch(/KEYTURN_URL.*OPENAI_API_KEY.*keyturn\.yaml/)
  })

  it('what the resolver itself says is passed on, and it is tried again later', async () => {
    let opens = 0
    const hand = handTime()
    const client = createClient({
      env: {},
      platform: hand.platform,
      openEmbedded: () => {
        opens += 1
        const known = { name: 'KeyturnError', code: 'config_invalid', fix: 'Mend line 3.' }
        return Promise.reject(Object.assign(new Error('keyturn.yaml is not valid.'), known))
      },
    })
    expect(await errorOf(client.getOpenAIKey())).toMatchObject({
      code: 'config_invalid',
      fix: 'Mend line 3.',
    })
    hand.freeze(10_000)
    await errorOf(client.getOpenAIKey())
    expect(opens).toBe(2)
  })

  it('where nothing is configured, a service comes first: most have one, and forgot to say where', async () => {
    const known = { name: 'KeyturnError', code: 'config_missing', fix: 'Write one.' }
    const client = createClient({
      env: {},
      platform: handTime().platform,
      openEmbedded: () => Promise.reject(Object.assign(new Error('There is none.'), known)),
    })
    expect((await errorOf(client.getOpenAIKey())).fix).toMatch(
      /^To ask a service, set KEYTURN_URL and KEYTURN_TOKEN.*KEYTURN_HOME.* Write one\.$/,
    )
  })
})
