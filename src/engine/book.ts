import type { Change, ChangeContext } from '../core/credential.ts'
import { dueAt } from '../core/duties.ts'
import { assert, KeyturnError } from '../core/errors.ts'
import { assertState, assertSuccession } from '../core/invariants.ts'
import type { Cancel } from '../core/ports.ts'
import type { CredentialEvent, CredentialName, CredentialState } from '../core/types.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export type Changer = (
  state: CredentialState,
  context: ChangeContext & { readonly fraction: number },
) => Change | undefined

/**
 * The states of all credentials: the last committed ones in memory, every change through the ledger's compare-and-swap.
 * A change is a pure function, so a lost race is mended by applying it to what the winner left.
 */
export interface Book {
  state(name: CredentialName): CredentialState
  /** Applies and commits; resolves with the committed state. `fence`: only while this claim holds. Undefined from the changer: nothing to do. */
  change(name: CredentialName, changer: Changer, fence?: number): Promise<CredentialState>
  /** Takes over a state that the ledger returned otherwise (a claim). */
  adopt(state: CredentialState): void
  onCommit(listener: (state: CredentialState, events: readonly CredentialEvent[]) => void): Cancel
}

/** Thrown by `change` when the claim under which it was called is lost: whoever has it now goes on. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost'
}

export function createBook(setups: ReadonlyMap<CredentialName, CredentialSetup>, deps: EngineDeps): Book {
  const states = new Map<CredentialName, CredentialState>()
  const listeners = new Set<(state: CredentialState, events: readonly CredentialEvent[]) => void>()

  function state(name: CredentialName): CredentialState {
    const found = states.get(name)
    assert(found !== undefined, `the state of ${name} was read before it is used`)
    return found
  }

  function contextFor(setup: CredentialSetup): ChangeContext & { readonly fraction: number } {
    const { system } = deps
    return {
      now: system.now(),
      policy: setup.policy,
      uuid: () => system.uuid(),
      marker: () => `keyturn-${deps.installation}-${system.uuid().replaceAll('-', '').slice(0, 20)}`,
      fraction: system.fraction(),
    }
  }

  async function change(name: CredentialName, changer: Changer, fence?: number): Promise<CredentialState> {
    const setup = setups.get(name)
    assert(setup !== undefined, `${name} is configured`)
    for (let tries = 0; tries < engineLimits.commitTries; tries++) {
      const before = state(name)
      if (fence !== undefined && before.fence !== fence) throw new ClaimLost(name)
      const changed = changer(before, contextFor(setup))
      if (changed === undefined || (changed.state === before && changed.events.length === 0)) return before
      assertState(changed.state)
      assertSuccession(before, changed.state)
      const outcome = await deps.ledger.commit({
        state: changed.state,
        ...(fence === undefined ? {} : { fence }),
        dueAt: dueAt(changed.state, setup.policy),
        events: changed.events,
      })
      if (outcome.kind === 'committed') {
        adopt(outcome.state)
        for (const listener of listeners) listener(outcome.state, outcome.events)
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
    const known = states.get(next.name)
    // Answers of the ledger can overtake each other; the higher revision is the later truth.
    if (known === undefined || next.revision >= known.revision) states.set(next.name, next)
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
