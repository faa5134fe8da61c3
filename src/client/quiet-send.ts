import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { Send, WireRequest } from './wire.ts'

/**
 * An exchange whose connection does not keep the process alive. The global fetch cannot do that: while an answer is
 * open, its socket holds the event loop, and an app that only wanted one key would never end. node:http lets go of
 * the socket; it is loaded when the first background call is made.
 */
export const quietSend: Send = quietSendBy({})

/** How a service is reached that its URL alone does not lead to. */
export interface Way {
  /** A Unix socket; the host of the URL is then only what stands in the header. */
  readonly socketPath?: string
  /** Of an HTTPS connection, as PEM: the authority that signs for the service, and what the client shows of itself. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** The same by another way. */
export function quietSendBy(way: Way): Send {
  return async (request) => {
    const { url, signal } = request
    signal.throwIfAborted()
    const open = await (url.protocol === 'https:' ? import('node:https') : import('node:http'))
    const answer = await exchange(open.request, request, way)
    return {
      status: answer.statusCode ?? 0,
      header: (name) => {
        const value = answer.headers[name.toLowerCase()]
        return Array.isArray(value) ? value.join(', ') : (value ?? null)
      },
      body: answer,
    }
  }
}

function exchange(
  open: (url: URL, options: RequestOptions) => ClientRequest,
  { url, method, headers, body, signal }: WireRequest,
  way: Way,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // A connection of its own: one that is shared would be held and let go of by whoever uses it next.
    const request = open(url, { ...way, ...trust(way), method, headers, signal, agent: false })
    request.once('socket', (socket) => socket.unref())
    request.once('response', resolve)
    // Stays on: an abort after the answer began also shows here, and the answer's reader is told by its own error.
    request.on('error', reject)
    request.end(body)
  })
}

/** An authority that is named is the only one, also where NODE_TLS_REJECT_UNAUTHORIZED lets the process believe anybody. */
export function trust({ ca }: Pick<Way, 'ca'>): RequestOptions & { readonly rejectUnauthorized?: boolean } {
  return ca === undefined ? {} : { rejectUnauthorized: true }
}
