import { createHash } from 'node:crypto'
import { KeyturnError } from '../core/errors.ts'
import type { Database, Query } from './postgres-connection.ts'
import type { PostgresMigration } from './postgres-migrations.ts'

/** 'KTRN': tells the advisory locks of Keyturn from those of other programs in the same database. */
const lockSpace = 0x4b54524e
/** A step may have to copy a table. */
const migrationMs = 60_000

export interface SchemaOptions {
  readonly schema: string
  readonly steps: readonly PostgresMigration[]
  /** Whether this process may change the schema at all. */
  readonly migrate: boolean
}

export function newestOf(steps: readonly PostgresMigration[]): number {
  return steps.at(-1)?.number ?? 0
}

/**
 * Brings the schema to what this Keyturn knows. A newer one is fine as long as it can be read by this one; otherwise
 * `ledger_newer`. `ledger_behind` where steps are missing and may not be made here.
 */
export async function bringUpToDate(database: Database, options: SchemaOptions): Promise<void> {
  const { place } = database
  const applied = await appliedSteps(database.query, options, place)
  if (applied >= newestOf(options.steps)) return
  if (!options.migrate) throw behind(place, applied, options)
  try {
    await database.transaction(async (query) => {
      // Several replicas that start at once make one schema: the others wait here, and find it made.
      await query(`SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $1, true)`, [
        String(migrationMs),
      ])
      await query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [lockSpace, options.schema])
      await prepareSchema(query, options.schema)
      const before = await appliedSteps(query, options, place)
      for (const step of options.steps.filter(({ number }) => number > before)) await apply(query, step)
    }, migrationMs)
  } catch (thrown) {
    if (isDenied(thrown)) throw behind(place, applied, options, thrown)
    throw thrown
  }
}

function isDenied(thrown: unknown): boolean {
  const cause = thrown instanceof KeyturnError ? thrown.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === '42501'
}

/** `CREATE SCHEMA IF NOT EXISTS` needs a right that is not needed where the schema is there. */
async function prepareSchema(query: Query, schema: string): Promise<void> {
  const [found] = await query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  if (found === undefined) await query(`CREATE SCHEMA "${schema}"`)
  await query(`CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    oldest_reader integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`)
}

async function apply(query: Query, step: PostgresMigration): Promise<void> {
  await query(step.sql)
  await query('INSERT INTO migrations (number, name, checksum, oldest_reader) VALUES ($1, $2, $3, $4)', [
    step.number,
    step.name,
    checksum(step),
    step.oldestReader,
  ])
}

/** The number of the last step, after comparing each that we know with ours. */
async function appliedSteps(query: Query, { schema, steps }: SchemaOptions, place: string): Promise<number> {
  const [there] = await query('SELECT to_regclass($1) IS NOT NULL AS there', [`"${schema}".migrations`])
  if (there?.['there'] !== true) return 0
  const rows = await query('SELECT number, checksum, oldest_reader FROM migrations ORDER BY number')
  const oldestReader = Math.max(0, ...rows.map((row) => Number(row['oldest_reader'])))
  if (oldestReader > newestOf(steps)) throw newer(place, Number(rows.at(-1)?.['number']), newestOf(steps))
  for (const [index, row] of rows.entries()) {
    const step = steps[index]
    if (row['number'] === index + 1 && (step === undefined || row['checksum'] === checksum(step))) continue
    throw new KeyturnError(
      'ledger_corrupt',
      `the ledger ${place} has a schema step ${String(row['number'])} that differs from this Keyturn's`,
      { fix: 'Run the Keyturn that made it, or name another schema: two kinds of ledger cannot share one.' },
    )
  }
  return rows.length
}

/** Also said while running: a newer Keyturn has changed the schema so that this one may no longer write. */
export function newer(place: string, found: number, known: number): KeyturnError {
  return new KeyturnError(
    'ledger_newer',
    `the ledger ${place} has schema ${found}, which this Keyturn cannot read: it knows schemas up to ${known}`,
    {
      fix: 'Run the newer Keyturn that last changed it on every replica, or restore the backup made before.',
    },
  )
}

function behind(
  place: string,
  applied: number,
  { steps, migrate }: SchemaOptions,
  cause?: unknown,
): KeyturnError {
  const why = migrate ? 'the role may not change it' : '`ledger.migrate` is false'
  const isFirst = migrate && applied === 0
  return new KeyturnError(
    'ledger_behind',
    `the ledger ${place} has schema ${applied}, this Keyturn needs ${newestOf(steps)}, and ${why}`,
    {
      fix: `${isFirst ? 'Grant CREATE on the database to the role in `ledger.url`, or start' : 'Start'} this version once as the role that owns the schema, with \`ledger.migrate: true\`; docs/replicas.md has the grants.`,
      cause,
    },
  )
}

/** Over all that a step says, so that none can be changed unnoticed. */
function checksum({ number, name, oldestReader, sql }: PostgresMigration): string {
  return createHash('sha256').update(`${number}\n${name}\n${oldestReader}\n${sql.trim()}`).digest('hex')
}
