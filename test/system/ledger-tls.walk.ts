import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { LedgerConfig } from '../../src/config.ts'
import { toKeyturnError } from '../../src/core/errors.ts'
import type { Ledger } from '../../src/core/ports.ts'
import { loadLedger, openTokenShelf } from '../../src/main/ledger.ts'
import { createSystem } from '../../src/system.ts'
import { eventOf, stateOf } from '../ledger/states.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'
import { type PostgresServer, startPostgres } from '../postgres/server.ts'
import { makeAuthority } from '../stores/fakes/authority.ts'

type Postgres = Extract<LedgerConfig, { kind: 'postgres' }>

const loopback = { dns: ['localhost'], ips: [[127, 0, 0, 1]] as const }
const ours = makeAuthority('ours')
const theirs = makeAuthority('theirs')
const clients = makeAuthority('clients')
const serverCertificate = ours.issue(loopback)

let folder = ''
let server: PostgresServer
let database: TestDatabase
let schemas = 0
let schema = ''
let logged: string[] = []
const log = (level: string, message: string): void => void logged.push(`${level} ${message}`)

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyturn-ledger-tls-'))
  server = await startPostgres({
    tls: {
      'server.crt': serverCertificate.cert,
      'server.key': serverCertificate.key,
      'root.crt': clients.cert,
    },
    hba: [
      'hostssl all needs_tls 127.0.0.1/32 scram-sha-256',
      'hostnossl all needs_tls 127.0.0.1/32 reject',
      'hostssl all by_certificate 127.0.0.1/32 cert',
    ],
  })
  database = await createDatabase(server.address)
  await database.sql(`CREATE ROLE needs_tls LOGIN PASSWORD '${server.address.password}'`)
  await database.sql('CREATE ROLE by_certificate LOGIN')
  await database.sql(`GRANT CREATE ON DATABASE ${database.name} TO needs_tls, by_certificate`)
})
afterAll(async () => {
  await database.drop()
  await server.stop()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  schema = `tls_${(schemas += 1)}`
  logged = []
})

let files = 0
function file(text: string): string {
  const path = join(folder, `${(files += 1)}.pem`)
  writeFileSync(path, text)
  return path
}

interface How {
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  readonly query?: string
}

function configured(tls: Postgres['tls'], how: How) {
  const { address } = server
  const { host = address.host, port = address.port, user = address.user, query = '' } = how
  const password = how.password ?? address.password
  const url = `postgres://${user}:${password}@${host}:${port}/${database.name}${query}`
  const config: Postgres = {
    kind: 'postgres',
    url: { env: 'URL' },
    schema,
    migrate: true,
    connectionsMax: 4,
    ...(tls === undefined ? {} : { tls }),
  }
  return { config, env: { URL: url } }
}

async function open(tls: Postgres['tls'], how: How = {}): Promise<Ledger> {
  const { config, env } = configured(tls, how)
  const { ledger } = (await loadLedger(config))({ file: '', env, system: createSystem(), log })
  onTestFinished(() => ledger.close())
  return ledger
}

/** What is said where it does not come about: the cause, and what to do. */
async function refusal(tls: Postgres['tls'], how: How = {}): Promise<string> {
  try {
    await (await open(tls, how)).readAll()
  } catch (thrown) {
    const { message, fix } = toKeyturnError(thrown, 'a bug')
    return `${message} ${fix}`
  }
  return 'it was let in'
}

/** Of every connection of Keyturn's to this database. */
async function encrypted(): Promise<readonly unknown[]> {
  const rows = await database.sql(
    `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
      WHERE application_name = 'keyturn' AND datname = current_database()`,
  )
  return rows.map(({ ssl }) => ssl)
}

/** Resolves when the ledger tells that this was changed by another. */
const toldOf = (ledger: Ledger, name: string): Promise<void> =>
  new Promise((resolve) => ledger.watch?.((one) => (one === name ? resolve() : undefined)))

async function change(ledger: Ledger, name: string): Promise<void> {
  const state = stateOf(name)
  await ledger.open(name, state)
  await ledger.commit({ state, dueAt: 0, events: [eventOf(name, 'changed')] })
}

async function serve(certificate: { readonly cert: string; readonly key: string }): Promise<void> {
  server.put('server.crt', certificate.cert)
  server.put('server.key', certificate.key)
  await server.restart()
}

