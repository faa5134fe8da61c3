import { spawnSync } from 'node:child_process'

const outputBytesMax = 64 * 2 ** 20

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a program to its end; a program that is not there has the code -1. */
export function tried(
  [command = '', ...args]: readonly string[],
  options: {
    readonly cwd?: string
    readonly timeoutMs?: number
    readonly env?: Readonly<Record<string, string | undefined>>
  } = {},
): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: options.cwd,
    ...(options.env === undefined ? {} : { env: options.env }),
    encoding: 'utf8',
    timeout: options.timeoutMs ?? 300_000,
    maxBuffer: outputBytesMax,
  })
  return { code: status ?? -1, out: stdout ?? '', err: error === undefined ? stderr : String(error) }
}

/** The same where only success will do; what it printed is in the error. */
export function ran(command: readonly string[], options: Parameters<typeof tried>[1] = {}): string {
  const { code, out, err } = tried(command, options)
  if (code !== 0) throw new Error(`${command.slice(0, 4).join(' ')} … ended with ${code}:\n${out}\n${err}`)
  return out
}

/** Why no image can be built and run here; undefined where it can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid?.() !== 0) return 'it needs root, which builders and runtimes without a daemon do'
  if (process.env['KEYTURN_IMAGE_BUILDER'] === 'none') return 'KEYTURN_IMAGE_BUILDER=none says so'
  const missing = ['buildah', 'runc'].filter((name) => tried([name, '--version']).code !== 0)
  if (missing.length > 0) return `${missing.join(' and ')} cannot be had (apt-get install buildah runc)`
  return undefined
}

/** Why the commands of the Dockerfile cannot be run without a builder either; undefined where they can. */
export function whyNotByHand(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return whyNot()
  const missing = ['unshare', 'nsenter', 'setpriv', 'ip'].filter((name) => whereIs(name) === '')
  if (missing.length > 0) return `${missing.join(', ')} cannot be had (apt-get install util-linux iproute2)`
  const { code, err } = tried(['unshare', '--mount', '--pid', '--net', '--ipc', '--uts', '--fork', 'true'])
  return code === 0 ? undefined : `this machine gives no namespaces (${err.trim()})`
}

export function whereIs(program: string): string {
  return tried(['sh', '-c', 'command -v "$1"', 'sh', program]).out.trim()
}

/** One word of a shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
