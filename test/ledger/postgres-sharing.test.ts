import { createSecureContext } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger, Log, System } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import {
  openPostgresLedger,
  openPostgresLedgerWith,
  type PostgresLedgerOptions,
} from '../../src/ledger/postgres.ts'
import { type PostgresMigration, postgresMigrations } from '../../src/ledger/postgres-migrations.ts'
import { createSystem } from '../../src/system.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'
import { startDroppingProxy } from '../postgres/dropping-proxy.ts'
import { eventOf, stateOf } from './states.ts'

let database: TestDatabase
let schema = ''
let schemas = 0
const opened: Ledger[] = []
const lines: { level: string; message: string }[] = []
const log: Log = (level, message) => void lines.push({ level, message })

beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(() => database.drop())
beforeEach(() => {
  schema = `sharing_${(schemas += 1)}`
  lines.length = 0
})
afterEach(async () => {
  for (const ledger of opened.splice(0)) await ledger.close()
})

function open(change: Partial<PostgresLedgerOptions> = {}, steps = postgresMigrations): Ledger {
  const options = { target: database.target(schema), system: createSystem(), log, ...change }
  const ledger = openPostgresLedgerWith(options, steps)
  opened.push(ledger)
  return ledger
}

/** The real clock, off by so much. */
function systemOff(ms: number): System {
  const system = createSystem()
  return { ...system, now: () => system.now() + ms }
}

const claimAll = (ledger: Ledger, owner: string, leaseMs = 60_000) =>
  ledger.claim({ owner, now: 0, leaseMs, limit: 10 })

/** Resolves when the ledger has told of the name; `watch` may tell more often. */
function toldOf(ledger: Ledger, name: string): { readonly told: Promise<void>; readonly all: string[] } {
  const all: string[] = []
  const told = new Promise<void>((resolve) =>
    ledger.watch?.((one) => {
      all.push(one)
      if (one === name) resolve()
    }),
  )
  return { told, all }
}

/** How many connections listen to this schema's channel now. */
async function listeners(): Promise<readonly unknown[]> {
  const query = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query IN ('SELECT 1',
    'SELECT name, revision FROM credentials', 'LISTEN "keyturn_${schema}"')`
  return (await database.sql(query)).map(({ pid }) => pid)
}

async function commitTo(ledger: Ledger, name: string): Promise<void> {
  const state = await ledger.read(name)
  if (state === undefined) throw new Error(`${name} is not there`)
  const outcome = await ledger.commit({ state, dueAt: 0, events: [eventOf(name, 'changed')] })
  expect(outcome.kind).toBe('committed')
}

describe('what other replicas commit', () => {
  it('is told, by name; what this one commits itself is not', async () => {
    const [here, there] = [open(), open()]
    for (const name of ['mine', 'other', 'last']) await here.open(name, stateOf(name))
    const { told, all } = toldOf(here, 'last')
    // The first look at what was missed is over once something arrives.
    await expect.poll(async () => (await listeners()).length).toBe(1)
    await expect.poll(async () => commitTo(there, 'other').then(() => all.includes('other'))).toBe(true)
    all.length = 0
    await commitTo(here, 'mine')
    await commitTo(there, 'last')
    await told
    expect(all).not.toContain('mine')
  })

  it('is told after the listening connection was lost, whatever was committed meanwhile', async () => {
    const [here, there] = [open(), open()]
    for (const name of ['a', 'b']) await here.open(name, stateOf(name))
    const { all } = toldOf(here, 'b')
    await expect.poll(async () => commitTo(there, 'a').then(() => all.includes('a'))).toBe(true)
    await here.read('a')
    await here.read('b')
    all.length = 0
    await database.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY ($1)`, [
      await listeners(),
    ])
    await commitTo(there, 'b')
    await expect.poll(() => all).toContain('b')
    expect(lines.filter(({ level }) => level === 'warn')).not.toEqual([])
  })

  it('is told after a commit only, not of one that was refused', async () => {
    const [here, there] = [open(), open()]
    const state = await here.open('openai', stateOf('openai'))
    await here.open('marker', stateOf('marker'))
    const { all } = toldOf(here, 'marker')
    await expect.poll(async () => commitTo(there, 'marker').then(() => all.includes('marker'))).toBe(true)
    const { fence } = (await claimAll(there, 'w1')).find((one) => one.state.name === 'openai') ?? { fence: 0 }
    all.length = 0
    expect(await there.commit({ state, fence, dueAt: 0, events: [] })).toEqual({ kind: 'conflict' })
    await commitTo(there, 'marker')
    await expect.poll(() => all).toContain('marker')
    expect(all).not.toContain('openai')
  })
})

