import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../../core/errno.ts'
import type { Disk } from './disk.ts'

/** One file with a key in it, replaced whole. */
export interface KeyFile {
  readonly path: string
  /** Undefined where there is none. */
  read(): string | undefined
  /**
   * Makes of the text what it is to be, however often somebody else changes it meanwhile. True where it was changed; the text
   * is on the disk then.
   */
  change(next: (before: string | undefined) => string | undefined): boolean
  /** Whether the last change was followed by all that it is to be followed by. */
  readonly isPending: () => boolean
  settle(): void
  /** Throws what a change would throw where nothing can be put beside it. */
  tryOut(): void
  /** Removes what writers that were killed have left. Answers how much that was. */
  cleanUp(): number
}

export interface KeyFileOptions {
  readonly path: string
  readonly mode: number
  readonly disk: Disk
  readonly pid: number
  /** Undefined where files have no owners. */
  readonly uid: number | undefined
  /** Whether a process of this id runs. */
  readonly isAlive: (pid: number) => boolean
  readonly now: () => number
  /** Letters and digits that were not drawn before. */
  readonly draw: () => string
}

/** As often as somebody else gets in between; each try takes a few milliseconds. */
const triesMax = 20
/** A write takes milliseconds: what is older was left by a process whose id another one has now. */
const leftoverAgeMs = 60_000
/** Another user's, or a folder. */
const unremovable = ['EPERM', 'EACCES', 'EISDIR']

/**
 * The text is written beside the file, flushed, and renamed; then the folder is flushed. A crash at any instant leaves the old
 * text or the new one, and at most a file beside it that the next start removes.
 */
export function openKeyFile(options: KeyFileOptions): KeyFile {
  const { path, mode, disk, pid, uid } = options
  const folder = dirname(path)
  const beside = `.${basename(path)}.keyturn`
  const pending = `${beside}-pending`
  /** These say, without any secret, that what follows a change is still to be done. One of another user says nothing. */
  const marks = (): readonly string[] =>
    disk
      .names(folder)
      .filter((name) => name === pending || name.startsWith(`${pending}-`))
      .map((name) => join(folder, name))
      .filter((one) => {
        const found = disk.lstat(one)
        return found?.isFile() === true && (uid === undefined || found.uid === uid)
      })

  const read = (): string | undefined => (disk.lstat(path) === undefined ? undefined : disk.read(path))
  const identity = (): string => {
    const found = disk.lstat(path)
    return found === undefined ? '' : [found.ino, found.size, found.mtimeMs, found.mode].join(' ')
  }
  const newTemporary = (): string => join(folder, `${beside}-${pid}-${options.draw()}.tmp`)
  const replace = (text: string, before: string): boolean => {
    const temporary = newTemporary()
    const file = disk.create(temporary, mode)
    try {
      try {
        disk.write(file, Buffer.from(text, 'utf8'))
        disk.flush(file)
      } finally {
        disk.close(file)
      }
      if (identity() !== before) return false
      disk.rename(temporary, path)
    } catch (error) {
      // Another start took it for left over, or its own rename failed: it is tried again or told.
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    } finally {
      disk.remove(temporary)
    }
    disk.flushFolder(folder)
    return true
  }
  const mark = (): void => {
    const plain = join(folder, pending)
    for (let attempt = 0; attempt < triesMax && marks().length === 0; attempt += 1) {
      const free = disk.lstat(plain) === undefined ? plain : `${plain}-${options.draw()}`
      try {
        disk.close(disk.create(free, 0o600))
      } catch (error) {
        // Somebody else was quicker: it may be a mark of ours too.
        if (errnoOf(error) !== 'EEXIST') throw error
      }
    }
  }
  const isAsWanted = (): boolean => ((disk.lstat(path)?.mode ?? 0) & 0o777) === mode

  return {
    path,
    read,
    change(next) {
      for (let attempt = 0; attempt < triesMax; attempt += 1) {
        const before = identity()
        const text = read()
        const wanted = next(text)
        if (wanted === text && (text === undefined || isAsWanted())) return false
        if (wanted === undefined) {
          disk.remove(path)
          disk.flushFolder(folder)
          return true
        }
        mark()
        if (replace(wanted, before)) return true
      }
      throw Object.assign(new Error('somebody else keeps on writing it'), { code: 'EBUSY', path })
    },
    isPending: () => marks().length > 0,
    settle() {
      for (const one of marks()) disk.remove(one)
    },
    tryOut() {
      const temporary = newTemporary()
      disk.close(disk.create(temporary, mode))
      disk.remove(temporary)
    },
    cleanUp() {
      return disk.names(folder).filter((name) => isLeft(name) && isRemoved(name)).length
    },
  }

  /** In a folder with a sticky bit others can put such names there, which must not keep anybody from starting. */
  function isRemoved(name: string): boolean {
    try {
      disk.remove(join(folder, name))
      return true
    } catch (error) {
      if (unremovable.includes(errnoOf(error) ?? '')) return false
      throw error
    }
  }

  function isLeft(name: string): boolean {
    if (!name.startsWith(`${beside}-`) || !name.endsWith('.tmp')) return false
    const writer = /^\d+(?=-)/.exec(name.slice(beside.length + 1))?.[0]
    if (writer === undefined) return false
    const found = disk.lstat(join(folder, name))
    const isOld = found !== undefined && options.now() - found.mtimeMs > leftoverAgeMs
    return isOld || Number(writer) === pid || !options.isAlive(Number(writer))
  }
}
