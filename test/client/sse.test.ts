import { array, assert, asyncProperty, nat } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../../src/client/limits.ts'
import { readEvents, type StreamEvent } from '../../src/client/sse.ts'

async function* chunks(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

async function eventsOf(parts: readonly (string | Uint8Array)[], lastId = ''): Promise<StreamEvent[]> {
  const events: StreamEvent[] = []
  const bytes = parts.map((part) => (typeof part === 'string' ? new TextEncoder().encode(part) : part))
  for await (const event of readEvents(chunks(bytes), lastId)) if (event !== undefined) events.push(event)
  return events
}

const text =
  ': welcome\r\n\r\nid: 7\r\nevent: promoted\r\ndata: {"a":1,\r\ndata: "ü":2}\r\n\r\n:beat\n\nid:8\ndata:x\n\ndata\n\nretry: 10\n\n'

describe('the event stream', () => {
  it('reads kinds, ids and data of several lines, and skips comments and hints', async () => {
    expect(await eventsOf([text])).toEqual([
      { kind: 'promoted', data: '{"a":1,\n"ü":2}', id: '7', retryMs: undefined },
      { kind: 'message', data: 'x', id: '8', retryMs: undefined },
      { kind: 'message', data: '', id: '8', retryMs: undefined },
    ])
  })

  it('reads the same wherever the chunks are cut', async () => {
    const whole = await eventsOf([text])
    const bytes = new TextEncoder().encode(text)
    await assert(
      asyncProperty(array(nat(bytes.length), { maxLength: 40 }), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
        const parts = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
        expect(await eventsOf(parts)).toEqual(whole)
      }),
    )
  })

  it('tells how long the other side asked to stay away', async () => {
    const [event] = await eventsOf(['event: bye\nretry: 1200\nretry: soon\ndata: {}\n\n'])
    expect(event).toMatchObject({ kind: 'bye', retryMs: 1_200 })
  })

  it('does not deliver an event that was cut off', async () => {
    expect(await eventsOf(['data: whole\n\ndata: ha'])).toHaveLength(1)
  })

  it('keeps the id it was started with until another one comes', async () => {
    expect(await eventsOf(['data: x\n\n'], '41')).toEqual([
      { kind: 'message', data: 'x', id: '41', retryMs: undefined },
    ])
  })

  it('ends on an event that is larger than the limit, however it is cut', async () => {
    const line = `data: ${'x'.repeat(10_000)}\n`
    const parts = Array.from({ length: Math.ceil(limits.eventBytesMax / 10_000) + 1 }, () => line)
    expect(await eventsOf([...parts, '\n'])).toEqual([])
    expect(await eventsOf(['x'.repeat(limits.eventBytesMax + 1), '\n\ndata: y\n\n'])).toEqual([])
  })

  it('ends on an event of more lines than it may have characters', async () => {
    const lines = 'data\n'.repeat(10_000)
    const parts = Array.from({ length: Math.ceil(limits.eventBytesMax / 10_000) + 1 }, () => lines)
    expect(await eventsOf([...parts, '\ndata: y\n\n'])).toEqual([])
  })

  it('lives through any number of comments', async () => {
    const beats = Array.from({ length: 10_000 }, () => ': a comment of some length\n')
    expect(await eventsOf([...beats, 'data: x\n\n'])).toHaveLength(1)
  })
})
