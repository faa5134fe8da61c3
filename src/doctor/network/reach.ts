import { once } from 'node:events'
import { request } from 'node:http'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { rootCertificates, connect as secure, type TLSSocket } from 'node:tls'
import { type Scope, StepFailed } from './attempt.ts'

/** How names are resolved and whom to trust, where it is not as Node does it. */
export interface Reach {
  /** Default: the system's, as programs have it. */
  readonly lookup?: LookupFunction
  /** Authorities in PEM that are trusted besides those that Node trusts. */
  readonly trusted?: readonly string[]
}

export interface Target {
  readonly host: string
  readonly port: number
  /** Over this proxy; undefined: straight. */
  readonly proxy?: string | undefined
}

/** A connection to the target: plain, or through a tunnel of the proxy. IPv4 and IPv6 race where the name has both. */
export async function dial({ host, port, proxy }: Target, scope: Scope, reach: Reach): Promise<Socket> {
  if (proxy !== undefined) return await tunnel(new URL(proxy), { host, port }, scope, reach)
  const socket = scope.owns(
    connect({
      host: bare(host),
      port,
      autoSelectFamily: true,
      ...(reach.lookup === undefined ? {} : { lookup: reach.lookup }),
    }),
  )
  await ready(socket, 'connect', scope)
  return socket
}

export interface Handshake {
  readonly host: string
  /** A certificate that is not trusted ends it, unless this is said. */
  readonly acceptsAny: boolean
}

/** The handshake over a connection that is there. Whatever NODE_TLS_REJECT_UNAUTHORIZED says: it counts for nobody here. */
export async function shake(
  socket: Socket,
  { host, acceptsAny }: Handshake,
  scope: Scope,
  reach: Reach,
): Promise<TLSSocket> {
  const name = bare(host)
  const encrypted = scope.owns(
    secure({
      socket,
      host: name,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: !acceptsAny,
      ...(reach.trusted === undefined ? {} : { ca: [...rootCertificates, ...reach.trusted] }),
    }),
  )
  await ready(encrypted, 'secureConnect', scope)
  return encrypted
}

async function tunnel(proxy: URL, target: Target, scope: Scope, reach: Reach): Promise<Socket> {
  const isSecure = proxy.protocol === 'https:'
  const port = Number(proxy.port) || (isSecure ? 443 : 80)
  const plain = await dial({ host: proxy.hostname, port }, scope, reach)
  const socket = isSecure
    ? await shake(plain, { host: proxy.hostname, acceptsAny: false }, scope, reach)
    : plain
  const login = loginOf(proxy)
  const path = `${target.host}:${target.port}`
  const asked = scope.owns(
    request({
      createConnection: () => socket,
      method: 'CONNECT',
      path,
      setHost: false,
      headers: { host: path, ...(login === undefined ? {} : { 'proxy-authorization': login }) },
    }),
  )
  asked.end()
  const [answer, through, head] = (await ready(asked, 'connect', scope)) as [
    { statusCode?: number },
    Socket,
    Buffer,
  ]
  if (answer.statusCode !== 200) throw new StepFailed(`PROXY_${answer.statusCode ?? 0}`)
  if (head.length > 0) through.unshift(head)
  return through
}

function loginOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Waits for one event. An error that comes later is nobody's any more, and must not end the process. */
export async function ready(
  emitter: Pick<NodeJS.EventEmitter, 'on'>,
  event: string,
  { signal }: Pick<Scope, 'signal'>,
): Promise<unknown[]> {
  emitter.on('error', () => undefined)
  return await once(emitter as NodeJS.EventEmitter, event, { signal })
}

/** Without the brackets that an IPv6 address has in a URL. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}
