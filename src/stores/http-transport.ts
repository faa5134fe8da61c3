import type { IncomingMessage } from 'node:http'

/** Whom to trust and who to be, all as PEM. Undefined fields: what the platform trusts, and nobody. */
export interface StoreTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** The name in the server's certificate where it is not the one in the address. */
  readonly serverName?: string
}

export interface StoreFetchInit {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  readonly redirect: 'manual'
  readonly tls?: StoreTls
}

/** What drivers without a package need of `fetch`. The platform's own takes no CA file, which these stores live by. */
export type StoreFetch = (url: string, init: StoreFetchInit) => Promise<StoreResponse>

export interface StoreResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: { get(name: string): string | null }
  readonly body: AsyncIterable<Uint8Array> | null
}

/** A fetch over node:http and node:https. Redirects are not followed: a token must not go where an answer points to. */
export const nodeFetch: StoreFetch = (url, { method, headers, body, signal, tls }) =>
  new Promise((resolve, reject) => {
    // An `import` of node:http would load the platform's fetch with it, for the sake of the WebSocket that it exports.
    const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http')
    const { serverName, ...trust } = tls ?? {}
    const servername = serverName === undefined ? {} : { servername: serverName }
    const outgoing = request(url, { method, headers, signal, ...trust, ...servername })
    outgoing.on('response', (answer) => resolve(responseOf(answer)))
    // Stays on: what breaks after the answer began is told to whoever reads its body.
    outgoing.on('error', reject)
    outgoing.end(body)
  })

function responseOf(answer: IncomingMessage): StoreResponse {
  return {
    status: answer.statusCode ?? 0,
    headers: {
      get: (name) => {
        const value = answer.headers[name]
        return Array.isArray(value) ? value.join(', ') : (value ?? null)
      },
    },
    body: answer,
  }
}
