import type { IncomingMessage } from 'node:http'

/** What an issuer needs of `fetch`; the platform's own will do too. */
export type IssuerFetch = (
  url: string,
  init: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly signal: AbortSignal
    readonly redirect: 'manual'
  },
) => Promise<IssuerResponse>

export interface IssuerResponse {
  readonly status: number
  readonly type?: string
  readonly headers: HeaderReader
  readonly body: (AsyncIterable<Uint8Array> & { cancel?(): Promise<void> }) | null
}

export interface HeaderReader {
  /** Names in lower case. */
  get(name: string): string | null
}

/**
 * A fetch over node:http and node:https. Loading what is behind the global one takes a sixth of the time to the first
 * verified key, and some megabytes for as long as the service runs (docs/performance.md); plain requests need neither.
 */
export const httpFetch: IssuerFetch = (url, { method, headers, body, signal }) =>
  new Promise((resolve, reject) => {
    // An `import` of node:http would load all of that too, for the sake of the WebSocket that it exports.
    const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http')
    const outgoing = request(url, { method, headers, signal })
    outgoing.on('response', (answer) => resolve(responseOf(answer)))
    // Stays on: what breaks after the answer began is told to whoever reads its body.
    outgoing.on('error', reject)
    outgoing.end(body)
  })

function responseOf(answer: IncomingMessage): IssuerResponse {
  const status = answer.statusCode ?? 0
  const isRedirect = status >= 300 && status <= 399
  // Nobody follows it, so nobody reads what it says.
  if (isRedirect) answer.destroy()
  return {
    status,
    headers: {
      get: (name) => {
        const value = answer.headers[name]
        return Array.isArray(value) ? value.join(', ') : (value ?? null)
      },
    },
    body: isRedirect ? null : answer,
  }
}
