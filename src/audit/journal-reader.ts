import type { AuditFilter } from '../core/audit.ts'
import { segmentsAfter } from './file-sink.ts'
import type { AuditFiles } from './files.ts'
import { type Row, readRow } from './row.ts'
import { linesOf, placeBefore, segmentsIn } from './segments.ts'

export interface RowPage {
  readonly rows: readonly Row[]
  /** Rows through this one were looked at: where the next page begins after. */
  readonly through: number
  readonly isEnd: boolean
}

/** So many rows are looked at for one page, however few of them fit. */
const lookedAtDefault = 5_000

/** Rows after the given one, in their order. Whether they are as they were written is what verifying finds out. */
export function pageOf(options: {
  readonly files: Pick<AuditFiles, 'list' | 'read' | 'size'>
  readonly folder: string
  /** Only of these files, whatever they are called; else all of the journal in the folder. */
  readonly paths?: readonly string[]
  readonly after: number
  readonly limit: number
  readonly filter: AuditFilter
  /** Default: 5,000. */
  readonly lookedAtMax?: number
}): RowPage {
  const { files, folder, after, limit, filter, lookedAtMax = lookedAtDefault } = options
  const rows: Row[] = []
  let through = after
  let lookedAt = 0
  const paths = options.paths ?? segmentsAfter(segmentsIn(files, folder), after).map(({ path }) => path)
  for (const path of paths)
    for (const line of linesOf(files, path, placeBefore(files, path, after))) {
      const read = line.isWhole ? readRow(line.text) : undefined
      if (read?.kind !== 'row' || read.row.seq <= after) continue
      through = read.row.seq
      if (isWanted(read.row, filter)) rows.push(read.row)
      lookedAt += 1
      if (rows.length >= limit || lookedAt >= lookedAtMax) return { rows, through, isEnd: false }
    }
  return { rows, through, isEnd: true }
}

/** Instants as the journal writes them can be compared as text. */
export function isWanted(row: Row, filter: AuditFilter): boolean {
  const { caller } = row
  return (
    (filter.kind === undefined || row.kind === filter.kind) &&
    (filter.action === undefined || row.action === filter.action) &&
    (filter.outcome === undefined || row.outcome === filter.outcome) &&
    (filter.credential === undefined || row.credential === filter.credential) &&
    (filter.caller === undefined || caller?.id === filter.caller || caller?.name === filter.caller) &&
    (filter.since === undefined || row.at >= filter.since) &&
    (filter.until === undefined || row.at < filter.until)
  )
}
