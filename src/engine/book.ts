import type { Change, ChangeContext } from '../core/credential.ts'
import { dueAt } from '../core/duties.ts'
import { assert, KeyturnError } from '../core/errors.ts'
import { assertState, assertSuccession } from '../core/invariants.ts'
import { markerOf } from '../core/marker.ts'
import type { Cancel } from '../core/ports.ts'
import { isRepeatable } from '../core/repeatable.ts'
import type { CredentialEvent, CredentialName, CredentialState } from '../core/types.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export type Changer = (
  state: CredentialState,
  context: ChangeContext & { readonly fraction: number },
) => Change | undefined

/** Told after a change is durable, in the order of the revisions. Must not throw and must not wait. */
export type CommitListener = (state: CredentialState, events: readonly CredentialEvent[]) => void

/**
 * The states of all credentials: the last committed ones in memory, every change through the ledger's compare-and-swap.
 * A change is a pure function, so a lost race is mended by applying it to what the winner left.
 *
 * Changes of one credential made in this process stand in line, so that ten thousand reports at once are no storm of
 * conflicts, and listeners hear of revisions in their order.
 */
export interface Book {
  state(name: CredentialName): CredentialState
  /** Applies and commits; resolves with the committed state. `fence`: only while this claim holds. Undefined from the changer: nothing to do. */
  change(name: CredentialName, changer: Changer, fence?: number): Promise<CredentialState>
  /** Takes over a state that the ledger returned otherwise (a claim); listeners are told where it is news. */
  adopt(state: CredentialState): void
  onCommit(listener: CommitListener): Cancel
}

/** Thrown by `change` when the claim under which it was called is lost: whoever has it now goes on. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost'
}

export function createBook(
  setups: ReadonlyMap<CredentialName, Pick<CredentialSetup, 'policy'>>,
  deps: EngineDeps,
  /** What has to be on the disk before the ledger has it; must not reject. Undefined: nothing. */
  beforeCommit: (next: CredentialState) => Promise<void> | undefined = () => undefined,
): Book {
  const states = new Map<CredentialName, CredentialState>()
  const listeners = new Set<CommitListener>()
  /** The last change in line of each credential; never rejects. */
  const lines = new Map<CredentialName, Promise<void>>()

  function state(name: CredentialName): CredentialState {
    const found = states.get(name)
    assert(found !== undefined, `the state of ${name} was read before it is used`)
    return found
  }

  function contextFor(setup: Pick<CredentialSetup, 'policy'>): ChangeContext & { readonly fraction: number } {
    const { system } = deps
    return {
      now: system.now(),
      policy: setup.policy,
      uuid: () => system.uuid(),
      marker: () => markerOf(deps.installation, system.uuid()),
      fraction: system.fraction(),
    }
  }

  function change(name: CredentialName, changer: Changer, fence?: number): Promise<CredentialState> {
    const turn = lines.get(name) ?? Promise.resolve()
    const changing = turn.then(() => changeNow(name, changer, fence))
    const over = changing.then(
      () => undefined,
      () => undefined,
    )
    lines.set(name, over)
    return changing
  }

  async function changeNow(name: CredentialName, changer: Changer, fence?: number): Promise<CredentialState> {
    const setup = setups.get(name)
    assert(setup !== undefined, `${name} is configured`)
    for (let tries = 0; tries < engineLimits.commitTries; tries++) {
      const before = state(name)
      if (fence !== undefined && before.fence !== fence) throw new ClaimLost(name)
      const changed = changer(before, contextFor(setup))
      if (changed === undefined || (changed.state === before && changed.events.length === 0)) return before
      assertState(changed.state)
      assertSuccession(before, changed.state)
      const preparing = beforeCommit(changed.state)
      if (preparing !== undefined) await preparing
      const outcome = await deps.ledger.commit({
        state: changed.state,
        ...(fence === undefined ? {} : { fence }),
        dueAt: dueAt(changed.state, setup.policy, deps.system.now()),
        events: changed.events,
        ...(isRepeatable(before, changed) ? { isRepeatable: true } : {}),
      })
      if (outcome.kind === 'committed') {
        keep(outcome.state)
        tell(outcome.state, outcome.events)
        return outcome.state
      }
      await reread(name, fence)
    }
    throw new KeyturnError(
      'ledger_unreachable',
      `The state of ${name} changed under every attempt to change it.`,
      {
        fix: 'Try again; if it persists, look for another process that writes to the same ledger.',
        retryable: true,
      },
    )
  }

  async function reread(name: CredentialName, fence: number | undefined): Promise<void> {
    const latest = await deps.ledger.read(name)
    assert(latest !== undefined, `${name} has a row in the ledger`)
    adopt(latest)
    if (fence !== undefined && latest.fence !== fence) throw new ClaimLost(name)
  }

  function adopt(next: CredentialState): void {
    if (keep(next)) tell(next, [])
  }

  /** Answers of the ledger can overtake each other; the higher revision is the later truth. */
  function keep(next: CredentialState): boolean {
    const known = states.get(next.name)
    if (known !== undefined && next.revision <= known.revision) return false
    states.set(next.name, next)
    return true
  }

  /** What is committed is committed: a listener that fails must not make it look otherwise, nor keep the others from hearing. */
  function tell(next: CredentialState, events: readonly CredentialEvent[]): void {
    for (const listener of listeners) {
      try {
        listener(next, events)
      } catch (thrown) {
        deps.log('error', 'what listens to changes failed', { credential: next.name, error: thrown })
      }
    }
  }

  return {
    state,
    change,
    adopt,
    onCommit(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
