import { KeyturnError } from '../core/errors.ts'
import type { Claim, Ledger } from '../core/ports.ts'
import type { CredentialName } from '../core/types.ts'
import { stateOfRow } from './known-states.ts'
import { clockOffMs, createClockWatch } from './postgres-clock.ts'
import type { Row } from './postgres-connection.ts'
import { newer } from './postgres-schema.ts'
import { aheadMs, clockSql, here, type PostgresTools } from './postgres-tools.ts'

/** Rows that are looked at before names are sent along: mostly every replica has the same credentials. */
const pageMax = 300
/** An entry that cannot be read is left alone for this long, so that it cannot starve the sound ones. */
const damagedRestMs = 60_000

const isFree = '(claim_owner IS NULL OR claim_until <= (SELECT now FROM clock) OR claim_owner = $1)'

/** Mostly nothing is due: looked at first without a lock, together with what a claim rests on. */
const dueSql = `WITH ${clockSql} SELECT (SELECT now FROM clock) AS now,
  (SELECT max(oldest_reader) FROM migrations) AS oldest_reader, (SELECT max(number) FROM migrations) AS newest,
  ARRAY(SELECT name FROM credentials WHERE due_at <= (SELECT now FROM clock) AND ${isFree}
    AND ($2::text[] IS NULL OR name = ANY ($2)) ORDER BY due_at, name LIMIT $3) AS names`

/** What another replica is claiming or committing at this moment is skipped. Leases of apps, which only refer to a row, do not count. */
const claimSql = `WITH ${clockSql}, due AS (
  SELECT name FROM credentials WHERE name = ANY ($2) AND due_at <= (SELECT now FROM clock) AND ${isFree}
  ORDER BY due_at, name FOR NO KEY UPDATE SKIP LOCKED
) UPDATE credentials SET revision = revision + 1, fence = fence + 1, claim_owner = $1, claim_fence = fence + 1,
  claim_until = (SELECT now FROM clock) + $3::bigint
FROM due WHERE credentials.name = due.name
RETURNING credentials.name, revision, fence, state, due_at, claim_until, (SELECT now FROM clock) AS now`

/** A claimed entry counts from the end of its claim, so that the work of an owner that died is taken over in time. */
const nextSql = `WITH ${clockSql}, free AS (
  SELECT name, due_at AS at FROM credentials WHERE claim_owner IS NULL AND ($1::text[] IS NULL OR name = ANY ($1))
  ORDER BY due_at LIMIT $2
), held AS (
  SELECT name, greatest(due_at, claim_until) AS at FROM credentials
  WHERE claim_owner IS NOT NULL AND ($1::text[] IS NULL OR name = ANY ($1))
) SELECT name, at, is_free, now FROM clock,
  (SELECT name, at, true AS is_free FROM free UNION ALL SELECT name, at, false FROM held) AS entry`

/** Who works on what. Every claim raises the fence, so that the work of an owner that was overtaken cannot land. */
export function claims(
  tools: PostgresTools,
): Pick<Ledger, 'claim' | 'renew' | 'release' | 'nextDueAt' | 'clockOffMs'> {
  const { ready, clock } = tools
  const isClockRight = createClockWatch(tools)
  let offMs: number | undefined

  /** Those that are due and free, the longest due first; none while our clock is off. */
  async function due(
    owner: string,
    names: readonly CredentialName[] | null,
  ): Promise<readonly CredentialName[]> {
    const { query, place } = await ready()
    const askedAt = clock.now()
    const [row = {}] = await query(dueSql, [owner, names, pageMax])
    if (Number(row['oldest_reader']) > tools.newest) throw newer(place, Number(row['newest']), tools.newest)
    const seen = { askedAt, answeredAt: clock.now(), ledgerNow: Number(row['now']) }
    const isRight = isClockRight(seen)
    offMs = isRight ? undefined : clockOffMs(seen)
    return isRight ? (row['names'] as readonly CredentialName[]) : []
  }

  return {
    clockOffMs: () => offMs,
    async claim({ owner, leaseMs, limit, names }) {
      const wanted = names === undefined ? undefined : new Set(names)
      const page = await due(owner, null)
      let found = wanted === undefined ? page : page.filter((name) => wanted.has(name))
      if (page.length >= pageMax && found.length < limit && names !== undefined)
        found = await due(owner, names)
      if (found.length === 0) return []
      const { query } = await ready()
      return takeOver(tools, await query(claimSql, [owner, found.slice(0, limit), Math.ceil(leaseMs)]))
    },
    async renew({ owner, name, fence, untilAt }) {
      const { query } = await ready()
      const renewed = await query(
        `UPDATE credentials SET claim_until = ledger_now() + $4::bigint
        WHERE name = $1 AND claim_owner = $2 AND claim_fence = $3 RETURNING name`,
        [name, owner, fence, Math.max(0, aheadMs(untilAt, clock) ?? 0)],
      )
      return renewed.length > 0
    },
    async release({ owner, name, fence }) {
      const { query } = await ready()
      await query(
        `UPDATE credentials SET claim_owner = NULL, claim_fence = NULL, claim_until = NULL
        WHERE name = $1 AND claim_owner = $2 AND claim_fence = $3`,
        [name, owner, fence],
      )
    },
    async nextDueAt(names) {
      const { query } = await ready()
      const wanted = names === undefined ? undefined : new Set(names)
      const page = await query(nextSql, [null, pageMax])
      const found = wanted === undefined ? page : page.filter((row) => wanted.has(String(row['name'])))
      const isCut = page.filter((row) => row['is_free'] === true).length >= pageMax
      const isSeen = !isCut || found.some((row) => row['is_free'] === true)
      const rows = isSeen || names === undefined ? found : await query(nextSql, [names, pageMax])
      if (rows.length === 0) return undefined
      return Math.min(...rows.map((row) => here(Number(row['at']), Number(row['now']), clock)))
    },
  }
}

async function takeOver(tools: PostgresTools, rows: readonly Row[]): Promise<readonly Claim[]> {
  const { known, clock, ready } = tools
  const taken: Claim[] = []
  let damage: KeyturnError | undefined
  const inOrder = rows.toSorted((one, other) => Number(one['due_at']) - Number(other['due_at']))
  for (const row of inOrder) {
    try {
      const state = stateOfRow(row, known)
      known.put(state)
      const untilAt = here(Number(row['claim_until']), Number(row['now']), clock)
      taken.push({ state, fence: state.fence, untilAt })
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError && thrown.code === 'ledger_corrupt')) throw thrown
      damage = thrown
      const { query } = await ready()
      await query(
        `UPDATE credentials SET claim_owner = NULL, claim_fence = NULL, claim_until = NULL, due_at = ledger_now() + $3
        WHERE name = $1 AND claim_fence = $2`,
        [row['name'], row['fence'], damagedRestMs],
      )
    }
  }
  // One damaged entry must not keep the worker from the sound ones, nor go unnoticed when it is all there is.
  if (taken.length === 0 && damage !== undefined) throw damage
  return taken
}