describe('clocks', () => {
  it('lets a replica that is off by half a minute work, and one that is further off only read, which it says once', async () => {
    const right = open()
    await right.open('openai', stateOf('openai'))
    // The time that an answer takes counts for the replica; five seconds more than are allowed are no answer's.
    for (const offMs of [-35_000, 35_000]) {
      lines.length = 0
      const off = open({ system: systemOff(offMs) })
      expect(await claimAll(off, 'off')).toEqual([])
      expect(await claimAll(off, 'off')).toEqual([])
      expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
      await commitTo(off, 'openai')
    }
    for (const offMs of [-28_000, 28_000]) {
      const [claim] = await claimAll(open({ system: systemOff(offMs) }), `near${offMs}`, 0)
      expect(claim?.state.name).toBe('openai')
    }
  })

  it('goes on once the clock is right again', async () => {
    let offMs = 60_000
    const system = createSystem()
    const ledger = open({ system: { ...system, now: () => system.now() + offMs } })
    await ledger.open('openai', stateOf('openai'))
    expect(await claimAll(ledger, 'w1')).toEqual([])
    expect(ledger.clockOffMs?.()).toBeLessThan(-50_000)
    offMs = 0
    expect(await claimAll(ledger, 'w1')).toHaveLength(1)
    expect(ledger.clockOffMs?.()).toBeUndefined()
    expect(lines.map(({ level }) => level)).toEqual(['error', 'info'])
  })

  it('has what is due at once due for everybody, and in its time for everybody, whoever says so', async () => {
    const [right, ahead, late] = [
      open(),
      open({ system: systemOff(20_000) }),
      open({ system: systemOff(-20_000) }),
    ]
    await right.open('openai', stateOf('openai'))
    for (const [teller, offMs] of [
      [ahead, 20_000],
      [late, -20_000],
    ] as const) {
      const state = await right.read('openai')
      if (state === undefined) throw new Error('not there')
      const now = createSystem().now()
      await teller.commit({ state, dueAt: now + offMs, events: [] })
      expect(await claimAll(right, `w${offMs}`, 0)).toHaveLength(1)
      const again = await right.read('openai')
      if (again === undefined) throw new Error('not there')
      await teller.commit({ state: again, dueAt: now + offMs + 600_000, events: [] })
      expect(await claimAll(right, 'w')).toEqual([])
      const dueAt = (await right.nextDueAt()) ?? 0
      expect(Math.abs(dueAt - now - 600_000)).toBeLessThan(10_000)
    }
  })

  it('lets no claim end early because its owner is slow, or late because it is fast', async () => {
    const [right, ahead] = [open(), open({ system: systemOff(20_000) })]
    await right.open('openai', stateOf('openai'))
    const [claim] = await claimAll(ahead, 'ahead', 10_000)
    if (claim === undefined) throw new Error('expected a claim')
    expect(await claimAll(right, 'right')).toEqual([])
    const request = { owner: 'ahead', name: 'openai', fence: claim.fence }
    expect(await ahead.renew({ ...request, untilAt: systemOff(20_000).now() })).toBe(true)
    expect(await claimAll(right, 'right')).toHaveLength(1)
  })

  it('tells leases in the reader’s time', async () => {
    const [right, ahead] = [open(), open({ system: systemOff(20_000) })]
    await right.open('openai', stateOf('openai'))
    const seenAt = systemOff(20_000).now()
    await ahead.touchLease({ credential: 'openai', instance: 'i', app: 'a', generation: 1, seenAt })
    const [lease] = await right.leases('openai')
    expect(Math.abs((lease?.seenAt ?? 0) - createSystem().now())).toBeLessThan(10_000)
  })
})

