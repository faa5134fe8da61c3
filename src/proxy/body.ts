import type { IncomingMessage } from 'node:http'
import type { Timers } from '../core/ports.ts'
import type { ProxyLimits } from './limits.ts'

/** A request's body on its way up. */
export type Body =
  | { readonly kind: 'none' }
  /** All of it, so that it can be sent twice. */
  | { readonly kind: 'kept'; readonly bytes: Buffer; readonly release: () => void }
  /** Sent as it comes, once. */
  | { readonly kind: 'passing'; readonly chunks: AsyncIterable<Buffer>; readonly length: number | undefined }

export class BodyTooLarge extends Error {}

/** The room for kept bodies of all requests together. */
export interface Room {
  take(bytes: number): boolean
  give(bytes: number): void
}

export function createRoom(bytesMax: number): Room {
  let taken = 0
  return {
    take(bytes) {
      if (taken + bytes > bytesMax) return false
      taken += bytes
      return true
    },
    give(bytes) {
      taken -= bytes
    },
  }
}

export interface BodyOptions {
  readonly request: IncomingMessage
  /** As it came; undefined with a chunked body. */
  readonly length: number | undefined
  readonly room: Room
  readonly limits: Pick<ProxyLimits, 'bodyBytesMax' | 'bufferBytesMax' | 'smallBytesMax'>
}

/**
 * Takes a body in. One that fits is kept, and sent in one piece; a longer one goes on as it comes, after what was read of
 * it so far. `onBody` is called once, with an error where it is too long or its sender is gone.
 */
export function takeBody(options: BodyOptions, onBody: (body: Body | Error) => void): void {
  const { request, length, room, limits } = options
  if (length === 0) {
    onBody({ kind: 'none' })
    return
  }
  const bytesMax = length ?? limits.bufferBytesMax
  // Whoever asks for all the room and sends nothing takes none of what everybody needs.
  const roomBytes = bytesMax <= limits.smallBytesMax ? 0 : bytesMax
  if (bytesMax > limits.bufferBytesMax || !room.take(roomBytes)) {
    onBody({ kind: 'passing', chunks: passing([], options), length })
    return
  }
  const chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes <= bytesMax) return
    request.pause()
    finish({ kind: 'passing', chunks: passing(chunks, options), length })
  }
  const onEnd = () => {
    let isKept = true
    const release = () => {
      if (isKept) room.give(roomBytes)
      isKept = false
    }
    const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
    finish({ kind: 'kept', bytes: whole ?? Buffer.alloc(0), release })
  }
  const onGone = () => finish(new Error('the caller is gone'))
  const finish = (body: Body | Error) => {
    request.off('data', onData)
    request.off('end', onEnd)
    request.off('close', onGone)
    if (body instanceof Error || body.kind === 'passing') room.give(roomBytes)
    onBody(body)
  }
  request.on('data', onData)
  request.on('end', onEnd)
  request.on('close', onGone)
}

/** The first pieces, then the rest as it is asked for: whoever sends waits while the upstream takes nothing. */
async function* passing(first: readonly Buffer[], options: BodyOptions): AsyncGenerator<Buffer> {
  const { request, limits } = options
  let bytes = 0
  const counted = (chunk: Buffer): Buffer => {
    bytes += chunk.length
    if (bytes > limits.bodyBytesMax) throw new BodyTooLarge()
    return chunk
  }
  for (const chunk of first) yield counted(chunk)
  // Left where the upstream answers early; the caller's connection must then live on for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) yield counted(chunk as Buffer)
}

export interface DrainOptions {
  readonly limits: Pick<ProxyLimits, 'drainBytesMax' | 'drainTimeoutMs'>
  readonly timers: Timers
}

/** Reads on for a while what nobody wants, so that its sender gets to read the answer; then the connection ends. */
export function drain(request: IncomingMessage, options: DrainOptions): void {
  if (request.complete) return
  const { limits, timers } = options
  let bytes = 0
  const cancel = timers.after(limits.drainTimeoutMs, () => request.socket.destroy())
  request.once('end', cancel).once('close', cancel)
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.drainBytesMax) request.socket.destroy()
  })
  request.resume()
}
