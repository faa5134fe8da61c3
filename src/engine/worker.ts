import type { Trouble } from '../api/types.ts'
import { stepAt } from '../core/duties.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Beat, Cancel, Claim } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { Book } from './book.ts'
import type { Keyring } from './keyring.ts'
import type { Pace } from './pace.ts'
import { createProofs } from './proofs.ts'
import { type Runner, startRunner } from './runner.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'
import { createTurns, dueOf } from './turns.ts'
import { within } from './within.ts'

export interface Worker {
  /** Why nothing can be claimed; undefined where the ledger answered when it was last asked. */
  ledgerTrouble(): Trouble | undefined
  /** Something may be due: now for a named credential, else at the next look. */
  wake(name?: CredentialName): void
  /** Works until nothing is due any more, at most `drainMs`. */
  drain(): Promise<void>
  start(beat: Beat): void
  /** Ends the runners; effects under way get `stopMs` to finish. */
  stop(): Promise<void>
}

/** A timer cannot be set further ahead; it then looks, finds nothing and is set again. */
const timerMaxMs = 2 ** 31 - 1

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
    readonly pace: Pace
    /** It goes on running: regular checks that were held up keep their places instead of being made up for at once. */
    readonly isSpread: boolean
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
  let ledgerTrouble: Trouble | undefined
  /** When the ledger is asked for what nobody here knows to be due. */
  let askedAllAt = Number.NEGATIVE_INFINITY
  const turns = createTurns(setups, (name) => book.state(name), { ...options, system })
  const proofs = createProofs(system)
  book.onCommit((state) => turns.note(state))

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
      if (!isLookWanted) armTimer()
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
      for (const name of setups.keys()) turns.note(book.state(name))
      askedAllAt = Number.NEGATIVE_INFINITY
      latestAt = now
    }
    latestAt = Math.max(now, latestAt)
  }

  async function claimDue(): Promise<void> {
    const limit = engineLimits.runnersMax - runners.size
    // Runners that only pause make room, so that no credential starves behind others.
    if (limit <= 0) {
      if (turns.nextAt() <= system.now()) wakeAll()
      return
    }
    const due = turns.next(limit, isFree)
    const names = [...due, ...unknownlyDue()]
    if (names.length === 0) return
    const claimed = await claim(names, limit, due)
    for (const one of claimed) {
      const setup = setups.get(one.state.name)
      if (setup === undefined || isStopped) await giveBack(one)
      else run(setup, one)
    }
    const got = new Set(claimed.map(({ state }) => state.name))
    const missed = due.filter((name) => !got.has(name))
    turns.missed(missed)
    // Their places are free for those behind them.
    if (missed.length > 0 && due.length === limit) isLookWanted = true
  }

  async function claim(
    names: readonly CredentialName[],
    limit: number,
    due: readonly CredentialName[],
  ): Promise<readonly Claim[]> {
    const leaseMs = engineLimits.claimMs
    try {
      const claims = await ledger.claim({ owner: deps.owner, now: system.now(), leaseMs, limit, names })
      ledgerTrouble = undefined
      return claims
    } catch (thrown) {
      if (thrown instanceof KeyturnError) noteTrouble(thrown)
      turns.missed(due)
      throw thrown
    }
  }

  function noteTrouble({ code, message, fix }: KeyturnError): void {
    const since = ledgerTrouble?.since ?? new Date(system.now()).toISOString()
    ledgerTrouble = { code, summary: message, fix: fix ?? '', since }
  }

  /** Of what other processes did and could not be heard of here, the ledger alone knows. */
  function unknownlyDue(): readonly CredentialName[] {
    const now = system.now()
    if (now < askedAllAt + engineLimits.askAllEveryMs) return []
    askedAllAt = now
    return [...setups.values()]
      .filter(({ name, policy }) => isFree(name) && dueOf(book.state(name), policy, now) > now)
      .map(({ name }) => name)
  }

  function isFree(name: CredentialName): boolean {
    return !runners.has(name) && (faults.get(name)?.until ?? 0) <= system.now()
  }

  function claimable(): readonly CredentialName[] {
    return [...setups.keys()].filter(isFree)
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
      proofs,
      isCrowded: () => runners.size >= engineLimits.runnersMax && setups.size > runners.size,
    })
    runners.set(name, runner)
    void runner.done.then(({ isFault }) => {
      runners.delete(name)
      if (isFault) rest(name)
      else {
        faults.delete(name)
        turns.note(book.state(name))
      }
      void look()
    })
  }

  function rest(name: CredentialName): void {
    const count = faults.get(name)?.count ?? 0
    const restMs = Math.min(engineLimits.faultRestMaxMs, engineLimits.faultRestMs * 2 ** Math.min(count, 10))
    const until = system.now() + restMs
    faults.set(name, { count: count + 1, until })
    turns.rest(name, until)
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

  function armTimer(): void {
    cancelTimer()
    const nextAt = turns.nextAt()
    if (nextAt === Number.POSITIVE_INFINITY || isStopped) return
    const delayMs = nextAt - system.now()
    // What is already due waits for a place: the end of a runner looks again.
    if (delayMs > 0)
      cancelTimer = system.after(Math.min(delayMs, timerMaxMs), () => void look(), { background: true })
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
    ledgerTrouble: () => ledgerTrouble,
    wake,
    async drain() {
      const until = system.now() + engineLimits.drainMs
      for (let left = engineLimits.drainMs; left > 0; left = until - system.now()) {
        await look()
        const soon = soonAt(system.now())
        if (runners.size > 0) await within(system, left, Promise.all(ended()))
        else if (soon === undefined) return
        else await within(system, Math.min(left, soon - system.now()), new Promise(() => undefined))
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
      await within(system, engineLimits.stopMs, Promise.all([looking, ...ended()]))
    },
  }
}
