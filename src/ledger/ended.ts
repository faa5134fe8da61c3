import type { Aftermath, CredentialState } from '../core/types.ts'

/** One entry with the columns that it is found by. */
export interface Ended {
  readonly id: string
  readonly version: string
  readonly rotation: string | undefined
  readonly aftermath: Aftermath
}

/** What of a state has ended, and is kept apart from it from then on. */
export function endedOf({ retirements, sweeps = [] }: CredentialState): readonly Ended[] {
  return [
    ...retirements
      .filter((one) => one.endedAt !== undefined)
      .map((retirement): Ended => {
        const { id, version, rotation } = retirement
        return { id, version, rotation, aftermath: { kind: 'retirement', retirement } }
      }),
    ...sweeps.map((sweep): Ended => {
      const { marker, version, rotation } = sweep
      return { id: marker, version, rotation, aftermath: { kind: 'sweep', sweep } }
    }),
  ]
}
