import { describe, expect, it } from 'vitest'
import { parseLedgerUrl } from '../src/config/ledger-url.ts'
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
    ['settings that would be ignored', '"postgres://keyturn@db/state?sslmode=disable"', /expected a URL/],
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
    expect(parseLedgerUrl(url)).toEqual(address)
  })

  it.each([
    '',
    'postgres://a@/x',
    'postgres://a@db/x?host=/run',
    'postgres://a@db/x#y',
    'postgres://a@db/%zz',
  ])('is not %s', (url) => expect(parseLedgerUrl(url)).toBeUndefined())
})
