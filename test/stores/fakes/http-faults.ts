import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/**
 * What a network and a server can do to a request.
 * lost: carried out, and no answer ever comes. broken: carried out, and the connection breaks. hang and reset are the
 * same without being carried out. slow_down is a 429 that asks to come back in a second. The rest is an answer in place
 * of the real one.
 */
export type HttpFaultKind =
  | 'lost'
  | 'broken'
  | 'hang'
  | 'reset'
  | 'proxy_page'
  | 'huge'
  | 'slow_down'
  | number

export interface HttpFaults {
  /** The next `times` requests (default 1) for which `on` holds (default all). */
  fault(
    kind: HttpFaultKind,
    options?: {
      readonly on?: (line: string) => boolean
      readonly times?: number
      /** Lets so many of them through first. */
      readonly after?: number
    },
  ): void
  /** Lets so many requests through, and then hits one. */
  faultAfter(requests: number, kind: HttpFaultKind): void
  clear(): void
  /** Called for each request that gets no answer, when it is taken. */
  onHeld(listener: () => void): void
  /** For the server: the fault that hits this request. */
  take(line: string): HttpFaultKind | undefined
}

export function createFaults(): HttpFaults {
  const holds: (() => void)[] = []
  const planned: { kind: HttpFaultKind; on: (line: string) => boolean; left: number; wait: number }[] = []
  return {
    fault: (kind, { on = () => true, times = 1, after = 0 } = {}) =>
      void planned.push({ kind, on, left: times, wait: after }),
    faultAfter: (wait, kind) => void planned.push({ kind, on: () => true, left: 1, wait }),
    clear: () => void planned.splice(0),
    onHeld: (listener) => void holds.push(listener),
    take(line) {
      for (const each of planned) {
        if (each.left === 0 || !each.on(line)) continue
        if (each.wait > 0) {
          each.wait -= 1
          continue
        }
        each.left -= 1
        if (each.kind === 'lost' || each.kind === 'hang') for (const listener of holds) listener()
        return each.kind
      }
      return undefined
    },
  }
}

/** True where no answer of the service itself shall follow and nothing is to be carried out. */
export function failInstead(
  kind: HttpFaultKind,
  response: ServerResponse,
  bodyOf: (status: number) => unknown,
): boolean {
  if (typeof kind === 'number') {
    const asked = kind === 429 ? { 'retry-after': '0' } : {}
    const moved = kind === 307 ? { location: 'http://127.0.0.1:1/elsewhere' } : {}
    response.writeHead(kind, { 'content-type': 'application/json', ...asked, ...moved })
    response.end(JSON.stringify(bodyOf(kind)))
  } else if (kind === 'slow_down') {
    response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '1' })
    response.end(JSON.stringify(bodyOf(429)))
  } else if (kind === 'reset') response.destroy()
  else if (kind === 'proxy_page')
    response.writeHead(502, { 'content-type': 'text/html' }).end('<html><body>Bad gateway</body></html>')
  else if (kind === 'huge') response.writeHead(200).end('x'.repeat(5_000_000))
  return kind !== 'lost' && kind !== 'broken'
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

export async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => void server.close(() => resolve()))
}