describe('leases that were ended', () => {
  const own = { credential: 'openai', instance: 'exec-1', app: 'nightly', generation: 1 }

  it('do not come back with what another replica heard before and writes after, also as the first of them', async () => {
    const [left, right] = [open(), open()]
    await right.open('openai', stateOf('openai'))
    // Long ago: how late it is counts from when it is written, and what lies between may be more than a moment.
    const heardAt = createSystem().now() - 60_000
    const others = { ...own, app: 'web', seenAt: heardAt }
    await left.touchLease({ ...own, seenAt: heardAt }, others)
    await right.endLease(own)
    await right.endLease({ ...own, instance: 'exec-2' })
    expect((await left.leases('openai')).map(({ app }) => app)).toEqual(['web'])
    await left.touchLease(
      { ...own, seenAt: heardAt - 5 },
      { ...own, instance: 'exec-2', seenAt: heardAt - 5 },
    )
    expect((await right.leases('openai')).map(({ app }) => app)).toEqual(['web'])
    expect(await right.dropLease('openai', 'exec-2')).toBe(false)

    await left.touchLease({ ...own, generation: 2, seenAt: createSystem().now() + 1_000 })
    expect(
      (await right.leases('openai')).map(({ instance, generation }) => [instance, generation]),
    ).toContainEqual(['exec-1', 2])
  })

  it('come back with a sign of life after the clock was set back, and are forgotten when nothing can be on its way', async () => {
    const ledger = open()
    await ledger.open('openai', stateOf('openai'))
    for (const instance of ['late', 'old']) await ledger.endLease({ ...own, instance })
    await database.sql(`UPDATE ${schema}.leases SET ended_at = ended_at + 3600000 WHERE instance = 'late'`)
    await database.sql(
      `UPDATE ${schema}.leases SET seen_at = 1, ended_at = ended_at - 3600000 WHERE instance = 'old'`,
    )
    await ledger.touchLease({ ...own, instance: 'late', seenAt: createSystem().now() })
    expect((await ledger.leases('openai')).map(({ instance }) => instance)).toEqual(['late'])
    await ledger.endLease({ ...own, instance: 'new' })
    const left = await database.sql(`SELECT instance FROM ${schema}.leases ORDER BY instance`)
    expect(left.map((row) => row['instance'])).toEqual(['late', 'new'])
  })
})

