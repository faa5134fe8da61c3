import { chmodSync, existsSync } from 'node:fs'
import { chmod, chown, lstat, readFile, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'

export type Listen =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Who may connect to a Unix socket. */
export interface SocketFile {
  /** Default: 0600. */
  readonly mode?: number
  /** By name or number. */
  readonly group?: string | number
}

const privateMode = 0o600

export interface Listening {
  readonly url: string
  readonly port?: number
}

/** `address_in_use` where somebody else listens there, `config_invalid` where nobody can. */
export async function listenOn(
  server: Server,
  listen: Listen,
  options: SocketFile & { readonly isTls?: boolean } = {},
): Promise<Listening> {
  if (listen.kind === 'unix') return listenOnSocket(server, listen.path, options)
  await begin(server, listen, () => server.listen({ host: listen.host, port: listen.port }))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : listen.port
  return { url: `${options.isTls === true ? 'https' : 'http'}://${reachable(listen.host)}:${port}`, port }
}

/**
 * Throws what `listenOn` would, for whoever wants to know before it does what cannot be undone. Somebody else may still be
 * quicker between the two.
 */
export async function assertFree(listen: Listen): Promise<void> {
  if (listen.kind === 'tcp') {
    const probe = createServer()
    await begin(probe, listen, () => probe.listen({ host: listen.host, port: listen.port }))
    await new Promise<void>((resolve) => probe.close(() => resolve()))
    return
  }
  const isThere = (await lstat(listen.path).catch(() => undefined)) !== undefined
  if (isThere && !(await isStaleSocket(listen.path)))
    throw toListenError(Object.assign(new Error('taken'), { code: 'EADDRINUSE' }), listen)
}

async function listenOnSocket(server: Server, path: string, file: SocketFile): Promise<Listening> {
  const listen: Listen = { kind: 'unix', path }
  await refuseOpenFolder(dirname(path))
  const group = await groupId(file.group)
  try {
    await begin(server, listen, () => bindPrivately(server, path))
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError) || thrown.code !== 'address_in_use') throw thrown
    // A process that was killed leaves its socket behind; one that lives answers on it.
    if (!(await isStaleSocket(path))) throw thrown
    await unlink(path)
    await begin(server, listen, () => bindPrivately(server, path))
  }
  await openTo(path, { group, mode: file.mode ?? privateMode }).catch((thrown: unknown) => {
    server.close()
    throw thrown
  })
  return { url: `unix:${path}` }
}

/** First the group, then the mode: the other way round, a wrong group could connect for a moment. */
async function openTo(
  path: string,
  { group, mode }: { readonly group: number | undefined; readonly mode: number },
): Promise<void> {
  try {
    if (group !== undefined) await chown(path, -1, group)
    if (mode !== privateMode) await chmod(path, mode)
  } catch (thrown) {
    const what = `The socket ${path} cannot be given to its group (${errnoText(thrown)}).`
    throw new KeyturnError('config_invalid', what, {
      fix: 'Run keyturn as a member of that group, or leave socket.group out.',
      cause: thrown,
    })
  }
}

/** Where everybody may rename and remove what others made, anybody could put their own socket in the place of ours. */
async function refuseOpenFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined)
  // A folder that is not there makes listening fail, and that says so.
  if (found === undefined || (found.mode & 0o002) === 0 || (found.mode & 0o1000) !== 0) return
  throw new KeyturnError('permissions_lax', `Everybody may replace the files in ${folder}, the socket too.`, {
    fix: `chmod o-w ${folder}, or choose another folder for the socket.`,
  })
}

async function groupId(group: string | number | undefined): Promise<number | undefined> {
  if (group === undefined || typeof group === 'number') return group
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  const line = groups.split('\n').find((one) => one.startsWith(`${group}:`))
  const id = Number(line?.split(':')[2])
  if (line !== undefined && Number.isInteger(id)) return id
  throw new KeyturnError('config_invalid', 'The group of the socket is not known on this machine.', {
    fix: 'Correct socket.group, or give its number.',
  })
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
  // The system says EACCES of a folder that is not there.
  const folder = listen.kind === 'unix' ? dirname(listen.path) : undefined
  if (folder !== undefined && !existsSync(folder))
    return new KeyturnError(
      'config_invalid',
      `Keyturn cannot listen on ${place}: there is no folder ${folder}.`,
      {
        fix: `Make it first: mkdir -p -m 700 '${folder}'`,
        cause: error,
      },
    )
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
