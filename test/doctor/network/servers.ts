import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'
import { makeAuthority } from '../../stores/fakes/authority.ts'

/** Names that lead to this machine, as in a hosts file; what is not among them is not found. */
export function namesHere(...names: readonly string[]): LookupFunction {
  return (host, options, callback) => {
    const isHere = names.includes(host) || host === '127.0.0.1' || host === 'localhost'
    if (!isHere) return callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 0)
    if (options.all === true) return callback(null, [{ address: '127.0.0.1', family: 4 }])
    callback(null, '127.0.0.1', 4)
  }
}

export async function listen(server: Server): Promise<number> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined)
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}

/** Whatever a connection is answered with, byte for byte. */
export async function rawServer(onConnection: (socket: Socket) => void): Promise<number> {
  return await listen(createServer(onConnection))
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

export async function httpServer(handle: Handler): Promise<number> {
  return await listen(createHttp(handle))
}

export interface TlsServer {
  readonly port: number
  /** The authority of its certificate, in PEM. */
  readonly authority: string
}

/** `until`: as YYMMDD. */
export async function tlsServer(
  handle: Handler,
  about: { readonly authority?: string; readonly name?: string; readonly until?: string } = {},
): Promise<TlsServer> {
  const authority = makeAuthority(about.authority ?? 'Test Root')
  const name = about.name ?? 'api.openai.com'
  const { cert, key } = authority.issue({ cn: name, dns: [name] }, about.until)
  return { port: await listen(createHttps({ cert, key }, handle)), authority: authority.cert }
}

/** Hands every request on to another server; `change` may take headers away. */
export function forward(
  to: string,
  change: (headers: IncomingMessage['headers']) => void = () => undefined,
): Handler {
  return (incoming, outgoing) => {
    const headers = { ...incoming.headers }
    change(headers)
    const onward = request(`${to}${incoming.url ?? ''}`, { method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  }
}

export interface Proxy {
  readonly port: number
  /** What it was asked to connect to. */
  readonly asked: readonly string[]
  /** The logins that came with it. */
  readonly logins: readonly (string | undefined)[]
}

/** A proxy for CONNECT. `to`: where every tunnel really leads; `status`: what it refuses with. */
export async function connectProxy(about: {
  readonly to?: number
  readonly status?: number
}): Promise<Proxy> {
  const asked: string[] = []
  const logins: (string | undefined)[] = []
  const server = createHttp()
  server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => undefined)
    asked.push(incoming.url ?? '')
    logins.push(incoming.headers['proxy-authorization'])
    if (about.to === undefined || about.status !== undefined)
      return socket.end(`HTTP/1.1 ${about.status ?? 403} No\r\nproxy-authenticate: Basic\r\n\r\n`)
    const onward = connect(about.to, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    socket.on('close', () => onward.destroy())
  })
  return { port: await listen(server), asked, logins }
}

/** A port that nobody listens on: one that was just given back may be taken by whoever runs beside this. */
export const closedPort = 1
