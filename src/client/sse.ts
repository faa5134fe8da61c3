import { limits } from './limits.ts'

/** One event of a stream, or a sign of life (a comment, a retry hint) that carries none. */
export interface StreamEvent {
  readonly kind: string
  readonly data: string
  /** The last id seen so far; what a reader reconnects with. */
  readonly id: string
  /** How long to wait before connecting again, in milliseconds, as the other side last asked; not yet bounded. */
  readonly retryMs: number | undefined
}

/**
 * Takes a `text/event-stream` apart (WHATWG HTML, section 9.2, read 2026-11): chunks cut anywhere, even inside a
 * character or between CR and LF; comments; several data lines. Yields undefined for every chunk that completed no
 * event, so that the reader sees that the other side is alive. Ends without a word on an event beyond the size limit.
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  lastId = '',
): AsyncGenerator<StreamEvent | undefined, void, undefined> {
  const decoder = new TextDecoder()
  const parser = createParser(lastId)
  for await (const chunk of body) {
    const events = parser.push(decoder.decode(chunk, { stream: true }))
    if (events === undefined) return
    yield undefined
    yield* events
  }
}

function createParser(lastId: string): { push(text: string): StreamEvent[] | undefined } {
  let rest = ''
  let id = lastId
  let kind = ''
  let data: string[] = []
  let size = 0
  let retryMs: number | undefined

  const end = (): StreamEvent | undefined => {
    const event =
      data.length === 0
        ? undefined
        : { kind: kind === '' ? 'message' : kind, data: data.join('\n'), id, retryMs }
    kind = ''
    data = []
    size = 0
    return event
  }
  const read = (line: string): StreamEvent | undefined => {
    if (line === '') return end()
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
    if (field === 'data') {
      data.push(value)
      // A line of nothing costs something too, and there could be any number of them.
      size += value.length + 1
    } else if (field === 'event') kind = value
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
    else if (field === 'id' && !value.includes('\0')) id = value
    return undefined
  }
  return {
    push(text) {
      const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
      // The last piece is unfinished. So is a CR at the very end: an LF that belongs to it may follow.
      rest = lines.pop() ?? ''
      const events: StreamEvent[] = []
      for (const line of lines) {
        const event = read(line)
        if (event !== undefined) events.push(event)
      }
      return rest.length + size > limits.eventBytesMax ? undefined : events
    },
  }
}
