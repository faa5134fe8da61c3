import type { CredentialState } from './types.ts'

export interface Outage {
  readonly since: number
  readonly summary: string
  readonly fix: string
}

/**
 * Why no key is left, as of now. The outage was written down when it began and may promise another key; where minting
 * that one has halted since, the halt is what a person has to know.
 */
export function outageOf({ outage, rotation }: CredentialState): Outage | undefined {
  const halt = rotation?.phase === 'halted' ? rotation.halt : undefined
  if (outage === undefined || halt === undefined || halt.at < outage.since) return outage
  return { since: outage.since, summary: `${outage.summary} ${halt.summary}`, fix: halt.fix }
}
