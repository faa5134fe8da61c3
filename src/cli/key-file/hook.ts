import { spawn } from 'node:child_process'
import { KeyturnError } from '../../core/errors.ts'
import type { Cancel } from '../../core/ports.ts'
import { sendSignal } from '../send-signal.ts'

export interface HookOptions {
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly after: (delayMs: number, callback: () => void) => Cancel
}

/** Runs it with the shell; what it says goes to standard error. Errors: `file_unusable` where it fails, `timeout` where it is not done. */
export function runHook({ command, env, timeoutMs, after }: HookOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that all that it started can be ended.
    const child = spawn('/bin/sh', ['-c', command], { env, stdio: ['ignore', 2, 2], detached: true })
    const { pid } = child
    const cancel = after(timeoutMs, () => {
      if (pid !== undefined) sendSignal(-pid, 'SIGKILL')
      // Not when it is gone: one that may not be signalled would be waited for without end.
      reject(late(timeoutMs))
    })
    child.once('error', (error) => {
      cancel()
      reject(failed('could not be started', error))
    })
    child.once('exit', (code, signal) => {
      cancel()
      if (code === 0) resolve()
      else reject(failed(code === null ? `was ended by ${signal}` : `ended with ${code}`))
    })
  })
}

function failed(what: string, cause?: unknown): KeyturnError {
  return new KeyturnError('file_unusable', `the file is written, but the hook ${what}`, {
    fix: 'Run the hook by hand to see why; until it succeeds, the old key is not revoked.',
    retryable: true,
    cause,
  })
}

function late(timeoutMs: number): KeyturnError {
  return new KeyturnError(
    'timeout',
    `the file is written, but the hook was not done after ${timeoutMs / 1_000} s`,
    { fix: 'Make it faster, or give it more time with --hook-timeout.', retryable: true },
  )
}
