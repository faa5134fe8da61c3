import { chmodSync } from 'node:fs'
import { lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { isMainThread } from 'node:worker_threads'
import { KeyturnError } from '../core/errors.ts'

export type Listen =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface Listening {
  readonly url: string
  readonly port?: number
}

/** `address_in_use` where somebody else listens there, `config_invalid` where nobody can. */
export async function listenOn(server: Server, listen: Listen): Promise<Listening> {
  if (listen.kind === 'unix') return listenOnSocket(server, listen.path)
  await begin(server, listen, () => server.listen({ host: listen.host, port: listen.port }))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : listen.port
  return { url: `http://${reachable(listen.host)}:${port}`, port }
}

async function listenOnSocket(server: Server, path: string): Promise<Listening> {
  const listen: Listen = { kind: 'unix', path }
  try {
    await begin(server, listen, () => bindPrivately(server, path))
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError) || thrown.code !== 'address_in_use') throw thrown
    // A process that was killed leaves its socket behind; one that lives answers on it.
    if (!(await isStaleSocket(path))) throw thrown
    await unlink(path)
    await begin(server, listen, () => bindPrivately(server, path))
  }
  return { url: `unix:${path}` }
}

/** 0600 from the first moment on: binding happens within `listen`, under the mask. */
function bindPrivately(server: Server, path: string): void {
  // Only the main thread may set the mask; elsewhere the mode follows in the same turn.
  const mask = isMainThread ? process.umask(0o177) : undefined
  try {
    server.listen({ path })
  } finally {
    if (mask !== undefined) process.umask(mask)
  }
  if (server.listening) chmodSync(path, 0o600)
}

function begin(server: Server, listen: Listen, bind: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      server.off('listening', onListening)
      reject(toListenError(error, listen))
    }
    const onListening = () => {
      server.off('error', onError)
      resolve()
    }
    server.once('error', onError)
    server.once('listening', onListening)
    bind()
  })
}

async function isStaleSocket(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() !== true) return false
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
}

function toListenError(error: NodeJS.ErrnoException, listen: Listen): KeyturnError {
  const place = listen.kind === 'unix' ? listen.path : `${listen.host}:${listen.port}`
  if (error.code === 'EADDRINUSE')
    return new KeyturnError('address_in_use', `Something else listens on ${place} already.`, {
      fix: 'Stop it (is keyturn running twice?), or set KEYTURN_LISTEN to another address.',
      cause: error,
    })
  const code = error.code ?? error.name
  return new KeyturnError('config_invalid', `Keyturn cannot listen on ${place} (${code}).`, {
    fix:
      listen.kind === 'unix'
        ? 'Choose a path of at most 100 characters in a folder that this user may write to.'
        : 'Choose an address of this machine and a port above 1023, e.g. KEYTURN_LISTEN=127.0.0.1:7420.',
    cause: error,
  })
}

function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
