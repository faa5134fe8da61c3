import type { CredentialName } from '../core/types.ts'

/** That a store says of one of its secrets: it is to be rotated. */
export interface DueSecret {
  /** Where it is: the project or the vault; undefined where it cannot be compared. */
  readonly place: string | undefined
  readonly secret: string
  /** When it was said, by the clock of whoever said it. */
  readonly at: number
  readonly why: string
}

/** Where the key of a credential is, in the words of its store. */
export interface SecretPlace {
  readonly credential: CredentialName
  /** Undefined: as the environment says, which is not compared. */
  readonly place: string | undefined
  readonly secret: string
}

/** What is known of the latest rotation of a credential. */
export interface LatestRotation {
  readonly startedAt: number
  readonly isRunning: boolean
}

/** Clocks differ by so much, and what is told twice is told within it. Stores rotate no more often than every hour. */
const sameMs = 5 * 60_000

/** The credentials whose key is in this secret. */
export function credentialsOf(due: DueSecret, places: readonly SecretPlace[]): readonly CredentialName[] {
  return places
    .filter(({ place, secret }) => secret === due.secret && (place ?? due.place) === (due.place ?? place))
    .map(({ credential }) => credential)
}

/**
 * Whether this was answered already: a rotation runs, or one began after it was said. Clouds tell things twice, late and
 * out of order, and what was said before the last rotation was about the key before.
 */
export function isAnswered({ at }: DueSecret, latest: LatestRotation | undefined): boolean {
  return latest !== undefined && (latest.isRunning || latest.startedAt >= at - sameMs)
}

/** Of an instant as text; undefined for what is none. */
export function instantOf(text: unknown): number | undefined {
  const at = typeof text === 'string' && text.length <= 64 ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
