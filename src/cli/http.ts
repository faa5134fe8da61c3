import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { trust } from '../client/quiet-send.ts'
import { tlsFixes } from '../client/tls-fixes.ts'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Address } from './target.ts'

/** Node's own request and not fetch, since it also speaks through a socket file. Redirects are not followed: they would carry the token away. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly token: string
  readonly body?: unknown
  readonly accept?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** No word on the connection for this long, and the answer is given up. Verification may take a while. */
const silenceMs = 60_000
/** Ten thousand credentials with their versions. */
const replyBytesMax = 128 * 1_048_576

/** The whole answer. Errors: `service_unreachable`, `service_malformed`, `timeout`. */
export async function send(address: Address, call: Call): Promise<Reply> {
  const message = await open(address, call, silenceMs)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of message) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > replyBytesMax) {
        message.destroy()
        throw new KeyturnError('service_malformed', `${nameOf(address)} answered with more than fits`, {
          fix: 'Check that this is the address of Keyturn.',
        })
      }
      chunks.push(bytes)
    }
  } catch (error) {
    throw error instanceof KeyturnError ? error : unreachable(address, error)
  }
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}

/** The answer as it begins; its body is still to be read. `idleMs`: how long the connection may be silent. */
export function open(address: Address, call: Call, idleMs: number): Promise<IncomingMessage> {
  const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body))
  const isTls = address.kind === 'url' && address.url.protocol === 'https:'
  return new Promise<IncomingMessage>((resolve, reject) => {
    const request = (isTls ? httpsRequest : httpRequest)(
      {
        ...destination(address),
        ...(address.kind === 'url' ? { ...address.tls, ...trust(address.tls ?? {}) } : {}),
        path: prefixOf(address) + call.path,
        method: call.method,
        agent: false,
        timeout: idleMs,
        ...(call.signal === undefined ? {} : { signal: call.signal }),
        headers: {
          accept: call.accept ?? 'application/json',
          ...(call.token === '' ? {} : { authorization: `Bearer ${call.token}` }),
          'user-agent': 'keyturn-cli',
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': body.length }),
          ...call.headers,
        },
      },
      resolve,
    )
    request.on('timeout', () => request.destroy(new KeyturnError('timeout', timeoutText(address, idleMs))))
    request.on('error', (error) =>
      reject(error instanceof KeyturnError ? error : unreachable(address, error)),
    )
    request.end(body)
  }).catch((thrown: unknown) => {
    throw isOfTlsFiles(thrown) ? tlsFilesUnusable(thrown) : thrown
  })
}

/** Thrown before anything is sent, where a file is no PEM or two do not belong together. */
function isOfTlsFiles(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('ERR_OSSL_')
}

function tlsFilesUnusable(thrown: NodeJS.ErrnoException): KeyturnError {
  return new KeyturnError('file_unusable', `the files of the connection cannot be used (${thrown.code})`, {
    fix: 'KEYTURN_CLIENT_CERT_FILE and KEYTURN_CLIENT_KEY_FILE name a certificate and the key that belongs to it, KEYTURN_CA_FILE an authority; all are PEM.',
    cause: thrown,
  })
}

function timeoutText(address: Address, idleMs: number): string {
  return `${nameOf(address)} did not answer within ${idleMs / 1_000} s`
}

function destination(address: Address): { socketPath?: string; host?: string; port?: string } {
  if (address.kind === 'unix') return { socketPath: address.path, host: 'localhost' }
  const { hostname, port } = address.url
  return { host: hostname.replace(/^\[|\]$/g, ''), ...(port === '' ? {} : { port }) }
}

/** A service behind a proxy may have a path of its own before its routes, as for apps. */
function prefixOf(address: Address): string {
  return address.kind === 'unix' ? '' : address.url.pathname.replace(/\/+$/, '')
}

export function nameOf(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : address.url.origin + prefixOf(address)
}

/** Nobody listens: by far the most common reason is that the service was not started. */
export function unreachable(address: Address, error: unknown): KeyturnError {
  const code = errnoOf(error) ?? ''
  const isNobody = ['ECONNREFUSED', 'ENOENT', 'ECONNRESET'].includes(code)
  const reason = code === '' ? 'the connection failed' : code
  return new KeyturnError('service_unreachable', `no Keyturn answers at ${nameOf(address)} (${reason})`, {
    fix: isNobody
      ? 'Start it: npm start (the sandbox) or keyturn serve; or set KEYTURN_URL to where it runs.'
      : (fixes[code] ?? 'Check KEYTURN_URL and the network between.'),
    retryable: true,
    cause: error,
  })
}

const fixes: Readonly<Record<string, string>> = {
  ...tlsFixes,
  EACCES: 'Only the user that runs the service may use its socket: run the command as that user.',
  ENOTFOUND: 'Nobody knows a host of this name: check KEYTURN_URL.',
}
