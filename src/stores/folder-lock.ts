import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'
import { fileError, privateFileMode } from './files.ts'

/**
 * One writer at a time in a folder, over all processes of the machine and all containers that share it.
 *
 * The lock is SQLite's own, on an empty database that is never written: the kernel lets go of it when its holder dies,
 * however it dies. A lock file with a process id was rejected: after a kill -9 somebody has to judge whether it is
 * stale, which races, and ids mean nothing across containers.
 */
export interface FolderLock {
  /** Runs the section alone. It is synchronous, so that the lock is never held while something else is awaited. */
  run<Result>(section: () => Result): Promise<Result>
  close(): void
}

/** Up to about ten seconds; a section takes milliseconds. */
const attemptsMax = 400
const waitMs = 25
/** The low byte of SQLite's extended result codes. */
const sqliteBusy = 5

export function openFolderLock(path: string, system: System): FolderLock {
  const database = openDatabase(path)
  return {
    async run(section) {
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        if (tryBegin(database, path)) return runLocked(database, section)
        await new Promise<void>((resolve) => {
          system.after(Math.ceil(waitMs * (0.5 + system.fraction())), resolve)
        })
      }
      throw new KeyturnError('store_unreachable', `Another process keeps ${path} locked.`, {
        fix: `See which process holds it: fuser '${path}'`,
        retryable: true,
      })
    },
    close() {
      database.close()
    },
  }
}

function runLocked<Result>(database: DatabaseSync, section: () => Result): Result {
  try {
    return section()
  } finally {
    database.exec('ROLLBACK')
  }
}

function tryBegin(database: DatabaseSync, path: string): boolean {
  try {
    // The journal mode is set here and not when it is opened, because that too meets the lock of another.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return true
  } catch (thrown) {
    if (isBusy(thrown)) return false
    throw fileError(thrown, path, 'write')
  }
}

function isBusy(thrown: unknown): boolean {
  return thrown instanceof Error && 'errcode' in thrown && Number(thrown.errcode) % 256 === sqliteBusy
}

function openDatabase(path: string): DatabaseSync {
  try {
    // SQLite would make it readable for all. 'wx' never opens an existing one: closing any descriptor of a file drops
    // the POSIX locks that this process holds on it.
    closeSync(openSync(path, 'wx', privateFileMode))
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw fileError(thrown, path, 'write')
  }
  try {
    const database = new DatabaseSync(path)
    database.exec('PRAGMA busy_timeout = 0')
    return database
  } catch (thrown) {
    throw fileError(thrown, path, 'write')
  }
}
