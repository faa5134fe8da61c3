import type { Log } from '../core/ports.ts'
import { type Database, openDatabase, type PostgresTarget, type Query } from './postgres-connection.ts'
import { closed } from './postgres-errors.ts'
import type { PostgresMigration } from './postgres-migrations.ts'
import { bringUpToDate } from './postgres-schema.ts'

/** What replicas share beside the ledger, as one text: whole, and replaced only by who has read it. */
export interface PostgresShelf {
  /** For messages. */
  readonly where: string
  /** `body` is undefined where nothing was ever put there. */
  read(): Promise<Shelved>
  /** Changes with every change; without reading the text. */
  signature(): Promise<string>
  /** `work` is called while nobody else can change it, and has no effects of its own. */
  change<Result>(
    work: (body: string | undefined) => { readonly body: string; readonly result: Result },
  ): Promise<{ readonly shelved: Shelved; readonly result: Result }>
  close(): Promise<void>
}

export interface Shelved {
  readonly body: string | undefined
  readonly signature: string
}

/** Drawn anew with every change, so that what was restored from a backup is seen to be another text too. */
const steps: readonly PostgresMigration[] = [
  {
    number: 1,
    name: 'the shelf',
    oldestReader: 1,
    sql: `
CREATE TABLE shelf (
  key text PRIMARY KEY,
  body text,
  signature uuid NOT NULL DEFAULT gen_random_uuid()
);
`,
  },
]

/** A schema of its own, so that a ledger that is lost or restored takes nothing with it. */
export function openPostgresShelf(options: {
  readonly target: PostgresTarget
  readonly key: string
  readonly migrate: boolean
  readonly log: Log
}): PostgresShelf {
  const { target, key, migrate, log } = options
  let opening: Promise<Database> | undefined
  let isClosed = false

  function ready(): Promise<Database> {
    if (isClosed) return Promise.reject(closed(target.database))
    opening ??= open().catch((thrown: unknown) => {
      opening = undefined
      throw thrown
    })
    return opening
  }
  async function open(): Promise<Database> {
    const database = await openDatabase(target, log)
    try {
      await database.assertSessions()
      await bringUpToDate(database, { schema: target.schema, steps, migrate })
      return database
    } catch (thrown) {
      await database.close()
      throw thrown
    }
  }

  return {
    where: `the schema ${target.schema} of PostgreSQL`,
    async read() {
      const { query } = await ready()
      return (await readRow(query, key)) ?? { body: undefined, signature: 'absent' }
    },
    async signature() {
      const { query } = await ready()
      const [row] = await query('SELECT signature FROM shelf WHERE key = $1', [key])
      return row === undefined ? 'absent' : String(row['signature'])
    },
    async change(work) {
      const database = await ready()
      return database.transaction(async (query) => {
        await query('INSERT INTO shelf (key) VALUES ($1) ON CONFLICT DO NOTHING', [key])
        const before = await readRow(query, key, 'FOR UPDATE')
        const { body, result } = work(before?.body)
        const [written] = await query(
          'UPDATE shelf SET body = $2, signature = gen_random_uuid() WHERE key = $1 RETURNING signature',
          [key, body],
        )
        return { shelved: { body, signature: String(written?.['signature']) }, result }
      })
    },
    async close() {
      isClosed = true
      await (await opening?.catch(() => undefined))?.close()
    },
  }
}

async function readRow(query: Query, key: string, lock = ''): Promise<Shelved | undefined> {
  const [row] = await query(`SELECT body, signature FROM shelf WHERE key = $1 ${lock}`, [key])
  if (row === undefined) return undefined
  return {
    body: typeof row['body'] === 'string' ? row['body'] : undefined,
    signature: String(row['signature']),
  }
}
