import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { openPostgresShelf } from '../../src/ledger/postgres-shelf.ts'
import { createSystem } from '../../src/system.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'
import { startPooler } from '../postgres/pooler.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(() => database.drop())

const log = (): void => undefined

async function openThrough(mode: 'session' | 'transaction', schema: string) {
  const pooler = await startPooler(database, mode)
  const target = database.target(schema, { port: pooler.port })
  const ledger = openPostgresLedger({ target, system: createSystem(), log })
  const shelf = openPostgresShelf({ target, key: 'tokens', migrate: true, log })
  onTestFinished(async () => {
    await Promise.all([ledger.close(), shelf.close()])
    await pooler.close()
  })
  return { ledger, shelf }
}

it('refuses a pooler that changes the connection with each transaction, before anything is made there', async () => {
  const { ledger, shelf } = await openThrough('transaction', 'by_transaction')
  const refusal = {
    code: 'ledger_unreachable',
    message: expect.stringMatching(/changes its connection with every transaction/),
    fix: expect.stringMatching(/`ledger\.url`.*session mode/),
  }
  await expect(ledger.readAll()).rejects.toMatchObject(refusal)
  await expect(shelf.read()).rejects.toMatchObject(refusal)
  const made = await database.sql(`SELECT 1 FROM pg_namespace WHERE nspname LIKE 'by_transaction%'`)
  expect(made).toEqual([])
})

it('works through one in session mode', async () => {
  const { ledger } = await openThrough('session', 'by_session')
  expect(await ledger.readAll()).toEqual([])
})
