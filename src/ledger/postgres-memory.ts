import { KeyturnError } from '../core/errors.ts'
import type { Lease, LeaseBook } from '../core/leases.ts'
import type { Ledger } from '../core/ports.ts'
import { parseDocument, toJson, withoutKey } from './json.ts'
import { aheadMs, clockSql, fromNow, type PostgresTools } from './postgres-tools.ts'

/** Beyond it, the app's own instance that was silent for longest is forgotten: no app can push out those of another. */
const leasesPerAppMax = 10_000
/** For so long it is remembered that a lease was ended: what another replica has heard before is written by then. */
const endedMs = 10 * 60 * 1000
const answersMax = 10_000
const answerMs = 24 * 60 * 60 * 1000

/** What another replica has heard later stays; unless it lies in the future, after a clock was set back. */
const touchSql = `WITH ${clockSql}, touched AS (
  SELECT credential, app, instance, generation, ${fromNow('ahead')} AS seen_at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
    AS lease (credential, app, instance, generation, ahead)
) INSERT INTO leases AS held (credential, app, instance, generation, seen_at)
SELECT credential, app, instance, generation, seen_at FROM touched ORDER BY credential, app, instance
ON CONFLICT (credential, app, instance) DO UPDATE SET generation = excluded.generation, seen_at = excluded.seen_at,
  ended_at = CASE WHEN held.ended_at <= (SELECT now FROM clock) THEN held.ended_at END
  WHERE held.seen_at <= excluded.seen_at OR held.seen_at > (SELECT now FROM clock)
RETURNING credential, app, xmax = 0 AS is_new`

/** Leaves a row even where there was none: a sign of life may be on its way from another replica. */
const endSql = `WITH ${clockSql}, forgotten AS (
  DELETE FROM leases WHERE credential = $1 AND app = $2 AND instance = ANY (ARRAY(
    SELECT instance FROM leases, clock WHERE credential = $1 AND app = $2 AND instance <> $3
      AND ended_at > seen_at AND ended_at < now - ${endedMs} FOR UPDATE OF leases SKIP LOCKED))
) INSERT INTO leases AS held (credential, app, instance, generation, seen_at, ended_at)
SELECT name, $2, $3, 0, now - 1, now FROM credentials, clock WHERE name = $1
ON CONFLICT (credential, app, instance) DO UPDATE
  SET seen_at = least(held.seen_at, excluded.seen_at), ended_at = excluded.ended_at`
const isHeldSql = '(ended_at IS NULL OR ended_at <= seen_at)'
const pruneSql = `DELETE FROM leases WHERE credential = $1 AND app = $2 AND instance = ANY (ARRAY(SELECT instance
  FROM leases WHERE credential = $1 AND app = $2 ORDER BY seen_at DESC OFFSET ${leasesPerAppMax}))`