describe('a PostgreSQL with TLS', () => {
  it.each([
    ['an address', '127.0.0.1'],
    ['a name', 'localhost'],
  ])('is entered where the authority is named and the certificate fits, by %s', async (_what, host) => {
    const caFile = file(ours.cert)
    const [here, there] = [await open({ caFile }, { host }), await open({ caFile }, { host })]
    const told = toldOf(here, 'mine')
    await change(there, 'mine')
    await told
    const shelf = await openTokenShelf(configured({ caFile }, { host }).config, {
      home: folder,
      env: configured({ caFile }, { host }).env,
      system: createSystem(),
      log,
    })
    onTestFinished(() => shelf?.close())
    await shelf?.read()
    const all = await encrypted()
    // Both pools, the one that listens, and that of the tokens.
    expect(all.length).toBeGreaterThanOrEqual(4)
    expect(all).not.toContain(false)
  })

  it('refuses an authority that nobody named, or another', async () => {
    const untrusted = /authority that is not trusted here.*`ledger\.tls\.ca` names/
    expect(await refusal({})).toMatch(untrusted)
    expect(await refusal({ caFile: file(theirs.cert) })).toMatch(untrusted)
    expect(await refusal(undefined, { query: '?sslmode=require' })).toMatch(untrusted)
    // What turns it off for other clients on this machine, and for Node.
    vi.stubEnv('PGSSLMODE', 'no-verify')
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await refusal({ caFile: file(theirs.cert) })).toMatch(untrusted)
    expect(await refusal({ caFile: file(ours.cert), serverName: 'other.example' })).toMatch(
      /another host name/,
    )
  })

  it('looks for the name that is configured in place of the host, which may be a name or an address', async () => {
    const caFile = file(ours.cert)
    const another = /is for another host name.*`ledger\.url`.*`ledger\.tls\.serverName`/
    for (const host of ['127.0.0.1', 'localhost'])
      expect(await refusal({ caFile, serverName: 'db.example.com' }, { host })).toMatch(another)
    await serve(ours.issue({ dns: ['db.example.com'] }))
    for (const host of ['127.0.0.1', 'localhost']) {
      expect(await refusal({ caFile }, { host })).toMatch(another)
      expect(await refusal({ caFile, serverName: 'db.example.com' }, { host })).toBe('it was let in')
    }
    await serve(serverCertificate)
  })

  it('refuses a certificate that has expired', async () => {
    await serve(ours.issue(loopback, '210101'))
    expect(await refusal({ caFile: file(ours.cert) })).toMatch(/has expired.*Renew that of the server/)
    await serve(serverCertificate)
  })

  it('is said to demand TLS where it does and none is set up', async () => {
    const how = { user: 'needs_tls' }
    const demands = /without TLS.*`ledger\.tls: \{ ca: PATH \}`/
    expect(await refusal(undefined, how)).toMatch(demands)
    expect(await refusal('off', how)).toMatch(demands)
    expect(await refusal(undefined, { ...how, query: '?sslmode=disable' })).toMatch(demands)
    expect(await refusal({ caFile: file(ours.cert) }, how)).toBe('it was let in')
  })

  it('is entered with a client certificate where it takes one for a password', async () => {
    const how = { user: 'by_certificate' }
    const caFile = file(ours.cert)
    const { cert, key } = clients.issue({ cn: 'by_certificate' })
    const pair = { certFile: file(cert), keyFile: file(key) }
    expect(await refusal({ caFile, ...pair }, how)).toBe('it was let in')
    expect(await refusal({ caFile }, how)).toMatch(/`ledger\.tls\.cert` and `ledger\.tls\.key`/)
    const another = clients.issue({ cn: 'somebody_else' })
    const wrong = { certFile: file(another.cert), keyFile: file(another.key) }
    expect(await refusal({ caFile, ...wrong }, how)).toMatch(/refuses this role/)
    const foreign = theirs.issue({ cn: 'by_certificate' })
    const unknown = { certFile: file(foreign.cert), keyFile: file(foreign.key) }
    expect(await refusal({ caFile, ...unknown }, how)).toMatch(/no TLS comes about.*`ledger\.tls\.cert`/)
  })

  it('never shows a password, whatever stands in it', async () => {
    const password = 'hunter2%40%2F%3A%3F%23%25%27'
    const said = await refusal({ caFile: file(ours.cert) }, { password })
    expect(said).toMatch(/refuses the password.*`ledger\.password`/)
    expect(said + logged.join('')).not.toMatch(/hunter2/)
  })

  it('goes on, listening too, when its authority was replaced and the file with it', async () => {
    const caFile = file(ours.cert)
    const [here, there] = [await open({ caFile }), await open({ caFile })]
    await change(here, 'before')
    const first = toldOf(here, 'other')
    await change(there, 'other')
    await first
    writeFileSync(caFile, `${ours.cert}${theirs.cert}`)
    const again = toldOf(here, 'after')
    await serve(theirs.issue(loopback))
    // What they have open is broken, which the first call finds out.
    await there.readAll().catch(() => undefined)
    await change(there, 'after')
    await again
    expect((await here.readAll()).map(({ name }) => name).toSorted()).toEqual(['after', 'before', 'other'])
    expect(logged).toContain("info the certificates for the ledger's TLS were read again")
    writeFileSync(caFile, 'half written')
    await server.restart()
    await here.readAll().catch(() => undefined)
    expect(await here.readAll()).toHaveLength(3)
    expect(logged.filter((line) => line.includes('cannot be used; those from before are'))).not.toEqual([])
    await serve(serverCertificate)
  })
})

describe('without TLS', () => {
  it('nothing is sent to a server that has none, where TLS is asked for', async () => {
    const plain = await sharedPostgres()
    const noTls = /speaks no TLS, and nothing was sent to it.*`ledger\.tls: off`/
    expect(await refusal({}, { port: plain.port })).toMatch(noTls)
    expect(await refusal(undefined, { port: plain.port, query: '?sslmode=verify-full' })).toMatch(noTls)
    const heard: Buffer[] = []
    const listener = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', (chunk) => {
        heard.push(chunk)
        socket.end('N')
      })
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void listener.close())
    const address = listener.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    expect(await refusal({}, { port })).toMatch(noTls)
    // The question whether there is TLS, and no name of anybody.
    expect(Buffer.concat(heard).toString('hex')).toBe('0000000804d2162f')
  })

  it('says of what answers and is no PostgreSQL that it is none', async () => {
    const other = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    expect(await refusal({}, { port })).toMatch(/is no PostgreSQL.*`ledger\.url`/)
    expect(await refusal('off', { port })).toMatch(/closed the connection without a word.*`ledger\.url`/)
  })
})
