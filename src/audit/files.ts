import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/**
 * The disk as the journal needs it: so little that a test can take its place and fail at any call. Writing is asynchronous,
 * because hand-outs go on meanwhile; the rest happens at the start, when a file is full, and after a fault.
 */
export interface AuditFiles {
  /** Names of the files in the folder, sorted; the folder is made where it is missing, for this user alone. */
  list(folder: string): readonly string[]
  size(path: string): number
  /** The bytes from `at` on, at most `bytesMax`. */
  read(path: string, at: number, bytesMax: number): Buffer
  /** Opens a file for appending; makes it (0600) and its place in the folder durable where it is not there. */
  open(path: string): AuditFile
  /** A whole small file, durable, or nothing. */
  put(path: string, bytes: Uint8Array): void
  remove(path: string): void
}

export interface AuditFile {
  /** Resolves when all bytes are durable. Any failure leaves it unknown how many are. */
  append(bytes: Buffer): Promise<void>
  /** Cuts it to this length, durably. */
  truncate(bytes: number): void
  close(): void
}

const privateFile = 0o600
const privateFolder = 0o700
/**
 * Linux makes what is written durable in the same call: one way through the thread pool in place of two, which is a tenth of
 * a hand-out at full load. Elsewhere the flag promises less (macOS: not past the cache of the drive) or is not there.
 */
const durableWrites = process.platform === 'linux' ? constants.O_DSYNC : 0
const writeAsync = promisify(write)
const fdatasyncAsync = promisify(fdatasync)

export const realFiles: AuditFiles = {
  list(folder) {
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true, mode: privateFolder })
      syncFolder(dirname(folder))
    }
    return readdirSync(folder).sort()
  },
  size: (path) => statSync(path).size,
  read(path, at, bytesMax) {
    const handle = openSync(path, 'r')
    try {
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(bytesMax, fstatSync(handle).size - at)))
      const got = readSync(handle, buffer, 0, buffer.length, at)
      return buffer.subarray(0, got)
    } finally {
      closeSync(handle)
    }
  },
  open(path) {
    const isNew = !existsSync(path)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | durableWrites
    const handle = openSync(path, flags, privateFile)
    if (isNew) syncFolder(dirname(path))
    return {
      async append(bytes) {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await writeAsync(handle, bytes, done, bytes.length - done)
          done += bytesWritten
        }
        if (durableWrites === 0) await fdatasyncAsync(handle)
      },
      truncate(bytes) {
        ftruncateSync(handle, bytes)
        fsyncSync(handle)
      },
      close: () => closeSync(handle),
    }
  },
  put(path, bytes) {
    const temporary = `${path}.tmp`
    const handle = openSync(temporary, 'w', privateFile)
    try {
      writeSync(handle, bytes)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    renameSync(temporary, path)
    syncFolder(dirname(path))
  },
  remove(path) {
    unlinkSync(path)
    syncFolder(dirname(path))
  },
}

/** What was made, renamed or removed is durable only when its folder is. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

export function fileIn(folder: string, name: string): string {
  return join(folder, name)
}
