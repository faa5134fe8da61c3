import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { openPostgresShelf } from '../../src/ledger/postgres-shelf.ts'
import { sharedTokenShelf } from '../../src/main/token-shelf.ts'
import { openTokenStore, type TokenStore } from '../../src/server/tokens.ts'
import { createSystem } from '../../src/system.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'
import { startDroppingProxy } from '../postgres/dropping-proxy.ts'

let database: TestDatabase
let schemas = 0
beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(() => database.drop())

const system = createSystem()
const log = () => undefined

interface Place {
  readonly home: string
  readonly schema: string
  readonly port?: number
}

function place(schema = `tokens_${(schemas += 1)}`): Place {
  const home = mkdtempSync(join(tmpdir(), 'keyturn-shelf-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  return { home, schema }
}

async function openAt({ home, schema, port }: Place): Promise<TokenStore> {
  const target = database.target(schema, port === undefined ? {} : { port })
  const shelf = openPostgresShelf({ target, key: 'tokens', migrate: true, log })
  const files = { cacheFile: join(home, 'kept.json'), formerFile: join(home, 'tokens.json') }
  const store = await openTokenStore({
    path: sharedTokenShelf({ ...files, shelf, system, log }),
    system,
    log,
  })
  onTestFinished(() => store.close())
  return store
}

const app = (name: string) => ({ name, role: 'app', credentials: ['openai'] }) as const
const isGood = (store: TokenStore, token: string): boolean =>
  store.authenticate(`Bearer ${token}`) !== undefined

it('lets a token in on every replica, and refuses it on every one once it is revoked on one', async () => {
  const first = place()
  const [one, other] = [await openAt(first), await openAt(place(first.schema))]
  const made = await one.create(app('web'))
  expect(isGood(one, made.token)).toBe(true)
  await expect.poll(() => isGood(other, made.token), { timeout: 10_000 }).toBe(true)
  expect(await other.revoke(made.id)).toBe(true)
  expect(isGood(other, made.token)).toBe(false)
  await expect.poll(() => isGood(one, made.token), { timeout: 10_000 }).toBe(false)
})

it('loses none of those that replicas make at the same moment, and has only their hashes', async () => {
  const first = place()
  const [one, other] = [await openAt(first), await openAt(place(first.schema))]
  const made = await Promise.all(
    Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? one : other).create(app(`app-${index}`))),
  )
  const third = await openAt(place(first.schema))
  for (const { token } of made) expect(isGood(third, token)).toBe(true)
  const [row] = await database.sql(`SELECT body FROM ${first.schema}.shelf`)
  for (const { token } of made) expect(String(row?.['body'])).not.toContain(token)
})

it('lets in without the database whom it let in before, also after a restart, and follows it when it is back', async () => {
  const proxy = await startDroppingProxy(database.address.port)
  onTestFinished(() => proxy.close())
  const first = place()
  const here = { ...first, port: proxy.port }
  const before = await openAt(here)
  const elsewhere = await openAt(place(first.schema))
  const { token, id } = await before.create(app('web'))
  expect(statSync(join(first.home, 'kept.json')).mode & 0o777).toBe(0o600)
  expect(readFileSync(join(first.home, 'kept.json'), 'utf8')).not.toContain(token)
  await before.close()
  await proxy.close()
  const without = await openAt(here)
  expect(isGood(without, token)).toBe(true)
  await elsewhere.revoke(id)
  expect(isGood(without, token)).toBe(true)
  await expect(without.revoke(id)).rejects.toMatchObject({ code: 'ledger_unreachable' })
  await without.close()
  expect(isGood(await openAt(first), token)).toBe(false)
})

it('does not start without the database where nothing was ever kept', async () => {
  await expect(openAt({ ...place(), port: 1 })).rejects.toMatchObject({ code: 'ledger_unreachable' })
})

it('takes up the tokens of before, once', async () => {
  const first = place()
  const former = await openTokenStore({ path: join(first.home, 'tokens.json'), system, log })
  const { token, id } = await former.create(app('web'))
  await former.close()
  const shared = await openAt(first)
  expect(isGood(shared, token)).toBe(true)
  await shared.revoke(id)
  await shared.close()
  expect(isGood(await openAt(first), token)).toBe(false)
})
