import { assert } from '../core/errors.ts'
import type { CommitOutcome, Ledger, LedgerCommit } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import { parseEvent, parseRotation, toJson } from './json.ts'
import { stateOfRow } from './known-states.ts'
import { hasEnded, writeAftermath } from './postgres-aftermath.ts'
import type { Query } from './postgres-connection.ts'
import { newer } from './postgres-schema.ts'
import { aheadMs, clockSql, fromNow, type PostgresTools } from './postgres-tools.ts'

/** Rows that one statement makes or reads. */
const openedAtOnce = 1_000

export interface Kept {
  readonly events: number
  readonly rotations: number
}

/** States with their events and rotations, written together or not at all. */
export function states(
  tools: PostgresTools,
  kept: Kept,
): Pick<Ledger, 'open' | 'openAll' | 'read' | 'readAll' | 'commit'> {
  const { ready, known } = tools

  async function read(name: CredentialName): Promise<CredentialState | undefined> {
    const { query } = await ready()
    const [row] = await query('SELECT name, revision, fence, state FROM credentials WHERE name = $1', [name])
    if (row === undefined) return undefined
    const state = stateOfRow(row, known)
    known.put(state)
    return state
  }

  async function readThese(names: readonly CredentialName[]): Promise<Map<CredentialName, CredentialState>> {
    const { query } = await ready()
    const found = new Map<CredentialName, CredentialState>()
    for (let from = 0; from < names.length; from += openedAtOnce) {
      const rows = await query('SELECT name, revision, fence, state FROM credentials WHERE name = ANY ($1)', [
        names.slice(from, from + openedAtOnce),
      ])
      for (const row of rows) {
        const state = stateOfRow(row, known)
        known.put(state)
        found.set(state.name, state)
      }
    }
    return found
  }

  async function open(name: CredentialName, initial: CredentialState): Promise<CredentialState> {
    assert(initial.name === name, `the first state of "${name}" is its own`)
    const there = await read(name)
    if (there !== undefined) return there
    const text = known.text(initial)
    const database = await ready()
    // Due at once: nothing is known of a credential that was just made.
    await database.transaction(async (query) => {
      const made = await query(
        `INSERT INTO credentials (name, revision, fence, state, due_at) VALUES ($1, $2, $3, $4, 0)
          ON CONFLICT DO NOTHING RETURNING name`,
        [name, initial.revision, initial.fence, text],
      )
      if (made.length > 0) await writeHistory(query, { before: undefined, state: initial }, kept)
    })
    const state = await read(name)
    assert(state !== undefined, `"${name}" has an entry after it was opened`)
    return state
  }

  return {
    open,
    async openAll(initials) {
      const names = initials.map(({ name }) => name)
      const before = await readThese(names)
      // What was just made has no history, and needs no more than its row.
      const fresh = initials.filter(
        (one) => !before.has(one.name) && one.rotation === undefined && !hasEnded(undefined, one),
      )
      const { query } = await ready()
      for (let from = 0; from < fresh.length; from += openedAtOnce) {
        const some = fresh.slice(from, from + openedAtOnce)
        await query(
          `INSERT INTO credentials (name, revision, fence, state, due_at)
          SELECT name, revision, fence, state, 0 FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
            AS made (name, revision, fence, state)
          ORDER BY name ON CONFLICT DO NOTHING`,
          [
            some.map(({ name }) => name),
            some.map(({ revision }) => revision),
            some.map(({ fence }) => fence),
            some.map((one) => known.text(one)),
          ],
        )
      }
      const there = fresh.length === 0 ? before : await readThese(names)
      const opened: CredentialState[] = []
      for (const one of initials) opened.push(there.get(one.name) ?? (await open(one.name, one)))
      return opened
    },
    read,
    async readAll() {
      const { query } = await ready()
      const rows = await query('SELECT name, revision, fence, state FROM credentials ORDER BY name')
      return rows.map((row) => stateOfRow(row, known))
    },
    async commit(commit) {
      const state = { ...commit.state, revision: commit.state.revision + 1 }
      const before = known.get(state.name, commit.state.revision)
      const values = changeValues(commit, state, tools, kept)
      const database = await ready()
      const isPlain = before?.rotation === state.rotation && !hasEnded(before, state)
      const lastEventId = isPlain
        ? await change(database.query, values)
        : await database.transaction(async (query) => {
            const changed = await change(query, values)
            if (changed !== undefined) await writeHistory(query, { before, state }, kept)
            return changed
          })
      if (lastEventId === undefined) return refusal(commit, tools)
      known.put(state)
      const first = lastEventId - commit.events.length + 1
      const events = commit.events.map((event, index) => ({ ...event, id: first + index }))
      return { kind: 'committed', state, events }
    },
  }
}

/**
 * The compare-and-swap, the events and the word to the other replicas, as one statement: most commits are this one round
 * trip. The row is locked by the update, and looked at again where another transaction held it.
 */