export function leases({ ready, clock }: PostgresTools): LeaseBook {
  return {
    async touchLease(...given) {
      for (const { credential, instance, app } of given)
        withoutKey(`${instance}\n${app}`, `a lease of "${credential}"`)
      const leases = lastOfEach(given)
      const database = await ready()
      await database.transaction(async (query) => {
        const names = [...new Set(leases.map(({ credential }) => credential))]
        const known = await query('SELECT name FROM credentials WHERE name = ANY ($1)', [names])
        const found = new Set(known.map((row) => row['name']))
        const unknown = names.find((name) => !found.has(name))
        if (unknown !== undefined)
          throw new KeyturnError('not_found', `the ledger knows no credential "${unknown}"`)
        const written = await query(touchSql, [
          leases.map(({ credential }) => credential),
          leases.map(({ app }) => app),
          leases.map(({ instance }) => instance),
          leases.map(({ generation }) => generation),
          leases.map(({ seenAt }) => aheadMs(seenAt, clock)),
        ])
        const grown = new Map(
          written
            .filter((row) => row['is_new'] === true)
            .map(
              ({ credential, app }) => [`${String(credential)} ${String(app)}`, [credential, app]] as const,
            ),
        )
        for (const [credential, app] of grown.values()) await query(pruneSql, [credential, app])
      })
    },
    async leases(name) {
      const { query } = await ready()
      const rows = await query(
        `WITH ${clockSql} SELECT instance, app, generation, seen_at, now FROM leases, clock
        WHERE credential = $1 AND ${isHeldSql} ORDER BY instance COLLATE "C", app COLLATE "C"`,
        [name],
      )
      return rows.map((row) => ({
        credential: name,
        instance: String(row['instance']),
        app: String(row['app']),
        generation: Number(row['generation']),
        seenAt: Math.floor(clock.now()) + Number(row['seen_at']) - Number(row['now']),
      }))
    },
    async dropLease(name, instance) {
      const { query } = await ready()
      const dropped = await query(
        `DELETE FROM leases WHERE credential = $1 AND instance = $2 AND ${isHeldSql} RETURNING instance`,
        [name, instance],
      )
      return dropped.length > 0
    },
    async endLease({ credential, app, instance }) {
      withoutKey(`${instance}\n${app}`, `a lease of "${credential}"`)
      const database = await ready()
      await database.transaction(async (query) => {
        await query(endSql, [credential, app, instance])
        await query(pruneSql, [credential, app])
      })
    },
  }
}

/** One statement cannot write the same row twice. */
function lastOfEach(leases: readonly Lease[]): readonly Lease[] {
  return [
    ...new Map(leases.map((one) => [JSON.stringify([one.credential, one.app, one.instance]), one])).values(),
  ]
}

export function documents({ ready }: PostgresTools): Pick<Ledger, 'document' | 'putDocument'> {
  return {
    async document(key) {
      const { query } = await ready()
      const [row] = await query('SELECT revision, body FROM documents WHERE key = $1', [key])
      if (row === undefined) return undefined
      return { value: parseDocument(String(row['body']), key), revision: Number(row['revision']) }
    },
    async putDocument({ key, value, revision }) {
      const body = toJson(value, `the document "${key}"`)
      withoutKey(key, 'the name of a document')
      const { query } = await ready()
      const written =
        revision === 0
          ? await query(
              'INSERT INTO documents (key, revision, body) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING key',
              [key, body],
            )
          : await query(
              'UPDATE documents SET revision = revision + 1, body = $2 WHERE key = $1 AND revision = $3 RETURNING key',
              [key, body, revision],
            )
      return written.length > 0
    },
  }
}

export function memory({ ready }: PostgresTools): Pick<Ledger, 'once' | 'remember'> {
  return {
    async once(key, value) {
      withoutKey(value, `the setting "${key}"`)
      const { query } = await ready()
      await query('INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING', [key, value])
      const [row] = await query('SELECT value FROM settings WHERE key = $1', [key])
      return String(row?.['value'])
    },
    async remember({ key, requestHash, answer }) {
      withoutKey(`${key}\n${answer}`, 'a remembered answer')
      const database = await ready()
      return database.transaction(async (query) => {
        await query('DELETE FROM answers WHERE at <= ledger_now() - $1::bigint', [answerMs])
        const written = await query(
          `INSERT INTO answers (key, request_hash, answer, at) VALUES ($1, $2, $3, ledger_now())
          ON CONFLICT DO NOTHING RETURNING key`,
          [key, requestHash, answer],
        )
        if (written.length > 0)
          await query(
            `DELETE FROM answers WHERE sequence = ANY (ARRAY(SELECT sequence FROM answers ORDER BY sequence DESC OFFSET ${answersMax}))`,
          )
        const [row] = await query('SELECT request_hash, answer FROM answers WHERE key = $1', [key])
        return { requestHash: String(row?.['request_hash']), answer: String(row?.['answer']) }
      })
    },
  }
}
