import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type Rig, until } from './harness.ts'
import { type LogLine, parseLine, readLines } from './lines.ts'

export type { LogLine } from './lines.ts'

const cli = fileURLToPath(new URL('run-cli.ts', import.meta.url))

export interface ServiceProcess {
  readonly pid: number
  /** Calls back with every structured line, at the moment it arrives. */
  onLine(listener: (line: LogLine) => void): () => void
  /** SIGKILL, and waits for the end, and for all that it had written. */
  kill(): Promise<void>
  readonly isRunning: () => boolean
}

/** `keyturn serve` as a real process on the rig's home. */
export async function spawnService(rig: Rig): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [cli, 'serve'], {
    cwd: rig.home,
    env: { ...rig.env, NODE_NO_WARNINGS: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const listeners = new Set<(line: LogLine) => void>()
  const closed = once(child, 'close')
  readLines(child, (text) => {
    rig.logs.push(text)
    const line = parseLine(text)
    if (line !== undefined) for (const listener of listeners) listener(line)
  })
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await closed
  }
  onTestFinished(kill)
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null
  await until(
    'the service answers',
    async () => isRunning() && (await fetch(`${rig.url}/healthz`)).status === 200,
    (isUp) => isUp,
    30_000,
  )
  return {
    pid: child.pid ?? 0,
    onLine(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    kill,
    isRunning,
  }
}
