import type { Beat, Cancel } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { Book } from './book.ts'
import type { Keyring } from './keyring.ts'
import { type Runner, startRunner } from './runner.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export interface Worker {
  /** Something may be due: now for a named credential, else at the next look. */
  wake(name?: CredentialName): void
  /** Works until nothing is due any more. */
  drain(): Promise<void>
  start(beat: Beat): void
  /** Ends the runners; effects under way get `stopMs` to finish. */
  stop(): Promise<void>
}

/**
 * Claims credentials that are due and starts a runner for each. The beat wakes it regularly; between beats a timer of
 * its own rings when the next one is due, so that a failover does not wait for a beat.
 */
export function createWorker(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  book: Book,
  keyring: Keyring,
  deps: EngineDeps,
  options: { readonly patienceMs: number },
): Worker {
  const runners = new Map<CredentialName, Runner>()
  const { system, ledger, log } = deps
  let isStopped = false
  let beating: Beat | undefined
  let cancelTimer: Cancel = () => undefined
  let looking: Promise<void> | undefined
  let isLookWanted = false

  function wake(name?: CredentialName): void {
    if (name !== undefined) runners.get(name)?.wake()
    void look()
  }

  /** One look at a time; a wake during a look causes another one after it. */
  function look(): Promise<void> {
    if (isStopped) return Promise.resolve()
    isLookWanted = true
    looking ??= lookAgain().finally(() => (looking = undefined))
    return looking
  }

  async function lookAgain(): Promise<void> {
    while (isLookWanted && !isStopped) {
      isLookWanted = false
      try {
        await claimDue()
      } catch (thrown) {
        log('error', 'the ledger could not be asked what is due; trying again', { error: thrown })
      }
    }
    await armTimer()
  }

  async function claimDue(): Promise<void> {
    const names = [...setups.keys()].filter((name) => !runners.has(name))
    const limit = engineLimits.runnersMax - runners.size
    if (names.length === 0 || limit <= 0) return
    const claims = await ledger.claim({
      owner: deps.owner,
      now: system.now(),
      leaseMs: engineLimits.claimMs,
      limit,
      names,
    })
    for (const claim of claims) {
      const setup = setups.get(claim.state.name)
      if (setup === undefined || isStopped) continue
      book.adopt(claim.state)
      const runner = startRunner({
        setup,
        claim,
        book,
        keyring,
        deps,
        others: () => others(setup.name),
        patienceMs: options.patienceMs,
      })
      runners.set(setup.name, runner)
      void runner.done.then(() => {
        runners.delete(setup.name)
        void look()
      })
    }
  }

  function others(name: CredentialName): readonly CredentialState[] {
    return [...setups.keys()].filter((other) => other !== name).map((other) => book.state(other))
  }

  async function armTimer(): Promise<void> {
    cancelTimer()
    if (isStopped) return
    try {
      const nextAt = await ledger.nextDueAt()
      if (nextAt === undefined || isStopped) return
      const delayMs = Math.max(0, nextAt - system.now())
      // What is already due and could not be claimed belongs to somebody else: the beat looks again.
      if (delayMs > 0) cancelTimer = system.after(delayMs, () => void look(), { background: true })
    } catch (thrown) {
      log('warn', 'the ledger did not tell what is due next; the beat looks again', { error: thrown })
    }
  }

  return {
    wake,
    async drain() {
      await look()
      while (runners.size > 0) {
        await Promise.all([...runners.values()].map((one) => one.done))
        await look()
      }
    },
    start(beat) {
      beating = beat
      beat.start(() => wake())
      wake()
    },
    async stop() {
      isStopped = true
      beating?.stop()
      cancelTimer()
      for (const runner of runners.values()) runner.stop()
      let cancel: Cancel = () => undefined
      const patience = new Promise<void>((resolve) => (cancel = system.after(engineLimits.stopMs, resolve)))
      await Promise.race([Promise.all([...runners.values()].map((one) => one.done)), patience])
      cancel()
    },
  }
}