describe('versions side by side', () => {
  const adding: PostgresMigration = {
    number: postgresMigrations.length + 1,
    name: 'a column that old ones need not know',
    oldestReader: 1,
    sql: "ALTER TABLE credentials ADD COLUMN note text NOT NULL DEFAULT ''",
  }
  const breaking: PostgresMigration = {
    number: adding.number + 1,
    name: 'a change that old ones cannot follow',
    oldestReader: adding.number + 1,
    sql: 'ALTER TABLE documents RENAME TO papers',
  }

  it('makes one schema where many start at once', async () => {
    const all = Array.from({ length: 6 }, () => open())
    await Promise.all(all.map((ledger) => ledger.readAll()))
    const steps = await database.sql(`SELECT number FROM ${schema}.migrations`)
    expect(steps).toHaveLength(postgresMigrations.length)
  })

  it('lets the old version work on while the new one has added something, and start again', async () => {
    const old = open()
    await old.open('openai', stateOf('openai'))
    const fresh = open({}, [...postgresMigrations, adding])
    await commitTo(fresh, 'openai')
    await commitTo(old, 'openai')
    const [claim] = await claimAll(old, 'old')
    expect(claim?.state.name).toBe('openai')
    expect(await claimAll(fresh, 'fresh')).toEqual([])
    await old.open('later', stateOf('later'))
    expect(await fresh.read('later')).toBeDefined()
    const again = open()
    await commitTo(again, 'openai')
  })

  it('stops the old version, also one that runs, once the new one has changed what it cannot follow', async () => {
    const old = open()
    const state = await old.open('openai', stateOf('openai'))
    const fresh = open({}, [...postgresMigrations, adding, breaking])
    await commitTo(fresh, 'openai')
    const newer = { code: 'ledger_newer' }
    await expect(claimAll(old, 'old')).rejects.toMatchObject(newer)
    const latest = (await fresh.read('openai')) ?? state
    await expect(old.commit({ state: latest, dueAt: 0, events: [] })).rejects.toMatchObject(newer)
    await expect(open().readAll()).rejects.toMatchObject(newer)
    expect(await claimAll(fresh, 'fresh')).toHaveLength(1)
  })

  it('changes nothing where it may not, and says what is missing', async () => {
    await expect(open({ migrate: false }).readAll()).rejects.toMatchObject({ code: 'ledger_behind' })
    expect(await database.sql('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])).toEqual([])
    await open().readAll()
    await expect(open({ migrate: false }).readAll()).resolves.toEqual([])
    await expect(open({ migrate: false }, [...postgresMigrations, adding]).readAll()).rejects.toMatchObject({
      code: 'ledger_behind',
    })
  })

  it('leaves nothing half done where a step fails, and does not take a changed step for its own', async () => {
    const broken = { ...adding, sql: `${adding.sql}; SELECT 1/0` }
    await open().readAll()
    await expect(open({}, [...postgresMigrations, broken]).readAll()).rejects.toThrow()
    await open({}, [...postgresMigrations, adding]).readAll()
    await expect(
      open({}, [...postgresMigrations, { ...adding, sql: 'SELECT 1' }]).readAll(),
    ).rejects.toMatchObject({ code: 'ledger_corrupt' })
  })

  it('works as a role that may only read and write, and says so where that is not enough', async () => {
    const role = `worker_${schema}`
    const password = 'of-this-role-only'
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`)
    const target = database.target(schema, { user: role, password: async () => new Secret(password) })
    await expect(open({ target }).readAll()).rejects.toMatchObject({ code: 'ledger_behind' })
    await open().readAll()
    await expect(open({ target }).readAll()).rejects.toMatchObject({
      code: 'ledger_unreachable',
      fix: expect.stringContaining('grants'),
    })
    await database.sql(`GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role};
      REVOKE INSERT, UPDATE, DELETE ON ${schema}.migrations FROM ${role}`)
    const ledger = open({ target, migrate: false })
    await ledger.open('openai', stateOf('openai'))
    await commitTo(ledger, 'openai')
    expect(await claimAll(ledger, 'w')).toHaveLength(1)
    await ledger.touchLease({ credential: 'openai', instance: 'i', app: 'a', generation: 1, seenAt: 1 })
    await ledger.close()
    await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })
})

describe('trouble', () => {
  const secret = ['not', 'the', 'right', 'word'].join('-')

  it.each([
    ['a wrong password', { password: async () => new Secret(secret) }, /password/],
    ['no such database', { database: 'nowhere' }, /no such database/],
    ['nobody at the port', { port: 1 }, /cannot be reached \(ECONNREFUSED\)/],
    ['no TLS', { tls: { secureContext: () => createSecureContext() } }, /speaks no TLS/],
    ['no such host', { host: 'nowhere.invalid' }, /cannot be reached/],
  ])('says what is wrong, and never the password: %s', async (_what, change, said) => {
    const target = database.target(schema, { password: async () => new Secret(secret), ...change })
    const right =
      'password' in change ? {} : { password: database.target(schema).password ?? (async () => undefined) }
    const failing = open({ target: { ...target, ...right } }).readAll()
    await expect(failing).rejects.toMatchObject({ code: 'ledger_unreachable', retryable: true })
    const thrown: unknown = await failing.catch((error: unknown) => error)
    expect(String(thrown)).toMatch(said)
    const everything =
      JSON.stringify(thrown, Object.getOwnPropertyNames(thrown)) + String((thrown as Error).cause)
    for (const word of [secret, database.address.password]) expect(everything).not.toContain(word)
  })

  it.each([
    ['may not connect', `REVOKE CONNECT ON DATABASE name FROM PUBLIC`, /CONNECT on the database/],
    ['may make nothing', '', /Grant CREATE on the database/],
    [
      'may only read',
      'ALTER ROLE role SET default_transaction_read_only = on',
      /`ledger\.url` lead to the primary/,
    ],
    ['may open no connection more', 'ALTER ROLE role CONNECTION LIMIT 0', /`ledger\.connectionsMax`/],
    ['may not log in', 'ALTER ROLE role NOLOGIN', /at the role in `ledger\.url`/],
  ])('says what to do where the role %s', async (_what, sql, fix) => {
    const own = await createDatabase(database.address)
    const role = `careless_${own.name}`
    await own.sql(`CREATE ROLE ${role} LOGIN PASSWORD '${secret}'`)
    await own.sql(sql.replace('name', own.name).replace('role', role))
    const target = own.target(schema, { user: role, password: async () => new Secret(secret) })
    await expect(open({ target }).readAll()).rejects.toMatchObject({ fix: expect.stringMatching(fix) })
    await own.drop()
  })

  it('goes by its configuration alone, whatever the environment says to other clients of PostgreSQL', async () => {
    for (const [name, value] of Object.entries({ PGSSLNEGOTIATION: 'direct', PGSSLMODE: 'require' }))
      vi.stubEnv(name, value)
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await open().readAll()).toEqual([])
  })

  it('says of a connection that listens in vain what to do, as of every other', async () => {
    await open().readAll()
    const role = `deaf_${schema}`
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD '${secret}'; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT ON ${schema}.migrations TO ${role}`)
    const heard = new Promise<unknown>((resolve) => {
      const ledger = open({
        target: database.target(schema, { user: role, password: async () => new Secret(secret) }),
        log: (_level, message, fields) =>
          message.startsWith('changes by other replicas cannot') ? resolve(fields?.['error']) : undefined,
      })
      ledger.watch?.(() => undefined)
    })
    expect(await heard).toMatchObject({
      code: 'ledger_unreachable',
      fix: expect.stringMatching(/Grant the role/),
    })
    for (const ledger of opened.splice(0)) await ledger.close()
    await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })

  it('makes nothing in a schema that holds tables of others', async () => {
    await database.sql(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.leases (id integer)`)
    await expect(open().readAll()).rejects.toMatchObject({
      message: expect.stringMatching(/that Keyturn did not make/),
      fix: expect.stringMatching(/`ledger\.schema`/),
    })
    expect(await database.sql(`SELECT to_regclass('${schema}.credentials') AS made`)).toEqual([
      { made: null },
    ])
  })

  it.each([
    ['none is configured', async () => undefined, /asks for a password, and none is configured/],
    [
      'it cannot be read',
      async () => Promise.reject(new KeyturnError('ledger_unreachable', 'the password is away')),
      /the password is away/,
    ],
  ])(
    'leaves no connection open that came to nothing for want of a password: %s',
    async (_what, password, said) => {
      const proxy = await startDroppingProxy(database.address.port)
      const ledger = open({ target: database.target(schema, { port: proxy.port, password }) })
      await expect(ledger.readAll()).rejects.toMatchObject({
        code: 'ledger_unreachable',
        message: expect.stringMatching(said),
      })
      // The server itself would keep it for a minute.
      await expect.poll(() => proxy.open()).toBe(0)
      expect(proxy.taken()).toBeGreaterThan(0)
      await proxy.close()
    },
  )

  it('goes on after every connection was cut, with a password that was turned meanwhile', async () => {
    const role = `turned_${schema}`
    await database.sql(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'first'`)
    let password = 'first'
    const ledger = open({
      target: database.target(schema, { user: role, password: async () => new Secret(password) }),
    })
    await ledger.open('openai', stateOf('openai'))
    await database.sql(`ALTER ROLE ${role} PASSWORD 'second'`)
    password = 'second'
    await database.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role])
    await expect.poll(() => ledger.read('openai').catch(() => undefined)).toBeDefined()
  })

  it('is reached by the next call once it is there, though the first found nothing', async () => {
    const missing = `later_${schema}`
    const ledger = openPostgresLedger({
      target: database.target(schema, { database: missing }),
      system: createSystem(),
      log,
    })
    opened.push(ledger)
    await expect(ledger.readAll()).rejects.toMatchObject({ code: 'ledger_unreachable' })
    await database.sql(`CREATE DATABASE ${missing}`)
    await expect(ledger.readAll()).resolves.toEqual([])
  })

  it('takes the claim of a damaged entry no longer than a minute, and hands out the sound ones', async () => {
    const ledger = open()
    for (const name of ['bad', 'good']) await ledger.open(name, stateOf(name))
    await database.sql(`UPDATE ${schema}.credentials SET state = '{' WHERE name = 'bad'`)
    expect((await claimAll(open(), 'w')).map(({ state }) => state.name)).toEqual(['good'])
    await database.sql(`UPDATE ${schema}.credentials SET due_at = 0 WHERE name = 'bad'`)
    await expect(claimAll(open(), 'v')).rejects.toMatchObject({ code: 'ledger_corrupt' })
  })
})

it('looks up due ones by an index, with ten thousand credentials', async () => {
  const ledger = open()
  await ledger.open('openai', stateOf('openai'))
  await database.sql(`INSERT INTO ${schema}.credentials (name, revision, fence, state, due_at)
    SELECT 'c' || number, 0, 0, state, 9000000000000 + number FROM ${schema}.credentials, generate_series(1, 10000) AS number`)
  await database.sql(`ANALYZE ${schema}.credentials`)
  await ledger.claim({ owner: 'w', now: 0, leaseMs: 1, limit: 10 })
  const plan = await database.sql(`EXPLAIN SELECT name FROM ${schema}.credentials
    WHERE due_at <= (SELECT ${schema}.ledger_now()) AND (claim_owner IS NULL OR claim_until <= 1 OR claim_owner = 'w')
    ORDER BY due_at, name LIMIT 300`)
  expect(JSON.stringify(plan)).toContain('credentials_due')
})
