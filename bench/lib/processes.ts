import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../../', import.meta.url))
const bin = join(repository, 'bin', 'keyturn.js')
const startMsMax = 30_000
const endMsMax = 15_000
const troubleCharsMax = 4_000

/** Closed in the reverse order by `closing`, whatever happened meanwhile. */
export interface Scope {
  add(close: () => Promise<void> | void): void
}

/** Runs the work and then undoes what it added, the latest first, also after a failure. */
export async function closing<Value>(work: (scope: Scope) => Promise<Value>): Promise<Value> {
  const closes: (() => Promise<void> | void)[] = []
  try {
    return await work({ add: (close) => void closes.push(close) })
  } finally {
    for (const close of closes.toReversed()) await close()
  }
}

/** `inMemory`: where the system has such a place, so that a disk that others use does not make a run long. */
export async function temporaryFolder(scope: Scope, inMemory = false): Promise<string> {
  const place = inMemory && existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const folder = await mkdtemp(join(place, 'keyturn-bench-'))
  scope.add(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Ends one process that we started: it is asked, then made to. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), endMsMax)
  await ended
  clearTimeout(timer)
}

/** The environment for a service that shall see nothing of ours. */
export function environment(own: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(KEYTURN_|OPENAI_|NODE_OPTIONS$)/.test(name))
  return { ...Object.fromEntries(kept), ...own }
}

export interface RunningService {
  readonly child: ChildProcess
  readonly url: URL
  readonly home: string
  readonly appToken: string
  readonly operatorToken: string
}

/** `keyturn serve --sandbox` as users run it, in a process of its own, ready to hand out. */
export async function startService(
  scope: Scope,
  options: {
    readonly home: string
    readonly nodeFlags?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
  },
): Promise<RunningService> {
  const { home } = options
  const child = spawnService({ nodeFlags: [], ...options })
  scope.add(() => end(child))
  const { url } = await firstSaid<{ readonly url: string }>(child)
  return {
    child,
    url: new URL(url),
    home,
    appToken: (await readFile(join(home, 'app.token'), 'utf8')).trim(),
    operatorToken: (await readFile(join(home, 'operator.token'), 'utf8')).trim(),
  }
}

/** `keyturn serve` with a configuration of one's own. */
export async function startConfigured(
  scope: Scope,
  options: {
    readonly home: string
    readonly config: string
    readonly nodeFlags?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
  },
): Promise<RunningService> {
  const { home, config, nodeFlags = [], env } = options
  const child = spawn(process.execPath, [...nodeFlags, bin, 'serve', '--config', config, '--json'], {
    env: environment({ KEYTURN_HOME: home, KEYTURN_LISTEN: '127.0.0.1:0', ...env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  scope.add(() => end(child))
  const { url } = await firstSaid<{ readonly url: string }>(child)
  const operatorToken = (await readFile(join(home, 'operator.token'), 'utf8')).trim()
  return { child, url: new URL(url), home, appToken: '', operatorToken }
}

export function spawnService(options: {
  readonly home: string
  readonly nodeFlags: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}): ChildProcess {
  const { home, nodeFlags, env } = options
  return spawn(process.execPath, [...nodeFlags, bin, 'serve', '--sandbox', '--json'], {
    env: environment({
      KEYTURN_HOME: home,
      KEYTURN_LISTEN: '127.0.0.1:0',
      KEYTURN_LOG_LEVEL: 'error',
      ...env,
    }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** The first thing that a child says, which is one JSON document. */
export async function firstSaid<Value>(child: ChildProcess): Promise<Value> {
  let said = ''
  let trouble = ''
  child.stderr?.on('data', (chunk) => {
    if (trouble.length < troubleCharsMax) trouble += String(chunk)
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), startMsMax)
  try {
    // The pipe stays open: a child that lost it would fail at what it says next.
    for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
      said += String(chunk)
      if (said.endsWith('}\n')) return JSON.parse(said) as Value
    }
  } finally {
    clearTimeout(timer)
  }
  throw new Error(`a child process ended before it was ready: ${trouble}`)
}

export interface Child {
  readonly process: ChildProcess
  /** Sends a message and waits for the answer; a child answers one at a time, in order. */
  ask(message: unknown, withinMs: number): Promise<Readonly<Record<string, unknown>>>
}

/** One of bench/children, spoken with by messages. */
export function startChild(
  scope: Scope,
  file: string,
  options: { readonly nodeFlags?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Child {
  const child = fork(join(repository, 'bench', 'children', file), {
    execArgv: [...(options.nodeFlags ?? [])],
    env: environment(options.env ?? {}),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  scope.add(() => end(child))
  return {
    process: child,
    async ask(message, withinMs) {
      const signal = AbortSignal.timeout(withinMs)
      const answered = once(child, 'message', { signal })
      child.send(message as object)
      const [answer] = (await answered) as [unknown]
      if (typeof answer !== 'object' || answer === null) throw new Error(`${file} answered nothing usable`)
      return answer as Readonly<Record<string, unknown>>
    },
  }
}

/** Waits until it holds; the bound keeps a run that went wrong from lasting. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  withinMs: number,
): Promise<void> {
  const endAt = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > endAt) throw new Error(`${what}: not within ${withinMs} ms`)
    await sleep(5)
  }
}

/** The processor's time so far; NaN where the system does not tell. In hundredths of a second, as Linux counts them; the name of the command may hold spaces, so fields count from its end. */
export function cpuMsOf({ pid }: ChildProcess): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}
