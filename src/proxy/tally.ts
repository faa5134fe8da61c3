import type { Usage } from './callers.ts'

/** What the proxy did, in plain memory: made into metrics when somebody asks. */
export interface Tally {
  /** Requests under way. */
  active: number
  /** An answer of the upstream began, also where the caller does not get it as it is. */
  answered(usage: Usage, fingerprint: string, status: number): void
  /** The proxy said no itself. */
  refused(code: string): void
  /** OpenAI refused the key of a request, conclusively. */
  keyRefused(outcome: 'replaced' | 'not_replaced' | 'not_repeatable'): void
  upstreamFailed(): void
  readonly refusals: ReadonlyMap<string, number>
  readonly keyRefusals: ReadonlyMap<string, number>
  readonly upstreamFailures: number
}

/** Keys of one caller that are counted apart: it has one at a time, and two while one is turned. */
const keysMax = 8

export function createTally(): Tally {
  const refusals = new Map<string, number>()
  const keyRefusals = new Map<string, number>()
  let upstreamFailures = 0
  return {
    active: 0,
    answered({ answers }, fingerprint, status) {
      let ofKey = answers.get(fingerprint)
      if (ofKey === undefined) {
        answers.set(fingerprint, (ofKey = new Map()))
        const [oldest] = answers.keys()
        if (answers.size > keysMax && oldest !== undefined) answers.delete(oldest)
      }
      addTo(ofKey, `${Math.floor(status / 100)}xx`)
    },
    refused: (code) => addTo(refusals, code),
    keyRefused: (outcome) => addTo(keyRefusals, outcome),
    upstreamFailed: () => {
      upstreamFailures += 1
    },
    refusals,
    keyRefusals,
    get upstreamFailures() {
      return upstreamFailures
    },
  }
}

export function addTo(counts: Map<string, number>, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by)
}
