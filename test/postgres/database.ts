import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Client, Pool } from 'pg'
import { Secret } from '../../src/core/secret.ts'
import type { PostgresTarget } from '../../src/ledger/postgres.ts'
import { askVariable } from './global-setup.ts'
import type { PostgresAddress } from './server.ts'

/** The PostgreSQL of this run. */
export async function sharedPostgres(): Promise<PostgresAddress> {
  const path = process.env[askVariable]
  if (path === undefined)
    throw new Error('This run has no test/postgres/global-setup.ts in its configuration.')
  const answer = JSON.parse(await text(connect(path))) as PostgresAddress & { failure?: string }
  if (answer.failure !== undefined) throw new Error(answer.failure)
  return answer
}

export interface TestDatabase {
  readonly address: PostgresAddress
  readonly name: string
  /** Past every port: what an administrator would type. */
  sql(statement: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  target(schema: string, change?: Partial<PostgresTarget>): PostgresTarget
  drop(): Promise<void>
}

/** A database of its own on a server, for one test file. */
export async function createDatabase(address: PostgresAddress): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const { host, port, user, password } = address
  const login = { host, port, user, password, application_name: 'test' }
  const admin = new Client({ ...login, database: 'postgres' })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  const pool = new Pool({ ...login, database: name, max: 2, allowExitOnIdle: true })
  // A server that a test takes away ends idle connections too.
  pool.on('error', () => undefined)
  return {
    address,
    name,
    async sql(statement, values = []) {
      return (await pool.query<Record<string, unknown>>(statement, [...values])).rows
    },
    target: (schema, change = {}) => ({
      host,
      port,
      user,
      database: name,
      schema,
      connectionsMax: 4,
      password: () => Promise.resolve(new Secret(password)),
      ...change,
    }),
    drop: () => pool.end(),
  }
}
