import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { repository } from './builder.ts'
import type { Compose, Service } from './compose.ts'
import { type Ran, tried } from './programs.ts'
import type { Unpacked } from './unpacked.ts'

/** A service of a compose file, run by runc as Docker Compose would have it run. */
export interface Container {
  readonly name: string
  /** Runs a program in it, as its user. */
  exec(command: readonly string[]): Ran
  /** What the image or the compose file asks, to know whether it is well. */
  isHealthy(): boolean
  said(): string
  /** Sends a signal to its first process and waits for the end. */
  stop(signal: string): Promise<number | null>
  readonly ended: Promise<number | null>
}

export interface Ground {
  readonly folder: string
  readonly image: Unpacked
  readonly compose: Compose
  readonly running: Map<string, Container>
}

interface Mount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options?: readonly string[]
}

export function start(ground: Ground, name: string): Container {
  const service = ground.compose.services[name]
  if (service === undefined) throw new Error(`The compose files have no service ${name}.`)
  const bundle = join(ground.folder, 'bundles', name)
  mkdirSync(bundle, { recursive: true })
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(specOf(ground, service)))
  const runc = ['runc', '--root', join(ground.folder, 'runc')]
  const logFile = join(bundle, 'log')
  const log = openSync(logFile, 'w')
  const args = [...runc.slice(1), 'run', '--bundle', bundle, name]
  const child = spawn('runc', args, { stdio: ['ignore', log, log] })
  closeSync(log)
  const ended = endOf(child)
  const exec = (command: readonly string[]): Ran =>
    tried([...runc, 'exec', name, ...command], { timeoutMs: 30_000 })
  const [, ...check] = service.healthcheck?.test ?? ground.image.config.Healthcheck.Test
  const container: Container = {
    name,
    exec,
    isHealthy: () => exec(check).code === 0,
    said: () => readFileSync(logFile, 'utf8'),
    async stop(signal) {
      tried([...runc, 'kill', name, signal])
      return ended
    },
    ended,
  }
  ground.running.set(name, container)
  return container
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

/** Whatever is left of it, also after a failure. */
export async function endAll({ running, folder }: Ground): Promise<void> {
  for (const container of [...running.values()].toReversed()) {
    await container.stop('KILL')
    tried(['runc', '--root', join(folder, 'runc'), 'delete', '--force', container.name])
  }
}

function specOf(ground: Ground, service: Service): object {
  const { config, root } = ground.image
  const [uid, gid] = (service.user ?? config.User).split(':').map(Number)
  const isBare = service.cap_drop?.includes('ALL') === true
  if (!isBare) throw new Error('Only services without capabilities are run here.')
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid },
      args: [...(service.entrypoint ?? config.Entrypoint), ...(service.command ?? config.Cmd)],
      env: [...config.Env, ...Object.entries(service.environment ?? {}).map((pair) => pair.join('='))],
      cwd: config.WorkingDir,
      capabilities: {},
      noNewPrivileges: service.security_opt?.includes('no-new-privileges:true') === true,
      rlimits: service.ulimits?.core === 0 ? [{ type: 'RLIMIT_CORE', hard: 0, soft: 0 }] : [],
    },
    root: { path: root, readonly: service.read_only === true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ...(service.tmpfs ?? []).map((destination) => ({
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'nodev', 'noexec', 'mode=1777', 'size=64m'],
      })),
      ...(service.volumes ?? []).map((text) => volumeOf(ground, text)),
      ...(service.secrets ?? []).map((secret) =>
        bind(secretFile(ground, secret), `/run/secrets/${secret}`, true),
      ),
    ],
    linux: {
      namespaces: [...['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })), networkOf(ground, service)],
      resources: { pids: { limit: service.pids_limit ?? 0 } },
    },
  }
}

/** A network of its own, in which there is nothing but loopback, or that of another service. */
function networkOf({ folder }: Ground, { network_mode: mode = '' }: Service): object {
  if (!mode.startsWith('service:')) return { type: 'network' }
  const { out } = tried(['runc', '--root', join(folder, 'runc'), 'state', mode.slice('service:'.length)])
  const { pid } = JSON.parse(out) as { readonly pid: number }
  return { type: 'network', path: `/proc/${pid}/ns/net` }
}

function bind(source: string, destination: string, isReadOnly: boolean): Mount {
  return {
    destination,
    type: 'bind',
    source,
    options: ['rbind', isReadOnly ? 'ro' : 'rw', 'nosuid', 'nodev'],
  }
}

function volumeOf(ground: Ground, text: string): Mount {
  const [from = '', to = '', how] = text.split(':')
  const source = from.startsWith('.') ? resolve(repository, from) : volumeFolder(ground, from, to)
  return bind(source, to, how === 'ro')
}

/** A named volume; a new one has owner and mode of what the image has in its place. */
function volumeFolder({ folder, image }: Ground, name: string, target: string): string {
  const path = join(folder, 'volumes', name)
  if (existsSync(path)) return path
  mkdirSync(path, { recursive: true })
  const there = join(image.root, target)
  if (existsSync(there)) {
    const { uid, gid, mode } = statSync(there)
    chownSync(path, uid, gid)
    chmodSync(path, mode & 0o7777)
  }
  return path
}

export function secretFile({ folder }: Pick<Ground, 'folder'>, name: string): string {
  mkdirSync(join(folder, 'secrets'), { recursive: true, mode: 0o700 })
  return join(folder, 'secrets', name)
}
