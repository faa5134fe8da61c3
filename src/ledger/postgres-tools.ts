import type { Clock, Log } from '../core/ports.ts'
import type { KnownStates } from './known-states.ts'
import type { Database } from './postgres-connection.ts'
import { instant } from './sqlite-tools.ts'

/** What the parts of the ledger share. */
export interface PostgresTools {
  /** Connected and migrated; tried again by the next call where it failed. */
  readonly ready: () => Promise<Database>
  readonly known: KnownStates
  readonly clock: Clock
  readonly log: Log
  /** Notifications of this schema. */
  readonly channel: string
  /** The newest schema that this Keyturn knows. */
  readonly newest: number
}

/** The last instant a number can tell: "never". */
export const never = Number.MAX_SAFE_INTEGER

/**
 * How far an instant of this process's clock lies ahead, which every clock agrees about; the database adds its own `now`.
 * Undefined for "never".
 */
export function aheadMs(at: number, clock: Clock): number | undefined {
  const whole = instant(at)
  return whole === never ? undefined : whole - Math.floor(clock.now())
}

/** The way back: an instant of the ledger's clock as one of ours. */
export function here(at: number, ledgerNow: number, clock: Clock): number {
  return at >= never ? never : Math.ceil(clock.now()) + (at - ledgerNow)
}

/** `now` as a subquery that is asked once, so that an index on instants can be used. */
export const clockSql = 'clock AS MATERIALIZED (SELECT ledger_now() AS now)'
/** An instant from what `aheadMs` gave. */
export const fromNow = (parameter: string): string =>
  `coalesce((SELECT now FROM clock) + ${parameter}::bigint, ${never})`
