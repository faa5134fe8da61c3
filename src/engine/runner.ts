import { type Duty, plan } from '../core/duties.ts'
import { toKeyturnError } from '../core/errors.ts'
import { aboveFence } from '../core/fences.ts'
import type { Claim } from '../core/ports.ts'
import { applyRotation } from '../core/turning.ts'
import type { CredentialState } from '../core/types.ts'
import { type Book, type Changer, ClaimLost } from './book.ts'
import type { Keyring } from './keyring.ts'
import { performDuty } from './perform-duty.ts'
import type { PerformContext } from './performing.ts'
import type { Proofs } from './proofs.ts'
import { listenToFences } from './seen-fences.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export interface Runner {
  /** Something changed: look again. */
  wake(): void
  /** No new duties; `done` resolves when those under way have ended. */
  stop(): void
  /** Never rejects. `isFault`: it ended because of a bug, and would again if it were taken up at once. */
  readonly done: Promise<{ readonly isFault: boolean }>
}

export interface RunnerOptions {
  readonly setup: CredentialSetup
  readonly claim: Claim
  readonly book: Book
  readonly keyring: Keyring
  readonly deps: EngineDeps
  readonly others: () => readonly CredentialState[]
  readonly proofs: Proofs
  /** A claim is kept over pauses up to this long before the next step, instead of being released and taken again. */
  readonly patienceMs: number
  /** Others wait for a place: one that only pauses gives up its own. */
  readonly isCrowded: () => boolean
}

/**
 * Looks after one claimed credential until nothing is to be done for a while: performs every duty that is due, lanes
 * side by side, and commits what came of each under the fence of its claim.
 */
