import { dirname, resolve, sep } from 'node:path'
import { KeyturnError } from '../../core/errors.ts'
import type { Disk } from './disk.ts'

export interface PlaceOptions {
  /** Whose the file has to be; undefined where there are no owners. */
  readonly uid: number | undefined
  /** Others may write into the folder, and it is known. */
  readonly isSharedFolder: boolean
  /** What the file is to have. */
  readonly mode: number
}

const othersMayWrite = 0o002
const sticky = 0o1000

/**
 * Refuses a place where somebody else could put another file or read this one: a link set by another user on the way, a folder
 * that others may write into, a file of somebody else, a link or no file in its place. Answers what is only to be told.
 *
 * Errors: `permissions_lax`, `file_unusable`.
 */
export function lookAtPlace(path: string, disk: Disk, options: PlaceOptions): readonly string[] {
  const folder = dirname(path)
  const { uid } = options
  assertFolder(folder, disk)
  if (uid === undefined) return []
  for (const part of partsOf(folder)) {
    const found = disk.lstat(part)
    if (found?.isSymbolicLink() === true && found.uid !== uid && found.uid !== 0)
      throw lax(
        `${part} on the way to ${path} is a link that another user has set`,
        'Name the folder that it leads to, if that is meant.',
      )
  }
  for (const part of partsOf(disk.realpath(folder))) assertOwn(part, disk, options)
  return tellOfFile(path, disk, { uid, mode: options.mode })
}

function assertFolder(folder: string, disk: Disk): void {
  const found = disk.lstat(folder)
  if (found !== undefined && disk.stat(folder).isDirectory()) return
  throw new KeyturnError('file_unusable', `there is no folder ${folder}`, {
    fix: `Make it first: mkdir -p -m 700 '${folder}'`,
  })
}

/** `/a/b` is `/`, `/a` and `/a/b`. */
function partsOf(folder: string): readonly string[] {
  const whole = resolve(folder)
  const parts = whole.split(sep).map((_, index, all) => all.slice(0, index + 1).join(sep) || sep)
  return whole === sep ? [sep] : parts
}

function assertOwn(folder: string, disk: Disk, { uid, isSharedFolder }: PlaceOptions): void {
  if (isSharedFolder) return
  const { uid: owner, mode } = disk.stat(folder)
  if (owner !== uid && owner !== 0)
    throw lax(
      `the folder ${folder} belongs to another user, who can put another file there`,
      'Choose a folder of your own; --shared-folder where that user is trusted.',
    )
  if ((mode & othersMayWrite) !== 0 && (mode & sticky) === 0)
    throw lax(
      `everybody may write into the folder ${folder}, and put another file there`,
      `chmod o-w '${folder}'; --shared-folder where nobody else gets there, as in the volume of a pod.`,
    )
}

function tellOfFile(
  path: string,
  disk: Disk,
  { uid, mode }: { readonly uid: number; readonly mode: number },
): readonly string[] {
  const found = disk.lstat(path)
  if (found === undefined) return []
  if (found.isSymbolicLink())
    throw lax(`${path} is a link`, `Name the file that it leads to: readlink -f '${path}'`)
  if (!found.isFile())
    throw new KeyturnError('file_unusable', `${path} is not a file`, { fix: 'Name a file.' })
  if (found.uid !== uid)
    throw lax(`${path} belongs to another user`, 'Run it as that user, or name another file.')
  if (found.nlink > 1)
    throw lax(
      `${path} has another name, under which the old key would stay`,
      'Remove the other name (ls -i).',
    )
  return (found.mode & 0o044 & ~mode) === 0 ? [] : [`others can read ${path}; once it is written they cannot`]
}

function lax(message: string, fix: string): KeyturnError {
  return new KeyturnError('permissions_lax', message, { fix })
}
