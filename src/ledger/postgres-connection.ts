import { checkServerIdentity, type SecureContext } from 'node:tls'
import type { Client, ClientBase, ClientConfig, Pool, PoolClient, PoolConfig } from 'pg'
import type { KeyturnError } from '../core/errors.ts'
import type { Log } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import { changesConnections, closed, isBroken, noPassword, toPostgresError } from './postgres-errors.ts'

/** Where the database is and how it is entered. */
export interface PostgresTarget {
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Asked for at every new connection, so that a password that was turned needs no restart. */
  readonly password?: () => Promise<Secret | undefined>
  /** Absent: not encrypted. */
  readonly tls?: {
    /** Asked for at every new connection, so that certificates that were replaced need no restart. It does not throw. */
    readonly secureContext: () => SecureContext
    /** The name that the certificate must have, where it is not the host's. */
    readonly serverName?: string
  }
  /** The schema that holds the tables; it is Keyturn's alone. */
  readonly schema: string
  readonly connectionsMax: number
}

export type Row = Readonly<Record<string, unknown>>
export type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>

/** The database behind a few words; every failure comes out as one of the `ledger_*` codes. */
export interface Database {
  /** For people, without a password. */
  readonly place: string
  /** One statement, durable when it resolves. */
  readonly query: Query
  /** All or nothing, durable when it resolves. `patienceMs`: how long one statement is waited for, where not as usual. */
  transaction<T>(work: (query: Query) => Promise<T>, patienceMs?: number): Promise<T>
  /** A connection of its own, outside the pool; whoever asks ends it. */
  connect(): Promise<Client>
  /** What failed on such a connection, as one of the codes. */
  explain(thrown: unknown): KeyturnError
  /** Refuses a pooler that gives each transaction another backend: what is set and listened to on one would be of no effect. */
  assertSessions(): Promise<void>
  /** Whether the backend of this number is one of the pool's. */
  isOwn(processId: number): boolean
  close(): Promise<void>
}

const connectMs = 5_000
const statementMs = 5_000
const lockMs = 4_000
/** Beyond what the server allows: only a server or a network that has gone silent comes to this. */
const answerMs = 7_000
const idleMs = 60_000
const keepAliveMs = 10_000

/** Nothing is connected until it is first used. */
export async function openDatabase(target: PostgresTarget, log: Log): Promise<Database> {
  const pg = await import('pg')
  const place = placeOf(target)
  const asked = { place, isEncrypted: target.tls !== undefined }
  // The pool forgets a client that could not connect and leaves its socket to the server, which may keep it for a minute:
  // a process that gave up would not end, and one that tries on would take up every connection there is.
  class EndingClient extends pg.Client {
    override connect(): Promise<Client>
    override connect(callback: (error: Error) => void): void
    override connect(callback?: (error: Error) => void): Promise<Client> | void {
      if (callback === undefined) return super.connect()
      super.connect((error: Error) => {
        // Without one there is no error, whatever the types say.
        if (error) this.end(ignore)
        callback(error)
      })
    }
  }
  /** By what the backends say themselves: a pooler makes up the numbers that it tells, so that it can pass on who is to be cancelled. */
  const own = new Map<ClientBase, number>()
  let isPooled = false
  const onConnect = async (client: ClientBase): Promise<void> => {
    const backend = await prepare(client, target)
    own.set(client, backend)
    isPooled ||= backend !== processIdOf(client)
  }
  const pool: Pool = new pg.Pool({
    ...clientConfig(target),
    ...poolConfig(target, onConnect),
    Client: EndingClient,
  })
  pool.on('remove', (client) => own.delete(client))
  // An idle connection that broke is replaced when one is needed; unheard, the event would end the process.
  pool.on('error', (error) => log('debug', 'an idle connection to the ledger broke', { place, error }))
  let closing: Promise<void> | undefined

  async function withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (closing !== undefined) throw closed(place)
    let client: PoolClient | undefined
    let broken = false
    try {
      client = await pool.connect()
      // A connection that breaks while it is ours is told by its query too; unheard, the event would end the process.
      client.on('error', ignore)
      return await work(client)
    } catch (thrown) {
      broken = isBroken(thrown)
      throw toPostgresError(thrown, asked)
    } finally {
      client?.off('error', ignore)
      client?.release(broken)
    }
  }

  const queryOn =
    (client: PoolClient, patienceMs = answerMs): Query =>
    async (text, values = []) => {
      const statement = { text, values: [...values], query_timeout: patienceMs }
      return (await client.query<Record<string, unknown>>(statement)).rows
    }

  return {
    place,
    query: (text, values) => withClient((client) => queryOn(client)(text, values)),
    transaction: (work, patienceMs) =>
      withClient(async (client) => {
        await client.query('BEGIN')
        try {
          const result = await work(queryOn(client, patienceMs))
          await client.query('COMMIT')
          return result
        } catch (thrown) {
          if (!isBroken(thrown)) await client.query('ROLLBACK')
          throw thrown
        }
      }),
    async connect() {
      const client = new pg.Client(clientConfig(target))
      client.on('error', ignore)
      try {
        await client.connect()
        await prepare(client, target)
        return client
      } catch (thrown) {
        void client.end().catch(ignore)
        throw toPostgresError(thrown, asked)
      }
    },
    explain: (thrown) => toPostgresError(thrown, asked),
    // While one session holds a transaction open, another must still be where it was, and not where that one is.
    assertSessions: () =>
      withClient(async (one) => {
        if (!isPooled) return
        const first = await backendOf(one)
        await withClient(async (other) => {
          await other.query('BEGIN')
          try {
            const isShared = (await backendOf(other)) === first
            if (isShared || (await backendOf(one)) !== first) throw changesConnections(place)
          } finally {
            await other.query('ROLLBACK')
          }
        })
      }),
    isOwn: (processId) => [...own.values()].includes(processId),
    close: () => (closing ??= pool.end()),
  }
}

