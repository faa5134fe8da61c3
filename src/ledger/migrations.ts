import { createHash } from 'node:crypto'

export interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
}

/**
 * The schema, step by step. A step that was released is never edited: its checksum is recorded in every ledger, and a
 * ledger whose checksums differ is refused. Steps are numbered from 1 without a gap.
 */
export const migrations: readonly Migration[] = [
  {
    number: 1,
    name: 'credentials, events, rotations, leases',
    sql: `
CREATE TABLE credentials (
  name TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  state TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  last_event_id INTEGER NOT NULL DEFAULT 0,
  claim_owner TEXT,
  claim_fence INTEGER,
  claim_until INTEGER
) STRICT;
CREATE INDEX credentials_due ON credentials (due_at);
CREATE TABLE events (
  credential TEXT NOT NULL REFERENCES credentials (name),
  id INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (credential, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE rotations (
  sequence INTEGER PRIMARY KEY,
  credential TEXT NOT NULL REFERENCES credentials (name),
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (credential, id)
) STRICT;
CREATE TABLE leases (
  credential TEXT NOT NULL REFERENCES credentials (name),
  instance TEXT NOT NULL,
  app TEXT NOT NULL,
  generation INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (credential, instance)
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE answers (
  sequence INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  request_hash TEXT NOT NULL,
  answer TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_at ON answers (at);
`,
  },
  {
    number: 2,
    name: 'leases by app',
    sql: `
CREATE TABLE leases_by_app (
  credential TEXT NOT NULL REFERENCES credentials (name),
  app TEXT NOT NULL,
  instance TEXT NOT NULL,
  generation INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (credential, app, instance)
) STRICT, WITHOUT ROWID;
INSERT INTO leases_by_app (credential, app, instance, generation, seen_at)
  SELECT credential, app, instance, generation, seen_at FROM leases;
DROP TABLE leases;
ALTER TABLE leases_by_app RENAME TO leases;
`,
  },
  {
    number: 3,
    name: 'documents',
    sql: `
CREATE TABLE documents (
  key TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`,
  },
  {
    number: 4,
    name: 'what ended after it was set off by a rotation',
    sql: `
CREATE TABLE aftermath (
  sequence INTEGER PRIMARY KEY,
  credential TEXT NOT NULL REFERENCES credentials (name),
  id TEXT NOT NULL,
  version TEXT NOT NULL,
  rotation TEXT,
  body TEXT NOT NULL,
  UNIQUE (credential, id)
) STRICT;
CREATE INDEX aftermath_rotation ON aftermath (credential, rotation);
CREATE INDEX aftermath_version ON aftermath (credential, version);
INSERT INTO aftermath (credential, id, version, rotation, body)
  SELECT credentials.name, json_extract(one.value, '$.id'), json_extract(one.value, '$.version'),
    json_extract(one.value, '$.rotation'),
    json_object('kind', 'retirement', 'retirement', json(one.value))
  FROM credentials,
    json_each(CASE WHEN json_valid(state) THEN state ELSE '{}' END, '$.retirements') AS one
  WHERE json_extract(one.value, '$.endedAt') IS NOT NULL
  ORDER BY json_extract(one.value, '$.endedAt')
  ON CONFLICT DO NOTHING;
`,
  },
]

export const newestMigration: number = migrations.at(-1)?.number ?? 0

/** Over number, name and text, so that no step can be changed unnoticed. */
export function checksum(migration: Migration): string {
  return createHash('sha256')
    .update(`${migration.number}\n${migration.name}\n${migration.sql.trim()}`)
    .digest('hex')
}
