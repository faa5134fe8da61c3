import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { type Body, createRoom, type Room, takeBody } from '../../src/proxy/body.ts'

const limits = { bodyBytesMax: 1_000, bufferBytesMax: 100, smallBytesMax: 10 }

/** A body on its way, into a room of 100 bytes. */
function sending(length: number | undefined, room: Room) {
  const stream = new PassThrough()
  const taken: (Body | Error)[] = []
  takeBody({ request: stream as unknown as IncomingMessage, length, room, limits }, (body) =>
    taken.push(body),
  )
  return { stream, taken }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('the room for kept bodies', () => {
  it('is taken by a longer body until it is let go of, once', async () => {
    const room = createRoom(100)
    const { stream, taken } = sending(100, room)
    stream.end(Buffer.alloc(100))
    await turns()
    expect(taken).toMatchObject([{ kind: 'kept' }])
    expect(room.take(1)).toBe(false)
    const [body] = taken
    for (const _twice of [1, 2]) if (body !== undefined && 'release' in body) body.release()
    expect([room.take(100), room.take(1)]).toEqual([true, false])
  })

  it('is given back by one whose sender is gone, or that turns out too long to be kept', async () => {
    const room = createRoom(100)
    const gone = sending(100, room)
    gone.stream.write(Buffer.alloc(50))
    gone.stream.destroy()
    await turns()
    expect(gone.taken).toEqual([expect.any(Error)])
    const long = sending(undefined, room)
    long.stream.write(Buffer.alloc(101))
    await turns()
    expect(long.taken).toMatchObject([{ kind: 'passing' }])
    expect(room.take(100)).toBe(true)
  })

  it('is not needed by short ones, and whoever finds it full goes through unkept', async () => {
    const room = createRoom(100)
    expect(room.take(100)).toBe(true)
    const short = sending(10, room)
    short.stream.end(Buffer.alloc(10))
    const long = sending(11, room)
    await turns()
    expect([short.taken, long.taken]).toMatchObject([[{ kind: 'kept' }], [{ kind: 'passing', length: 11 }]])
  })
})
