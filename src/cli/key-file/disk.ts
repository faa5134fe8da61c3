import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { errnoOf } from '../../core/errno.ts'

/** The calls to the disk, so that a test can let each of them fail, or end everything after it. */
export interface Disk {
  /** Undefined where there is nothing. */
  lstat(path: string): Stats | undefined
  stat(path: string): Stats
  realpath(path: string): string
  names(folder: string): readonly string[]
  /** Of a regular file that is no link. */
  read(path: string): string
  /** A new file that must not be there; a link in its place is refused. */
  create(path: string, mode: number): number
  write(file: number, bytes: Uint8Array): void
  flush(file: number): void
  close(file: number): void
  rename(from: string, to: string): void
  /** Nothing happens where there is none. */
  remove(path: string): void
  flushFolder(path: string): void
}

const noFollow = constants.O_NOFOLLOW ?? 0

export const realDisk: Disk = {
  lstat: (path) => lstatSync(path, { throwIfNoEntry: false }),
  stat: (path) => statSync(path),
  realpath: (path) => realpathSync(path),
  names: (folder) => readdirSync(folder),
  read(path) {
    const file = openSync(path, constants.O_RDONLY | noFollow | (constants.O_NONBLOCK ?? 0))
    try {
      return readFileSync(file, 'utf8')
    } finally {
      closeSync(file)
    }
  },
  create(path, mode) {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow
    const file = openSync(path, flags, mode)
    // What the process masks (umask) is asked for explicitly.
    fchmodSync(file, mode)
    return file
  },
  write(file, bytes) {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
  },
  flush: fsyncSync,
  close: closeSync,
  rename: renameSync,
  remove(path) {
    try {
      unlinkSync(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  },
  flushFolder(path) {
    const file = openSync(path, constants.O_RDONLY)
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  },
}
