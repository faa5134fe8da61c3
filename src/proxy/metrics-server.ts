import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AdmissionRules } from './admission.ts'
import { readHead } from './request-head.ts'

export interface MetricsServerOptions {
  readonly hosts: AdmissionRules['hosts']
  /** The metrics of now as text. */
  readonly write: () => Promise<{ readonly type: string; readonly text: string }>
}

/**
 * What a scraper asks, on an address of its own: it has no token of Keyturn, and what it reads are names of apps, fingerprints
 * and counts. Nothing else of the proxy is reached through it.
 */
export function createMetricsServer({ hosts, write }: MetricsServerOptions): Server {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const head = readHead(request.rawHeaders)
    const isAllowed =
      head.host !== undefined && hosts.allows(head.host, request.socket.localAddress) && !head.isFromBrowser
    if (!isAllowed || request.method !== 'GET') return end(response, isAllowed ? 405 : 403, '')
    if (request.url === '/healthz') return end(response, 200, 'ok\n')
    if (request.url !== '/metrics') return end(response, 404, '')
    const { type, text } = await write()
    end(response, 200, text, type)
  }
  return createServer(
    { requireHostHeader: false, requestTimeout: 10_000, headersTimeout: 10_000 },
    (request, response) => {
      request.resume()
      answer(request, response).catch(() => end(response, 500, ''))
    },
  )
}

function end(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, [
    'Content-Type',
    type,
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
  ])
  response.end(text)
}
