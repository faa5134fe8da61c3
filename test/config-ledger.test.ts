import { describe, expect, it } from 'vitest'
import { encryptionOf, parseLedgerUrl } from '../src/config/ledger-url.ts'
import { checkConfig, loadConfig } from '../src/config.ts'

const sourcesOf = (ledger: string) => ({
  env: {},
  cwd: '/srv/app',
  readFile: (path: string) =>
    path === '/srv/app/keyturn.yaml'
      ? `ledger: ${ledger}\ncredentials:\n  openai:\n    store: { kind: local }\n`
      : undefined,
})

describe('the ledger', () => {
  it('is SQLite where nothing is said, as where that is said', () => {
    expect(loadConfig(sourcesOf('{ kind: sqlite }')).ledger).toBeUndefined()
  })

  it('warns where replicas share it and the store is of one alone', () => {
    const warned = (ledger: string): readonly string[] => {
      const found = checkConfig(sourcesOf(ledger))
      return found.kind === 'valid' ? (found.warnings ?? []).map(({ message }) => message) : ['invalid']
    }
    expect(warned('{ kind: postgres, url: "postgres://keyturn@db/state" }')).toEqual([
      'replicas share this ledger, and the key of openai is kept where only this one reaches it',
    ])
    expect(warned('{ kind: sqlite }')).toEqual([])
  })

  it('is PostgreSQL with its defaults, and paths from the folder of the file', () => {
    const yaml =
      '{ kind: postgres, url: "postgres://keyturn@db:5433/state", password: { file: db.password }, tls: { ca: ca.pem } }'
    expect(loadConfig(sourcesOf(yaml)).ledger).toEqual({
      kind: 'postgres',
      url: 'postgres://keyturn@db:5433/state',
      password: { file: '/srv/app/db.password' },
      schema: 'keyturn',
      migrate: true,
      connectionsMax: 10,
      tls: { caFile: '/srv/app/ca.pem' },
    })
  })

  it('takes the whole address from elsewhere', () => {
    expect(loadConfig(sourcesOf('{ kind: postgres, url: { env: DATABASE_URL } }')).ledger).toMatchObject({
      url: { env: 'DATABASE_URL' },
    })
  })

  it.each([
    [
      'a password in the file',
      '"postgres://keyturn:hunter2hunter2@db/state"',
      /a password stands in this file/,
    ],
    ['no database', '"postgres://keyturn@db"', /expected a URL/],
    ['no role', '"postgres://db/state"', /expected a URL/],
    ['no TLS to another machine', '"postgres://keyturn@db/state?sslmode=disable"', /`ledger\.tls: off`/],
    [
      'a mode that would do without',
      '"postgres://keyturn@db/state?sslmode=prefer"',
      /which Keyturn never does/,
    ],
    [
      'a mode that is none',
      '"postgres://keyturn@db/state?sslmode=hunter2hunter2"',
      /is none of disable, allow/,
    ],
    [
      'TLS twice over',
      '"postgres://keyturn@db/state?sslmode=require", tls: off',
      /contradicts `ledger\.tls: off`/,
    ],
    [
      'an authority',
      '"postgres://keyturn@db/state?sslrootcert=/hunter2"',
      /'sslrootcert'.*`ledger\.tls\.ca`/,
    ],
    [
      'a setting',
      '"postgres://keyturn@db/state?channel_binding=require"',
      /'channel_binding' in it would be/,
    ],
    ['a piece of a password', '"postgres://keyturn@db/state?hunter2hunter2"', /a setting behind the \?/],
    ['another protocol', '"mysql://keyturn@db/state"', /expected a URL/],
  ])('refuses an address with %s, and does not show it', (_what, url, told) => {
    const check = checkConfig(sourcesOf(`{ kind: postgres, url: ${url} }`))
    const problems = check.kind === 'invalid' ? check.problems : []
    const text = problems.map((one) => `${one.path}: ${one.message} ${one.fix}`).join('\n')
    expect(text).toMatch(told)
    expect(text).not.toContain('hunter2')
  })

  it.each([
    [
      'a certificate without its key',
      '{ kind: postgres, url: "postgres://a@b/c", tls: { cert: c.pem } }',
      /key/,
    ],
    [
      'a schema of PostgreSQL’s own',
      '{ kind: postgres, url: "postgres://a@b/c", schema: pg_keyturn }',
      /schema/,
    ],
    [
      'a schema that would have to be quoted',
      `{ kind: postgres, url: "postgres://a@b/c", schema: 'a"b' }`,
      /schema/,
    ],
    ['another kind', '{ kind: postgers, url: "postgres://a@b/c" }', /Did you mean 'postgres'/],
  ])('refuses %s', (_what, ledger, told) => {
    const check = checkConfig(sourcesOf(ledger))
    const problems = check.kind === 'invalid' ? check.problems : []
    expect(problems.map((one) => `${one.path}: ${one.message} ${one.fix}`).join('\n')).toMatch(told)
  })
})

describe('the address of a PostgreSQL', () => {
  it.each([
    [
      'postgres://a@db.example.com/state',
      { host: 'db.example.com', port: 5432, database: 'state', user: 'a' },
    ],
    [
      'postgresql://a:b%40c@[::1]:6000/x',
      { host: '::1', port: 6000, database: 'x', user: 'a', password: 'b@c' },
    ],
    [
      'postgres://a@/x?host=/run/postgresql',
      { host: '/run/postgresql', port: 5432, database: 'x', user: 'a' },
    ],
  ])('%s', (url, address) => {
    expect(parseLedgerUrl(url)).toEqual({ kind: 'address', address })
  })

  it.each([
    '',
    'postgres://a@/x',
    'postgres://a@db/x?host=/run',
    'postgres://a@db/x#y',
    'postgres://a@db/%zz',
  ])('is not %s', (url) => expect(parseLedgerUrl(url)).toMatchObject({ kind: 'refused' }))
})

/** What is done for each mode, with `ledger.tls` absent, off and set. */
describe.each([
  ['db.example.com', 'another machine'],
  ['127.0.0.1', 'this machine'],
])('TLS to %s, which is %s', (host, where) => {
  const isHere = where === 'this machine'
  it.each([
    [undefined, isHere ? 'plain' : 'encrypted', 'plain', 'encrypted'],
    ['disable', isHere ? 'plain' : 'refused', 'plain', 'refused'],
    ['allow', 'refused', 'refused', 'refused'],
    ['prefer', 'refused', 'refused', 'refused'],
    ['require', 'encrypted', 'refused', 'encrypted'],
    ['verify-ca', 'encrypted', 'refused', 'encrypted'],
    ['verify-full', 'encrypted', 'refused', 'encrypted'],
  ])('with sslmode %s', (mode, absent, off, set) => {
    const url = `postgres://a@${host}/b${mode === undefined ? '' : `?sslmode=${mode}`}`
    const read = parseLedgerUrl(url)
    if (read.kind === 'refused') throw new Error(read.refusal.message)
    const done = [undefined, 'off' as const, {}].map((tls) => {
      const found = encryptionOf(read.address, tls)
      return typeof found === 'string' ? found : 'refused'
    })
    expect(done).toEqual([absent, off, set])
  })
})
