import type { Ledger } from '../core/ports.ts'
import { knownStates } from './known-states.ts'
import { aftermath } from './sqlite-aftermath.ts'
import { claims } from './sqlite-claims.ts'
import { openDatabase } from './sqlite-file.ts'
import { documents, leases, memory } from './sqlite-memory.ts'
import { history, states } from './sqlite-states.ts'
import { databaseTools, type Tools } from './sqlite-tools.ts'

export interface SqliteLedgerOptions {
  /** The file (made with its folder where it is missing), or `:memory:`. */
  readonly path: string
  /** How many events are kept per credential for replay. Default 1000. */
  readonly maxEventsPerCredential?: number
  /** How many rotations are kept per credential. Default 200. */
  readonly maxRotationsPerCredential?: number
}

/**
 * The ledger of one host: a SQLite file in WAL mode, flushed to disk before each promise resolves, shared by as many
 * processes as open it. Each call is one short synchronous transaction.
 *
 * Errors: `ledger_newer`, `ledger_corrupt`, `ledger_unreachable`, `permissions_lax` and `node_too_old` on opening;
 * `ledger_corrupt`, `ledger_unreachable`, `stopping` (closed) and `internal` (a broken invariant) later.
 */
export function openSqliteLedger(options: SqliteLedgerOptions): Ledger {
  const database = openDatabase(options.path)
  const tools = databaseTools(database, options.path)
  return {
    ...ledgerOver(tools, options),
    async close() {
      if (database.isOpen) tools.guard(() => database.close())
    },
  }
}

/** One process's ledger over a database that is open: of what it remembers, others over the same database know nothing. */
export function ledgerOver(
  tools: Tools,
  options: Pick<SqliteLedgerOptions, 'maxEventsPerCredential' | 'maxRotationsPerCredential'>,
): Omit<Ledger, 'close'> {
  const known = knownStates()
  return {
    ...claims(tools, known),
    ...states(tools, known, {
      events: options.maxEventsPerCredential ?? 1000,
      rotations: options.maxRotationsPerCredential ?? 200,
    }),
    ...history(tools),
    ...aftermath(tools),
    ...leases(tools),
    ...memory(tools),
    ...documents(tools),
  }
}
