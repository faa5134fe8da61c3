import { KeyturnError, toKeyturnError } from '../core/errors.ts'

/**
 * What is told of something thrown that is no refusal of ours. Files and folders are by far the most common cause, and what the
 * system says of them has a remedy; of anything else only the name is told, since its message may quote a secret.
 */
export function faultOf(thrown: unknown, context: string): KeyturnError {
  if (thrown instanceof KeyturnError || !(thrown instanceof Error)) return toKeyturnError(thrown, context)
  const { code, path } = thrown as NodeJS.ErrnoException
  if (code === 'SANDBOX_STATE') return new KeyturnError('file_unusable', thrown.message, { cause: thrown })
  const known = code === undefined ? undefined : faults[code]
  if (code === undefined || known === undefined) {
    return new KeyturnError('internal', `${context}: ${code ?? thrown.name}`, {
      fix: 'This should not happen: please report it, with the command and the version.',
      cause: thrown,
    })
  }
  const [what, fix] = known
  return new KeyturnError('file_unusable', `${context}: ${path ?? 'a file'} ${what} (${code})`, {
    fix,
    cause: thrown,
  })
}

const forbidden = [
  'cannot be read or written by this user',
  'Run it as the user whom it belongs to, or choose another place (KEYTURN_HOME, or the option that names the file).',
] as const
const full = ['cannot be written: the disk is full', 'Make room, then try again.'] as const

/** By the system's code: what is wrong with the path, and what to do. */
const faults: Readonly<Record<string, readonly [what: string, fix: string]>> = {
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: [
    'is on a disk that is only read',
    'Choose a place that can be written (KEYTURN_HOME, or the option that names the file).',
  ],
  ENOSPC: full,
  EDQUOT: full,
  EISDIR: ['is a folder, and a file is needed', 'Name a file.'],
  ENOTDIR: ['needs a folder where a file stands', 'Name another place, or move that file away.'],
  EEXIST: ['needs a folder where a file stands', 'Name another place, or move that file away.'],
  ENOENT: ['is not there', 'Look at the path; it may have been deleted while this ran.'],
  ENAMETOOLONG: ['is too long a path', 'Choose a shorter one.'],
  ELOOP: ['is a link that leads back to itself', 'Correct the link.'],
  EBUSY: ['is changed by somebody else all the time', 'Let one writer have it.'],
  EMFILE: ['cannot be opened: too many files are open', 'Raise the limit (ulimit -n), then try again.'],
}
