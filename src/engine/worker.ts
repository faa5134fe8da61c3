import { stepAt } from '../core/duties.ts'
import type { Beat, Cancel, Claim } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { Book } from './book.ts'
import type { Keyring } from './keyring.ts'
import { type Runner, startRunner } from './runner.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export interface Worker {
  /** Something may be due: now for a named credential, else at the next look. */
  wake(name?: CredentialName): void
  /** Works until nothing is due any more, at most `drainMs`. */
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
  options: {
    readonly patienceMs: number
    /** The clock was set back: what is due must be brought into reach. */
    readonly onSetBack: () => Promise<void>
  },
): Worker {
  const runners = new Map<CredentialName, Runner>()
  /** Credentials whose runner ended by a bug, how often in a row, and until when they rest. */
  const faults = new Map<CredentialName, { readonly count: number; readonly until: number }>()
  const { system, ledger, log } = deps
  let isStopped = false
  let beating: Beat | undefined
  let cancelTimer: Cancel = () => undefined
  let looking: Promise<void> | undefined
  let isLookWanted = false
  let latestAt = system.now()

  function wake(name?: CredentialName): void {
    if (name !== undefined) runners.get(name)?.wake()
    void look()
  }

  /** One look at a time; a wake during a look causes another one after it. Never rejects. */
  function look(): Promise<void> {
    if (isStopped) return Promise.resolve()
    isLookWanted = true
    looking ??= lookAgain()
    return looking
  }

  async function lookAgain(): Promise<void> {
    while (isLookWanted && !isStopped) {
      isLookWanted = false
      try {
        await mindClock()
        await claimDue()
      } catch (thrown) {
        log('error', 'the ledger could not be asked what is due; trying again', { error: thrown })
      }
      if (!isLookWanted) await armTimer()
    }
    // In the same breath as the last question whether a look is wanted: no wake falls between the two.
    looking = undefined
  }

  async function mindClock(): Promise<void> {
    const now = system.now()
    if (now < latestAt - engineLimits.setBackMs) {
      log('warn', 'the clock was set back; due times are brought back into reach')
      faults.clear()
      await options.onSetBack()
      latestAt = now
    }
    latestAt = Math.max(now, latestAt)
  }

  async function claimDue(): Promise<void> {
    const names = claimable()
    const limit = engineLimits.runnersMax - runners.size
    if (names.length === 0) return
    // Runners that only pause make room, so that no credential starves behind others.
    if (limit <= 0) {
      wakeAll()
      return
    }
    const leaseMs = engineLimits.claimMs
    for (const claim of await ledger.claim({ owner: deps.owner, now: system.now(), leaseMs, limit, names })) {
      const setup = setups.get(claim.state.name)
      if (setup === undefined || isStopped) await giveBack(claim)
      else run(setup, claim)
    }
  }

  function claimable(): readonly CredentialName[] {
    const now = system.now()
    return [...setups.keys()].filter((name) => !runners.has(name) && (faults.get(name)?.until ?? 0) <= now)
  }

  function run(setup: CredentialSetup, claim: Claim): void {
    const { name } = setup
    book.adopt(claim.state)
    const runner = startRunner({
      setup,
      claim,
      book,
      keyring,
      deps,
      others: () => others(name),
      patienceMs: options.patienceMs,
      isCrowded: () => runners.size >= engineLimits.runnersMax && setups.size > runners.size,
    })
    runners.set(name, runner)
    void runner.done.then(({ isFault }) => {
      runners.delete(name)
      if (isFault) rest(name)
      else faults.delete(name)
      void look()
    })
  }

  function rest(name: CredentialName): void {
    const count = faults.get(name)?.count ?? 0
    const restMs = Math.min(engineLimits.faultRestMaxMs, engineLimits.faultRestMs * 2 ** Math.min(count, 10))
    faults.set(name, { count: count + 1, until: system.now() + restMs })
  }

  async function giveBack({ state: { name }, fence }: Claim): Promise<void> {
    await ledger.release({ owner: deps.owner, name, fence })
  }

  function wakeAll(): void {
    for (const runner of runners.values()) runner.wake()
  }

  function others(name: CredentialName): readonly CredentialState[] {
    return [...setups.keys()].filter((other) => other !== name).map((other) => book.state(other))
  }

  async function armTimer(): Promise<void> {
    cancelTimer()
    if (isStopped) return
    try {
      const names = claimable()
      const dueAt = names.length === 0 ? undefined : await ledger.nextDueAt(names)
      const restsUntil = [...faults.values()].map((one) => one.until)
      const nextAt = Math.min(dueAt ?? Number.POSITIVE_INFINITY, ...restsUntil)
      if (nextAt === Number.POSITIVE_INFINITY || isStopped) return
      const delayMs = Math.max(0, nextAt - system.now())
      // What is already due and could not be claimed waits for a place, or belongs to somebody else: the beat looks again.
      if (delayMs > 0) cancelTimer = system.after(delayMs, () => void look(), { background: true })
    } catch (thrown) {
      log('warn', 'the ledger did not tell what is due next; the beat looks again', { error: thrown })
    }
  }

  /** Resolves when everything has, or after the time. */
  async function within(limitMs: number, all: readonly Promise<unknown>[]): Promise<void> {
    let cancel: Cancel = () => undefined
    const limit = new Promise<void>((resolve) => (cancel = system.after(limitMs, resolve)))
    await Promise.race([Promise.all(all), limit])
    cancel()
  }

  function ended(): readonly Promise<unknown>[] {
    return [...runners.values()].map((one) => one.done)
  }

  /** When something will be due soon enough for a `drain` to wait for it; undefined where there is nothing. */
  function soonAt(now: number): number | undefined {
    const soon = claimable().map((name) => {
      const policy = setups.get(name)?.policy
      return policy === undefined ? Number.POSITIVE_INFINITY : stepAt(book.state(name), policy, now)
    })
    const at = Math.min(...soon, Number.POSITIVE_INFINITY)
    return at > now && at - now <= options.patienceMs ? at : undefined
  }

  return {
    wake,
    async drain() {
      const until = system.now() + engineLimits.drainMs
      for (let left = engineLimits.drainMs; left > 0; left = until - system.now()) {
        await look()
        const soon = soonAt(system.now())
        if (runners.size > 0) await within(left, ended())
        else if (soon === undefined) return
        else await within(Math.min(left, soon - system.now()), [new Promise(() => undefined)])
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
      // A look under way may still be given claims: it gives them back.
      await within(engineLimits.stopMs, [looking ?? Promise.resolve(), ...ended()])
    },
  }
}
