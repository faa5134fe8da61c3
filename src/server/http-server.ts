import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Log, System } from '../core/ports.ts'
import type { CertificateWay } from './auth/certificates.ts'
import type { ServerLimits } from './limits.ts'
import { readTls, serverTls, type TlsOptions, watchTls } from './tls.ts'

export interface HttpServerOptions {
  readonly tls?: TlsOptions
  readonly certificates?: Pick<CertificateWay, 'opened' | 'forget'>
  readonly system: System
  readonly log: Log
  readonly limits: ServerLimits
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void
}

/** A server that speaks HTTP or, with certificates that are read again when they change, HTTPS. */
export async function openHttpServer(
  options: HttpServerOptions,
): Promise<{ readonly server: Server; readonly stopWatching: () => void }> {
  const { tls, system, log, limits, onRequest } = options
  // An `import` of node:http loads undici as well, for the WebSocket that it exports: 25 ms before the first key.
  if (tls === undefined) {
    const server = process.getBuiltinModule('node:http').createServer(httpOptions(limits), onRequest)
    return { server, stopWatching: () => {} }
  }
  const material = await readTls(tls)
  const server = process
    .getBuiltinModule('node:https')
    .createServer({ ...httpOptions(limits), ...serverTls(tls, material) }, onRequest)
  server.on('connection', (socket: Socket) => options.certificates?.opened(socket))
  const onClientCa = (): void => {
    options.certificates?.forget()
    // Clients that use them come back at once and show their certificate to the new authorities.
    server.closeIdleConnections()
  }
  return { server, stopWatching: watchTls({ server, options: tls, material, system, log, onClientCa }) }
}

function httpOptions(limits: ServerLimits) {
  return {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // How often the two timeouts above are looked after.
    connectionsCheckingInterval: Math.max(50, Math.min(2_000, limits.headersTimeoutMs / 2)),
    // Our own check answers with a problem that says what is missing.
    requireHostHeader: false,
    noDelay: true,
    // A request without a body gets no stream that would have to be read to its end: a fifth of what Node does for a
    // hand-out. Nobody here listens to a request; whether a caller went away is asked of its response. (Node 22 leaves it out.)
    optimizeEmptyRequests: true,
  }
}

export function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return sockets
}
