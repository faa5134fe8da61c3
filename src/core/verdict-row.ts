import type { Cause, Observation, TransportFailure, VerdictKind } from './types.ts'

type Answer = Extract<Observation, { kind: 'answer' }>

/**
 * What an observation must look like for a row. The names (`codes`, `codePrefixes`, `types`, `hints`) are alternatives
 * to each other; everything else must hold as well. `isIssuers` is true where it is not given.
 */
export interface When {
  readonly failure?: TransportFailure
  readonly isIssuers?: boolean
  /** Inclusive. */
  readonly status?: readonly [from: number, to: number]
  readonly codes?: readonly string[]
  readonly codePrefixes?: readonly string[]
  readonly types?: readonly string[]
  readonly hints?: readonly NonNullable<Answer['hint']>[]
  readonly isExpired?: true
}

export interface VerdictRow {
  readonly cause: Cause
  readonly kind: VerdictKind
  /** Any of these. Empty for conclusions over several probes, which no single observation can show. */
  readonly when: readonly When[]
  /** What is observed, for people; docs/verdicts.md has the same words. */
  readonly observed: string
  /** `{organization}`, `{project}` and `{missing}` are filled in. */
  readonly summary: string
  readonly fix: string
  readonly rotationCanHelp: boolean
}

/** One status, as the range that `When` takes. */
export const only = (status: number): readonly [number, number] => [status, status]

/** Spread into a row: whether minting another key can make it better. */
export const cannot = { rotationCanHelp: false } as const
export const can = { rotationCanHelp: true } as const
