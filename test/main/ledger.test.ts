import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import type { LedgerConfig } from '../../src/config.ts'
import { loadLedger, targetOf } from '../../src/main/ledger.ts'
import { createSystem } from '../../src/system.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'

const config: Extract<LedgerConfig, { kind: 'postgres' }> = {
  kind: 'postgres',
  url: 'postgres://keyturn@db.example.com/state',
  schema: 'keyturn',
  migrate: true,
  connectionsMax: 5,
}

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(() => database.drop())

const log = (): void => undefined

const shown = async (target: ReturnType<typeof targetOf>): Promise<string | undefined> =>
  (await target.password?.())?.reveal()

it('encrypts beyond this machine, whatever is said of it, unless that is switched off by name', () => {
  const isEncrypted = (change: Partial<typeof config> = {}): boolean =>
    targetOf({ ...config, ...change }, {}, log).tls !== undefined
  const url = 'postgres://keyturn@127.0.0.1/state'
  expect(isEncrypted()).toBe(true)
  expect(isEncrypted({ tls: 'off' })).toBe(false)
  expect(isEncrypted({ url })).toBe(false)
  expect(isEncrypted({ url, tls: {} })).toBe(true)
})

it('reads the password where it is named, anew each time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-ledger-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'password')
  writeFileSync(file, 'first\n')
  const target = targetOf({ ...config, password: { file } }, {}, log)
  expect(await shown(target)).toBe('first')
  writeFileSync(file, 'second\n')
  expect(await shown(target)).toBe('second')
  rmSync(file)
  await expect(target.password?.()).rejects.toMatchObject({ code: 'ledger_unreachable' })
  const fromUrl = { ...config, url: { env: 'DATABASE_URL' } }
  expect(await shown(targetOf(fromUrl, { DATABASE_URL: 'postgres://a:b@c/d' }, log))).toBe('b')
  expect(() => targetOf(fromUrl, {}, log)).toThrow(/DATABASE_URL/)
})

it('is somebody new at each start with PostgreSQL, and the same with SQLite', async () => {
  const { host, port, user, password } = database.address
  const env = { URL: `postgres://${user}:${password}@${host}:${port}/${database.name}` }
  const context = { file: ':memory:', env, system: createSystem(), log }
  const shared = await loadLedger({ ...config, url: { env: 'URL' } })
  const [one, other] = [shared(context), shared(context)]
  await one.ledger.once('installation', 'a')
  expect(await other.ledger.once('installation', 'b')).toBe('a')
  expect(one.owner).not.toBe(other.owner)
  const alone = await loadLedger(undefined)
  const [first, second] = [alone(context), alone(context)]
  expect(first.owner).toBe(second.owner)
  for (const { ledger } of [one, other, first, second]) await ledger.close()
})

it('says what is wrong with a URL that is read from elsewhere, and where, without showing it', () => {
  const fromUrl = { ...config, url: { env: 'DATABASE_URL' } }
  for (const [url, said] of [
    [
      'postgres://a:hunter2@db/c?sslmode=prefer',
      /DATABASE_URL \(ledger\.url\) cannot be used: sslmode=prefer/,
    ],
    ['postgres://a:hunter2@db/c?sslrootcert=/x', /'sslrootcert' in it would be ignored/],
    ['postgres://a:hunt/er2@db/c', /expected a URL such as/],
    ['hunter2', /expected a URL such as/],
  ] as const) {
    const failing = (): unknown => targetOf(fromUrl, { DATABASE_URL: url }, log)
    expect(failing).toThrow(said)
    expect(failing).not.toThrow(/hunt/)
  }
})
