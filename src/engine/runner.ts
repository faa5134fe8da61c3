import { type Change, eventOf, isLive, recordOf } from '../core/credential.ts'
import { type Duty, plan } from '../core/duties.ts'
import { toKeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Claim } from '../core/ports.ts'
import { applyRetirement } from '../core/retiring.ts'
import { isRunning } from '../core/rotation.ts'
import { applyRotation, startRotation } from '../core/turning.ts'
import type { CredentialState } from '../core/types.ts'
import { classify } from '../core/verdict.ts'
import { observeStore, recordCheck, type StoreReading } from '../core/verification.ts'
import { type Book, type Changer, ClaimLost } from './book.ts'
import type { Keyring } from './keyring.ts'
import { performRetirement, type RetirementPerformContext } from './perform-retirement.ts'
import { kill, listed, performRotation } from './perform-rotation.ts'
import { probe } from './probe.ts'
import { planned } from './scheduling.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export interface Runner {
  /** Something changed: look again. */
  wake(): void
  /** No new duties; resolves when those under way have ended or were given up. */
  stop(): void
  readonly done: Promise<void>
}

interface RunnerOptions {
  readonly setup: CredentialSetup
  readonly claim: Claim
  readonly book: Book
  readonly keyring: Keyring
  readonly deps: EngineDeps
  readonly others: () => readonly CredentialState[]
  /** A claim is kept over pauses up to this long, instead of being released and taken again. */
  readonly patienceMs: number
}

/**
 * Looks after one claimed credential until nothing is to be done for a while: performs every duty that is due, lanes
 * side by side, and commits what came of each under the fence of its claim.
 */
export function startRunner(options: RunnerOptions): Runner {
  const { setup, claim, book, deps } = options
  const { system } = deps
  const busy = new Map<string, Promise<void>>()
  let isStopping = false
  let wakeUp: () => void = () => undefined
  let signal = new Promise<void>((resolve) => (wakeUp = resolve))
  let fence: number | undefined = claim.fence

  const commit = async (changer: Changer): Promise<void> => {
    if (fence === undefined) throw new ClaimLost(setup.name)
    await book.change(setup.name, changer, fence)
  }
  const context: RetirementPerformContext = {
    setup,
    keyring: options.keyring,
    deps,
    state: () => book.state(setup.name),
    others: options.others,
  }

  async function walk(): Promise<void> {
    const stopRenewing = renewing()
    try {
      await commitStubbornly((state, changeContext) =>
        applyRotation(state, { kind: 'resumed' }, changeContext),
      )
      while (fence !== undefined && !isStopping) {
        const { duties, wakeAt } = plan(
          book.state(setup.name),
          setup.policy,
          system.now(),
          new Set(busy.keys()),
        )
        for (const duty of duties) begin(duty)
        if (busy.size === 0 && duties.length === 0 && wakeAt - system.now() > options.patienceMs) break
        const sleep = sleepUntil(wakeAt)
        await Promise.race([signal, ...busy.values(), sleep.over])
        sleep.cancel()
        signal = new Promise<void>((resolve) => (wakeUp = resolve))
      }
      await Promise.all(busy.values())
    } catch (thrown) {
      if (!(thrown instanceof ClaimLost)) throw thrown
    } finally {
      stopRenewing()
      if (fence !== undefined) await release(fence)
    }
  }

  function begin(duty: Duty): void {
    const work = performDuty(duty)
      .catch((thrown: unknown) => {
        if (thrown instanceof ClaimLost) fence = undefined
        else deps.log('error', 'a duty failed', { credential: setup.name, duty: duty.kind, error: thrown })
      })
      .finally(() => busy.delete(duty.lane))
    busy.set(duty.lane, work)
  }

  async function performDuty(duty: Duty): Promise<void> {
    const changer = await changeOf(duty)
    await commitStubbornly(changer)
  }

  /** What was done at the issuer or the store must reach the ledger: only a lost claim ends the attempts. */
  async function commitStubbornly(changer: Changer): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        await commit(changer)
        return
      } catch (thrown) {
        const isWorthwhile = !(thrown instanceof ClaimLost) && toKeyturnError(thrown, '').code !== 'internal'
        if (!isWorthwhile || isStopping) throw thrown
        deps.log('error', 'the ledger did not take a change; trying again', {
          credential: setup.name,
          error: thrown,
        })
        await pause(Math.min(10_000, 200 * 2 ** Math.min(failures, 10)))
      }
    }
  }

  async function changeOf(duty: Duty): Promise<Changer> {
    switch (duty.kind) {
      case 'look':
        return lookAtStore(options)
      case 'align':
        return alignStore(options, duty.to)
      case 'verify':
        return verifyVersion(options, duty.version)
      case 'rotate': {
        const { event, added } = await performRotation(duty.effect, context)
        return (state, changeContext) => applyRotation(state, event, changeContext, added)
      }
      case 'deadline':
        return (state, changeContext) => applyRotation(state, { kind: 'deadline_passed' }, changeContext)
      case 'start':
        return (state, changeContext) => startScheduled(state, options, changeContext)
      case 'retire': {
        const event = await performRetirement(duty.effect, context)
        return (state, changeContext) => applyRetirement(state, duty.id, event, changeContext)
      }
      case 'sweep':
        return sweep(duty.marker, context)
    }
  }

  function renewing(): () => void {
    let cancel = system.after(engineLimits.renewEveryMs, again, { background: true })
    function again(): void {
      if (fence === undefined) return
      const untilAt = system.now() + engineLimits.claimMs
      deps.ledger
        .renew({ owner: deps.owner, name: setup.name, fence, untilAt })
        .then((isOurs) => {
          if (!isOurs) fence = undefined
        })
        .catch((thrown: unknown) =>
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

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void system.after(delayMs, resolve))
  }

  function sleepUntil(at: number): { readonly over: Promise<void>; readonly cancel: () => void } {
    const delayMs = Math.min(engineLimits.renewEveryMs, Math.max(0, at - system.now()))
    let cancel: () => void = () => undefined
    const over = new Promise<void>(
      (resolve) => (cancel = system.after(delayMs, resolve, { background: true })),
    )
    return { over, cancel: () => cancel() }
  }

  const done = walk().catch((thrown: unknown) => {
    deps.log('error', 'looking after a credential failed; it will be taken up again', {
      credential: setup.name,
      error: thrown,
    })
  })
  return {
    wake: () => wakeUp(),
    stop() {
      isStopping = true
      wakeUp()
    },
    done,
  }
}