const changeSql = `WITH ${clockSql}, changed AS (
  UPDATE credentials SET revision = revision + 1, fence = $3, state = $4, due_at = ${fromNow('$5')},
    last_event_id = last_event_id + cardinality($6::text[])
  WHERE name = $1 AND revision = $2 AND fence <= $3
    AND ($7::bigint IS NULL OR (claim_owner IS NOT NULL AND claim_fence = $7))
    AND (SELECT coalesce(max(oldest_reader), 0) FROM migrations) <= $10
  RETURNING name, last_event_id, pg_notify($8, name)
), pruned AS (
  DELETE FROM events USING changed WHERE credential = changed.name AND cardinality($6::text[]) > 0
    AND id <= changed.last_event_id - $9
), written AS (
  INSERT INTO events (credential, id, body)
  SELECT changed.name, changed.last_event_id - cardinality($6::text[]) + told.place, told.body
  FROM changed, unnest($6::text[]) WITH ORDINALITY AS told (body, place)
  WHERE told.place > cardinality($6::text[]) - $9
) SELECT last_event_id FROM changed`

function changeValues(
  { state: { revision }, fence, dueAt, events }: LedgerCommit,
  state: CredentialState,
  { known, clock, channel, newest }: PostgresTools,
  kept: Kept,
): readonly unknown[] {
  const { name } = state
  for (const event of events) assert(event.credential === name, `an event of "${name}" is its own`)
  // The number is the column's, since it is given out by the same statement.
  const bodies = events.map((event) => toJson({ ...event, id: 0 }, `an event of "${name}"`))
  return [
    name,
    revision,
    state.fence,
    known.text(state),
    aheadMs(dueAt, clock),
    bodies,
    fence,
    channel,
    kept.events,
    newest,
  ]
}

/** The id of the last event, or undefined where nothing was changed. */
async function change(query: Query, values: readonly unknown[]): Promise<number | undefined> {
  const [changed] = await query(changeSql, values)
  return changed === undefined ? undefined : Number(changed['last_event_id'])
}

/** Why nothing was changed: mostly because somebody else was faster. */
async function refusal({ state }: LedgerCommit, tools: PostgresTools): Promise<CommitOutcome> {
  const { query, place } = await tools.ready()
  const [row] = await query(
    `SELECT revision, fence, (SELECT max(number) FROM migrations) AS newest,
      (SELECT max(oldest_reader) FROM migrations) AS oldest_reader
    FROM credentials WHERE name = $1`,
    [state.name],
  )
  if (row === undefined) return { kind: 'conflict' }
  if (Number(row['oldest_reader']) > tools.newest) throw newer(place, Number(row['newest']), tools.newest)
  const isLatest = Number(row['revision']) === state.revision
  assert(!isLatest || state.fence >= Number(row['fence']), `the fence of "${state.name}" never falls`)
  return { kind: 'conflict' }
}

async function writeHistory(
  query: Query,
  { before, state }: { readonly before: CredentialState | undefined; readonly state: CredentialState },
  kept: Kept,
): Promise<void> {
  if (before?.rotation !== state.rotation) await writeRotation(query, state, kept.rotations)
  await writeAftermath(query, { before, state }, kept.rotations)
}

/** Every rotation that was ever in the state stays readable after the next one has taken its place. */
async function writeRotation(query: Query, state: CredentialState, keep: number): Promise<void> {
  const { name, rotation } = state
  if (rotation === undefined) return
  assert(rotation.credential === name, `a rotation of "${name}" is its own`)
  const body = toJson(rotation, `a rotation of "${name}"`)
  const known = await query(
    'UPDATE rotations SET body = $3 WHERE credential = $1 AND id = $2 RETURNING sequence',
    [name, rotation.id, body],
  )
  if (known.length > 0) return
  await query('INSERT INTO rotations (credential, id, body) VALUES ($1, $2, $3)', [name, rotation.id, body])
  await query(
    `DELETE FROM rotations WHERE sequence = ANY (ARRAY(SELECT sequence FROM rotations WHERE credential = $1 ORDER BY sequence DESC OFFSET $2))`,
    [name, keep],
  )
}

export function history({
  ready,
}: PostgresTools): Pick<Ledger, 'events' | 'lastEventId' | 'rotations' | 'rotation'> {
  return {
    async events(name, afterId, limit = 500) {
      const { query } = await ready()
      const rows = await query(
        'SELECT id, body FROM events WHERE credential = $1 AND id > $2 ORDER BY id LIMIT $3',
        [name, afterId, limit],
      )
      return rows.map((row) => ({ ...parseEvent(String(row['body']), name), id: Number(row['id']) }))
    },
    async lastEventId(name) {
      const { query } = await ready()
      const [row] = await query('SELECT last_event_id FROM credentials WHERE name = $1', [name])
      return Number(row?.['last_event_id'] ?? 0)
    },
    async rotations(name, limit = 50) {
      const { query } = await ready()
      const rows = await query(
        'SELECT body FROM rotations WHERE credential = $1 ORDER BY sequence DESC LIMIT $2',
        [name, limit],
      )
      return rows.map((row) => parseRotation(String(row['body']), name))
    },
    async rotation(name, id) {
      const { query } = await ready()
      const [row] = await query('SELECT body FROM rotations WHERE credential = $1 AND id = $2', [name, id])
      return row === undefined ? undefined : parseRotation(String(row['body']), name)
    },
  }
}
