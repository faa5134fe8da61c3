import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { Canaries } from './canaries.ts'
import { call, prepareRig, type Rig, until, untilReady } from './harness.ts'
import { readLines } from './lines.ts'
import { type ServiceProcess, spawnService } from './process.ts'

const cli = fileURLToPath(new URL('run-cli.ts', import.meta.url))

/** A service with a sandbox whose every key is known to whoever looks for pieces of it. */
export interface Keyed {
  readonly rig: Rig
  readonly sandbox: Sandbox
  readonly canaries: Canaries
  /** A folder for programs and files; it goes with the test. */
  readonly folder: string
  readonly service: () => ServiceProcess
  /** kill -9, and nothing else. */
  crash(): Promise<void>
  restart(): Promise<void>
  /** What an app is given: the address and a token. */
  readonly env: () => Readonly<Record<string, string>>
}

export async function keyedService(): Promise<Keyed> {
  const canaries = new Canaries()
  const sandbox = await startSandbox({ random: canaries.random })
  onTestFinished(() => sandbox.close())
  const rig = await prepareRig({ sandbox })
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-keyed-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  let service = await spawnService(rig)
  await untilReady(rig)
  canaries.add(rig.appToken())
  return {
    rig,
    sandbox,
    canaries,
    folder,
    service: () => service,
    crash: () => service.kill(),
    async restart() {
      service = await spawnService(rig)
      await untilReady(rig)
    },
    env: () => ({
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      KEYTURN_URL: rig.url,
      KEYTURN_TOKEN: rig.appToken(),
      KEYTURN_HOME: folder,
    }),
  }
}

/** The instances that hold a key. */
export async function leasesOf({ rig }: Keyed): Promise<readonly string[]> {
  const { body } = await call<{ items: { instance: string }[] }>(rig, '/v1/credentials/openai/leases')
  return body.items.map(({ instance }) => instance)
}

/** Who ends says so, and waits for a second at most until it is heard. */
export function untilNoLease(keyed: Keyed): Promise<unknown> {
  return until(
    'nobody holds a key',
    () => leasesOf(keyed),
    (instances) => instances.length === 0,
  )
}

export interface Started {
  readonly pid: number
  /** Lines of both outputs, as they come. */
  readonly lines: readonly string[]
  readonly ended: Promise<number | null>
  seen(text: string | RegExp): Promise<string>
  send(signal: NodeJS.Signals): void
}

/** A command as a process of its own that goes on; killed at the end of the test. `prefix`: what runs it. */
export function startCli(
  args: readonly string[],
  options: {
    readonly env: Readonly<Record<string, string>>
    readonly cwd: string
    /** Called at the moment in which a line arrives, before anything else can happen in this process. */
    readonly onLine?: (line: string) => void
  },
): Started {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: options.cwd,
    env: { ...options.env, NODE_NO_WARNINGS: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // As under a supervisor: no terminal, whoever runs the test.
    detached: true,
  })
  const lines: string[] = []
  readLines(child, (text) => {
    lines.push(text)
    options.onLine?.(text)
  })
  const ended = once(child, 'close').then(() => child.exitCode)
  const pid = child.pid ?? 0
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    // What it had started has no one left to end it.
    for (const line of lines) endGroup(/^up (\d+)/.exec(line)?.[1])
    await ended
  })
  return {
    pid,
    lines,
    ended,
    seen: (text) =>
      until(
        `${args[0]} says ${String(text)}`,
        () => lines.find((line) => (typeof text === 'string' ? line.includes(text) : text.test(line))) ?? '',
        (line) => line !== '',
      ),
    send: (signal) => void child.kill(signal),
  }
}

/** The arguments of every process of the machine. */
export function allArguments(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => textOf(`/proc/${pid}/cmdline`))
    .join('\n')
}

/** The text of every file in a folder, by its path. `except`: those that are there to hold a secret. */
export function filesOf(folder: string, except: RegExp): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (!except.test(name) && statSync(path, { throwIfNoEntry: false })?.isFile() === true)
      found.set(path, textOf(path))
  }
  return found
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** `T` where it is stopped; undefined where it is gone, though nobody may have taken it away. */
export function stateOf(pid: number): string | undefined {
  const text = textOf(`/proc/${pid}/stat`)
  const state = text.slice(text.lastIndexOf(')') + 2).charAt(0)
  return text === '' || state === 'Z' ? undefined : state
}

function endGroup(pid: string | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-Number(pid), 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
