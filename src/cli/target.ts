import { join, resolve } from 'node:path'
import type { TlsFiles } from '../client/tls-files.ts'
import { KeyturnError } from '../core/errors.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import { faultOf } from './fault.ts'
import type { Io } from './io.ts'

/** Where the service is: an origin, or a socket on this machine. */
export type Address =
  | { readonly kind: 'url'; readonly url: URL; readonly tls?: ClientTls }
  | { readonly kind: 'unix'; readonly path: string }

/** What an HTTPS connection is made with, as PEM. */
export interface ClientTls {
  /** The authority that signs for the service, in place of those that Node knows. */
  readonly ca?: string
  /** What the command shows of itself. */
  readonly cert?: string
  readonly key?: string
  /** Where they are, for what goes on for long and reads them again. */
  readonly files: TlsFiles
}

export interface Target {
  readonly address: Address
  readonly home: string
  /** Where the address came from, for messages. */
  readonly from: string
}

/**
 * KEYTURN_URL (`http://…`, `https://…` or `unix:PATH`), else KEYTURN_LISTEN, else the address in the configuration file, else the
 * default: so that a command typed beside a running service finds it.
 */
export async function findTarget(io: Io): Promise<Target> {
  const named = nonEmpty(io.env['KEYTURN_URL'])
  if (named !== undefined) {
    return { address: withTls(parseUrl(named, io.cwd), io), home: homeOfEnvironment(io), from: 'KEYTURN_URL' }
  }
  const { locate } = await import('../config/locate.ts')
  const { home, listen, from, isTls } = await locate({ env: io.env, cwd: io.cwd, readFile: io.readFile })
  if (listen.kind === 'unix') return { address: listen, home, from }
  const host = connectable(listen.host)
  if (nonEmpty(io.env['KEYTURN_LISTEN']) === undefined) assertHere(host, from, io)
  const url = new URL(`${isTls ? 'https' : 'http'}://${host}:${listen.port}`)
  return { address: withTls({ kind: 'url', url }, io), home, from }
}

/** An address to listen on is not always one to connect to. */
function connectable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

/** A token is shown to what listens on this machine: whoever wrote the file of a folder may be a stranger. Error: `usage`. */
function assertHere(host: string, from: string, io: Io): void {
  const bare = host.replace(/^\[|\]$/g, '')
  if (isLoopbackHost(host) || io.ownAddresses().includes(bare)) return
  throw new KeyturnError('usage', `${from} listens on ${bare}, which is no address of this machine`, {
    fix: 'Set KEYTURN_URL to the service that you mean.',
  })
}

function parseUrl(text: string, cwd: string): Address {
  if (text.startsWith('unix:')) return { kind: 'unix', path: resolve(cwd, text.slice('unix:'.length)) }
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url === undefined || !isHttp || url.username !== '' || url.password !== '') {
    throw new KeyturnError('usage', 'KEYTURN_URL is no address of a service', {
      fix: 'Set it to http://HOST:PORT, https://HOST or unix:PATH, without user and password.',
    })
  }
  return { kind: 'url', url }
}

const tlsFiles = {
  ca: 'KEYTURN_CA_FILE',
  cert: 'KEYTURN_CLIENT_CERT_FILE',
  key: 'KEYTURN_CLIENT_KEY_FILE',
} as const

function withTls(address: Address, io: Io): Address {
  if (address.kind === 'unix' || address.url.protocol !== 'https:') return address
  const ca = pemNamed(io, tlsFiles.ca)
  const cert = pemNamed(io, tlsFiles.cert)
  const key = pemNamed(io, tlsFiles.key)
  if ((cert === undefined) !== (key === undefined))
    throw new KeyturnError('usage', `${tlsFiles.cert} and ${tlsFiles.key} belong together`, {
      fix: 'Set both, or neither.',
    })
  const tls: ClientTls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    files: {
      ca: pathNamed(io, tlsFiles.ca),
      cert: pathNamed(io, tlsFiles.cert),
      key: pathNamed(io, tlsFiles.key),
    },
  }
  return { ...address, tls }
}

