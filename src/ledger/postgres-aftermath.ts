import type { Ledger } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import { endedOf } from './ended.ts'
import { parseAftermath, toJson } from './json.ts'
import type { Query } from './postgres-connection.ts'
import type { PostgresTools } from './postgres-tools.ts'

/** Whether `writeAftermath` may have something to write: the state before is not known, or its ended parts are others. */
export function hasEnded(before: CredentialState | undefined, state: CredentialState): boolean {
  const isSame = before?.retirements === state.retirements && before.sweeps === state.sweeps
  return !isSame && newlyEnded(before, state).length > 0
}

/** What has ended is written once and never changes. */
export async function writeAftermath(
  query: Query,
  { before, state }: { readonly before: CredentialState | undefined; readonly state: CredentialState },
  keep: number,
): Promise<void> {
  const { name } = state
  const ended = newlyEnded(before, state)
  if (ended.length === 0) return
  const bodies = ended.map(({ aftermath }) => toJson(aftermath, `an aftermath of "${name}"`))
  const added = await query(
    `INSERT INTO aftermath (credential, id, version, rotation, body)
    SELECT $1, id, version, rotation, body FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])
      WITH ORDINALITY AS ended (id, version, rotation, body, place) ORDER BY place
    ON CONFLICT DO NOTHING RETURNING sequence`,
    [
      name,
      ended.map(({ id }) => id),
      ended.map(({ version }) => version),
      ended.map(({ rotation }) => rotation ?? null),
      bodies,
    ],
  )
  if (added.length > 0) await prune(query, name, keep)
}

/** Where the state before is known, what had ended in it is there already: every state was written by this. */
function newlyEnded(before: CredentialState | undefined, state: CredentialState): ReturnType<typeof endedOf> {
  const written = new Set(before === undefined ? [] : endedOf(before).map(({ id }) => id))
  return endedOf(state).filter(({ id }) => !written.has(id))
}

/** Kept as long as its rotation; of what no rotation set off the newest stay. */
async function prune(query: Query, name: CredentialName, keep: number): Promise<void> {
  await query(
    `DELETE FROM aftermath WHERE credential = $1 AND rotation IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM rotations WHERE rotations.credential = $1 AND rotations.id = rotation)`,
    [name],
  )
  await query(
    `DELETE FROM aftermath WHERE sequence = ANY (ARRAY(SELECT sequence FROM aftermath
      WHERE credential = $1 AND rotation IS NULL ORDER BY sequence DESC OFFSET $2))`,
    [name, keep],
  )
}

export function aftermath({ ready }: PostgresTools): Pick<Ledger, 'aftermath'> {
  return {
    async aftermath(name, of) {
      const [column, value] = 'rotation' in of ? ['rotation', of.rotation] : ['version', of.version]
      const { query } = await ready()
      const rows = await query(
        `SELECT body FROM aftermath WHERE credential = $1 AND ${column} = $2 ORDER BY sequence`,
        [name, value],
      )
      return rows.map((row) => parseAftermath(String(row['body']), name))
    },
  }
}