function ignore(): void {
  // The failure is told by the call that it broke.
}

function clientConfig(target: PostgresTarget): ClientConfig {
  const { host, port, database, user, password, tls } = target
  return {
    host,
    port,
    database,
    user,
    // Always given, or the driver would take PGPASSWORD or a file of the user's. Called only where the server asks for one.
    password: async () => (await password?.())?.reveal() ?? noPassword(placeOf(target)),
    ssl: tls === undefined ? false : tlsOptions(tls),
    // Always given, or the driver would take PGSSLNEGOTIATION.
    sslnegotiation: 'postgres',
    application_name: 'keyturn',
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
  }
}

/** The driver copies these anew for every connection, which asks the getter. */
function tlsOptions({
  secureContext,
  serverName,
}: NonNullable<PostgresTarget['tls']>): NonNullable<ClientConfig['ssl']> {
  return {
    rejectUnauthorized: true,
    get secureContext() {
      return secureContext()
    },
    // The driver puts the host into the place of a `servername`, so that alone it would be looked at only where the host is an address.
    ...(serverName === undefined
      ? {}
      : {
          servername: serverName,
          checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
        }),
  }
}

/** The pool waits for `onConnect`, which its types do not say. */
type WaitingPoolConfig = Omit<PoolConfig, 'onConnect'> & {
  readonly onConnect: (client: ClientBase) => Promise<void>
}

function poolConfig(target: PostgresTarget, onConnect: WaitingPoolConfig['onConnect']): WaitingPoolConfig {
  return { max: target.connectionsMax, idleTimeoutMillis: idleMs, onConnect }
}

/**
 * Set by a statement and not when connecting, since poolers in between refuse parameters that they do not know. Tells the number of
 * the backend.
 */
async function prepare(client: ClientBase, { schema }: PostgresTarget): Promise<number> {
  const { rows } = await client.query<{ backend: number }>(
    `SELECT pg_backend_pid() AS backend, set_config('search_path', $1, false), set_config('statement_timeout', $2, false),
      set_config('lock_timeout', $3, false), set_config('idle_in_transaction_session_timeout', $2, false),
      set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END, false)`,
    [`"${schema}", pg_temp`, String(statementMs), String(lockMs)],
  )
  return rows[0]?.backend ?? -1
}

async function backendOf(client: ClientBase): Promise<number | undefined> {
  const { rows } = await client.query<{ backend: number }>('SELECT pg_backend_pid() AS backend')
  return rows[0]?.backend
}

function placeOf({ host, port, database, schema }: PostgresTarget): string {
  return `postgres://${host.startsWith('/') ? `${host}:` : host}${port === 5432 ? '' : `:${port}`}/${database} (schema ${schema})`
}

/** The number of the backend, which the driver knows and its types do not. */
function processIdOf(client: object): number {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : -1
}
