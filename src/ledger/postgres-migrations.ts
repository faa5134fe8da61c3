export interface PostgresMigration {
  readonly number: number
  readonly name: string
  /**
   * The oldest schema number that a Keyturn must know to work with the ledger after this step. A step that only adds
   * keeps the number of the step before, so that replicas of the old version go on while the new ones start.
   */
  readonly oldestReader: number
  readonly sql: string
}

/**
 * The schema, step by step; names are found through the search path. A step that was released is never edited: its
 * checksum is recorded, and a ledger whose checksums differ is refused. Steps are numbered from 1 without a gap.
 *
 * `revision` and `fence` of a state are the columns: the text may lag behind them, since a claim raises both without
 * writing it anew. Instants are milliseconds since 1970 by `ledger_now()`, which all replicas share.
 */
export const postgresMigrations: readonly PostgresMigration[] = [
  {
    number: 1,
    name: 'the ledger',
    oldestReader: 1,
    sql: `
CREATE FUNCTION ledger_now() RETURNS bigint LANGUAGE sql VOLATILE
  AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
CREATE TABLE credentials (
  name text PRIMARY KEY,
  revision bigint NOT NULL,
  fence bigint NOT NULL,
  state text NOT NULL,
  due_at bigint NOT NULL,
  last_event_id bigint NOT NULL DEFAULT 0,
  claim_owner text,
  claim_fence bigint,
  claim_until bigint
);
CREATE INDEX credentials_due ON credentials (due_at, name);
CREATE INDEX credentials_claimed ON credentials (claim_until) WHERE claim_owner IS NOT NULL;
CREATE TABLE events (
  credential text NOT NULL REFERENCES credentials (name),
  id bigint NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (credential, id)
);
CREATE TABLE rotations (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  credential text NOT NULL REFERENCES credentials (name),
  id text NOT NULL,
  body text NOT NULL,
  UNIQUE (credential, id)
);
CREATE TABLE aftermath (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  credential text NOT NULL REFERENCES credentials (name),
  id text NOT NULL,
  version text NOT NULL,
  rotation text,
  body text NOT NULL,
  UNIQUE (credential, id)
);
CREATE INDEX aftermath_rotation ON aftermath (credential, rotation);
CREATE INDEX aftermath_version ON aftermath (credential, version);
CREATE TABLE leases (
  credential text NOT NULL REFERENCES credentials (name),
  app text NOT NULL,
  instance text NOT NULL,
  generation bigint NOT NULL,
  seen_at bigint NOT NULL,
  PRIMARY KEY (credential, app, instance)
);
CREATE TABLE settings (
  key text PRIMARY KEY,
  value text NOT NULL
);
CREATE TABLE answers (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  request_hash text NOT NULL,
  answer text NOT NULL,
  at bigint NOT NULL
);
CREATE INDEX answers_at ON answers (at);
CREATE TABLE documents (
  key text PRIMARY KEY,
  revision bigint NOT NULL,
  body text NOT NULL
);
`,
  },
  {
    number: 2,
    name: 'leases that their apps have ended',
    oldestReader: 1,
    // Ended is what was ended after it was seen: a Keyturn that does not know of it takes such a lease up by seeing it.
    sql: 'ALTER TABLE leases ADD COLUMN ended_at bigint;',
  },
]
