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
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: options.cwd,
    encoding: 'utf8',
    timeout: options.timeoutMs ?? 300_000,
    maxBuffer: outputBytesMax,
  })
  return { code: status ?? -1, out: stdout ?? '', err: error === undefined ? stderr : String(error) }
}

/** The same where only success will do; what it printed is in the error. */
export function ran(command: readonly string[], options: { readonly cwd?: string } = {}): string {
  const { code, out, err } = tried(command, options)
  if (code !== 0) throw new Error(`${command.slice(0, 4).join(' ')} … ended with ${code}:\n${out}\n${err}`)
  return out
}

/** Why no image can be built and run here; undefined where it can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid?.() !== 0) return 'it needs root, which builders and runtimes without a daemon do'
  const missing = ['buildah', 'runc'].filter((name) => tried([name, '--version']).code !== 0)
  if (missing.length > 0) return `${missing.join(' and ')} cannot be had (apt-get install buildah runc)`
  return undefined
}
