import { assert } from '../core/errors.ts'
import type { CommitOutcome, Ledger, LedgerCommit } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import { parseEvent, parseRotation, toJson } from './json.ts'
import { type KnownStates, stateOfRow } from './known-states.ts'
import { writeAftermath } from './sqlite-aftermath.ts'
import { instant, type Tools } from './sqlite-tools.ts'

/** What the entry holds; text that is known already is neither read nor parsed again. */
export function readState(
  { sql }: Pick<Tools, 'sql'>,
  known: KnownStates,
  name: CredentialName,
): CredentialState | undefined {
  const revision = sql('SELECT revision FROM credentials WHERE name = ?').get(name)?.['revision']
  const held = revision === undefined ? undefined : known.get(name, revision)
  if (held !== undefined || revision === undefined) return held
  const row = sql('SELECT name, revision, fence, state FROM credentials WHERE name = ?').get(name)
  return row === undefined ? undefined : stateOfRow(row, known)
}

/** States with their events and rotations, written together or not at all. */
export function states(
  tools: Tools,
  known: KnownStates,
  limits: { readonly events: number; readonly rotations: number },
): Pick<Ledger, 'open' | 'openAll' | 'read' | 'readAll' | 'commit'> {
  const { sql, guard, transaction, unflushed } = tools
  const read = (name: CredentialName): CredentialState | undefined => {
    const state = guard(() => readState(tools, known, name))
    if (state !== undefined) known.put(state)
    return state
  }
  const openOne = (initial: CredentialState, isWithin: boolean): CredentialState => {
    const { name } = initial
    const there = read(name)
    if (there !== undefined) return there
    // Due at once: nothing is known of a credential that was just made.
    const make = (): void => {
      const made = sql(
        'INSERT INTO credentials (name, revision, fence, state, due_at) VALUES (?, ?, ?, ?, 0) ON CONFLICT DO NOTHING',
      ).run(name, initial.revision, initial.fence, known.text(initial))
      if (Number(made.changes) === 0) return
      writeRotation(sql, initial, limits.rotations)
      writeAftermath(sql, { before: undefined, state: initial }, limits.rotations)
    }
    if (isWithin) make()
    else transaction(make)
    const state = read(name)
    assert(state !== undefined, `"${name}" has an entry after it was opened`)
    return state
  }
  return {
    async open(name, initial) {
      assert(initial.name === name, `the first state of "${name}" is its own`)
      return openOne(initial, false)
    },
    async openAll(initials) {
      return transaction(() => initials.map((one) => openOne(one, true)))
    },
    async read(name) {
      return read(name)
    },
    async readAll() {
      return guard(() =>
        sql('SELECT name, revision, fence, state FROM credentials ORDER BY name')
          .all()
          .map((row) => stateOfRow(row, known)),
      )
    },
    async commit(commit) {
      const { name } = commit.state
      const state = { ...commit.state, revision: commit.state.revision + 1 }
      const text = known.text(state)
      const write = (): CommitOutcome => {
        const row = sql(
          'SELECT revision, fence, claim_owner, claim_fence, last_event_id FROM credentials WHERE name = ?',
        ).get(name)
        if (row === undefined || row['revision'] !== commit.state.revision) return { kind: 'conflict' }
        const isHeld = row['claim_owner'] !== null && row['claim_fence'] === commit.fence
        if (commit.fence !== undefined && !isHeld) return { kind: 'conflict' }
        assert(state.fence >= Number(row['fence']), `the fence of "${name}" never falls`)
        const lastEventId = Number(row['last_event_id'])
        const events = writeEvents(sql, commit, lastEventId, limits.events)
        sql(
          'UPDATE credentials SET revision = ?, fence = ?, state = ?, due_at = ?, last_event_id = ? WHERE name = ?',
        ).run(state.revision, state.fence, text, instant(commit.dueAt), lastEventId + events.length, name)
        const before = known.get(name, commit.state.revision)
        if (before?.rotation !== state.rotation) writeRotation(sql, state, limits.rotations)
        writeAftermath(sql, { before, state }, limits.rotations)
        return { kind: 'committed', state, events }
      }
      const outcome = commit.isRepeatable === true ? unflushed(() => transaction(write)) : transaction(write)
      if (outcome.kind === 'committed') known.put(state)
      return outcome
    },
  }
}

function writeEvents(sql: Tools['sql'], commit: LedgerCommit, lastId: number, keep: number) {
  const { name } = commit.state
  const events = commit.events.map((event, index) => ({ ...event, id: lastId + index + 1 }))
  for (const event of events) {
    assert(event.credential === name, `an event of "${name}" is its own`)
    const body = toJson(event, `an event of "${name}"`)
    sql('INSERT INTO events (credential, id, body) VALUES (?, ?, ?)').run(name, event.id, body)
  }
  if (events.length > 0 && lastId + events.length > keep)
    sql('DELETE FROM events WHERE credential = ? AND id <= ?').run(name, lastId + events.length - keep)
  return events
}

/** Every rotation that was ever in the state stays readable after the next one has taken its place. */
function writeRotation(sql: Tools['sql'], state: CredentialState, keep: number): void {
  const { name, rotation } = state
  if (rotation === undefined) return
  assert(rotation.credential === name, `a rotation of "${name}" is its own`)
  const body = toJson(rotation, `a rotation of "${name}"`)
  const known = sql('UPDATE rotations SET body = ? WHERE credential = ? AND id = ?').run(
    body,
    name,
    rotation.id,
  )
  if (Number(known.changes) > 0) return
  sql('INSERT INTO rotations (credential, id, body) VALUES (?, ?, ?)').run(name, rotation.id, body)
  sql(`DELETE FROM rotations WHERE sequence IN (
    SELECT sequence FROM rotations WHERE credential = ? ORDER BY sequence DESC LIMIT -1 OFFSET ?)`).run(
    name,
    keep,
  )
}

export function history({
  sql,
  guard,
}: Tools): Pick<Ledger, 'events' | 'lastEventId' | 'rotations' | 'rotation'> {
  return {
    async events(name, afterId, limit = 500) {
      const query = 'SELECT body FROM events WHERE credential = ? AND id > ? ORDER BY id LIMIT ?'
      return guard(() =>
        sql(query)
          .all(name, afterId, limit)
          .map((row) => parseEvent(String(row['body']), name)),
      )
    },
    async lastEventId(name) {
      const row = guard(() => sql('SELECT last_event_id FROM credentials WHERE name = ?').get(name))
      return Number(row?.['last_event_id'] ?? 0)
    },
    async rotations(name, limit = 50) {
      const query = 'SELECT body FROM rotations WHERE credential = ? ORDER BY sequence DESC LIMIT ?'
      return guard(() =>
        sql(query)
          .all(name, limit)
          .map((row) => parseRotation(String(row['body']), name)),
      )
    },
    async rotation(name, id) {
      const query = 'SELECT body FROM rotations WHERE credential = ? AND id = ?'
      const row = guard(() => sql(query).get(name, id))
      return row === undefined ? undefined : parseRotation(String(row['body']), name)
    },
  }
}
