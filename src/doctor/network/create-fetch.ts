import type { IncomingMessage } from 'node:http'
import type { Scope } from './attempt.ts'
import type { Reach } from './reach.ts'
import { send } from './send.ts'

/** Of the form that an issuer takes (issuers/http-fetch.ts). */
type Fetch = (
  url: string,
  init: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly signal: AbortSignal
  },
) => Promise<Fetched>

interface Fetched {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: AsyncIterable<Uint8Array> | null
}

/**
 * A fetch that goes over the proxy, or straight whatever the environment says; every request has a connection of its own.
 * It sends nothing to whoever shows a certificate that is not trusted, and follows no redirect.
 */
export function createFetch(reach: Reach & { readonly proxy?: string | undefined } = {}): Fetch {
  return async (url, { method, headers, body, signal }) => {
    const opened: { destroy(): unknown }[] = []
    const close = () => {
      for (const thing of opened.toReversed()) thing.destroy()
    }
    const scope: Scope = {
      signal,
      owns(thing) {
        opened.push(thing)
        return thing
      },
    }
    signal.addEventListener('abort', close)
    try {
      const answer = await send({ url, method, headers, body, proxy: reach.proxy }, scope, reach)
      const status = answer.statusCode ?? 0
      const isRedirect = status >= 300 && status <= 399
      // Nobody follows it, so nobody reads what it says.
      if (isRedirect) close()
      return {
        status,
        headers: { get: (name) => headerOf(answer, name) },
        body: isRedirect ? null : untilRead(answer, close),
      }
    } catch (thrown) {
      close()
      throw thrown
    }
  }
}

async function* untilRead(answer: IncomingMessage, close: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* answer as AsyncIterable<Uint8Array>
  } finally {
    close()
  }
}

function headerOf(answer: IncomingMessage, name: string): string | null {
  const value = answer.headers[name]
  return Array.isArray(value) ? value.join(', ') : (value ?? null)
}
