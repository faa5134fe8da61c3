import type { AuditFilter } from '../core/audit.ts'
import { KeyturnError } from '../core/errors.ts'
import { createTurnTaking, type Soon } from '../core/turn-taking.ts'
import type { AuditFiles } from './files.ts'
import { pageOf, type RowPage } from './journal-reader.ts'

/** So many rows are looked at in one go: a few milliseconds, in which nothing is handed out. */
const pieceRows = 250
/** And so many goes for one page, however few rows fit: a request has an end. */
const piecesMax = 20
const readersMax = 100

/**
 * Reads pages of the journal for many at once. Of all of them together one piece is read per turn of the event loop, so that
 * hand-outs come between: who may read the audit could otherwise hold up every app by asking again and again.
 */
export function createPacedPages(options: {
  readonly files: Pick<AuditFiles, 'list' | 'read' | 'size'>
  readonly folder: string
  readonly soon: Soon
}): (page: {
  readonly after: number
  readonly limit: number
  readonly filter: AuditFilter
}) => Promise<RowPage> {
  const { soon, ...place } = options
  let reading = 0
  const turn = createTurnTaking(soon)
  return async ({ after, limit, filter }) => {
    if (reading >= readersMax) throw tooMany()
    reading += 1
    try {
      const rows: RowPage['rows'][number][] = []
      let through = after
      for (let pieces = 0; pieces < piecesMax; pieces += 1) {
        await turn()
        const ahead = { after: through, limit: limit - rows.length, lookedAtMax: pieceRows }
        const piece = pageOf({ ...place, ...ahead, filter })
        rows.push(...piece.rows)
        through = piece.through
        if (piece.isEnd || rows.length >= limit) return { rows, through, isEnd: piece.isEnd }
      }
      return { rows, through, isEnd: false }
    } finally {
      reading -= 1
    }
  }
}

function tooMany(): KeyturnError {
  return new KeyturnError('too_many_requests', `${readersMax} requests read the audit journal already.`, {
    fix: 'Try again in a moment; `keyturn audit export` reads the files without the service.',
    retryable: true,
  })
}
