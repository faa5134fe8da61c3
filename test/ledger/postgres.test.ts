import { afterAll, beforeAll } from 'vitest'
import type { Ledger } from '../../src/core/ports.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { createSystem } from '../../src/system.ts'
import { ledgerSuite } from '../conformance/ledger-suite.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'

let database: TestDatabase
let schemas = 0

beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(() => database.drop())

/** Its clock and ours stand still where the suite says, so that the suite's instants mean what they say. */
ledgerSuite('postgres', async () => {
  const schema = `suite_${(schemas += 1)}`
  const time = { at: 0 }
  const system = { ...createSystem(), now: () => time.at }
  const open = (limits = {}): Ledger =>
    openPostgresLedger({ target: database.target(schema), system, log: () => undefined, ...limits })
  const first = open()
  await first.readAll()
  await database.sql(`CREATE TABLE ${schema}.test_clock (at bigint NOT NULL);
    INSERT INTO ${schema}.test_clock VALUES (0);
    CREATE OR REPLACE FUNCTION ${schema}.ledger_now() RETURNS bigint LANGUAGE sql VOLATILE
      AS 'SELECT at FROM ${schema}.test_clock'`)
  await first.close()
  const setClock = async (at: number): Promise<void> => {
    if (at === time.at) return
    time.at = at
    await database.sql(`UPDATE ${schema}.test_clock SET at = $1`, [at])
  }
  return {
    async open(limits) {
      const ledger = open(limits)
      return {
        ...ledger,
        async claim(request) {
          await setClock(request.now)
          return ledger.claim(request)
        },
        async remember(request) {
          await setClock(request.at)
          return ledger.remember(request)
        },
      }
    },
    dispose: async () => void (await database.sql(`DROP SCHEMA ${schema} CASCADE`)),
  }
})
