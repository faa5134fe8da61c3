import { backoffMs } from '../core/backoff.ts'
import { toKeyturnError } from '../core/errors.ts'
import type { Cancel } from '../core/ports.ts'
import type { CredentialName } from '../core/types.ts'
import type { Book, Changer } from './book.ts'
import { federatedLimits } from './federated-setup.ts'
import type { EngineDeps } from './setup.ts'
import { within } from './within.ts'

/**
 * Writes down what became of tokens, in order and behind the hand-out: a ledger that cannot be written must never keep a
 * fresh token from the apps, since the one before expires within the hour. Nothing in the ledger is needed to go on.
 */
export interface Journal {
  /** Never waits and never fails. */
  write(changer: Changer): void
  /** Resolves when all that was written so far is durable, or after the time. */
  settled(withinMs: number): Promise<void>
  /** What can be written at once still is. */
  stop(): Promise<void>
}

const retry = { retryBaseMs: 250, retryMaxMs: 30_000 } as const

export function createJournal(
  name: CredentialName,
  book: Book,
  { system, log }: Pick<EngineDeps, 'system' | 'log'>,
): Journal {
  const waiting: Changer[] = []
  let writing: Promise<void> | undefined
  let isStopped = false
  let endPause: () => void = () => undefined

  async function drain(): Promise<void> {
    for (let failures = 0; ; ) {
      const [next] = waiting
      if (next === undefined) break
      try {
        await book.change(name, next)
        drop(next)
        failures = 0
      } catch (thrown) {
        const isBug = toKeyturnError(thrown, '').code === 'internal'
        if (isBug) drop(next)
        log(isBug ? 'error' : 'warn', 'what became of a token could not be written down', {
          credential: name,
          waiting: waiting.length,
          error: thrown,
        })
        if (isStopped) break
        if (!isBug) await pause(backoffMs(retry, failures++))
      }
    }
    // In the same breath as the last look: nothing that is written now is forgotten.
    writing = undefined
  }

  function drop(changer: Changer): void {
    const at = waiting.indexOf(changer)
    if (at >= 0) waiting.splice(at, 1)
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Cancel = () => undefined
      endPause = () => {
        cancel()
        resolve()
      }
      cancel = system.after(delayMs, resolve, { background: true })
    })
  }

  return {
    write(changer) {
      waiting.push(changer)
      if (waiting.length > federatedLimits.journalMax) waiting.shift()
      writing ??= drain()
    },
    async settled(withinMs) {
      if (writing !== undefined) await within(system, withinMs, writing, { background: true })
    },
    async stop() {
      isStopped = true
      endPause()
      await writing
    },
  }
}
