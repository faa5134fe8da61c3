import { assert, KeyturnError } from '../core/errors.ts'
import type { Claim, Ledger } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { KnownStates } from './known-states.ts'
import { readState } from './sqlite-states.ts'
import { instant, type Tools } from './sqlite-tools.ts'

/** Damaged entries that one claim steps over, so that they cannot starve the sound ones. */
const damagedMax = 100
/** So many names are looked up one by one; with more, the rows that are due are gone through. */
const lookedUpMax = 256

/**
 * Who works on what. Claims end with the processes of this host, so a machine that stops takes all of them with it, and
 * they need not be flushed: what is done under one is committed, and that commit brings the claim to disk with it. Every
 * claim raises the fence, so that the work of an owner that was overtaken cannot land.
 */
export function claims(
  tools: Tools,
  known: KnownStates,
): Pick<Ledger, 'claim' | 'renew' | 'release' | 'nextDueAt'> {
  const { sql, guard, transaction, unflushed } = tools
  return {
    async claim({ owner, now, leaseMs, limit, names }) {
      const wanted = names === undefined ? undefined : new Set(names)
      // Looked at first without a transaction that writes: most looks find nothing, and others may be writing.
      if (guard(() => due(sql, { owner, now, wanted, max: 1 })).length === 0) return []
      const takeAll = (): readonly Claim[] => {
        const untilAt = instant(now + leaseMs)
        const taken: Claim[] = []
        let damage: KeyturnError | undefined
        for (const name of due(sql, { owner, now, wanted, max: limit + damagedMax })) {
          if (taken.length >= limit) break
          const before = soundState(tools, known, name)
          if (before instanceof KeyturnError) damage = before
          else taken.push(take(tools, { before, owner, untilAt }))
        }
        // One damaged entry must not keep the worker from the sound ones, nor go unnoticed when it is all there is.
        if (taken.length === 0 && damage !== undefined) throw damage
        return taken
      }
      const taken = unflushed(() => transaction(takeAll))
      for (const { state } of taken) known.put(state)
      return taken
    },
    async renew({ owner, name, fence, untilAt }) {
      const renewed = unflushed(() =>
        sql(
          'UPDATE credentials SET claim_until = ? WHERE name = ? AND claim_owner = ? AND claim_fence = ?',
        ).run(instant(untilAt), name, owner, fence),
      )
      return Number(renewed.changes) > 0
    },
    async release({ owner, name, fence }) {
      unflushed(() =>
        sql(
          `UPDATE credentials SET claim_owner = NULL, claim_fence = NULL, claim_until = NULL
          WHERE name = ? AND claim_owner = ? AND claim_fence = ?`,
        ).run(name, owner, fence),
      )
    },
    async nextDueAt(names) {
      const wanted = names === undefined ? undefined : new Set(names)
      return guard(() => earliest(sql, wanted))
    },
  }
}

/** Those that are due and free, the longest due first, up to `max` of those that are wanted. */
function due(
  sql: Tools['sql'],
  asked: {
    readonly owner: string
    readonly now: number
    readonly wanted: ReadonlySet<CredentialName> | undefined
    readonly max: number
  },
): readonly CredentialName[] {
  const { owner, now, wanted, max } = asked
  if (wanted !== undefined && wanted.size <= lookedUpMax) return dueAmong(sql, asked, wanted)
  const rows = sql(
    `SELECT name FROM credentials WHERE due_at <= ? AND (claim_owner IS NULL OR claim_until <= ? OR claim_owner = ?)
    ORDER BY due_at, name`,
  ).iterate(now, now, owner)
  const found: CredentialName[] = []
  for (const row of rows) {
    const name = String(row['name'])
    if (wanted?.has(name) === false) continue
    found.push(name)
    if (found.length >= max) break
  }
  return found
}

/** Looked up one by one: thousands that are due and wait for their rate are not gone through for the few that are asked for. */
function dueAmong(
  sql: Tools['sql'],
  { owner, now, max }: { readonly owner: string; readonly now: number; readonly max: number },
  wanted: ReadonlySet<CredentialName>,
): readonly CredentialName[] {
  const found: { readonly name: CredentialName; readonly dueAt: number }[] = []
  for (const name of wanted) {
    const row = sql(
      `SELECT due_at FROM credentials WHERE name = ? AND due_at <= ?
      AND (claim_owner IS NULL OR claim_until <= ? OR claim_owner = ?)`,
    ).get(name, now, now, owner)
    if (row !== undefined) found.push({ name, dueAt: Number(row['due_at']) })
  }
  const sorted = found.toSorted((one, other) => one.dueAt - other.dueAt || (one.name < other.name ? -1 : 1))
  return sorted.slice(0, max).map(({ name }) => name)
}

/**
 * When the next one is due. A claimed entry counts from the end of its claim, so that the work of an owner that died is
 * taken over in time; no later entry can be due before one that is not claimed.
 */
function earliest(sql: Tools['sql'], wanted: ReadonlySet<CredentialName> | undefined): number | undefined {
  let earliest: number | undefined
  for (const row of sql('SELECT name, due_at, claim_until FROM credentials ORDER BY due_at').iterate()) {
    const dueAt = Number(row['due_at'])
    if (earliest !== undefined && dueAt >= earliest) break
    if (wanted?.has(String(row['name'])) === false) continue
    const at = Math.max(dueAt, Number(row['claim_until'] ?? dueAt))
    earliest = Math.min(at, earliest ?? at)
  }
  return earliest
}

function soundState(tools: Tools, known: KnownStates, name: CredentialName): CredentialState | KeyturnError {
  try {
    const state = readState(tools, known, name)
    assert(state !== undefined, `"${name}" has an entry while it is being claimed`)
    return state
  } catch (error) {
    if (error instanceof KeyturnError && error.code === 'ledger_corrupt') return error
    throw error
  }
}

/**
 * The new fence is in the state too, in the same transaction: whoever read before the claim can no longer commit. The text,
 * which is some kilobytes, stays as it was (`stateOfRow`).
 */
function take(
  { sql }: Tools,
  {
    before,
    owner,
    untilAt,
  }: { readonly before: CredentialState; readonly owner: string; readonly untilAt: number },
): Claim {
  const fence = before.fence + 1
  const state = { ...before, fence, revision: before.revision + 1 }
  const written = sql(
    `UPDATE credentials SET revision = ?, fence = ?, claim_owner = ?, claim_fence = ?, claim_until = ?
    WHERE name = ?`,
  ).run(state.revision, fence, owner, fence, untilAt, state.name)
  assert(Number(written.changes) === 1, `the claim of "${state.name}" is written`)
  return { state, fence, untilAt }
}
