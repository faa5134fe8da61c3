import { KeyturnError } from '../core/errors.ts'
import type { Log, SecretStore } from '../core/ports.ts'
import type { CredentialSetup } from './setup.ts'

/**
 * What the stores of one credential tell of the fences they have seen. A store refuses a change under a lower fence than
 * its highest, because another replica took over; where nobody did, it is the ledger that has fallen behind.
 */
export interface SeenFences {
  /** The same set-up, whose stores are listened to. */
  readonly setup: CredentialSetup
  /** A store refused a change, or told of a higher fence than this one. */
  isAbove(fence: number): boolean
  /** The highest that the stores tell of now; what was noted before is forgotten. Never rejects. */
  ask(): Promise<number>
}

export function listenToFences(setup: CredentialSetup, log: Log): SeenFences {
  let highest = 0
  let isRefused = false

  function listenedTo(store: SecretStore): SecretStore {
    const noted = async <Result>(changing: Promise<Result>): Promise<Result> => {
      try {
        return await changing
      } catch (thrown) {
        if (thrown instanceof KeyturnError && thrown.code === 'store_conflict') isRefused = true
        throw thrown
      }
    }
    return {
      ...store,
      async describe(ref) {
        const description = await store.describe(ref)
        highest = Math.max(highest, description?.fence ?? 0)
        return description
      },
      stage: (ref, request) => noted(store.stage(ref, request)),
      promote: (ref, request) => noted(store.promote(ref, request)),
      retire: (ref, request) => noted(store.retire(ref, request)),
    }
  }

  return {
    setup: {
      ...setup,
      store: listenedTo(setup.store),
      mirrors: setup.mirrors.map((mirror) => ({ ...mirror, store: listenedTo(mirror.store) })),
    },
    isAbove: (fence) => isRefused || highest > fence,
    async ask() {
      let seen = highest
      highest = 0
      isRefused = false
      for (const { store, ref } of [setup, ...setup.mirrors]) {
        try {
          seen = Math.max(seen, (await store.describe(ref))?.fence ?? 0)
        } catch (thrown) {
          log(
            'warn',
            'a store did not tell which fence it has seen; it is asked again after its next refusal',
            {
              credential: setup.name,
              error: thrown,
            },
          )
        }
      }
      return seen
    },
  }
}
