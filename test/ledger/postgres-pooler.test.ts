import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { openPostgresShelf } from '../../src/ledger/postgres-shelf.ts'
import { createSystem } from '../../src/system.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'
import { startPooler } from '../postgres/pooler.ts'
import { eventOf, stateOf } from './states.ts'

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

it('works through one in session mode, and is told what others commit and not what it commits itself', async () => {
  const { ledger } = await openThrough('session', 'by_session')
  const other = openPostgresLedger({ target: database.target('by_session'), system: createSystem(), log })
  onTestFinished(() => other.close())
  for (const name of ['mine', 'other']) await other.open(name, stateOf(name))
  const told: string[] = []
  const heard = new Promise<void>((resolve) =>
    ledger.watch?.((name) => {
      told.push(name)
      // What it missed before it listened is told once, of all that there is.
      if (told.filter((one) => one === 'other').length === 2) resolve()
    }),
  )
  await expect.poll(() => told).toEqual(expect.arrayContaining(['mine', 'other']))
  for (const [one, name] of [
    [ledger, 'mine'],
    [other, 'other'],
  ] as const)
    await one.commit({ state: stateOf(name), dueAt: 0, events: [eventOf(name, 'changed')] })
  await heard
  expect(told.filter((one) => one === 'mine')).toHaveLength(1)
})
