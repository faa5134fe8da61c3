import { assert, KeyturnError } from '../core/errors.ts'
import type { Claim, Ledger } from '../core/ports.ts'
import type { CredentialState } from '../core/types.ts'
import { parseState, toJson } from './json.ts'
import { instant, type Tools } from './sqlite-tools.ts'

/** Damaged entries that one claim steps over, so that they cannot starve the sound ones. */
const damagedMax = 100

/** Who works on what. Every claim raises the fence, so that the work of an owner that was overtaken cannot land. */
export function claims({
  sql,
  guard,
  transaction,
}: Tools): Pick<Ledger, 'claim' | 'renew' | 'release' | 'nextDueAt'> {
  const findDue = `SELECT name, state FROM credentials
    WHERE due_at <= ? AND (claim_owner IS NULL OR claim_until <= ? OR claim_owner = ?)
    AND (? IS NULL OR name IN (SELECT value FROM json_each(?))) ORDER BY due_at, name LIMIT ?`
  return {
    async claim({ owner, now, leaseMs, limit, names }) {
      const narrowed = names === undefined ? null : JSON.stringify(names)
      return transaction(() => {
        const rows = sql(findDue).all(now, now, owner, narrowed, narrowed, limit + damagedMax)
        const untilAt = instant(now + leaseMs)
        const taken: Claim[] = []
        let damage: KeyturnError | undefined
        for (const row of rows) {
          if (taken.length >= limit) break
          const before = soundState(String(row['name']), String(row['state']))
          if (before instanceof KeyturnError) damage = before
          else taken.push(take(sql, before, owner, untilAt))
        }
        // One damaged entry must not keep the worker from the sound ones, nor go unnoticed when it is all there is.
        if (taken.length === 0 && damage !== undefined) throw damage
        return taken
      })
    },
    async renew({ owner, name, fence, untilAt }) {
      const renewed = guard(() =>
        sql(
          'UPDATE credentials SET claim_until = ? WHERE name = ? AND claim_owner = ? AND claim_fence = ?',
        ).run(instant(untilAt), name, owner, fence),
      )
      return Number(renewed.changes) > 0
    },
    async release({ owner, name, fence }) {
      guard(() =>
        sql(
          `UPDATE credentials SET claim_owner = NULL, claim_fence = NULL, claim_until = NULL
          WHERE name = ? AND claim_owner = ? AND claim_fence = ?`,
        ).run(name, owner, fence),
      )
    },
    async nextDueAt(names) {
      const narrowed = names === undefined ? null : JSON.stringify(names)
      // A claimed entry counts from the end of its claim, so that the work of an owner that died is taken over in time.
      const row = guard(() =>
        sql(`SELECT min(max(due_at, coalesce(claim_until, due_at))) AS at FROM credentials
          WHERE ? IS NULL OR name IN (SELECT value FROM json_each(?))`).get(narrowed, narrowed),
      )
      const at = row?.['at']
      return typeof at === 'number' ? at : undefined
    },
  }
}

function soundState(name: string, text: string): CredentialState | KeyturnError {
  try {
    return parseState(text, name)
  } catch (error) {
    if (error instanceof KeyturnError) return error
    throw error
  }
}

/** The new fence is in the state too, in the same transaction: whoever read before the claim can no longer commit. */
function take(sql: Tools['sql'], before: CredentialState, owner: string, untilAt: number): Claim {
  const fence = before.fence + 1
  const state = { ...before, fence, revision: before.revision + 1 }
  const written = sql(
    `UPDATE credentials SET revision = ?, fence = ?, state = ?, claim_owner = ?, claim_fence = ?, claim_until = ?
    WHERE name = ?`,
  ).run(
    state.revision,
    fence,
    toJson(state, `the state of "${state.name}"`),
    owner,
    fence,
    untilAt,
    state.name,
  )
  assert(Number(written.changes) === 1, `the claim of "${state.name}" is written`)
  return { state, fence, untilAt }
}
