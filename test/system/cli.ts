import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Rig } from './harness.ts'

const fromSource = fileURLToPath(new URL('run-cli.ts', import.meta.url))

export interface CliRun {
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** What every process of the machine could read of it while it ran. */
  readonly shown: string
}

export interface CliOptions {
  readonly stdin?: string
  /** In place of the rig's environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What Node runs. Default: the command line from its source. */
  readonly program?: string
}

/** A command as a process of its own, in the rig's home. */
export function runCli(
  rig: Pick<Rig, 'env' | 'home'>,
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [options.program ?? fromSource, ...args], {
      cwd: options.cwd ?? rig.home,
      env: { ...(options.env ?? rig.env), NODE_NO_WARNINGS: '1', NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const read = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (read.out += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (read.err += chunk))
    child.on('error', reject)
    child.on('spawn', () => {
      const shown = visible(child.pid ?? 0)
      // A command that reads nothing may have ended already.
      child.stdin.on('error', () => undefined)
      child.stdin.end(options.stdin ?? '')
      child.on('close', (code) => resolve({ code, ...read, shown }))
    })
  })
}

/** The arguments and the environment of a process, as /proc shows them. Empty where the system has none. */
export function visible(pid: number): string {
  return ['cmdline', 'environ'].map((name) => readOf(`/proc/${pid}/${name}`)).join('\n')
}

function readOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
