import type { Log } from '../core/ports.ts'
import { type AuditFile, type AuditFiles, fileIn } from './files.ts'
import { genesis, type JournalDetail, readRow, sha256 } from './row.ts'
import { endingOf, linesOf, type Segment, segmentName, segmentsIn } from './segments.ts'
import type { Batch, Sink } from './sink.ts'

export interface FileSinkOptions {
  readonly folder: string
  readonly files: AuditFiles
  readonly log: Log
  /** A file that is longer is followed by another. */
  readonly segmentBytesMax: number
}

/** What a folder ended in when it was opened. */
export interface Found {
  readonly seq: number
  readonly hash: string
  /** An unfinished line was cut off and kept beside. */
  readonly torn?: JournalDetail
}

export interface FileSink extends Sink {
  readonly folder: string
  readonly found: Found
  /** Rows after one and before another as they stand here, some at a time. */
  between(after: number, before: number): Generator<Batch>
  /**
   * The files that are older than may be kept, or more than may be kept, the one that is written never among them. `remove`
   * comes after the row that says so is durable.
   */
  prunable(keep: Keep): Prunable | undefined
  remove(prunable: Prunable): void
}

export interface Keep {
  /** What was written before this instant goes. */
  readonly since: number
  readonly bytesMax: number
}

export interface Prunable {
  readonly paths: readonly string[]
  readonly detail: JournalDetail
}

const copyBytes = 1 << 20

/** Files of lines in one folder. Throws where the folder cannot be used; a fault later on is told by `write`. */
export function createFileSink(options: FileSinkOptions): FileSink {
  return new Folder(options)
}

class Folder implements FileSink {
  readonly name: string
  readonly isConfirming = true
  readonly folder: string
  readonly found: Found
  readonly #options: FileSinkOptions
  #file: { readonly handle: AuditFile; readonly path: string } | undefined
  /** Bytes of the open file that were durable last. */
  #length = 0
  /** A file that a write failed in, and how much of it was durable. */
  #uncut: { readonly path: string; readonly bytes: number } | undefined

  constructor(options: FileSinkOptions) {
    this.#options = options
    this.folder = options.folder
    this.name = options.folder
    this.found = this.#recover()
  }

  async write(batch: Batch): Promise<void> {
    const { segmentBytesMax } = this.#options
    const bytes = Buffer.from(batch.text, 'utf8')
    const isFull = this.#length > 0 && this.#length + bytes.length > segmentBytesMax
    if (isFull) this.#leave()
    const { handle } = this.#file ?? this.#enter(batch.from)
    try {
      await handle.append(bytes)
    } catch (thrown) {
      this.#abandon()
      throw thrown
    }
    this.#length += bytes.length
  }

  *between(after: number, before: number): Generator<Batch> {
    const { files } = this.#options
    let from = 0
    let through = 0
    let text = ''
    for (const segment of segmentsAfter(segmentsIn(files, this.folder), after))
      for (const line of linesOf(files, segment.path)) {
        const read = line.isWhole ? readRow(line.text) : undefined
        if (read?.kind !== 'row' || read.row.seq <= after) continue
        if (read.row.seq >= before) break
        if (text === '') from = read.row.seq
        through = read.row.seq
        text += `${line.text}\n`
        if (text.length < copyBytes) continue
        yield { from, through, text }
        text = ''
      }
    if (text !== '') yield { from, through, text }
  }

