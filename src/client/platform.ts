/**
 * The only place at which the client takes the clock, timers, randomness, the environment, files (read-text.ts) and the network.
 * Nothing here runs before a client is used.
 */
import type { KeyturnClientError } from './errors.ts'
import { quietSend } from './quiet-send.ts'
import { readText } from './read-text.ts'
import type { Fetch } from './types.ts'
import type { Send } from './wire.ts'

export type Cancel = () => void

export interface Platform {
  /** Epoch milliseconds. It can be set back and forth. */
  readonly now: () => number
  /** Milliseconds from an arbitrary start, never set; it may stand still while the machine sleeps. */
  readonly steadyNow: () => number
  /** Calls back once. A background timer does not keep the process alive. */
  readonly after: (
    delayMs: number,
    callback: () => void,
    options?: { readonly background?: boolean },
  ) => Cancel
  /** Calls back when this turn of the event loop is over. */
  readonly nextTurn: (callback: () => void) => void
  /** Uniform in [0, 1). */
  readonly fraction: () => number
  readonly uuid: () => string
  readonly fetch: Fetch
  /** Like a fetch, but an open connection does not keep the process alive. */
  readonly quietSend: Send
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readText: (path: string) => Promise<string>
  /** Where trouble in the background is told when the app does not listen. */
  readonly warn: (error: KeyturnClientError) => void
}

/**
 * Calls back each time that the process has nothing left to do and would end. Never where there is no such moment (browsers, edge
 * runtimes), nor in AWS Lambda: there it comes at the end of each call that answers through a callback, the process is frozen, and
 * the next call goes on with it.
 */
export function onNothingLeft(callback: () => void): void {
  const { process } = globalThis as { readonly process?: Partial<NodeJS.Process> }
  if (process?.env?.['AWS_LAMBDA_FUNCTION_NAME'] === undefined) process?.on?.('beforeExit', callback)
}

export function realPlatform(): Platform {
  return {
    now: () => Date.now(),
    steadyNow: () => performance.now(),
    after: (delayMs, callback, options) => {
      const timer = setTimeout(callback, delayMs)
      if (options?.background === true) timer.unref()
      return () => clearTimeout(timer)
    },
    // Kept alive on purpose, see serve.ts: a turn that is pending keeps the process for that one turn only.
    nextTurn: (callback) => void setImmediate(callback),
    fraction: () => Math.random(),
    uuid: () => crypto.randomUUID(),
    // Looked up at the call, so that instrumentation put in place later is used too.
    fetch: (input, init) => globalThis.fetch(input, init),
    quietSend,
    env: process.env,
    readText,
    warn: (error) => process.emitWarning(error.message, { type: 'KeyturnWarning', code: error.code }),
  }
}
