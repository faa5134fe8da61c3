import { withinReach } from '../core/clock.ts'
import { initialState } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import { configuredMirrors, mirrorOf } from '../core/mirrors.ts'
import { isPatrolled } from '../core/store-look.ts'
import type { CredentialName, CredentialState, MirrorId, Policy } from '../core/types.ts'
import type { Book } from './book.ts'
import type { Safekeeping } from './safekeeping.ts'
import { planned } from './scheduling.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'
import { tellTakenUp } from './taken-up.ts'

/** Takes one credential up at a start, and sees to it that its stores are looked at first. */
export async function openCredential(
  setup: CredentialSetup,
  state: CredentialState,
  {
    book,
    deps,
    safekeeping,
  }: { readonly book: Book; readonly deps: EngineDeps; readonly safekeeping: Safekeeping },
): Promise<void> {
  const now = deps.system.now()
  book.adopt(state)
  tellTakenUp(state, deps)
  try {
    await bringWithinReach(setup, book)
    await book.change(setup.name, (before, context) => {
      // The store is looked at first thing after every start: that is where a change made meanwhile shows.
      const looked = lookedAtFirst(configuredMirrors(before, setup.policy), now, setup.policy)
      // A ledger out of a backup is behind what apps were given since: they would not take what comes after.
      const generation = safekeeping.generationSeen(looked)
      const raised = generation > looked.generation ? { ...looked, generation } : looked
      const { isDue, state: scheduled } = planned(raised, setup, deps, context.now)
      // What became due while nobody ran is left as it is: the worker starts it, and plans the next with it.
      return { state: isDue ? raised : scheduled, events: [] }
    })
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'internal')) throw thrown
    // One credential whose state breaks an invariant must not keep all others from being handed out.
    deps.log('error', 'the state of a credential is not sound; it is left as it is', {
      credential: setup.name,
      error: thrown,
    })
  }
}

/** What the ledger has of each; what it does not have yet is made, with its rotation planned. */
export async function opened(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  deps: EngineDeps,
): Promise<readonly (readonly [CredentialSetup, CredentialState])[]> {
  const now = deps.system.now()
  const all = [...setups.values()]
  const initials = all.map((setup) => {
    const initial = configuredMirrors(initialState(setup.name, now), setup.policy)
    return planned(initial, setup, deps, now).state
  })
  const states = (await deps.ledger.openAll?.(initials)) ?? (await openEach(initials, deps))
  return all.flatMap((setup, index) => {
    const state = states[index]
    return state === undefined ? [] : [[setup, state] as const]
  })
}

async function openEach(
  initials: readonly CredentialState[],
  { ledger }: Pick<EngineDeps, 'ledger'>,
): Promise<readonly CredentialState[]> {
  const states: CredentialState[] = []
  for (const initial of initials) states.push(await ledger.open(initial.name, initial))
  return states
}

/** From memory where that is how its store is looked at: ten thousand commits would hold up the start. */
function lookedAtFirst(before: CredentialState, now: number, policy: Policy): CredentialState {
  const looked = isPatrolled(before, policy) ? before : (storeDue(before, now) ?? before)
  return (looked.mirrors ?? []).reduce((state, { id }) => mirrorDue(state, id, now) ?? state, looked)
}

/** Undefined: it is due already. */
export function storeDue(before: CredentialState, now: number): CredentialState | undefined {
  return before.nextStoreReadAt <= now ? undefined : { ...before, nextStoreReadAt: now }
}

export function mirrorDue(before: CredentialState, id: MirrorId, now: number): CredentialState | undefined {
  const mirror = mirrorOf(before, id)
  if (mirror === undefined || mirror.nextAt <= now) return undefined
  const mirrors = (before.mirrors ?? []).map((one) => (one === mirror ? { ...one, nextAt: now } : one))
  return { ...before, mirrors }
}

export async function bringWithinReach(setup: CredentialSetup, book: Book): Promise<void> {
  await book.change(setup.name, (before, { now, policy }) => {
    const reached = withinReach(before, now, policy)
    return reached === before ? undefined : { state: reached, events: [] }
  })
}
