import { handedOut } from '../core/credential.ts'
import { toKeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Cancel } from '../core/ports.ts'
import { isPatrolled } from '../core/store-look.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import { createAgenda } from './agenda.ts'
import type { Book } from './book.ts'
import type { Keyring } from './keyring.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

/**
 * Looks at the stores from memory. Where a store has what is known of it, nothing is claimed and nothing written down: of
 * ten thousand stores, one in a million looks brings anything new. Where it has something else, the credential is made
 * due, and the worker looks again under a claim. Every replica has its own, since what it hands out is its own memory.
 */
export interface Patrol {
  start(): void
  stop(): void
}

export interface PatrolOptions {
  readonly setups: ReadonlyMap<CredentialName, CredentialSetup>
  readonly book: Pick<Book, 'state'>
  readonly keyring: Pick<Keyring, 'peek' | 'put'>
  readonly deps: Pick<EngineDeps, 'system' | 'log'>
  /** The store may have something new. Never rejects. */
  readonly lookNow: (name: CredentialName) => Promise<void>
  /** A secret that was missing has come. */
  readonly onRead: (name: CredentialName) => void
  /** The store has what is handed out. */
  readonly onAgreed: (name: CredentialName) => void
}

export function createPatrol(options: PatrolOptions): Patrol {
  const { setups, book, keyring, deps } = options
  const { system } = deps
  const agenda = createAgenda()
  let underWay = 0
  let isStopped = false
  let cancel: Cancel = () => undefined
  let latestAt = system.now()

  function go(): void {
    cancel()
    while (!isStopped && underWay < engineLimits.patrolsMax) {
      const due = agenda.takeDue(system.now())
      const setup = due === undefined ? undefined : setups.get(due.name)
      if (setup === undefined) break
      underWay += 1
      void look(setup).then(() => {
        underWay -= 1
        agenda.set(setup.name, system.now() + pauseMs(setup))
        go()
      })
    }
    const delayMs = agenda.nextAt() - system.now()
    // At most so far ahead: after a clock that was set back, whatever is planned comes within one pause all the same.
    const soonMs = Math.min(delayMs, longestMs)
    if (!isStopped && delayMs > 0 && underWay < engineLimits.patrolsMax && soonMs < Number.POSITIVE_INFINITY)
      cancel = system.after(soonMs, again, { background: true })
  }

  function again(): void {
    const now = system.now()
    if (now < latestAt) planAnew()
    latestAt = now
    go()
  }

  /** The clock was set back: what was planned before would not come for as long as it was ahead. */
  function planAnew(): void {
    for (const setup of setups.values())
      if (agenda.at(setup.name) !== undefined) agenda.set(setup.name, system.now() + pauseMs(setup))
  }

  function pauseMs({ policy }: CredentialSetup): number {
    return policy.storePollMs * (0.9 + 0.2 * system.fraction())
  }

  /** Never rejects. */
  async function look(setup: CredentialSetup): Promise<void> {
    const state = book.state(setup.name)
    const isNews = isPatrolled(state, setup.policy) ? await hasNews(setup, state) : isForgotten(setup, state)
    if (isNews && !isStopped) await options.lookNow(setup.name)
  }

  async function hasNews(setup: CredentialSetup, before: CredentialState): Promise<boolean> {
    const { name, store, ref } = setup
    try {
      const read = await store.read(ref)
      const state = book.state(name)
      const record = handedOut(state)
      if (read === undefined || record === undefined || state.storeTrouble !== undefined) return true
      if (read.version !== record.version) return true
      if (fingerprint(read.secret, system) !== record.fingerprint) return true
      if (keyring.peek(name, read.version) === undefined && !isStopped) {
        keyring.put(name, read.version, read.secret)
        options.onRead(name)
      }
      options.onAgreed(name)
      return false
    } catch (thrown) {
      return toKeyturnError(thrown, `reading ${name} from the store`).code !== before.storeTrouble?.code
    }
  }

  /** What is not looked at from memory any more was planned for far ahead when it still was. */
  function isForgotten({ policy }: CredentialSetup, state: CredentialState): boolean {
    return state.nextStoreReadAt > system.now() + policy.storePollMs * 1.1
  }

  const longestMs = Math.max(0, ...[...setups.values()].map(({ policy }) => policy.storePollMs))

  return {
    start() {
      for (const name of setups.keys()) agenda.set(name, system.now())
      go()
    },
    stop() {
      isStopped = true
      cancel()
    },
  }
}