export function startRunner(options: RunnerOptions): Runner {
  const { setup, claim, book, deps } = options
  const { system } = deps
  const busy = new Map<string, Promise<void>>()
  const faults = new Map<string, number>()
  /** A key may have been minted without the ledger knowing: it is looked for before another one is made. */
  let isMintDoubtful = true
  let hasCommitted = false
  let isStopping = false
  let wakeUp: () => void = () => undefined
  let signal = new Promise<void>((resolve) => (wakeUp = resolve))
  let stopNow: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => (stopNow = resolve))
  let fence: number | undefined = claim.fence
  const fences = listenToFences(setup, deps.log)
  /** The state's fence was raised above that of our claim: it is claimed anew. */
  let isRaised = false

  const context: PerformContext = {
    setup: fences.setup,
    keyring: options.keyring,
    deps,
    state: () => book.state(setup.name),
    others: options.others,
    proofs: options.proofs,
  }

  async function walk(): Promise<void> {
    const stopRenewing = renewing()
    try {
      await settleMint()
      while (fence !== undefined && !isStopping && !isRaised) {
        // Another replica has claimed it since: what the state wants now is for that one to do.
        if (context.state().fence !== fence) throw new ClaimLost(setup.name)
        const isBehind = fences.isAbove(fence)
        if (isBehind && busy.size === 0) {
          await raiseFence()
          continue
        }
        const free = new Set(busy.keys())
        const { duties, wakeAt, stepAt } = plan(context.state(), setup.policy, system.now(), free)
        // What is under way ends first: its result could not be committed once the fence is another.
        if (!isBehind) for (const duty of duties) begin(duty)
        const patienceMs = options.isCrowded() ? 0 : options.patienceMs
        if (busy.size === 0 && stepAt - system.now() > patienceMs) break
        await sleepUntil(wakeAt)
      }
      // The ledger believed that something was due and nothing was: told anew, or it would be claimed for ever.
      if (!hasCommitted && !isStopping)
        await commitStubbornly((state) => ({ state: { ...state }, events: [] }))
    } catch (thrown) {
      if (!(thrown instanceof ClaimLost)) throw thrown
      fence = undefined
    } finally {
      await Promise.all(busy.values())
      stopRenewing()
      if (fence !== undefined) await release(fence)
    }
  }

  /** A rotation found in `minting` by anybody but the one who is minting looks for the key first. */
  async function settleMint(): Promise<void> {
    await commitStubbornly((state, changeContext) => applyRotation(state, { kind: 'resumed' }, changeContext))
    isMintDoubtful = false
  }

  /** Nobody has claimed it since, or this does not commit: it is the ledger that fell behind what its stores have seen. */
  async function raiseFence(): Promise<void> {
    const seen = await fences.ask()
    await commitStubbornly((state, { now }) => {
      const raised = aboveFence(state, seen, now)
      isRaised = raised !== state
      return { state: raised, events: [] }
    })
    if (isRaised)
      deps.log('warn', 'a store has seen a higher fence than the ledger gave out; going on above it', {
        credential: setup.name,
        fence: seen,
      })
  }

  function begin(duty: Duty): void {
    const work = perform(duty)
      .catch((thrown: unknown) => failed(duty, thrown))
      .finally(() => busy.delete(duty.lane))
    busy.set(duty.lane, work)
  }

  async function perform(duty: Duty): Promise<void> {
    if (duty.kind === 'rotate' && isMintDoubtful) return settleMint()
    await traced(duty, async () => commitStubbornly(await performDuty(duty, context)))
    faults.delete(duty.lane)
  }

  /** What belongs to a rotation or a retirement is a part of its trace, whichever process does it. */
  function traced(duty: Duty, work: () => Promise<void>): Promise<void> {
    if (deps.telemetry === undefined) return work()
    const walk = walkOf(duty)
    const name = 'effect' in duty ? `${duty.kind} ${duty.effect.kind}` : duty.kind
    const operation = {
      part: 'work',
      name,
      credential: setup.name,
      ...(walk === undefined ? {} : { walk }),
    } as const
    return deps.telemetry.run(operation, work, () => ({ outcome: 'done' }))
  }

  function walkOf(duty: Duty): string | undefined {
    const { rotation, retirements } = context.state()
    if (duty.kind === 'rotate') return rotation?.id
    if (duty.kind !== 'retire') return undefined
    return retirements.find(({ id }) => id === duty.id)?.rotation ?? duty.id
  }

  /** A bug, or a ledger that is broken for good: its lane rests for a while, longer each time, and the others go on. */
  async function failed(duty: Duty, thrown: unknown): Promise<void> {
    if (thrown instanceof ClaimLost) {
      fence = undefined
      return
    }
    deps.log('error', 'a duty failed', { credential: setup.name, duty: duty.kind, error: thrown })
    if (duty.kind === 'rotate') isMintDoubtful = true
    const count = faults.get(duty.lane) ?? 0
    faults.set(duty.lane, count + 1)
    await pause(Math.min(engineLimits.faultRestMaxMs, engineLimits.faultRestMs * 2 ** Math.min(count, 10)))
  }

  /** What was done at the issuer or the store must reach the ledger: only a lost claim, a bug or the end stops the attempts. */
  async function commitStubbornly(changer: Changer): Promise<void> {
    let triesWhileStopping = 0
    for (let failures = 0; ; failures++) {
      try {
        if (fence === undefined) throw new ClaimLost(setup.name)
        const before = context.state()
        hasCommitted = (await book.change(setup.name, changer, fence)) !== before || hasCommitted
        return
      } catch (thrown) {
        const isHopeless = thrown instanceof ClaimLost || toKeyturnError(thrown, '').code === 'internal'
        if (isHopeless || (isStopping && ++triesWhileStopping > engineLimits.stopTries)) throw thrown
        deps.log('error', 'the ledger did not take a change; trying again', {
          credential: setup.name,
          error: thrown,
        })
        await pause(Math.min(10_000, 200 * 2 ** Math.min(failures, 10)))
      }
    }
  }

  function renewing(): () => void {
    let cancel = system.after(engineLimits.renewEveryMs, again, { background: true })
    function again(): void {
      if (fence === undefined) return
      const untilAt = system.now() + engineLimits.claimMs
      deps.ledger.renew({ owner: deps.owner, name: setup.name, fence, untilAt }).then(
        (isOurs) => {
          if (isOurs) return
          fence = undefined
          wakeUp()
        },
        (thrown: unknown) =>
          deps.log('warn', 'a claim could not be renewed', { credential: setup.name, error: thrown }),
      )
      cancel = system.after(engineLimits.renewEveryMs, again, { background: true })
    }
    return () => cancel()
  }

  async function release(held: number): Promise<void> {
    try {
      await deps.ledger.release({ owner: deps.owner, name: setup.name, fence: held })
    } catch (thrown) {
      deps.log('warn', 'a claim could not be released; it runs out by itself', {
        credential: setup.name,
        error: thrown,
      })
    }
  }

  /** Until a duty has ended, somebody wakes us, or it is time. */
  async function sleepUntil(at: number): Promise<void> {
    const delayMs = Math.min(engineLimits.renewEveryMs, Math.max(0, at - system.now()))
    const alarm = timer(delayMs, { background: true })
    await Promise.race([signal, ...busy.values(), alarm.over])
    alarm.cancel()
    signal = new Promise<void>((resolve) => (wakeUp = resolve))
  }

  /** Cut short by `stop`; then a little is left, so that a ledger that is busy can come to itself. */
  async function pause(delayMs: number): Promise<void> {
    const alarm = timer(isStopping ? Math.min(delayMs, engineLimits.stopPauseMs) : delayMs)
    await Promise.race(isStopping ? [alarm.over] : [alarm.over, stopped])
    alarm.cancel()
  }

  function timer(
    delayMs: number,
    how?: { readonly background: boolean },
  ): { readonly over: Promise<void>; readonly cancel: () => void } {
    let cancel: () => void = () => undefined
    const over = new Promise<void>((resolve) => (cancel = system.after(delayMs, resolve, how)))
    return { over, cancel: () => cancel() }
  }

  const done = walk().then(
    () => ({ isFault: false }),
    (thrown: unknown) => {
      deps.log('error', 'looking after a credential failed; it will be taken up again', {
        credential: setup.name,
        error: thrown,
      })
      return { isFault: true }
    },
  )
  return {
    wake: () => wakeUp(),
    stop() {
      isStopping = true
      wakeUp()
      stopNow()
    },
    done,
  }
}