function pemNamed(io: Io, name: string): string | undefined {
  const path = pathNamed(io, name)
  if (path === undefined) return undefined
  const text = nonEmpty(readToken(io, path))
  if (text !== undefined) return text
  throw new KeyturnError('file_unusable', `${name} names ${path}, which is not there or empty`, {
    fix: `Correct ${name}.`,
  })
}

function pathNamed({ env, cwd }: Pick<Io, 'env' | 'cwd'>, name: string): string | undefined {
  const file = nonEmpty(env[name])
  return file === undefined ? undefined : resolve(cwd, file)
}

function homeOfEnvironment(io: Io): string {
  return resolve(io.cwd, nonEmpty(io.env['KEYTURN_HOME']) ?? '.keyturn')
}

export function nonEmpty(text: string | undefined): string | undefined {
  const trimmed = text?.trim()
  return trimmed === '' ? undefined : trimmed
}

// ------------------------------------------------------------------ tokens

export type Role = 'operator' | 'app'

export interface Token {
  /** Empty: none is shown, and the client certificate or the socket says who asks. */
  readonly value: string
  /** Which variable or file it is from, for messages. */
  readonly from: string
  readonly role: Role
}

/** In this order. Reading a credential is all that an app's token may do; an operator's may do that too. */
const places: Readonly<Record<Role, readonly string[]>> = {
  operator: ['KEYTURN_OPERATOR_TOKEN'],
  app: ['KEYTURN_TOKEN', 'KEYTURN_OPERATOR_TOKEN'],
}

const filesInHome: Readonly<Record<Role, readonly string[]>> = {
  operator: ['operator.token'],
  app: ['app.token', 'operator.token'],
}

/** The token from NAME or NAME_FILE of the environment, else from the home folder. Error: `unauthenticated` where none is found. */
export function findToken(io: Io, { home, address }: Pick<Target, 'home' | 'address'>, role: Role): Token {
  for (const name of places[role]) {
    const value = nonEmpty(io.env[name])
    if (value !== undefined) return checked({ value, from: name, role })
    const file = nonEmpty(io.env[`${name}_FILE`])
    if (file === undefined) continue
    const path = resolve(io.cwd, file)
    const text = nonEmpty(readToken(io, path))
    if (text === undefined) {
      throw new KeyturnError('unauthenticated', `${name}_FILE names ${path}, which is not there or empty`, {
        fix: `Correct ${name}_FILE.`,
      })
    }
    return checked({ value: text, from: path, role })
  }
  for (const file of filesInHome[role]) {
    const path = join(home, file)
    const text = nonEmpty(isKnownWithout(address) ? readIfMine(io, path) : readToken(io, path))
    if (text !== undefined) return checked({ value: text, from: path, role })
  }
  if (isKnownWithout(address)) return { value: '', from: 'none: the connection says who asks', role }
  // Of several replicas only the first has such a file.
  const another =
    role === 'operator' ? '; or make one there: keyturn token create NAME --role operator --local' : ''
  throw new KeyturnError('unauthenticated', `no ${role} token was found in the environment or in ${home}`, {
    fix: `Set ${places[role][0]} or ${places[role][0]}_FILE, or run the command in the folder where the service was started (KEYTURN_HOME)${another}.`,
  })
}

/** A client certificate is shown, or the service sees who connects to its socket. */
function isKnownWithout(address: Address): boolean {
  return address.kind === 'unix' || address.tls?.cert !== undefined
}

/** Another user's token beside a socket that lets everybody in is no reason not to ask. */
function readIfMine(io: Io, path: string): string | undefined {
  try {
    return io.readFile(path)
  } catch {
    return undefined
  }
}

function readToken(io: Io, path: string): string | undefined {
  try {
    return io.readFile(path)
  } catch (error) {
    throw faultOf(error, 'reading the token failed')
  }
}

/** A header takes no line breaks, and Node's error about one would quote the token. */
function checked(token: Token): Token {
  if (/^[\u0021-\u007e]{1,8192}$/.test(token.value)) return token
  throw new KeyturnError('unauthenticated', `what stands in ${token.from} is no token`, {
    fix: 'It must be one line of printable characters, as `keyturn token create` prints it.',
  })
}
