import type { Ledger } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import { endedOf } from './ended.ts'
import { parseAftermath, toJson } from './json.ts'
import type { Tools } from './sqlite-tools.ts'

/**
 * What has ended is written once and never changes. Where the state before is known, what had ended in it is there
 * already: every state was written by this, or by the migration that made the table.
 */
export function writeAftermath(
  sql: Tools['sql'],
  { before, state }: { readonly before: CredentialState | undefined; readonly state: CredentialState },
  keep: number,
): void {
  const isSame = before?.retirements === state.retirements && before.sweeps === state.sweeps
  if (isSame) return
  const { name } = state
  const written = new Set(before === undefined ? [] : endedOf(before).map(({ id }) => id))
  let isGrown = false
  for (const { id, version, rotation, aftermath } of endedOf(state)) {
    if (written.has(id)) continue
    const body = toJson(aftermath, `an aftermath of "${name}"`)
    const added = sql(
      `INSERT INTO aftermath (credential, id, version, rotation, body) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO NOTHING`,
    ).run(name, id, version, rotation ?? null, body)
    isGrown ||= Number(added.changes) > 0
  }
  if (isGrown) prune(sql, name, keep)
}

/** Kept as long as its rotation; of what no rotation set off the newest stay. */
function prune(sql: Tools['sql'], name: CredentialName, keep: number): void {
  sql(`DELETE FROM aftermath WHERE credential = ? AND rotation IS NOT NULL
    AND rotation NOT IN (SELECT id FROM rotations WHERE credential = ?)`).run(name, name)
  sql(`DELETE FROM aftermath WHERE sequence IN (SELECT sequence FROM aftermath
    WHERE credential = ? AND rotation IS NULL ORDER BY sequence DESC LIMIT -1 OFFSET ?)`).run(name, keep)
}

export function aftermath({ sql, guard }: Tools): Pick<Ledger, 'aftermath'> {
  return {
    async aftermath(name, of) {
      const [column, value] = 'rotation' in of ? ['rotation', of.rotation] : ['version', of.version]
      const query = `SELECT body FROM aftermath WHERE credential = ? AND ${column} = ? ORDER BY sequence`
      return guard(() =>
        sql(query)
          .all(name, value)
          .map((row) => parseAftermath(String(row['body']), name)),
      )
    },
  }
}
