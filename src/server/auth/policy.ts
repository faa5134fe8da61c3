import { type AccessPolicy, noAccess } from '../../core/access.ts'
import type { Cancel } from '../../core/ports.ts'

/** The rules in force. Whoever was let in under others is judged anew. */
export interface PolicyHolder {
  readonly policy: AccessPolicy
  /** Rises with every change; what was concluded under an older one does not count. */
  readonly generation: number
  /** The same rules once more change nothing. */
  replace(policy: AccessPolicy): void
  onChange(listener: () => void): Cancel
}

export function createPolicyHolder(policy: AccessPolicy = noAccess): PolicyHolder {
  const listeners = new Set<() => void>()
  const state = { policy, generation: 1 }
  return {
    get policy() {
      return state.policy
    },
    get generation() {
      return state.generation
    },
    replace(next) {
      if (JSON.stringify(next) === JSON.stringify(state.policy)) return
      state.policy = next
      state.generation += 1
      for (const listener of listeners) listener()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
