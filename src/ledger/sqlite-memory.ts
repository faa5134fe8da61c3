import { KeyturnError } from '../core/errors.ts'
import type { LeaseBook } from '../core/leases.ts'
import type { Ledger } from '../core/ports.ts'
import { parseDocument, toJson, withoutKey } from './json.ts'
import { instant, type Tools } from './sqlite-tools.ts'

/** Beyond it, the app's own instance that was silent for longest is forgotten: no app can push out those of another. */
const leasesPerAppMax = 10_000
const answersMax = 10_000
const answerMs = 24 * 60 * 60 * 1000

export function leases({ sql, guard, transaction }: Tools): LeaseBook {
  return {
    async touchLease(...leases) {
      for (const { credential, instance, app } of leases)
        withoutKey(`${instance}\n${app}`, `a lease of "${credential}"`)
      transaction(() => {
        const grown = new Map<string, readonly [credential: string, app: string]>()
        for (const { credential, instance, app, generation, seenAt } of leases) {
          const known = sql(
            'UPDATE leases SET generation = ?, seen_at = ? WHERE credential = ? AND app = ? AND instance = ?',
          ).run(generation, instant(seenAt), credential, app, instance)
          if (Number(known.changes) > 0) continue
          if (sql('SELECT 1 FROM credentials WHERE name = ?').get(credential) === undefined)
            throw new KeyturnError('not_found', `the ledger knows no credential "${credential}"`)
          sql(
            'INSERT INTO leases (credential, app, instance, generation, seen_at) VALUES (?, ?, ?, ?, ?)',
          ).run(credential, app, instance, generation, instant(seenAt))
          grown.set(`${credential} ${app}`, [credential, app])
        }
        for (const [credential, app] of grown.values())
          sql(`DELETE FROM leases WHERE credential = ? AND app = ? AND instance IN (SELECT instance FROM leases
            WHERE credential = ? AND app = ? ORDER BY seen_at DESC LIMIT -1 OFFSET ${leasesPerAppMax})`).run(
            credential,
            app,
            credential,
            app,
          )
      })
    },
    async leases(name) {
      const query =
        'SELECT instance, app, generation, seen_at FROM leases WHERE credential = ? ORDER BY instance, app'
      return guard(() => sql(query).all(name)).map((row) => ({
        credential: name,
        instance: String(row['instance']),
        app: String(row['app']),
        generation: Number(row['generation']),
        seenAt: Number(row['seen_at']),
      }))
    },
    async dropLease(name, instance) {
      const query = 'DELETE FROM leases WHERE credential = ? AND instance = ?'
      return Number(guard(() => sql(query).run(name, instance)).changes) > 0
    },
    async endLease({ credential, app, instance }) {
      const query = 'DELETE FROM leases WHERE credential = ? AND app = ? AND instance = ?'
      guard(() => sql(query).run(credential, app, instance))
    },
  }
}

export function documents({ sql, guard }: Tools): Pick<Ledger, 'document' | 'putDocument'> {
  return {
    async document(key) {
      const row = guard(() => sql('SELECT revision, body FROM documents WHERE key = ?').get(key))
      if (row === undefined) return undefined
      return { value: parseDocument(String(row['body']), key), revision: Number(row['revision']) }
    },
    async putDocument({ key, value, revision }) {
      const body = toJson(value, `the document "${key}"`)
      const written = guard(() =>
        revision === 0
          ? sql('INSERT INTO documents (key, revision, body) VALUES (?, 1, ?) ON CONFLICT DO NOTHING').run(
              withoutKey(key, 'the name of a document'),
              body,
            )
          : sql('UPDATE documents SET revision = revision + 1, body = ? WHERE key = ? AND revision = ?').run(
              body,
              key,
              revision,
            ),
      )
      return Number(written.changes) > 0
    },
  }
}

export function memory({ sql, transaction }: Tools): Pick<Ledger, 'once' | 'remember'> {
  return {
    async once(key, value) {
      withoutKey(value, `the setting "${key}"`)
      return transaction(() => {
        sql('INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING').run(key, value)
        return String(sql('SELECT value FROM settings WHERE key = ?').get(key)?.['value'])
      })
    },
    async remember({ key, requestHash, answer, at }) {
      withoutKey(`${key}\n${answer}`, 'a remembered answer')
      return transaction(() => {
        sql('DELETE FROM answers WHERE at <= ?').run(instant(at) - answerMs)
        const written = sql(
          'INSERT INTO answers (key, request_hash, answer, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
        ).run(key, requestHash, answer, instant(at))
        if (Number(written.changes) > 0)
          sql(`DELETE FROM answers WHERE sequence IN (
            SELECT sequence FROM answers ORDER BY sequence DESC LIMIT -1 OFFSET ${answersMax})`).run()
        const row = sql('SELECT request_hash, answer FROM answers WHERE key = ?').get(key)
        return { requestHash: String(row?.['request_hash']), answer: String(row?.['answer']) }
      })
    },
  }
}
