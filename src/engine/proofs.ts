import type { Clock } from '../core/ports.ts'
import { type CredentialName, isAuthentic, type VersionId } from '../core/types.ts'
import type { Probe } from './probe.ts'

/**
 * Proofs of keys that several retirements of one credential wait for: one question at a time, and one that brought no
 * proof is believed for a while, since it only holds a deletion back. A proof that succeeded is not kept: before a key is
 * deleted, the one that stays is asked anew.
 */
export interface Proofs {
  of(name: CredentialName, version: VersionId, ask: () => Promise<Probe>): Promise<Probe>
}

/** Less than a waiting retirement pauses, so that each minute has one question, whoever is first. */
const failedForMs = 45_000

export function createProofs(clock: Clock): Proofs {
  const asked = new Map<
    CredentialName,
    { readonly version: VersionId; readonly until: number; readonly answer: Promise<Probe> }
  >()
  return {
    of(name, version, ask) {
      const known = asked.get(name)
      const now = clock.now()
      const isFresh = known !== undefined && now < known.until && known.until - now <= failedForMs
      if (known?.version === version && isFresh) return known.answer
      const answer = ask()
      const entry = { version, until: now + failedForMs, answer }
      asked.set(name, entry)
      const forget = (): void => {
        if (asked.get(name) === entry) asked.delete(name)
      }
      answer.then(({ verdict, isOurs }) => {
        if (isAuthentic(verdict.kind) && isOurs) forget()
      }, forget)
      return answer
    },
  }
}
