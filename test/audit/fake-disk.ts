import type { AuditFile, AuditFiles } from '../../src/audit/files.ts'

export interface FakeDisk extends AuditFiles {
  /** What a process that starts now would read: durable bytes, and of the others as many as `kept` says. */
  crash(kept?: (bytes: number) => number): void
  /** Called before each step; throws what the step shall fail with. */
  before: (step: Step, path: string) => void
  /** Where set, appends wait for it. */
  hold: Promise<void> | undefined
  readonly contents: ReadonlyMap<string, Buffer>
  write(path: string, bytes: Buffer): void
  syncs: number
}

export type Step = 'list' | 'open' | 'write' | 'sync' | 'truncate' | 'put' | 'remove'

/** A disk in memory that knows what is durable, and that fails where it is told to. */
export function createFakeDisk(): FakeDisk {
  const contents = new Map<string, Buffer>()
  const durable = new Map<string, number>()
  const namesIn = (folder: string): string[] =>
    [...contents.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1))
      .sort()
  const bytesOf = (path: string): Buffer => contents.get(path) ?? Buffer.alloc(0)
  const disk: FakeDisk = {
    contents,
    syncs: 0,
    hold: undefined,
    before: () => undefined,
    crash(kept = () => 0) {
      for (const [path, bytes] of contents) {
        const safe = durable.get(path) ?? 0
        contents.set(path, bytes.subarray(0, safe + kept(bytes.length - safe)))
        durable.set(path, bytesOf(path).length)
      }
    },
    write(path, bytes) {
      contents.set(path, bytes)
      durable.set(path, bytes.length)
    },
    list(folder) {
      disk.before('list', folder)
      return namesIn(folder)
    },
    size: (path) => bytesOf(path).length,
    read: (path, at, bytesMax) => Buffer.from(bytesOf(path).subarray(at, at + bytesMax)),
    open(path) {
      disk.before('open', path)
      if (!contents.has(path)) disk.write(path, Buffer.alloc(0))
      const file: AuditFile = {
        async append(bytes) {
          await disk.hold
          const known = bytesOf(path)
          try {
            disk.before('write', path)
          } catch (thrown) {
            // A full disk takes a part.
            contents.set(path, Buffer.concat([known, bytes.subarray(0, bytes.length >> 1)]))
            throw thrown
          }
          contents.set(path, Buffer.concat([known, bytes]))
          disk.before('sync', path)
          disk.syncs += 1
          durable.set(path, bytesOf(path).length)
        },
        truncate(bytes) {
          disk.before('truncate', path)
          disk.write(path, bytesOf(path).subarray(0, bytes))
        },
        close: () => undefined,
      }
      return file
    },
    put(path, bytes) {
      disk.before('put', path)
      disk.write(path, Buffer.from(bytes))
    },
    remove(path) {
      disk.before('remove', path)
      contents.delete(path)
      durable.delete(path)
    },
  }
  return disk
}

export function failing(code: string): Error {
  return Object.assign(new Error(`${code}: as told`), { code })
}
