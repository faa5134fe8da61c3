import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mountPoint } from './by-hand.ts'
import { quoted, tried, whereIs } from './programs.ts'

/** What is asked of a runtime, as far as it is used here; the names are those of the OCI runtime specification. */
export interface Spec {
  readonly ociVersion: string
  readonly process: {
    readonly user: { readonly uid: number; readonly gid: number }
    readonly args: readonly string[]
    readonly env: readonly string[]
    readonly cwd: string
    readonly capabilities: object
    readonly noNewPrivileges: boolean
    readonly rlimits: readonly { readonly type: string; readonly hard: number; readonly soft: number }[]
  }
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly mounts: readonly Mount[]
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[]
    readonly resources: { readonly pids: { readonly limit: number } }
  }
}

export interface Mount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options?: readonly string[]
}

/** Runs containers as processes that can be waited for. What it gives are command lines. */
export interface Runtime {
  /** `bundle` has the spec as config.json. */
  run(name: string, bundle: string, spec: Spec): readonly string[]
  /** The process of `run` was started. */
  started(name: string, pid: number): void
  exec(name: string, command: readonly string[]): readonly string[]
  kill(name: string, signal: string): readonly string[]
  /** The first process of the container, as this machine counts; undefined where it is gone. */
  pidOf(name: string): number | undefined
  remove(name: string): void
}

export function runc(folder: string): Runtime {
  const command = ['runc', '--root', join(folder, 'runc')]
  return {
    run: (name, bundle) => [...command, 'run', '--bundle', bundle, name],
    started: () => undefined,
    exec: (name, words) => [...command, 'exec', name, ...words],
    kill: (name, signal) => [...command, 'kill', name, signal],
    pidOf(name) {
      const { out } = tried([...command, 'state', name])
      return (JSON.parse(out) as { readonly pid: number }).pid
    },
    remove: (name) => void tried([...command, 'delete', '--force', name]),
  }
}

/**
 * The namespaces, mounts, user and capabilities of the same spec, by the programs of this machine, where no runtime can be
 * had. No control groups: `pids` is not limited.
 */
export function byPrograms(): Runtime {
  const started = new Map<string, { readonly pid: number; readonly spec: Spec }>()
  const specs = new Map<string, Spec>()
  const pidOf = (name: string): number | undefined => {
    const { pid = 0 } = started.get(name) ?? {}
    try {
      // Of the one that made the namespaces: its only child is the first process in them.
      const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
      return child === undefined || child === '' ? undefined : Number(child)
    } catch {
      return undefined
    }
  }
  return {
    run(name, bundle, spec) {
      specs.set(name, spec)
      return runCommand(bundle, spec)
    },
    started(name, pid) {
      const spec = specs.get(name)
      if (spec !== undefined) started.set(name, { pid, spec })
    },
    exec(name, words) {
      const pid = pidOf(name)
      const spec = specs.get(name)
      if (pid === undefined || spec === undefined) return ['false']
      const { user, env } = spec.process
      const [enter, clean] = [whereIs('nsenter'), whereIs('env')]
      const spaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wd']
      const who = [`--setuid=${user.uid}`, `--setgid=${user.gid}`]
      return [clean, '-i', ...env, enter, `--target=${pid}`, ...spaces, ...who, ...words]
    },
    kill: (name, signal) => ['kill', '-s', signal, String(pidOf(name) ?? '')],
    pidOf,
    remove: () => undefined,
  }
}

function runCommand(bundle: string, { process: first, root, mounts, linux }: Spec): readonly string[] {
  const place = join(bundle, 'root')
  mkdirSync(place, { recursive: true })
  const at = (path: string): string => quoted(join(place, path))
  for (const { destination, type, source } of mounts)
    mountPoint(type === 'bind' ? source : '/', join(root.path, destination))
  const devices = ['null', 'zero', 'full', 'random', 'urandom'].map((name) => `/dev/${name}`)
  const limits = first.rlimits.map(({ type, hard }) => {
    if (type !== 'RLIMIT_CORE') throw new Error(`Nobody knows ${type} here.`)
    return `ulimit -c ${hard}`
  })
  // To change the root and the user are the last rights that are used, and are lost with them.
  const rights = [
    'setpriv',
    '--inh-caps=-all,+sys_chroot,+setuid,+setgid,+dac_read_search',
    'setpriv',
    '--bounding-set=-all',
  ]
  const { uid, gid } = first.user
  const become = [`--root=${place}`, `--wd=${first.cwd}`, `--setgid=${gid}`, `--setuid=${uid}`]
  const words = [
    ...rights,
    ...(first.noNewPrivileges ? ['--no-new-privs'] : []),
    'env',
    '-i',
    ...first.env,
    whereIs('unshare'),
    ...become,
    ...first.args,
  ]
  const script = [
    'set -e',
    'ip link set lo up',
    `mount --bind ${quoted(root.path)} ${quoted(place)}`,
    ...mounts.flatMap((mount) => mountLines(mount, at(mount.destination))),
    ...devices.flatMap((path) => [`: > ${at(path)}`, `mount --bind ${path} ${at(path)}`]),
    ...(root.readonly ? [`mount -o remount,bind,ro ${quoted(place)}`] : []),
    ...limits,
    `exec ${words.map((word) => quoted(word)).join(' ')}`,
  ].join('\n')
  const network = linux.namespaces.find(({ type }) => type === 'network')?.path
  const spaces = ['--mount', '--pid', '--ipc', '--uts', ...(network === undefined ? ['--net'] : [])]
  return [
    ...(network === undefined ? [] : ['nsenter', `--net=${network}`]),
    'unshare',
    ...spaces,
    '--fork',
    '--kill-child',
    '/bin/sh',
    '-c',
    script,
  ]
}

function mountLines({ type, source, options = [] }: Mount, target: string): readonly string[] {
  if (type !== 'bind')
    return [`mount -t ${type} ${options.length === 0 ? '' : `-o ${options.join(',')}`} ${type} ${target}`]
  const how = ['remount', 'bind', ...options.filter((one) => one !== 'rbind')]
  return [`mount --bind ${quoted(source)} ${target}`, `mount -o ${how.join(',')} ${target}`]
}
