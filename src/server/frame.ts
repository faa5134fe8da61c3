import type { ServerResponse } from 'node:http'

/** A message of an event stream, encoded once for however many streams it goes to. */
export interface Frame {
  /** Of the event; 0 for what is none. */
  readonly id: number
  readonly text: string
  /** The same as a whole chunk of HTTP/1.1 (RFC 9112, 7.1). */
  readonly chunk: Buffer
}

export function frame(text: string, id = 0): Frame {
  const bytes = Buffer.byteLength(text)
  return { id, text, chunk: Buffer.from(`${bytes.toString(16)}\r\n${text}\r\n`) }
}

/**
 * Past the response, straight to its socket: `response.write` encodes the text once more for each stream and makes three
 * writes of each chunk. Not where the response still waits for its turn on the connection, or is not chunked (HTTP/1.0).
 */
export function writeFrame(response: ServerResponse, { text, chunk }: Frame): void {
  const { socket } = response
  if (socket !== null && response.headersSent && response.chunkedEncoding) socket.write(chunk)
  else response.write(text)
}

export function needsDrain(response: ServerResponse): boolean {
  return response.writableNeedDrain || response.socket?.writableNeedDrain === true
}

/** Resolves when there is room again, or nobody left to write to. */
export function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const { socket } = response
    const finish = () => {
      response.off('drain', finish)
      response.off('close', finish)
      socket?.off('drain', finish)
      resolve()
    }
    response.on('drain', finish)
    response.on('close', finish)
    socket?.on('drain', finish)
    if (response.destroyed || !needsDrain(response)) finish()
  })
}