  prunable(keep: Keep): Prunable | undefined {
    const { files } = this.#options
    const segments = segmentsIn(files, this.folder)
    const sizes = segments.map(({ path }) => files.size(path))
    let bytes = sizes.reduce((sum, size) => sum + size, 0)
    const going: Segment[] = []
    for (const [index, segment] of segments.entries()) {
      const next = segments[index + 1]
      if (next === undefined || segment.path === this.#file?.path) break
      const isOld = firstAt(files, next.path) < keep.since
      if (!isOld && bytes <= keep.bytesMax) break
      going.push(segment)
      bytes -= sizes[index] ?? 0
    }
    const last = going.at(-1)
    const ending = last === undefined ? undefined : endingOf(files, last.path).last
    if (ending === undefined) return undefined
    const detail = { sink: this.name, through: ending.seq, hash: ending.hash }
    return { paths: going.map(({ path }) => path), detail }
  }

  remove({ paths }: Prunable): void {
    for (const path of paths) this.#options.files.remove(path)
  }

  async close(): Promise<void> {
    this.#leave()
  }

  #enter(from: number): { readonly handle: AuditFile; readonly path: string } {
    const { files } = this.#options
    this.#cutAgain()
    const path = fileIn(this.folder, segmentName(from))
    this.#file = { handle: files.open(path), path }
    this.#length = 0
    return this.#file
  }

  #leave(): void {
    const file = this.#file
    this.#file = undefined
    this.#length = 0
    file?.handle.close()
  }

  /**
   * After a failed write or sync nobody knows what is on the disk, and asking again may be answered from memory. What was
   * durable stays as it is, what may follow is cut off, and another file is begun.
   */
  #abandon(): void {
    const { path } = this.#file ?? {}
    if (path !== undefined) this.#uncut = { path, bytes: this.#length }
    this.#leave()
  }

  /** Nothing is written before it has worked: the rows that nobody was told of come again, and would stand there twice. */
  #cutAgain(): void {
    if (this.#uncut === undefined) return
    const { path, bytes } = this.#uncut
    const handle = this.#options.files.open(path)
    try {
      handle.truncate(bytes)
    } finally {
      handle.close()
    }
    this.#uncut = undefined
  }

  #recover(): Found {
    const { files, log } = this.#options
    let torn: JournalDetail | undefined
    for (const segment of segmentsIn(files, this.folder).toReversed()) {
      const { last, isDamaged, wholeBytes, bytes } = endingOf(files, segment.path)
      const handle = files.open(segment.path)
      if (wholeBytes < bytes) torn = this.#cut(segment.path, handle, wholeBytes, bytes)
      if (isDamaged)
        log('error', 'an audit file does not end in a row of the journal: it was changed', {
          file: segment.path,
          verify: 'keyturn audit verify',
        })
      if (last === undefined) {
        handle.close()
        // Nothing that it may be evidence of is lost; an empty file that stayed would only be in the way.
        if (wholeBytes > 0) files.put(`${segment.path}.damaged`, files.read(segment.path, 0, wholeBytes))
        files.remove(segment.path)
        continue
      }
      if (isDamaged) handle.close()
      else {
        this.#file = { handle, path: segment.path }
        this.#length = wholeBytes
      }
      return { seq: last.seq, hash: last.hash, ...(torn === undefined ? {} : { torn }) }
    }
    return { seq: 0, hash: genesis, ...(torn === undefined ? {} : { torn }) }
  }

  #cut(path: string, handle: AuditFile, from: number, bytes: number): JournalDetail {
    const { files, log } = this.#options
    const rest = files.read(path, from, bytes - from)
    const file = `${path}.torn-${from}`
    files.put(file, rest)
    handle.truncate(from)
    log('warn', 'the last line of the audit journal was unfinished, and was cut off', { file })
    return { file, bytes: rest.length, sha256: sha256(rest) }
  }
}

/** Those that can hold rows after the given one. */
export function segmentsAfter(segments: readonly Segment[], seq: number): readonly Segment[] {
  return segments.filter(
    (_segment, index) => (segments[index + 1]?.from ?? Number.POSITIVE_INFINITY) > seq + 1,
  )
}

function firstAt(files: AuditFiles, path: string): number {
  for (const line of linesOf(files, path)) {
    const read = readRow(line.text)
    return read.kind === 'row' ? new Date(read.row.at).getTime() : Number.POSITIVE_INFINITY
  }
  return Number.POSITIVE_INFINITY
}
