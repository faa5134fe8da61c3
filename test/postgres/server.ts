import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, lchownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePort } from '../free-port.ts'
import { postgresBinaries } from './binaries.ts'

/** Where a PostgreSQL of the tests is and how its superuser gets in. Survives JSON. */
export interface PostgresAddress {
  readonly host: string
  readonly port: number
  /** The folder of its Unix socket. */
  readonly socket: string
  readonly user: string
  readonly password: string
}

export interface PostgresServer {
  readonly address: PostgresAddress
  /** Ends it within an instant as a crash would, and starts it again on the same data and port. */
  restart(): Promise<void>
  /** Writes a file into the folder of its data, as only it may read them; what it is told by them counts after a restart. */
  put(name: string, text: string): void
  stop(): Promise<void>
}

export interface PostgresOptions {
  readonly isDurable?: boolean
  /** Speaks TLS too, with `server.crt`, `server.key` and `root.crt` (who signs clients), all PEM. */
  readonly tls?: { readonly 'server.crt': string; readonly 'server.key': string; readonly 'root.crt': string }
  /** Lines of pg_hba.conf that go before those of initdb. */
  readonly hba?: readonly string[]
}

const keeper = fileURLToPath(new URL('keeper.ts', import.meta.url))

/**
 * A PostgreSQL of its own on loopback, with its data in the temporary folder. It ends with this process, however that
 * ends: a keeper between the two sees the pipe close.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-pg-'))
  const owner = unprivileged()
  const password = randomBytes(12).toString('hex')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  const binaries = postgresBinaries(folder)
  chmodSync(folder, 0o700)
  if (owner !== undefined) giveTo(owner, folder)
  const data = join(folder, 'data')
  const port = await freePort()
  const user = 'keyturn_admin'
  await run(join(binaries, 'initdb'), owner, folder, [
    `--pgdata=${data}`,
    `--username=${user}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--no-sync',
    '--encoding=UTF8',
    '--locale=C',
  ])
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: folder,
    max_connections: 200,
    shared_buffers: '32MB',
    fsync: options.isDurable === true ? 'on' : 'off',
    full_page_writes: options.isDurable === true ? 'on' : 'off',
    log_min_messages: 'panic',
    ...(options.tls === undefined ? {} : { ssl: 'on', ssl_ca_file: 'root.crt' }),
  }
  const put = (name: string, text: string): void => {
    const path = join(data, name)
    writeFileSync(path, text, { mode: 0o600 })
    if (owner !== undefined) lchownSync(path, owner.uid, owner.gid)
  }
  for (const [name, text] of Object.entries(options.tls ?? {})) put(name, text)
  const hba = readFileSync(join(data, 'pg_hba.conf'), 'utf8')
  put('pg_hba.conf', [...(options.hba ?? []), hba].join('\n'))
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const start = (): Promise<Kept> =>
    keep({ command: join(binaries, 'postgres'), args: ['-D', data, ...flags], owner, folder, port })
  let kept = await start()
  return {
    address: { host: '127.0.0.1', port, socket: folder, user, password },
    async restart() {
      await kept.end('SIGQUIT')
      kept = await start()
    },
    put,
    async stop() {
      await kept.end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Whatever permissions the installation of a package left. */
function giveTo({ uid, gid }: Owner, folder: string): void {
  const inside = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  for (const path of ['', ...inside]) lchownSync(join(folder, path), uid, gid)
}

interface Kept {
  end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

async function keep(order: {
  readonly command: string
  readonly args: readonly string[]
  readonly owner: Owner | undefined
  readonly folder: string
  readonly port: number
}): Promise<Kept> {
  const child = spawn(process.execPath, [keeper], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1' },
  })
  const exited = once(child, 'exit')
  child.stdin.write(`${JSON.stringify(order)}\n`)
  const lines = createInterface({ input: child.stdout })
  const first = (await Promise.race([once(lines, 'line'), exited])) as readonly unknown[]
  if (first[0] !== 'ready') throw new Error(`PostgreSQL did not start: ${String(first[0])}`)
  return {
    async end(signal) {
      child.stdin.end(`${signal}\n`)
      await exited
    },
  }
}

async function run(
  command: string,
  owner: Owner | undefined,
  cwd: string,
  args: readonly string[],
): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], env: {}, ...owner })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${said}`)
}

/** PostgreSQL refuses to run as root: then a user of the system that may do nothing else. */
function unprivileged(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const wanted of ['postgres', 'nobody']) {
    const found = users.find(([name]) => name === wanted)
    if (found !== undefined) return { uid: Number(found[2]), gid: Number(found[3]) }
  }
  throw new Error('There is neither a user postgres nor nobody that PostgreSQL could run as.')
}
