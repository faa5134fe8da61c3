import { isRecord } from '../core/json.ts'
import type { CredentialName } from '../core/types.ts'

/** That a store says of one of its secrets: it is to be rotated. */
export interface DueSecret {
  /** Where it is: the project or the vault; undefined where it cannot be compared. */
  readonly place: string | undefined
  readonly secret: string
  /** When it was said, by the clock of whoever said it. */
  readonly at: number
  readonly why: string
  /** When the key ends that is there, as the store has it. Absent: that is not why it is due. */
  readonly expiresAt?: number
}

/** Where the key of a credential is, in the words of its store. */
export interface SecretPlace {
  readonly credential: CredentialName
  /** Undefined: as the environment says, which is not compared. */
  readonly place: string | undefined
  readonly secret: string
}

/** What is known of how the key of a credential was turned last. */
export interface LatestTurn {
  readonly isRunning: boolean
  /** When its latest rotation began, whatever came of it. Undefined: nobody knows of one. */
  readonly startedAt: number | undefined
  /** When a rotation, a spare or a person made the current key current. Undefined: it was there before. */
  readonly promotedAt: number | undefined
  /** When the current key was made, where it is turned by itself before it ends. */
  readonly mintedAt: number | undefined
}

/** Clocks differ by so much, and what is told twice is told within it. */
const sameMs = 5 * 60_000
/** A key is left alone for so long: no store rotates more often than every hour, so whoever says it without end is wrong. */
const restMs = 30 * 60_000

/** The credentials whose key is in this secret. */
export function credentialsOf(due: DueSecret, places: readonly SecretPlace[]): readonly CredentialName[] {
  return places
    .filter(({ place, secret }) => secret === due.secret && (place ?? due.place) === (due.place ?? place))
    .map(({ credential }) => credential)
}

/**
 * Whether this was answered already: a rotation runs, or one began after it was said, or the key has changed. Clouds tell
 * things twice, late and out of order, and what was said before the last rotation was about the key before.
 */
export function isAnswered(due: DueSecret, latest: LatestTurn, now: number): boolean {
  const { isRunning, startedAt = Number.NEGATIVE_INFINITY, promotedAt = Number.NEGATIVE_INFINITY } = latest
  const { expiresAt } = due
  // Nothing is said in the future, whatever a message has.
  const at = Math.min(due.at, now)
  if (isRunning || startedAt >= at - sameMs || promotedAt >= at - restMs) return true
  // Azure warns 30 days ahead: of a key that lives for no longer, with each new one, and so without end.
  const { mintedAt } = latest
  return mintedAt !== undefined && expiresAt !== undefined && at - mintedAt < (expiresAt - mintedAt) / 2
}

/** Of an instant as text; undefined for what is none. */
export function instantOf(text: unknown): number | undefined {
  const at = typeof text === 'string' && text.length <= 64 ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {}
}
