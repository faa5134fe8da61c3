import { KeyturnError } from '../core/errors.ts'

/** Primary result codes, https://sqlite.org/rescode.html (read November 2026). */
const busy = new Set([5, 6])
const corrupt = new Set([11, 24, 26])
const fixes: Readonly<Record<number, string>> = {
  3: 'Give the user that runs Keyturn read and write access to the file and its folder.',
  8: 'Give the user that runs Keyturn write access to the file and its folder; look whether the disk is mounted read-only.',
  10: 'The disk reports an error: look at the system log and at the free space.',
  13: 'The disk is full: make room, then try again.',
  14: 'Look whether the folder exists and the user that runs Keyturn may write into it.',
}

/** Puts a name and a fix to what SQLite said. */
export function toLedgerError(thrown: unknown, path: string): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  if (!(thrown instanceof Error))
    return new KeyturnError('internal', `ledger ${path}: ${typeof thrown} thrown`)
  const code = 'errcode' in thrown && typeof thrown.errcode === 'number' ? thrown.errcode & 0xff : undefined
  if (code === undefined) {
    if ('code' in thrown && thrown.code === 'ERR_INVALID_STATE')
      return new KeyturnError('stopping', `the ledger ${path} is closed`, { cause: thrown })
    return new KeyturnError('internal', `ledger ${path}: ${thrown.name}`, { cause: thrown })
  }
  if (corrupt.has(code)) return corruptFile(path, 'is damaged, or no ledger at all', thrown)
  if (busy.has(code))
    return new KeyturnError('ledger_unreachable', `the ledger ${path} is locked by another process`, {
      fix: 'Look which other process has the file open; two may share it, none may hold it for seconds.',
      retryable: true,
      cause: thrown,
    })
  const fix = fixes[code]
  if (fix === undefined)
    return new KeyturnError('internal', `ledger ${path}: SQLite code ${code}`, { cause: thrown })
  return new KeyturnError(
    'ledger_unreachable',
    `the ledger ${path} cannot be read or written (SQLite code ${code})`,
    {
      fix,
      retryable: true,
      cause: thrown,
    },
  )
}

export function corruptFile(path: string, what: string, cause?: unknown): KeyturnError {
  return new KeyturnError('ledger_corrupt', `the ledger file ${path} ${what}`, {
    fix: `Move it away (mv ${path} ${path}.damaged) and start again: what is alive is rebuilt from the store and the issuer.`,
    cause,
  })
}

/** One row does not hold what it must; the rest of the ledger is sound. */
export function corruptRow(credential: string, what: string, cause?: unknown): KeyturnError {
  return new KeyturnError('ledger_corrupt', `the ledger's entry of credential "${credential}" ${what}`, {
    fix: 'Restore the ledger from a backup, or move the file away and start again: what is alive is rebuilt from the store and the issuer.',
    cause,
  })
}
