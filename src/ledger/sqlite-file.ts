import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import process from 'node:process'
import type * as NodeSqlite from 'node:sqlite'
import { KeyturnError } from '../core/errors.ts'
import { checksum, migrations, newestMigration } from './migrations.ts'
import { corruptFile, toLedgerError } from './sqlite-errors.ts'

/** How long a statement waits for another process's transaction; measured worst with six writers: 330 ms. */
const busyMs = 5_000
/** 'KTRN' in the file's header, so that a database of another program is recognised. */
const applicationId = 0x4b54524e
const othersBits = 0o077
const othersWriteBits = 0o022
const stickyBit = 0o1000

/** Opens, checks and migrates the database. A file that is refused is left as it was. */
export function openDatabase(path: string): DatabaseSync {
  const isFile = path !== ':memory:'
  const sqlite = loadSqlite()
  if (isFile) prepareFile(path)
  let database: DatabaseSync | undefined
  try {
    if (isFile && statSync(path).size > 0) checkUntouched(path, sqlite)
    database = new sqlite.DatabaseSync(path, { timeout: busyMs, enableForeignKeyConstraints: true })
    if (isFile) enterWal(database)
    database.exec('PRAGMA synchronous = FULL')
    migrate(database, path)
    if (isFile) tightenFiles(path)
    return database
  } catch (error) {
    if (database?.isOpen === true) database.close()
    throw toLedgerError(error, path)
  }
}

type Sqlite = typeof NodeSqlite
type DatabaseSync = NodeSqlite.DatabaseSync

/**
 * Loaded on first use, so that this module can be imported where there is no node:sqlite. Node 22 announces the module
 * as experimental, which would be noise on the terminal of everybody who runs it: that one warning is held back while
 * the module loads, and no other. Loading is synchronous, so nothing else can run in between.
 */
function loadSqlite(): Sqlite {
  const original = Object.getOwnPropertyDescriptor(process, 'emitWarning')
  const emitWarning: unknown = original?.value
  const quiet = (...given: unknown[]) => {
    if (given[1] !== 'ExperimentalWarning' && typeof emitWarning === 'function')
      Reflect.apply(emitWarning, process, given)
  }
  if (original !== undefined) Object.defineProperty(process, 'emitWarning', { ...original, value: quiet })
  try {
    const sqlite = process.getBuiltinModule('node:sqlite') as Sqlite | undefined
    if (sqlite !== undefined) return sqlite
  } finally {
    if (original !== undefined) Object.defineProperty(process, 'emitWarning', original)
  }
  throw new KeyturnError('node_too_old', `Node ${process.versions.node} has no SQLite built in`, {
    fix: 'Install Node 24 (at least 22.19).',
  })
}

/** Makes the folder (0700) and the file (0600) where they are missing, and tightens or refuses what is there. */
function prepareFile(path: string): void {
  const folder = dirname(resolve(path))
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    refuseOpenFolder(folder)
    if (!existsSync(path)) createFile(path, folder)
  } catch (error) {
    if (error instanceof KeyturnError) throw error
    throw new KeyturnError('ledger_unreachable', `the ledger ${path} cannot be made`, {
      fix: `Give the user that runs Keyturn write access to ${folder}.`,
      cause: error,
    })
  }
  tightenFiles(path)
  refuseForeignFormat(path)
}

/** Who may write into the folder can put another ledger in place. A folder of somebody's own is never changed. */
function refuseOpenFolder(folder: string): void {
  const mode = statSync(folder).mode
  if (process.platform === 'win32' || (mode & othersWriteBits) === 0 || (mode & stickyBit) !== 0) return
  throw new KeyturnError('permissions_lax', `others may write into the ledger's folder ${folder}`, {
    fix: `chmod go-w ${folder}, or name a folder inside it, which Keyturn makes with the right permissions.`,
  })
}

