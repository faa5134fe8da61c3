import { type AuditFiles, fileIn } from './files.ts'
import { type Row, readRow } from './row.ts'

/** The files of one journal: each holds the rows from the number in its name on, and the chain goes from one to the next. */
export interface Segment {
  readonly path: string
  readonly from: number
}

const namePattern = /^(\d{15})\.jsonl$/
const chunkBytes = 1 << 20
/** A line that is longer is none of ours. */
export const lineBytesMax = 16_384
const lineBreak = 0x0a

export function segmentName(from: number): string {
  return `${String(from).padStart(15, '0')}.jsonl`
}

export function segmentsIn(files: Pick<AuditFiles, 'list'>, folder: string): readonly Segment[] {
  return files.list(folder).flatMap((name) => {
    const from = namePattern.exec(name)?.[1]
    return from === undefined ? [] : [{ path: fileIn(folder, name), from: Number(from) }]
  })
}

export interface Line {
  readonly text: string
  /** Where it begins in its file, and where the next one would. */
  readonly at: number
  readonly next: number
  /** False for what follows the last line break. */
  readonly isWhole: boolean
}

/** The lines of a file, a chunk at a time. What is too long for a line is given in parts that are not whole. */
export function* linesOf(files: Pick<AuditFiles, 'read'>, path: string, from = 0): Generator<Line> {
  let at = from
  let rest: Buffer = Buffer.alloc(0)
  for (;;) {
    const chunk = files.read(path, at + rest.length, chunkBytes)
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let begin = 0
    for (let end = bytes.indexOf(lineBreak); end !== -1; end = bytes.indexOf(lineBreak, begin)) {
      yield { text: bytes.toString('utf8', begin, end), at: at + begin, next: at + end + 1, isWhole: true }
      begin = end + 1
    }
    rest = bytes.subarray(begin)
    at += begin
    if (chunk.length > 0 && rest.length <= lineBytesMax) continue
    if (rest.length > 0) {
      yield { text: rest.toString('utf8'), at, next: at + rest.length, isWhole: false }
      at += rest.length
      rest = Buffer.alloc(0)
    }
    if (chunk.length === 0) return
  }
}

const bisectedBytes = 65_536
const numberPattern = /^\{"seq":(\d{1,15}),/

/**
 * A place in the file before the first row after the given one, and not far before it. The numbers at the beginning of the
 * lines are believed: where they were changed, rows are missed here, and verifying says so.
 */
export function placeBefore(files: Pick<AuditFiles, 'read' | 'size'>, path: string, after: number): number {
  let from = 0
  let until = files.size(path)
  while (until - from > bisectedBytes) {
    const middle = Math.floor((from + until) / 2)
    const chunk = files.read(path, middle, 2 * lineBytesMax)
    const line = chunk.toString('latin1', chunk.indexOf(lineBreak) + 1)
    const seq = numberPattern.exec(line)?.[1]
    if (seq !== undefined && Number(seq) <= after) from = middle
    else until = middle
  }
  return from
}

/** How a file ends: its last good row, and how far the bytes go that belong to whole lines. */
export interface Ending {
  readonly last: Row | undefined
  /** Whole lines after `last` that are no rows. */
  readonly isDamaged: boolean
  readonly wholeBytes: number
  readonly bytes: number
}

/** Reads the end of the file only: whether all before it is as it was is what verifying finds out. */
export function endingOf(files: Pick<AuditFiles, 'read' | 'size'>, path: string): Ending {
  const bytes = files.size(path)
  for (let span = chunkBytes; ; span *= 4) {
    const from = Math.max(0, bytes - span)
    let last: Row | undefined
    let isDamaged = false
    let wholeBytes = from
    let isFirst = from > 0
    for (const line of linesOf(files, path, from)) {
      if (!line.isWhole && line.next === bytes) break
      wholeBytes = line.next
      // The first one may have been cut by where we began to read.
      if (!isFirst) {
        const read = readRow(line.text)
        isDamaged = read.kind !== 'row'
        if (read.kind === 'row') last = read.row
      }
      isFirst = false
    }
    if (last !== undefined || from === 0) return { last, isDamaged, wholeBytes, bytes }
  }
}
