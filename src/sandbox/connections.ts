// Which connections are open, and how all of them are closed.

import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Services } from './call.ts'
import { limits } from './defaults.ts'

export interface Connections {
  begin(socket: Socket, response: ServerResponse): void
  endIdle(): void
}

/**
 * Knows which connections are between two requests. Node closes those it has seen a request on, but not one that was
 * only opened, as clients do ahead of need; a close would wait for it.
 */
export function trackConnections(server: Server, closing: AbortSignal): Connections {
  const underWay = new Map<Socket, number>()
  const endIfIdle = (socket: Socket) => {
    if (underWay.get(socket) === 0) socket.destroySoon()
  }
  server.on('connection', (socket: Socket) => {
    underWay.set(socket, 0)
    socket.once('close', () => underWay.delete(socket))
    if (closing.aborted) endIfIdle(socket)
  })
  return {
    begin: (socket, response) => {
      underWay.set(socket, (underWay.get(socket) ?? 0) + 1)
      response.once('close', () => {
        if (!underWay.has(socket)) return
        underWay.set(socket, (underWay.get(socket) ?? 1) - 1)
        if (closing.aborted) endIfIdle(socket)
      })
    },
    endIdle: () => {
      for (const socket of underWay.keys()) endIfIdle(socket)
    },
  }
}

/** Slow streams are written to their end at once, hanging requests are cut, then every connection is closed. */
export async function closeServer(parts: {
  server: Server
  closing: AbortController
  services: Services
  connections: Connections
}): Promise<void> {
  const { server, closing, services, connections } = parts
  closing.abort()
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  connections.endIdle()
  const inTime = new AbortController()
  const grace = services.sleep(limits.closeGraceMs, inTime.signal).then(() => server.closeAllConnections())
  await closed
  inTime.abort()
  await grace
  services.world.save()
}
