import { accessSync, chmodSync, constants, existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'

/**
 * The folder where one installation keeps its ledger, tokens and, in sandbox mode, its secrets. One process at a time
 * works in it: two workers on one embedded ledger would both be right and get in each other's way.
 */
export interface Home {
  readonly path: string
  file(...parts: readonly string[]): string
  close(): void
}

const privateFolder = 0o700

/** Makes the folder where it is missing and takes its lock. `home_in_use`, `permissions_lax`. */
export async function openHome(path: string): Promise<Home> {
  try {
    makeFolder(path)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (thrown) {
    const what = `The home folder ${path} cannot be made or written (${errnoText(thrown)}).`
    throw new KeyturnError('config_invalid', what, {
      fix: 'Give the user that runs Keyturn a folder it may write into, with KEYTURN_HOME or home in the configuration.',
      cause: thrown,
    })
  }
  assertPrivate(path)
  const lock = await takeLock(join(path, 'instance.lock'), path)
  return { path, file: (...parts) => join(path, ...parts), close: lock }
}

/** Folder by folder: Node's recursive way never returns below /proc, where making a folder fails with "no such file". */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: privateFolder })
  } catch (thrown) {
    // Another process was faster.
    if (!existsSync(path)) throw thrown
  }
}

function assertPrivate(path: string): void {
  const { mode, uid } = statSync(path)
  if ((mode & 0o077) === 0) return
  const isOwn = process.getuid?.() === uid
  if (!isOwn) {
    throw new KeyturnError('permissions_lax', `${path} can be read by others and belongs to another user.`, {
      fix: `Name a folder inside it, which Keyturn makes for itself: KEYTURN_HOME=${join(path, 'home')}`,
    })
  }
  chmodSync(path, privateFolder)
}

/**
 * A lock that the kernel lets go of when the process dies, however it dies: an exclusive transaction on an empty
 * SQLite file. A file with a process id would have to be judged stale after a kill -9, and that judgement races.
 */
async function takeLock(file: string, home: string): Promise<() => void> {
  const { DatabaseSync } = await import('node:sqlite')
  let database: InstanceType<typeof DatabaseSync> | undefined
  try {
    database = new DatabaseSync(file)
    chmodSync(file, 0o600)
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (thrown) {
    database?.close()
    throw isBusy(thrown)
      ? new KeyturnError('home_in_use', `Another Keyturn process works in ${home}.`, {
          fix: 'Use the one that runs (keyturn status), end it first, or choose another folder with KEYTURN_HOME.',
          cause: thrown,
        })
      : new KeyturnError('config_invalid', `The lock of ${home} cannot be taken (${errnoText(thrown)}).`, {
          fix: `Make ${file} writable for this user, or choose another folder with KEYTURN_HOME.`,
          cause: thrown,
        })
  }
  const taken = database
  return () => {
    if (taken.isOpen) taken.close()
  }
}

const sqliteBusy = 5

function isBusy(thrown: unknown): boolean {
  return thrown instanceof Error && 'errcode' in thrown && thrown.errcode === sqliteBusy
}
