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
import type { Mount, Runtime, Spec } from './runtimes.ts'
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
  readonly runtime: Runtime
  readonly folder: string
  readonly image: Unpacked
  readonly compose: Compose
  readonly running: Map<string, Container>
}

export function start(ground: Ground, name: string): Container {
  const service = ground.compose.services[name]
  if (service === undefined) throw new Error(`The compose files have no service ${name}.`)
  const { runtime } = ground
  const bundle = join(ground.folder, 'bundles', name)
  mkdirSync(bundle, { recursive: true })
  const spec = specOf(ground, service)
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
  const logFile = join(bundle, 'log')
  const log = openSync(logFile, 'w')
  const [command = '', ...args] = runtime.run(name, bundle, spec)
  const child = spawn(command, args, { stdio: ['ignore', log, log] })
  closeSync(log)
  runtime.started(name, child.pid ?? 0)
  const ended = endOf(child)
  const exec = (words: readonly string[]): Ran => tried(runtime.exec(name, words), { timeoutMs: 60_000 })
  const [, ...check] = service.healthcheck?.test ?? ground.image.config.Healthcheck.Test
  const container: Container = {
    name,
    exec,
    isHealthy: () => exec(check).code === 0,
    said: () => readFileSync(logFile, 'utf8'),
    async stop(signal) {
      tried(runtime.kill(name, signal))
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
export async function endAll({ running, runtime }: Ground): Promise<void> {
  for (const container of [...running.values()].toReversed()) {
    await container.stop('KILL')
    runtime.remove(container.name)
  }
}

function specOf(ground: Ground, service: Service): Spec {
  const { config, root } = ground.image
  const [uid = 0, gid = 0] = (service.user ?? config.User).split(':').map(Number)
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
function networkOf(
  { runtime }: Ground,
  { network_mode: mode = '' }: Service,
): Spec['linux']['namespaces'][number] {
  if (!mode.startsWith('service:')) return { type: 'network' }
  return { type: 'network', path: `/proc/${runtime.pidOf(mode.slice('service:'.length))}/ns/net` }
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
