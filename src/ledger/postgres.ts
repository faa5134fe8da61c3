import type { Ledger, Log, System } from '../core/ports.ts'
import { knownStates } from './known-states.ts'
import { aftermath } from './postgres-aftermath.ts'
import { claims } from './postgres-claims.ts'
import { type Database, openDatabase, type PostgresTarget } from './postgres-connection.ts'
import { closed } from './postgres-errors.ts'
import { documents, leases, memory } from './postgres-memory.ts'
import { type PostgresMigration, postgresMigrations } from './postgres-migrations.ts'
import { bringUpToDate, newestOf } from './postgres-schema.ts'
import { history, states } from './postgres-states.ts'
import type { PostgresTools } from './postgres-tools.ts'
import { watching } from './postgres-watch.ts'

export type { PostgresTarget } from './postgres-connection.ts'

export interface PostgresLedgerOptions {
  readonly target: PostgresTarget
  /** Whether a schema that is missing or old is made or changed here. Default true. */
  readonly migrate?: boolean
  readonly system: System
  readonly log: Log
  /** How many events are kept per credential for replay. Default 1000. */
  readonly maxEventsPerCredential?: number
  /** How many rotations are kept per credential. Default 200. */
  readonly maxRotationsPerCredential?: number
}

/**
 * The ledger of several replicas: one schema of a PostgreSQL database. Time is the database's. Nothing is connected
 * before it is first used, and what failed is tried again by the next call, so that a service can start without it.
 *
 * Errors, by any call: `ledger_unreachable`, `ledger_newer`, `ledger_behind`, `ledger_corrupt`, `stopping` (closed) and
 * `internal` (a broken invariant).
 */
export function openPostgresLedger(options: PostgresLedgerOptions): Ledger {
  return openPostgresLedgerWith(options, postgresMigrations)
}

/** A Keyturn that knows these steps: older and newer ones share a ledger while replicas are upgraded one by one. */
export function openPostgresLedgerWith(
  options: PostgresLedgerOptions,
  steps: readonly PostgresMigration[],
): Ledger {
  const { target, system, log } = options
  const known = knownStates()
  let opening: Promise<Database> | undefined
  let isClosed = false

  async function open(): Promise<Database> {
    const database = await openDatabase(target, log)
    try {
      await database.assertSessions()
      await bringUpToDate(database, { schema: target.schema, steps, migrate: options.migrate ?? true })
      return database
    } catch (thrown) {
      await database.close()
      throw thrown
    }
  }
  function ready(): Promise<Database> {
    if (isClosed) return Promise.reject(closed(target.database))
    opening ??= open().catch((thrown: unknown) => {
      opening = undefined
      throw thrown
    })
    return opening
  }

  const channel = `keyturn_${target.schema}`
  const tools: PostgresTools = { ready, known, clock: system, log, channel, newest: newestOf(steps) }
  const { watch, stop } = watching({ ready, channel, known, system, log })
  return {
    ...claims(tools),
    ...states(tools, {
      events: options.maxEventsPerCredential ?? 1000,
      rotations: options.maxRotationsPerCredential ?? 200,
    }),
    ...history(tools),
    ...aftermath(tools),
    ...leases(tools),
    ...memory(tools),
    ...documents(tools),
    watch,
    async close() {
      isClosed = true
      await stop()
      const database = await opening?.catch(() => undefined)
      await database?.close()
    },
  }
}
