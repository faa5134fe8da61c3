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
  /** The state as JSON. What it has in common with states before it is not written out again. */
  text(state: CredentialState): string
}

export function knownStates(): KnownStates {
  const states = new Map<CredentialName, CredentialState>()
  const texts = new WeakMap<object, string>()

  function part(value: unknown): string | undefined {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    const made = texts.get(value)
    if (made !== undefined) return made
    const text = JSON.stringify(value)
    texts.set(value, text)
    return text
  }

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
    text(state) {
      const fields: string[] = []
      for (const [name, value] of Object.entries(state) as readonly [string, unknown][]) {
        const text = Array.isArray(value)
          ? `[${value.map((one) => part(one) ?? 'null').join()}]`
          : part(value)
        if (text !== undefined) fields.push(`"${name}":${text}`)
      }
      return `{${fields.join()}}`
    },
  }
}
