type Input = Parameters<typeof globalThis.fetch>[0]
type Init = Parameters<typeof globalThis.fetch>[1]

/** A request before it is sent, as far as the refreshing fetch looks at it. */
export interface Outgoing {
  readonly origin: string
  /** The key it carries. */
  readonly key: string
  readonly headers: Headers
  readonly signal: AbortSignal | undefined
}

/** What to hand to fetch. */
export type Sending = readonly [Input, Init]

/** Looks at a request without touching it; undefined where it carries no key. */
export function outgoing(input: Input, init: Init): Outgoing | undefined {
  const request = requestOf(input)
  const address = request?.url ?? (input as string | URL).toString()
  const headers = new Headers(init?.headers ?? request?.headers)
  const key = /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1]
  if (key === undefined || !URL.canParse(address)) return undefined
  const signal = init?.signal ?? request?.signal
  return { origin: new URL(address).origin, key, headers, signal }
}

/**
 * How to send the same again with another key; undefined where the body can be sent only once. Call it before the first
 * sending: a Request that holds its body is used up by it, so a copy is made. A stream is never kept in memory for a
 * second time.
 */
export function replayOf(input: Input, init: Init, headers: Headers): ((key: string) => Sending) | undefined {
  const body = init?.body
  const isInline = body !== undefined && body !== null
  if (isInline && !isReplayable(body)) return undefined
  const request = requestOf(input)
  if (request?.bodyUsed === true) return undefined
  const spare = request === undefined || isInline ? input : request.clone()
  return (key) => {
    const changed = new Headers(headers)
    changed.set('authorization', `Bearer ${key}`)
    return [spare, { ...init, headers: changed }]
  }
}

/** By shape: other copies of fetch than the global one have Requests of their own class. */
function requestOf(input: Input): Request | undefined {
  return typeof input === 'object' && 'url' in input ? input : undefined
}

function isReplayable(body: unknown): boolean {
  return (
    typeof body === 'string' ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob
  )
}