function createFile(path: string, folder: string): void {
  // 'a' and not 'wx': another process may have made it a moment ago, which is fine.
  closeSync(openSync(path, 'a', 0o600))
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** SQLite gives the WAL and SHM files the permissions of the main file; old ones may be as lax as it was. */
function tightenFiles(path: string): void {
  if (process.platform === 'win32') return
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    const mode = statSync(file, { throwIfNoEntry: false })?.mode
    if (mode === undefined || (mode & othersBits) === 0) continue
    try {
      chmodSync(file, 0o600)
    } catch (error) {
      throw new KeyturnError(
        'permissions_lax',
        `others may read or write ${file}, and this user may not change that`,
        {
          fix: `As the file's owner: chmod 600 ${file}`,
          cause: error,
        },
      )
    }
  }
}

/** Seen before SQLite opens it, so that a file of another kind is not touched at all. */
function refuseForeignFormat(path: string): void {
  const expected = 'SQLite format 3\0'
  const head = Buffer.alloc(expected.length)
  const handle = openSync(path, 'r')
  try {
    const length = readSync(handle, head, 0, head.length, 0)
    if (length > 0 && head.toString('latin1') !== expected) throw corruptFile(path, 'is not a database')
  } finally {
    closeSync(handle)
  }
}

/** Looks at schema and migrations through a read-only connection, which changes nothing in the file. */
function checkUntouched(path: string, sqlite: Sqlite): void {
  const database = new sqlite.DatabaseSync(path, { readOnly: true, timeout: busyMs })
  try {
    const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
    if (!isEmpty) appliedMigrations(database, path)
  } finally {
    database.close()
  }
}

/** How many migrations the file has, after comparing each with ours. */
function appliedMigrations(database: DatabaseSync, path: string): number {
  const id = database.prepare('PRAGMA application_id').get()?.['application_id']
  if (id !== applicationId) throw corruptFile(path, 'is a database of another program')
  const rows = database.prepare('SELECT number, name, checksum FROM migrations ORDER BY number').all()
  const newest = Number(rows.at(-1)?.['number'] ?? 0)
  if (newest > newestMigration)
    throw new KeyturnError(
      'ledger_newer',
      `the ledger ${path} has schema ${newest}, this Keyturn knows schemas up to ${newestMigration}`,
      { fix: 'Run the newer Keyturn that last wrote it, or restore the backup made before that one ran.' },
    )
  for (const migration of migrations.slice(0, rows.length)) {
    const row = rows[migration.number - 1]
    if (row?.['number'] !== migration.number || row['checksum'] !== checksum(migration))
      throw corruptFile(path, `has a schema step ${migration.number} that differs from this Keyturn's`)
  }
  return rows.length
}

/** One transaction per step. Another process may be doing the same: what is left to do is read inside. */
function migrate(database: DatabaseSync, path: string): void {
  database.exec('BEGIN IMMEDIATE')
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  if (isEmpty)
    database.exec(`PRAGMA application_id = ${applicationId};
CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT;`)
  database.exec('COMMIT')
  for (const migration of migrations) {
    database.exec('BEGIN IMMEDIATE')
    if (appliedMigrations(database, path) < migration.number) {
      database.exec(migration.sql)
      database
        .prepare('INSERT INTO migrations (number, name, checksum) VALUES (?, ?, ?)')
        .run(migration.number, migration.name, checksum(migration))
    }
    database.exec('COMMIT')
  }
}

/**
 * Two processes that open a new file at the same instant get "locked" here at once, whatever the busy timeout says
 * (SQLite does not wait for this lock, so as not to deadlock): the switch is tried again a bounded number of times.
 */
function enterWal(database: DatabaseSync): void {
  const triesMax = 100
  const pauseMs = 20
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 1; ; tries += 1) {
    try {
      database.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (tries >= triesMax || !(error instanceof Error) || !/locked/.test(error.message)) throw error
      Atomics.wait(pause, 0, 0, pauseMs)
    }
  }
}
