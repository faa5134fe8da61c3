import { chmod, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'

const waitMs = 5_000
const retryMs = 20
const sqliteBusy = 5

/**
 * Does the work while no other process changes the file: the command line may revoke a token at the very moment at which
 * the service notes that it was used, and the revocation must not get lost.
 *
 * The lock is one that the kernel lets go of when its process dies: an exclusive transaction on an empty SQLite file. A
 * lock file would have to be judged stale after a kill -9, and two who judge it at once both take it.
 */
export async function withLock<Result>(
  path: string,
  system: System,
  work: () => Promise<Result>,
): Promise<Result> {
  const lock = `${path}.lock.db`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((thrown: unknown) => {
    throw unusable(lock, thrown)
  })
  const { DatabaseSync } = await import('node:sqlite')
  const open = (): InstanceType<typeof DatabaseSync> => {
    try {
      return new DatabaseSync(lock)
    } catch (thrown) {
      throw unusable(lock, thrown)
    }
  }
  const database = open()
  try {
    await chmod(lock, 0o600).catch((thrown: unknown) => {
      throw unusable(lock, thrown)
    })
    for (let waitedMs = 0; !isTaken(database, lock); waitedMs += retryMs) {
      if (waitedMs >= waitMs)
        throw new KeyturnError('conflict', `The token file ${path} is being changed by another process.`, {
          fix: 'Try again in a moment.',
          retryable: true,
        })
      await new Promise<void>((resolve) => system.after(retryMs, resolve))
    }
    return await work()
  } finally {
    database.close()
  }
}

function isTaken(database: { exec(sql: string): void }, lock: string): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE')
    return true
  } catch (thrown) {
    if (thrown instanceof Error && 'errcode' in thrown && thrown.errcode === sqliteBusy) return false
    throw unusable(lock, thrown)
  }
}

function unusable(lock: string, thrown: unknown): KeyturnError {
  return new KeyturnError('config_invalid', `The lock ${lock} cannot be taken (${errnoText(thrown)}).`, {
    fix: `Let the user that runs keyturn write to ${dirname(lock)}, and see that the disk is not full.`,
    cause: thrown,
  })
}
