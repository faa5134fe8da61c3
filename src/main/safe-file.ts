import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Decrypter, Encrypter } from 'age-encryption'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { documentBytesMax } from '../core/last-known-good.ts'
import type { SafeFile } from '../engine/last-known-good.ts'
import { decryptBytes, encryptBytes } from '../stores/age-bytes.ts'

/** The calls to the disk, so that a test can let each of them fail, or end everything after it. */
export interface Disk {
  readonly open: (path: string, flags: string | number, mode?: number) => Promise<FileHandle>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly rm: (path: string, options: { readonly force: boolean }) => Promise<void>
  readonly mkdir: (
    path: string,
    options: { readonly recursive: boolean; readonly mode: number },
  ) => Promise<unknown>
}

const realDisk: Disk = { open, rename, rm, mkdir }

export interface SafeFileOptions {
  readonly path: string
  readonly encrypter: Encrypter
  readonly decrypter: Decrypter
  /** Whose file it has to be; undefined where there are no owners. */
  readonly uid: number | undefined
  readonly disk?: Disk
}

/** What age adds is a header and 16 bytes for each 64 KiB. */
const bytesMax = documentBytesMax + 65_536
const privateMode = 0o600

/**
 * One encrypted file, replaced whole: written beside it, flushed, renamed, and the folder flushed too. A crash or a power
 * cut at any instant leaves the old bytes or the new ones.
 *
 * Errors: `permissions_lax` where others can reach it or it is somebody else's, `file_unusable` for all else.
 */
export function openSafeFile(options: SafeFileOptions): SafeFile {
  const { path, encrypter, decrypter, disk = realDisk } = options
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.tmp`)

  async function syncFolder(): Promise<void> {
    if (process.platform === 'win32') return
    const handle = await disk.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  return {
    path,
    async read() {
      const bytes = await guarded(path, 'read', () => readPrivate(options, disk))
      if (bytes === undefined) return undefined
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(await decryptBytes(decrypter, bytes))
      } catch {
        throw new KeyturnError('file_unusable', `The file ${path} cannot be opened with its identity.`, {
          fix: 'It is damaged, cut off, or was encrypted for another identity. It is written anew; to use the old one, restore file and identity together.',
        })
      }
    },
    async write(text) {
      const bytes = await encryptBytes(encrypter, Buffer.from(text))
      await guarded(path, 'written', async () => {
        await disk.mkdir(folder, { recursive: true, mode: 0o700 })
        // What a process that was killed left behind is nobody's.
        await disk.rm(temporary, { force: true })
        try {
          await writeNew(temporary, bytes, disk)
          await disk.rename(temporary, path)
        } catch (thrown) {
          await disk.rm(temporary, { force: true }).catch(() => undefined)
          throw thrown
        }
        await syncFolder()
      })
    },
    async remove() {
      await guarded(path, 'removed', async () => {
        await disk.rm(path, { force: true })
        await disk.rm(temporary, { force: true })
        await syncFolder()
      })
    },
  }
}

async function writeNew(path: string, bytes: Uint8Array, disk: Disk): Promise<void> {
  const file = await disk.open(path, 'wx', privateMode)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** What was opened is what is looked at and read. A pipe is not waited for, and a link that leads elsewhere not followed. */
async function readPrivate({ path, uid }: SafeFileOptions, disk: Disk): Promise<Uint8Array | undefined> {
  let file: FileHandle
  try {
    file = await disk.open(
      path,
      constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0),
    )
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > bytesMax)
      throw new KeyturnError('file_unusable', `${path} is no file of Keyturn's.`, {
        fix: `See what is there, and remove it: ls -ld '${path}'`,
      })
    if (uid !== undefined && found.uid !== uid)
      throw new KeyturnError('permissions_lax', `The file ${path} belongs to another user.`, {
        fix: `Find out who put it there, and remove it: ls -l '${path}'`,
      })
    if (process.platform !== 'win32' && (found.mode & 0o077) !== 0)
      throw new KeyturnError('permissions_lax', `Others on this machine can reach the file ${path}.`, {
        fix: `Find out who could read it; then: chmod 600 '${path}'`,
      })
    return await file.readFile()
  } finally {
    await file.close()
  }
}

async function guarded<Result>(path: string, act: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof KeyturnError) throw thrown
    const code = errnoOf(thrown) ?? 'no reason given'
    const isFull = code === 'ENOSPC' || code === 'EDQUOT'
    throw new KeyturnError('file_unusable', `The file ${path} cannot be ${act} (${code}).`, {
      fix: isFull
        ? 'Free some disk space.'
        : `Look at the disk, and at who may use the folder: ls -ld '${dirname(path)}'`,
      retryable: true,
      cause: thrown,
    })
  }
}
