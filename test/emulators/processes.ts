import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as startTimer } from 'node:timers'

const linesShown = 12
const stopGraceMs = 10_000

/** All that run now, so that an interrupted run leaves none behind. */
const running = new Set<ChildProcess>()

export function stopAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

export interface Ended {
  readonly isGood: boolean
  /** The end of what it printed. */
  readonly said: string
  readonly output: string
}

/** Runs a program to its end, within `timeoutMs`. A program that is not there is an end that is not good. */
export async function run(
  [command = '', ...args]: readonly string[],
  options: {
    readonly cwd: string
    readonly timeoutMs: number
    readonly env?: Readonly<Record<string, string>>
    readonly isShown?: boolean
  },
): Promise<Ended> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', options.isShown ? 'inherit' : 'pipe', options.isShown ? 'inherit' : 'pipe'],
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => void (output += text))
  let reason = ''
  const timer = startTimer(() => {
    reason = `not done after ${options.timeoutMs / 1_000} s`
    child.kill('SIGKILL')
  }, options.timeoutMs)
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      reason = error.message
      resolve(null)
    })
    child.once('close', resolve)
  })
  clearTimeout(timer)
  running.delete(child)
  const said = [...lastLines(output), reason].filter((line) => line !== '').join('\n')
  return { isGood: code === 0 && reason === '', said, output }
}

export interface Server {
  readonly pid: number
  /** What it printed so far, for the report of a failure. */
  said(): string
  stop(): Promise<void>
}

/** Starts a server and waits until `isReady` says so; its output goes to `logFile`. */
export async function serve(
  [command = '', ...args]: readonly string[],
  options: {
    readonly logFile: string
    readonly cwd: string
    readonly env?: Readonly<Record<string, string>>
    readonly isReady: () => Promise<boolean>
    readonly timeoutMs: number
  },
): Promise<Server> {
  const log = openSync(options.logFile, 'w', 0o600)
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  running.add(child)
  const end: { reason?: string } = {}
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end.reason = error.message
      resolve()
    })
    child.once('exit', (code, signal) => {
      end.reason ??= `it ended with ${signal ?? code}`
      resolve()
    })
  }).then(() => void running.delete(child))
  const said = (): string => lastLines(readFileSync(options.logFile, 'utf8')).join('\n')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const timer = startTimer(() => void child.kill('SIGKILL'), stopGraceMs)
    await ended
    clearTimeout(timer)
  }
  try {
    await until(options.isReady, { timeoutMs: options.timeoutMs, gaveUp: () => end.reason })
  } catch (error) {
    await stop()
    throw new Error(`${command} did not start: ${(error as Error).message}\n${said()}`, { cause: error })
  }
  return { pid: child.pid ?? 0, said, stop }
}

const askAgainMs = 100

/** Asks until the answer is yes. Throws after `timeoutMs`, and as soon as `gaveUp` has a reason. */
export async function until(
  isSo: () => Promise<boolean>,
  { timeoutMs, gaveUp = () => undefined }: { timeoutMs: number; gaveUp?: () => string | undefined },
): Promise<void> {
  const startedAt = performance.now()
  while (!(await isSo().catch(() => false))) {
    const reason = gaveUp()
    if (reason !== undefined) throw new Error(reason)
    if (performance.now() - startedAt > timeoutMs) throw new Error(`not ready after ${timeoutMs / 1_000} s`)
    await pause()
  }
}

/** With a timer that keeps the process alive, other than that of an AbortSignal: between two questions nothing else may. */
function pause(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  startTimer(() => resolve(), askAgainMs)
  return promise
}

function lastLines(text: string): readonly string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd())
    .slice(-linesShown)
}
