import { describe, expect, it, onTestFinished } from 'vitest'
import { openClient } from '../../src/client/create-client.ts'
import { createInFlight } from '../../src/client/in-flight.ts'
import { trackBody } from '../../src/client/track-body.ts'
import type { Fetch } from '../../src/index.ts'
import { testKey } from './fake-service.ts'
import { clientOf, serviceForTest, turnOfLoop } from './support.ts'

const baseUrl = 'https://openai.test/v1'

/** A body whose chunks are given out by hand. */
function handBody() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let isCancelled = false
  const stream = new ReadableStream<Uint8Array>({
    start: (own) => {
      controller = own
    },
    cancel: () => {
      isCancelled = true
    },
  })
  const push = (text: string) => controller?.enqueue(new TextEncoder().encode(text))
  return {
    stream,
    push,
    end: () => controller?.close(),
    fail: () => controller?.error(new TypeError('cut')),
    isCancelled: () => isCancelled,
  }
}

describe('generations in flight', () => {
  it('names the oldest, counts each request out once, and tells when the last of a generation has ended', () => {
    const drained: number[] = []
    const requests = createInFlight((generation) => drained.push(generation))
    expect(requests.oldest()).toBeUndefined()
    const [first, second, third] = [requests.enter(3), requests.enter(2), requests.enter(2)]
    expect(requests.oldest()).toBe(2)
    second()
    second()
    expect(requests.oldest()).toBe(2)
    third()
    expect(requests.oldest()).toBe(3)
    first()
    expect(requests.oldest()).toBeUndefined()
    expect(drained).toEqual([2, 3])
  })
})

describe('a tracked body', () => {
  const ended = () => {
    let count = 0
    return { count: () => count, onEnd: () => void (count += 1) }
  }

  it('passes chunks on one by one, as they come, and ends with the last', async () => {
    const [body, end] = [handBody(), ended()]
    const reader = trackBody(new Response(body.stream), end.onEnd).body?.getReader()
    for (const text of ['a', 'b', 'c']) {
      const chunk = reader?.read()
      body.push(text)
      expect(new TextDecoder().decode((await chunk)?.value)).toBe(text)
    }
    expect(end.count()).toBe(0)
    body.end()
    expect((await reader?.read())?.done).toBe(true)
    expect(end.count()).toBe(1)
  })

  it('ends when it fails', async () => {
    const [body, end] = [handBody(), ended()]
    const response = trackBody(new Response(body.stream), end.onEnd)
    body.fail()
    await expect(response.text()).rejects.toThrow('cut')
    expect(end.count()).toBe(1)
  })

  it('ends when it is given up, and gives the connection up', async () => {
    const [body, end] = [handBody(), ended()]
    await trackBody(new Response(body.stream), end.onEnd).body?.cancel()
    expect(end.count()).toBe(1)
    expect(body.isCancelled()).toBe(true)
  })

  it('has ended when there is none', () => {
    const end = ended()
    const response = new Response(null, { status: 204 })
    expect(trackBody(response, end.onEnd)).toBe(response)
    expect(end.count()).toBe(1)
  })

  it('leaves status, headers and address as they were', async () => {
    const original = new Response('text', { status: 418, statusText: 'Teapot', headers: { 'x-own': '1' } })
    original.headers.append('set-cookie', 'a=1')
    original.headers.append('set-cookie', 'b=2')
    Object.defineProperty(original, 'url', { value: 'https://openai.test/v1/x' })
    const response = trackBody(original, () => undefined)
    expect(response).toMatchObject({
      status: 418,
      statusText: 'Teapot',
      ok: false,
      url: 'https://openai.test/v1/x',
    })
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(await response.clone().text()).toBe('text')
    expect(await response.text()).toBe('text')
  })
})

describe('what Keyturn is told', () => {
  it('is the old generation while a request of it runs, and the new one soon after it has ended', async () => {
    const service = await serviceForTest({ baseUrl })
    const client = clientOf(service)
    const old = await client.getOpenAIKey()
    const body = handBody()
    const fetch: Fetch = () => Promise.resolve(new Response(body.stream))
    const response = await client.withKeyRefresh(fetch)(`${baseUrl}/x`, {
      headers: { authorization: `Bearer ${old}` },
    })
    await service.until(() => service.streams.size === 1)
    const fresh = testKey()
    service.turn({ apiKey: fresh })
    while ((await client.getOpenAIKey()) !== fresh) await turnOfLoop()
    await client.report({ status: 401 })
    const told = () => service.hands().map((seen) => seen.headers['keyturn-generation-in-flight'])
    expect(told().at(0)).toBeUndefined()
    expect(told().slice(1)).not.toContain('2')

    body.end()
    expect(await response.text()).toBe('')
    await service.until(() => told().at(-1) === '2')
    const instances = new Set(service.seen.map((seen) => seen.headers['keyturn-instance']))
    expect(instances.size).toBe(1)
    expect(instances.has(undefined)).toBe(false)
  })

  it('is the old generation for as long as a program that was given its key runs', async () => {
    const service = await serviceForTest({ baseUrl })
    const { url, token } = service
    const open = openClient({ url, token, env: {}, onError: () => undefined })
    onTestFinished(() => open.client.close())
    const first = await open.client.getOpenAICredential()
    const end = open.use(first.generation)
    await service.until(() => service.streams.size === 1)
    const changed = new Promise<void>((resolve) => void open.onChange(resolve))
    service.turn({ apiKey: testKey() })
    await changed
    expect(open.held()?.generation).toBe(2)
    await open.client.report({ status: 401 })
    const told = () => service.hands().map((seen) => seen.headers['keyturn-generation-in-flight'])
    expect(told().slice(1)).not.toContain('2')
    end()
    await service.until(() => told().at(-1) === '2')
  })
})