async function lookAtStore({ setup, keyring, deps }: RunnerOptions): Promise<Changer> {
  let reading: StoreReading
  try {
    const read = await setup.store.read(setup.ref)
    if (read === undefined) reading = { kind: 'absent' }
    else {
      const { version, meta } = read
      reading = { kind: 'read', version, meta, fingerprint: fingerprint(read.secret, deps.system) }
      if (keyring.peek(setup.name, version) === undefined) keyring.put(setup.name, version, read.secret)
    }
  } catch (thrown) {
    const error = toKeyturnError(thrown, `reading ${setup.name} from the store`)
    deps.log('warn', 'the store could not be read', { credential: setup.name, error })
    reading = { kind: 'failed', code: error.code, summary: error.message, fix: error.fix ?? '' }
  }
  return (state, context) => observeStore(state, reading, context)
}

/** Writes a takeover to the store. What somebody else put there meanwhile is left for the next look to verify. */
async function alignStore({ setup, book, deps }: RunnerOptions, to: string): Promise<Changer> {
  const expectCurrent = book.state(setup.name).storeCurrent
  try {
    const outcome = await setup.store.promote(setup.ref, {
      to,
      expectCurrent,
      fence: book.state(setup.name).fence,
    })
    const isThere = outcome.kind === 'promoted' || outcome.kind === 'already'
    return (state, context) => {
      if (state.current !== to) return undefined
      const looked = { ...state, isAlignmentDue: false, nextStoreReadAt: context.now }
      return { state: isThere ? { ...looked, storeCurrent: to } : looked, events: [] }
    }
  } catch (thrown) {
    const error = toKeyturnError(thrown, `writing ${setup.name} to the store`)
    deps.log('warn', 'a takeover could not be written to the store; trying again', {
      credential: setup.name,
      error,
    })
    const reading = {
      kind: 'failed',
      code: error.code,
      summary: error.message,
      fix: error.fix ?? '',
    } as const
    return (state, context) => {
      const change = observeStore(state, reading, context)
      return { ...change, state: { ...change.state, storeReadAt: change.state.nextStoreReadAt } }
    }
  }
}

async function verifyVersion(
  { setup, book, keyring, deps }: RunnerOptions,
  version: string,
): Promise<Changer> {
  try {
    const secret = await keyring.get(setup.name, version)
    if (secret !== undefined) {
      const check = await probe(setup, book.state(setup.name), { secret, version }, deps)
      return (state, context) => recordCheck(state, version, check, context)
    }
  } catch (thrown) {
    deps.log('warn', 'a key could not be verified', { credential: setup.name, version, error: thrown })
  }
  const check = {
    verdict: classify({ kind: 'no_answer', failure: 'aborted' }),
    isOurs: false,
    belonging: undefined,
  }
  return (state, context) => recordCheck(state, version, check, context)
}

function startScheduled(
  state: CredentialState,
  options: RunnerOptions,
  context: Parameters<Changer>[1],
): Change | undefined {
  const { isDue, state: scheduled } = planned(state, options.setup, options.deps, context.now)
  if (!isDue || isRunning(state.rotation)) return { state: scheduled, events: [] }
  const request = {
    mode: 'normal',
    isCompromised: false,
    reason: 'due by schedule',
    requestedBy: 'schedule',
    isAutomatic: false,
  } as const
  return startRotation(scheduled, request, context)
}

/** Looks again for a key whose mint was never answered; one that has landed late and is stored nowhere is ended. */
async function sweep(marker: string, context: RetirementPerformContext): Promise<Changer> {
  const { setup } = context
  const keys = await listed(context)
  const key = keys?.find((one) => one.name === marker)
  const open = context.state().openAttempts.find((one) => one.marker === marker)
  let isOver = false
  try {
    if (key !== undefined && open !== undefined) {
      const stored = await setup.store.read(setup.ref, { version: open.version })
      const record = recordOf(context.state(), open.version)
      isOver =
        stored !== undefined && record !== undefined && isLive(record, context.deps.system.now())
          ? true
          : await kill(key.keyId, context)
      if (isOver && stored !== undefined && record === undefined)
        await setup.store.destroy(setup.ref, open.version)
    }
  } catch (thrown) {
    context.deps.log('warn', 'a key that landed late could not be swept; trying again', {
      credential: setup.name,
      error: thrown,
    })
  }
  return (state, { now, policy }) => {
    const rest = state.openAttempts.filter((one) => one.marker !== marker)
    const isPast = open === undefined || (keys !== undefined && now >= open.until)
    const openAttempts = isOver || isPast ? rest : [...rest, { ...open, nextAt: now + policy.retryMaxMs * 5 }]
    const events =
      isOver && key !== undefined
        ? [eventOf(state, 'alert', now, { code: 'stray_key_revoked', keyId: key.keyId })]
        : []
    return { state: { ...state, openAttempts }, events }
  }
}
