import { describe, expect, it } from 'vitest'
import { bearer, openStream, problemOf, startServer, until } from './harness.ts'

describe('the event stream', () => {
  it('says hello with the current generation, then tells what happens as it happens', async () => {
    const harness = await startServer()
    const stream = await openStream(harness)
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(stream.response.headers.get('keyturn-app')).toBe('web')
    expect(stream.response.headers.get('cache-control')).toBe('no-store')
    await stream.received(1)
    harness.service.promote('openai')
    harness.service.emit({ credential: 'openai', kind: 'promoted', data: { version: 'version-3' } })
    harness.service.emit({ credential: 'openai-prod', kind: 'promoted' })
    harness.service.emit({ credential: 'openai', kind: 'revoking', data: { line: 'a\nb' } })
    const messages = await stream.received(3)
    expect(messages.map(({ event, id }) => [event, id])).toEqual([
      ['hello', '0'],
      ['promoted', '1'],
      ['revoking', '2'],
    ])
    expect(messages[0]?.data).toMatchObject({ credential: 'openai', kind: 'hello', generation: 1 })
    expect(messages[1]?.data).toEqual({
      credential: 'openai',
      kind: 'promoted',
      generation: 2,
      at: '2026-01-02T03:04:05.000Z',
      data: { version: 'version-3' },
    })
    expect(messages[2]?.data).toMatchObject({ data: { line: 'a\nb' } })
    stream.close()
  })

  it('replays after a reconnect, each event once and in order, also those that happen meanwhile', async () => {
    const harness = await startServer()
    for (let count = 0; count < 1_200; count += 1) harness.service.emit({ credential: 'openai' })
    let open = () => {}
    harness.service.eventsGate = new Promise((resolve) => {
      open = resolve
    })
    const stream = await openStream(harness, { 'last-event-id': '100' })
    await stream.received(1)
    for (let count = 0; count < 50; count += 1) harness.service.emit({ credential: 'openai' })
    open()
    await stream.received(1 + 1_150)
    harness.service.emit({ credential: 'openai' })
    const messages = await stream.received(1 + 1_151)
    const ids = messages.slice(1).map(({ id }) => Number(id))
    expect(ids).toEqual(Array.from({ length: 1_151 }, (_, index) => 101 + index))
    expect(messages[0]).toMatchObject({ event: 'hello', id: '100' })
    stream.close()
  })

  it('begins now where nothing is to be replayed, and a reconnect from the hello misses nothing', async () => {
    const harness = await startServer()
    harness.service.emit({ credential: 'openai' })
    const first = await openStream(harness)
    const [hello] = await first.received(1)
    expect(hello?.id).toBe('1')
    first.close()
    harness.service.emit({ credential: 'openai', kind: 'outage' })
    const second = await openStream(harness, { 'last-event-id': hello?.id ?? '' })
    const messages = await second.received(2)
    expect(messages.map(({ event, id }) => [event, id])).toEqual([
      ['hello', '1'],
      ['outage', '2'],
    ])
    second.close()
  })

  it('goes on with a ledger that was lost: ids that start again are told to a client that had seen higher ones', async () => {
    const harness = await startServer()
    const stream = await openStream(harness, { 'last-event-id': '900' })
    await stream.received(1)
    harness.service.emit({ credential: 'openai', kind: 'promoted' })
    const messages = await stream.received(2)
    expect(messages.map(({ id }) => id)).toEqual(['0', '1'])
    stream.close()
  })

  it('shows that it is still there', async () => {
    const harness = await startServer({ limits: { heartbeatMs: 150 } })
    const stream = await openStream(harness)
    await until(() => stream.comments.length >= 2)
    expect(stream.messages).toHaveLength(1)
    stream.close()
  })

  it('keeps the lease of a connected instance at the generation it last named', async () => {
    const harness = await startServer({ limits: { heartbeatMs: 30 } })
    const stream = await openStream(harness, { 'keyturn-instance': 'web-1' })
    await until(() => harness.service.touches.length >= 2)
    expect(harness.service.touches[1]).toEqual({
      name: 'openai',
      instance: 'web-1',
      app: 'web',
      generation: 1,
    })
    stream.close()
  })

  it('takes no lease up again that its instance has ended, though its stream is still open', async () => {
    const harness = await startServer({ limits: { heartbeatMs: 30 } })
    const stream = await openStream(harness, { 'keyturn-instance': 'web-1' })
    await until(() => harness.service.touches.length >= 2)
    await harness.send('DELETE', '/v1/credentials/openai/leases/web-1', undefined, bearer(harness.app))
    const [touches, comments] = [harness.service.touches.length, stream.comments.length]
    await until(() => stream.comments.length >= comments + 10)
    expect(harness.service.touches).toHaveLength(touches)
    stream.close()
  })

  it('makes no lease for whom the key is not handed out to, who would hold up the end of an old one', async () => {
    const harness = await startServer({ limits: { heartbeatMs: 30 } })
    const auditor = await harness.tokens.create({ name: 'auditor', credentials: ['*'], grants: ['audit'] })
    const headers = { 'keyturn-instance': 'none', 'keyturn-generation-in-flight': '1' }
    const theirs = await openStream(harness, { ...headers, ...bearer(auditor.token) })
    const stream = await openStream(harness, { 'keyturn-instance': 'web-1' })
    await until(() => harness.service.touches.length >= 2 && theirs.comments.length >= 5)
    expect(new Set(harness.service.touches.map(({ instance }) => instance))).toEqual(new Set(['web-1']))
    theirs.close()
    stream.close()
  })

  it('ends when its token is revoked', async () => {
    const harness = await startServer()
    const stream = await openStream(harness)
    await stream.received(1)
    await harness.tokens.revoke(harness.appId)
    const messages = await stream.received(2)
    expect(messages[1]).toMatchObject({ event: 'bye' })
    await until(() => stream.isEnded())
  })

  it('ends when its token expires', async () => {
    const harness = await startServer({ limits: { heartbeatMs: 150 } })
    const { token } = await harness.tokens.create({
      name: 'brief',
      role: 'app',
      credentials: ['openai'],
      expiresInSeconds: 3_600,
    })
    const stream = await openStream(harness, bearer(token))
    await stream.received(1)
    harness.system.shiftMs += 3_600_000
    await until(() => stream.isEnded())
    expect(stream.messages.at(-1)?.event).toBe('bye')
  })

  it('refuses one more than the limit of a token or of all, and makes room when one closes', async () => {
    const harness = await startServer({ limits: { streamsPerTokenMax: 1, streamsMax: 2 } })
    const first = await openStream(harness)
    await first.received(1)
    const second = await openStream(harness)
    expect(second.response.status).toBe(429)
    const third = await openStream(harness, bearer(harness.operator))
    await third.received(1)
    const fourth = await openStream(harness, bearer(harness.other), 'openai-prod')
    expect(fourth.response.status).toBe(429)
    first.close()
    let status = 429
    while (status === 429) status = (await openStream(harness)).response.status
    expect(status).toBe(200)
  })

  it('cuts off a reader that does not read, says so in the log, and lets it replay', async () => {
    const harness = await startServer({ limits: { streamBufferBytesMax: 10_000 } })
    const gone = new AbortController()
    const unread = await fetch(`${harness.url}/v1/credentials/openai/events`, {
      headers: bearer(harness.app),
      signal: gone.signal,
    })
    const filler = 'x'.repeat(50_000)
    await until(() => {
      harness.service.emit({ credential: 'openai', data: { filler } })
      return harness.logs.some((line) => line.includes('cut off'))
    })
    expect(harness.logs.find((line) => line.includes('cut off'))).toContain('too slow')
    const last = await harness.service.lastEventId('openai')
    const again = await openStream(harness, { 'last-event-id': String(last - 1) })
    expect((await again.received(2))[1]?.id).toBe(String(last))
    again.close()
    expect(unread.bodyUsed).toBe(false)
    gone.abort()
  })

  it('refuses a Last-Event-ID that is none', async () => {
    const harness = await startServer()
    const response = await harness.get('/v1/credentials/openai/events', { 'last-event-id': 'x1' })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toContain('Last-Event-ID')
  })

  it('shows an app only the stream of its own credentials', async () => {
    const harness = await startServer()
    expect((await harness.get('/v1/credentials/openai-prod/events')).status).toBe(404)
    expect((await harness.get('/v1/credentials/openai/events', { authorization: '' })).status).toBe(401)
  })
})

describe('an event stream that ends while it still begins', () => {
  it('is not written to any more', async () => {
    const harness = await startServer()
    harness.service.emit({ credential: 'openai' })
    let open = () => {}
    harness.service.eventsGate = new Promise((resolve) => {
      open = resolve
    })
    const stream = await openStream(harness, { 'last-event-id': '0' })
    await stream.received(1)
    await harness.tokens.revoke(harness.appId)
    open()
    await until(() => stream.isEnded())
    expect(stream.messages.map(({ event }) => event)).toEqual(['hello', 'bye'])
    expect((await harness.send('GET', '/healthz')).status).toBe(200)
    expect(harness.logs).toEqual([])
  })

  it('says that it cannot begin where the ledger cannot be read', async () => {
    const harness = await startServer()
    harness.service.lastEventId = async () => Promise.reject(new TypeError('broken'))
    const stream = await openStream(harness)
    await until(() => stream.isEnded())
    expect(stream.messages.map(({ event }) => event)).toEqual(['bye'])
    expect(harness.logs.some((line) => line.includes('could not begin'))).toBe(true)
  })
})
