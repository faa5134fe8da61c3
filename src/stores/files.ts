import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'

/**
 * Durable, private files. Everything here is synchronous on purpose: it runs inside the folder's lock, which must
 * never be held across an await, and takes about a millisecond.
 */
export const privateFileMode = 0o600
export const privateFolderMode = 0o700
const temporarySuffix = '.tmp'

/** Replaces a file so that a reader, a crash or a power cut finds the old or the new bytes whole, never a mixture. */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  const temporary = join(dirname(path), `.${basename(path)}${temporarySuffix}`)
  rmSync(temporary, { force: true })
  writeNew(temporary, bytes)
  renameSync(temporary, path)
  syncFolder(dirname(path))
}

/**
 * The bytes of a file of ours; undefined where there is none. A pipe would block the whole process until somebody writes
 * to it, and a device or a huge file fill its memory, so neither is read, whoever put it there.
 * `store_malformed`, `store_too_large`, or an error of the file system.
 */
export function readBounded(path: string, bytesMax: number): Buffer | undefined {
  const file = openForReading(path)
  if (file === undefined) return undefined
  try {
    assertRegular(fstatSync(file).isFile(), path)
    // One byte more than allowed shows that there is more; what the file tells of its size is not relied on.
    const bytes = Buffer.allocUnsafe(bytesMax + 1)
    let length = 0
    for (let got = -1; got !== 0 && length < bytes.length; length += got)
      got = readSync(file, bytes, length, bytes.length - length, null)
    if (length > bytesMax) throw tooLarge(path, bytesMax)
    return bytes.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

/** Opening never waits, not even for the other end of a pipe. Windows has no such flag, and no such pipes in folders. */
export const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

function openForReading(path: string): number | undefined {
  try {
    return openSync(path, openFlags)
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}

export function assertRegular(isFile: boolean, path: string): void {
  if (isFile) return
  throw new KeyturnError('store_malformed', `${path} is not a regular file.`, {
    fix: `Check what is there: ls -ld '${path}'. Docker makes a folder where the file that it shall mount is missing.`,
  })
}

function tooLarge(path: string, bytesMax: number): KeyturnError {
  return new KeyturnError('store_too_large', `The file ${path} is larger than ${bytesMax} bytes.`, {
    fix: `Check what is there, and restore it from a backup: ls -l '${path}'`,
  })
}

/** Fails with EEXIST where the file is there already. */
export function writeNew(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'wx', privateFileMode)
  try {
    let written = 0
    while (written < bytes.length) written += writeSync(file, bytes, written)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

export function makePrivateFolder(path: string): void {
  if (mkdirSync(path, { recursive: true, mode: privateFolderMode }) !== undefined) syncFolder(dirname(path))
}

/** What a killed writer left behind. Only under the folder's lock, where nobody else can be writing. */
export function removeTemporaries(folder: string): void {
  for (const name of readdirSync(folder))
    if (name.startsWith('.') && name.endsWith(temporarySuffix)) rmSync(join(folder, name), { force: true })
}

export function removeDurably(path: string): void {
  rmSync(path, { force: true })
  syncFolder(dirname(path))
}

/** A folder's own entry list has to reach the disk too, or a rename can be lost in a power cut. */
export function syncFolder(path: string): void {
  // Windows cannot open a folder for syncing; its file system journals renames.
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Refuses what others on this machine could read. Windows has no such modes, so nothing is concluded there. */
export function assertPrivate(path: string, kind: 'file' | 'folder'): void {
  if (process.platform === 'win32') return
  const found = statSync(path)
  const own = process.getuid?.()
  // The superuser's is taken: that is how secrets are mounted.
  if (found.uid !== own && found.uid !== 0)
    throw new KeyturnError(
      'permissions_lax',
      `The ${kind} ${path} belongs to another user, who can read it.`,
      {
        fix: `chown it to the user that Keyturn runs as: ls -ld '${path}'`,
      },
    )
  const mode = found.mode & 0o777
  if ((mode & 0o077) === 0 || (kind === 'file' && isMountedForUs(found))) return
  const wanted = (kind === 'folder' ? privateFolderMode : privateFileMode).toString(8)
  throw new KeyturnError(
    'permissions_lax',
    `Others on this machine can reach the ${kind} ${path} (mode ${mode.toString(8)}).`,
    { fix: `chmod ${wanted} '${path}'` },
  )
}

/** A Kubernetes Secret under `fsGroup`: root's, for the group of the pod to read, and for nobody to write. Nothing in the pod could change its mode. */
function isMountedForUs({ uid, gid, mode }: Stats): boolean {
  const groups = [process.getgid?.(), ...(process.getgroups?.() ?? [])]
  return uid === 0 && (mode & 0o777) === 0o440 && groups.includes(gid)
}

/** Turns an error of the file system into ours, by its code. */
export function fileError(thrown: unknown, path: string, act: 'read' | 'write'): KeyturnError {
  const code = errnoOf(thrown)
  if (thrown instanceof KeyturnError || code === undefined)
    return toKeyturnError(thrown, `while working on ${path}`)
  const what = `The file ${path} cannot be ${act === 'read' ? 'read' : 'written'} (${code}).`
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new KeyturnError('store_denied', what, {
      fix: `Give the user that Keyturn runs as the right to ${act} it: ls -l '${path}'`,
    })
  if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENAMETOOLONG')
    return new KeyturnError('store_malformed', what, { fix: `Check what is there: ls -ld '${path}'` })
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new KeyturnError('store_unreachable', what, { fix: 'Free some disk space.', retryable: true })
  return new KeyturnError('store_unreachable', what, {
    fix: 'Check the disk or the mount.',
    retryable: true,
  })
}
