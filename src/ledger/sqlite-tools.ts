import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { assert } from '../core/errors.ts'
import { toLedgerError } from './sqlite-errors.ts'

/** What the parts of the ledger share: the open database behind three words. */
export interface Tools {
  /** The prepared statement, made once. */
  readonly sql: (text: string) => StatementSync
  /** Runs and names what goes wrong. */
  readonly guard: <T>(work: () => T) => T
  /** All or nothing, durable when it returns. */
  readonly transaction: <T>(work: () => T) => T
  /**
   * Writes made within survive the end of this process, however it comes, and may be lost where the whole machine stops:
   * they are flushed with the next ones that are not.
   */
  readonly unflushed: <T>(work: () => T) => T
}

export function databaseTools(database: DatabaseSync, path: string): Tools {
  const statements = new Map<string, StatementSync>()
  const guard = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw toLedgerError(error, path)
    }
  }
  const prepared = (text: string): StatementSync => {
    const known = statements.get(text)
    if (known !== undefined && database.isOpen) return known
    const statement = database.prepare(text)
    statements.set(text, statement)
    return statement
  }
  return {
    sql: prepared,
    guard,
    unflushed: (work) =>
      guard(() => {
        database.exec('PRAGMA synchronous = NORMAL')
        try {
          return work()
        } finally {
          if (database.isOpen) database.exec('PRAGMA synchronous = FULL')
        }
      }),
    transaction: (work) =>
      guard(() => {
        prepared('BEGIN IMMEDIATE').run()
        try {
          const result = work()
          prepared('COMMIT').run()
          return result
        } catch (error) {
          if (database.isTransaction) database.exec('ROLLBACK')
          throw error
        }
      }),
  }
}

/** Whole milliseconds, rounded up so that nothing is due early; "never" is the last instant a number can tell. */
export function instant(at: number): number {
  assert(!Number.isNaN(at), 'an instant is a number')
  return Math.min(Math.ceil(at), Number.MAX_SAFE_INTEGER)
}
