import { type FileHandle, open } from 'node:fs/promises'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'
import { assertRegular, fileError, openFlags } from './files.ts'
import { tooLarge } from './values.ts'

/** A mount whose server is away lets a read hang for ever. */
export const readTimeoutMs = 5_000

/**
 * The text of a small file, through every link; undefined where the file system says that there is none.
 * Error codes: `store_denied`, `store_malformed`, `store_too_large`, `store_unreachable`.
 */
export async function readSmallFile(
  path: string,
  bytesMax: number,
  system: System,
): Promise<string | undefined> {
  try {
    const bytes = await withinTimeout(path, readBounded(path, bytesMax), system)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (thrown) {
    if (thrown instanceof TypeError)
      throw new KeyturnError('store_malformed', `The file ${path} is not UTF-8 text.`, {
        fix: 'Save it as plain text in UTF-8; PowerShell writes UTF-16 unless it is told otherwise.',
      })
    if (errnoOf(thrown) === 'ENOENT') return undefined
    throw fileError(thrown, path, 'read')
  }
}

/** What was opened is what is looked at and read: a pipe put in its place in between would never end the wait for it. */
async function readBounded(path: string, bytesMax: number): Promise<Uint8Array> {
  const file = await open(path, openFlags)
  try {
    const found = await file.stat()
    assertRegular(found.isFile(), path)
    if (found.size > bytesMax) throw tooLarge(path, found.size)
    const bytes = await readUpTo(file, bytesMax + 1)
    if (bytes.length > bytesMax) throw tooLarge(path, bytes.length)
    return bytes
  } finally {
    await file.close()
  }
}

async function readUpTo(file: FileHandle, bytesMax: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(bytesMax)
  let length = 0
  while (length < bytesMax) {
    const { bytesRead } = await file.read(bytes, length, bytesMax - length, null)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.subarray(0, length)
}

async function withinTimeout<Result>(path: string, work: Promise<Result>, system: System): Promise<Result> {
  let cancel = (): void => undefined
  const limit = new Promise<never>((_, reject) => {
    cancel = system.after(
      readTimeoutMs,
      () =>
        reject(
          new KeyturnError('store_unreachable', `Reading ${path} took over ${readTimeoutMs} ms.`, {
            fix: 'Check the mount that it is on.',
            retryable: true,
          }),
        ),
      { background: true },
    )
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    cancel()
  }
}
