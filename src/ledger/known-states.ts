import type { CredentialName, CredentialState } from '../core/types.ts'

/** Beyond it the one that was written longest ago is parsed again. */
const statesMax = 20_000

/**
 * States as they were last read or written here: they are asked for many times between two changes, and each is some
 * kilobytes of text. Whoever else writes to the same file writes another revision with it, so what is known of a
 * revision holds as long as the entry has that one. Nothing is put in before it is durable.
 */
export interface KnownStates {
  get(name: CredentialName, revision: unknown): CredentialState | undefined
  put(state: CredentialState): void
}

export function knownStates(): KnownStates {
  const states = new Map<CredentialName, CredentialState>()
  return {
    get(name, revision) {
      const state = states.get(name)
      return state?.revision === revision ? state : undefined
    },
    put(state) {
      states.delete(state.name)
      states.set(state.name, state)
      const [oldest] = states.size > statesMax ? states.keys() : []
      if (oldest !== undefined) states.delete(oldest)
    },
  }
}
