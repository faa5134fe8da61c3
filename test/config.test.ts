import { describe, expect, it } from 'vitest'
import { configBytesMax } from '../src/config/document.ts'
import { parseDuration } from '../src/config/duration.ts'
import { locate } from '../src/config/locate.ts'
import type { Config, ConfigSources, StoreConfig } from '../src/config/types.ts'
import { type ConfigProblem, checkConfig, defaultPolicy, loadConfig } from '../src/config.ts'
import { KeyturnError } from '../src/core/errors.ts'
import { nearest } from '../src/core/nearest.ts'
import { assertValidCron } from '../src/engine/cron.ts'
import type { StoreConfig as OpenableStore } from '../src/stores/index.ts'

const cwd = '/srv/app'

function sources(files: Readonly<Record<string, string>>, env: ConfigSources['env'] = {}): ConfigSources {
  return { env, cwd, readFile: (path) => files[path], assertValidCron }
}

const ofText = (text: string, env: ConfigSources['env'] = {}): ConfigSources =>
  sources({ '/srv/app/keyturn.yaml': text }, env)

function problemsOf(text: string): readonly ConfigProblem[] {
  const check = checkConfig(ofText(text))
  if (check.kind !== 'invalid') throw new Error(`expected problems, got ${check.kind}`)
  return check.problems
}

function configOf(text: string): Config {
  return loadConfig(ofText(text))
}

/** A key as somebody would paste it, put together here so that no scanner takes this file for a leak. */
const pastedKey = ['sk', 'proj', `CANARY${'a1B2'.repeat(12)}`].join('-')

const minting = `
stores:
  vault: { kind: aws-secrets-manager, region: eu-central-1 }
issuers:
  main:
    kind: openai
    project: proj_abc
    serviceAccount: svc_acct_abc
    adminKey: { file: secrets/admin }
credentials:
  openai:
    store: vault
    issuer: main
    ref: prod/openai
`

describe('what is wrong in a file is told with its place and the fix', () => {
  const rows: readonly {
    readonly what: string
    readonly text: string
    readonly line: number
    readonly column?: number
    readonly says: RegExp
  }[] = [
    {
      what: 'a misspelt key',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    policy:\n      overlpa: 3h\n',
      line: 5,
      column: 7,
      says: /'overlpa' is not known under credentials\.openai\.policy.*Did you mean 'overlap'\?/,
    },
    {
      what: 'a misspelt key at the top',
      text: 'credential:\n  openai:\n    store: { kind: local }\n',
      line: 1,
      says: /'credential' is not known at the top level.*Did you mean 'credentials'\?/,
    },
    {
      what: 'an unknown key that is like no other',
      text: 'credentials:\n  openai:\n    store: { kind: local, zzzzzzzzzz: 1 }\n',
      line: 3,
      says: /Known here: kind, folder, identityFile, passphrase/,
    },
    {
      what: 'a wrong type',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    policy:\n      attemptsMax: many\n',
      line: 5,
      column: 20,
      says: /attemptsMax.*expected a whole number from 1 to 10/,
    },
    {
      what: 'a duration without a unit',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    policy: { overlap: 90 }\n',
      line: 4,
      says: /expected a duration from 0s to 90d, such as 24h, found 90/,
    },
    {
      what: 'a duration out of range',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    policy: { verifyEvery: 2d }\n',
      line: 4,
      says: /expected a duration from 1s to 1d/,
    },
    {
      what: 'a bad cron expression',
      text: `${minting}    schedule: { cron: '0 3 1 13 *' }\n`,
      line: 15,
      says: /month/,
    },
    {
      what: 'an unknown time zone',
      text: `${minting}    schedule: { timeZone: Europe/Berln }\n`,
      line: 15,
      says: /expected an IANA time zone/,
    },
    {
      what: 'an unknown kind of store',
      text: 'credentials:\n  openai:\n    store:\n      kind: locla\n',
      line: 4,
      says: /expected a kind of store: local, memory.*Did you mean 'local'\?/,
    },
    {
      what: 'a store that is not defined',
      text: minting.replace('store: vault', 'store: valut'),
      line: 12,
      says: /no such name under stores.*Did you mean 'vault'\?/,
    },
    {
      what: 'an issuer without its account',
      text: minting.replace('    serviceAccount: svc_acct_abc\n', ''),
      line: 12,
      says: /has no 'serviceAccount'/,
    },
    {
      what: 'a missing required key',
      text: 'credentials:\n  openai:\n    ref: x\n',
      line: 2,
      says: /'store' is missing/,
    },
    { what: 'no credentials', text: 'listen: 127.0.0.1:1\n', line: 1, says: /'credentials' is missing/ },
    {
      what: 'empty credentials',
      text: 'credentials: {}\n',
      line: 1,
      says: /expected 1 to 10000 credentials/,
    },
    {
      what: 'a credential name that no app can ask for',
      text: 'credentials:\n  Open_AI:\n    store: { kind: local }\n',
      line: 2,
      says: /expected a name of a-z/,
    },
    {
      what: 'a secret in a value',
      text: `credentials:\n  openai:\n    store: { kind: local }\n    ref: ${pastedKey}\n`,
      line: 4,
      column: 10,
      says: /looks like an API key.*\{ env: NAME \}/,
    },
    {
      what: 'a secret in a comment',
      text: `# ${pastedKey}\ncredentials:\n  openai:\n    store: { kind: local }\n`,
      line: 1,
      says: /looks like an API key/,
    },
    {
      what: 'a secret in the place of a key',
      text: `credentials:\n  openai:\n    store: { kind: local }\n    ${pastedKey}: 1\n`,
      line: 4,
      says: /looks like an API key/,
    },
    {
      what: 'an admin key written out',
      text: minting.replace('{ file: secrets/admin }', 'hunter2-hunter2'),
      line: 9,
      says: /expected \{ env: NAME \} or \{ file: PATH \}/,
    },
    {
      what: 'a variable that is not replaced',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    ref: $\u007bREF}\n',
      line: 4,
      says: /is not replaced by the environment/,
    },
    {
      what: 'a duplicate key',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    store: { kind: memory }\n',
      line: 4,
      says: /stands here twice/,
    },
    {
      what: 'a tab as indentation',
      text: 'credentials:\n  openai:\n\tstore: { kind: local }\n',
      line: 3,
      says: /a tab is used to indent/,
    },
    { what: 'an unclosed bracket', text: 'credentials: [a, b\n', line: 2, says: /missing|indentation/ },
    { what: 'an empty file', text: '', line: 1, says: /the file is empty/ },
    { what: 'nothing but a comment', text: '# to do\n', line: 1, says: /the file is empty/ },
    { what: 'no YAML map', text: 'just words\n', line: 1, says: /expected keys with values/ },
    { what: 'binary', text: '\u0000\u0001\u0002', line: 1, says: /expected keys with values|not YAML/ },
    { what: 'a huge file', text: `# ${'x'.repeat(configBytesMax)}\n`, line: 1, says: /larger than 8 MB/ },
    {
      what: 'lists in lists',
      text: `${'- '.repeat(9_500)}\nkind: Secret\n`,
      line: 1,
      says: /nested deeper than can be read/,
    },
    {
      what: 'aliases that unfold for ever',
      text: `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
        .split('')
        .map((name, index) => `${name}: &${name} [${`*${'abcdefgh'[index]},`.repeat(9)}]\n`)
        .join('')}`,
      line: 1,
      says: /aliases unfold into too much/,
    },
    {
      what: 'an address beyond this machine',
      text: 'listen: 0.0.0.0:7420\ncredentials:\n  openai:\n    store: { kind: local }\n',
      line: 1,
      column: 9,
      says: /unencrypted.*allowPlaintext/,
    },
    {
      what: 'a trusted proxy that is no network',
      text: 'trustedProxies: [10.0.0.0/33]\ncredentials:\n  openai:\n    store: { kind: local }\n',
      line: 1,
      says: /expected an address or network/,
    },
    {
      what: 'an address that is none',
      text: 'listen: 7420\ncredentials:\n  openai:\n    store: { kind: local }\n',
      line: 1,
      says: /expected an address such as/,
    },
    {
      what: 'a base URL that would send the key in the clear',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    issuer: { kind: manual, baseUrl: "http://api.example" }\n',
      line: 4,
      says: /expected an https:\/\/ URL/,
    },
    {
      what: 'a schedule on a store that cannot be written',
      text: 'credentials:\n  openai:\n    store: { kind: env }\n    schedule: { timeZone: UTC }\n',
      line: 4,
      says: /a schedule cannot work with a store of kind env/,
    },
    {
      what: 'two credentials in one secret',
      text: `${minting}  other:\n    store: vault\n    ref: prod/openai\n`,
      line: 15,
      says: /same secret as credentials\.openai/,
    },
    {
      what: 'an overlap longer than its limit',
      text: 'credentials:\n  openai:\n    store: { kind: local }\n    policy: { overlap: 8d }\n',
      line: 4,
      says: /overlap is longer than drainLimit/,
    },
  ]

  it.each(rows)('$what', ({ text, line, column, says }) => {
    const problems = problemsOf(text)
    const found = problems.find((problem) => says.test(`${problem.path}: ${problem.message}. ${problem.fix}`))
    expect(found, JSON.stringify(problems)).toMatchObject({
      line,
      ...(column === undefined ? {} : { column }),
    })
    expect(JSON.stringify(problems)).not.toMatch(/CANARY|hunter2/)
  })

  it('tells several at once, in the order of the file', () => {
    const problems = problemsOf(
      'listen: x\ncredentials:\n  openai:\n    store: { kind: nothing }\n    policy: { overlap: 5 }\n    ref: 1\n',
    )
    expect(problems.map(({ line }) => line)).toEqual([1, 4, 5, 6])
  })

  it('throws them as one error with lines, and counts those beyond twenty', () => {
    const keys = Array.from({ length: 30 }, (_, index) => `    wrong${index}: 1`).join('\n')
    const text = `credentials:\n  openai:\n    store: { kind: local }\n${keys}\n`
    const thrown = ((): unknown => {
      try {
        return loadConfig(ofText(text))
      } catch (error) {
        return error
      }
    })()
    expect(thrown).toBeInstanceOf(KeyturnError)
    expect(thrown).toMatchObject({ code: 'config_invalid' })
    const lines = (thrown as KeyturnError).message.split('\n')
    expect(lines).toHaveLength(21)
    expect(lines[0]).toMatch(/^keyturn\.yaml:4:5: /)
    expect(lines[20]).toBe('and 10 more')
  })
})

describe('a valid file', () => {
  it('gets every default that the documentation names', () => {
    const [credential] = configOf(minting).credentials
    expect(credential).toMatchObject({
      name: 'openai',
      ref: 'prod/openai',
      store: { kind: 'aws-secrets-manager', region: 'eu-central-1', requestTimeoutMs: 5_000, maxAttempts: 3 },
      issuer: {
        kind: 'openai',
        baseUrl: 'https://api.openai.com/v1',
        adminKey: { file: '/srv/app/secrets/admin' },
        projectId: 'proj_abc',
        serviceAccountId: 'svc_acct_abc',
        mode: 'service_account_key',
      },
      expected: { project: 'proj_abc', scopes: [], models: [] },
      schedule: { expression: '0 3 1 1,4,7,10 *', timeZone: 'UTC', jitterMs: 3_600_000 },
    })
    expect(credential?.policy).toEqual({
      overlapMs: 86_400_000,
      drainLimitMs: 7 * 86_400_000,
      afterLimit: 'wait',
      quietMs: 300_000,
      provingCount: 3,
      provingSettleMs: 10_000,
      activationGraceMs: 60_000,
      attemptsMax: 3,
      phaseDeadlineMs: 900_000,
      retryBaseMs: 500,
      retryMaxMs: 60_000,
      verifyEveryMs: 300_000,
      verifyCloselyEveryMs: 30_000,
      verifyCloselyForMs: 600_000,
      rejectionGapMs: 300,
      automaticPerDayMax: 3,
      deadProbes: 3,
      deadSpanMs: 120_000,
      deadLimitMs: 1_800_000,
      storePollMs: 60_000,
      pendingExpirySeconds: 86_400,
      keyExpirySeconds: 365 * 86_400,
      expiryManaged: true,
      staleAfterMs: 100 * 86_400_000,
      standby: false,
      standbyMaxAgeMs: 90 * 86_400_000,
    })
  })

  it('schedules nothing where no key can be minted, or the file says none', () => {
    expect(configOf('credentials:\n  a:\n    store: { kind: local }\n').credentials[0]?.schedule).toBeNull()
    expect(configOf(`${minting}    schedule: none\n`).credentials[0]?.schedule).toBeNull()
  })

  it('makes paths absolute: those of the file from its folder, secrets of the local store in the home folder', () => {
    const text =
      'home: state\ncredentials:\n  a:\n    store: { kind: local, passphrase: { file: pass } }\n  b:\n    store: { kind: file, path: /run/secrets }\n'
    const config = loadConfig({
      ...sources({ '/etc/keyturn/k.yaml': text }, { KEYTURN_CONFIG: '/etc/keyturn/k.yaml' }),
    })
    expect(config.home).toBe('/etc/keyturn/state')
    const stores: readonly StoreConfig[] = config.credentials.map(({ store }) => store)
    expect(stores).toEqual([
      { kind: 'local', folder: '/etc/keyturn/state/secrets', passphraseFile: '/etc/keyturn/pass' },
      { kind: 'file', path: '/run/secrets' },
    ])
  })

  it('describes stores as the drivers take them', () => {
    const takes = (store: OpenableStore): string => store.kind
    const [credential] = configOf(minting).credentials
    expect(credential && takes(credential.store)).toBe('aws-secrets-manager')
  })

  it('lets the environment decide home and address', () => {
    const env = { KEYTURN_HOME: 'elsewhere', KEYTURN_LISTEN: 'unix:run/k.sock' }
    const config = loadConfig(ofText(minting, env))
    expect(config).toMatchObject({
      home: '/srv/app/elsewhere',
      listen: { kind: 'unix', path: '/srv/app/run/k.sock' },
    })
  })

  it('reads ten thousand credentials', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => `  c-${index}: { store: { kind: local } }`)
    expect(configOf(`credentials:\n${many.join('\n')}\n`).credentials).toHaveLength(10_000)
  })
})

describe('where the configuration comes from', () => {
  it('without a file, OPENAI_API_KEY alone is one credential that is read and never turned', () => {
    const config = loadConfig(
      sources({}, { OPENAI_API_KEY: pastedKey, OPENAI_ORG_ID: 'org-a', OPENAI_PROJECT_ID: 'proj_a' }),
    )
    expect(config).toMatchObject({
      source: 'environment',
      home: '/srv/app/.keyturn',
      listen: { kind: 'tcp', host: '127.0.0.1', port: 7420 },
      credentials: [
        {
          name: 'openai',
          ref: 'OPENAI_API_KEY',
          store: { kind: 'env' },
          issuer: { kind: 'manual', baseUrl: 'https://api.openai.com/v1' },
          expected: { organization: 'org-a', project: 'proj_a' },
          schedule: null,
        },
      ],
    })
    expect(JSON.stringify(config)).not.toContain('CANARY')
  })

  it('takes the base URL of the environment, if a key may be sent there', () => {
    const at = (url: string) => sources({}, { OPENAI_API_KEY: pastedKey, OPENAI_BASE_URL: url })
    expect(loadConfig(at('http://127.0.0.1:9/v1')).credentials[0]?.issuer.baseUrl).toBe(
      'http://127.0.0.1:9/v1',
    )
    expect(() => loadConfig(at('http://api.example/v1'))).toThrow(/https/)
  })

  it('says how to begin where there is neither', () => {
    const check = checkConfig(sources({}, { OPENAI_API_KEY: ' ' }))
    expect(check).toMatchObject({ kind: 'missing' })
    expect(JSON.stringify(check)).toMatch(/keyturn init.*npm start/)
    expect(() => loadConfig(sources({}))).toThrow(expect.objectContaining({ code: 'config_missing' }))
  })

  it('names a file that KEYTURN_CONFIG names and that is not there', () => {
    const check = checkConfig(sources({}, { KEYTURN_CONFIG: 'gone.yaml', OPENAI_API_KEY: 'x' }))
    expect(check).toMatchObject({ kind: 'missing', message: expect.stringContaining('/srv/app/gone.yaml') })
  })

  it('finds the file in the home folder too, and one with the wrong ending', () => {
    expect(loadConfig(sources({ '/srv/app/.keyturn/keyturn.yaml': minting })).source).toContain('.keyturn')
    expect(checkConfig(sources({ '/srv/app/keyturn.yml': minting }))).toMatchObject({
      kind: 'invalid',
      problems: [{ fix: 'Rename it to keyturn.yaml.' }],
    })
  })

  it('says that a file cannot be read', () => {
    const readFile = (): never => {
      throw new Error('EACCES')
    }
    expect(checkConfig({ env: {}, cwd, readFile })).toMatchObject({
      kind: 'invalid',
      problems: [{ message: 'the file is there and cannot be read' }],
    })
  })

  it('locates a service from the environment, the file or the default', async () => {
    expect(await locate(sources({}))).toMatchObject({ listen: { port: 7420 }, home: '/srv/app/.keyturn' })
    expect(await locate(sources({}, { KEYTURN_LISTEN: '[::1]:9' }))).toMatchObject({
      listen: { host: '::1' },
    })
    expect(await locate(ofText(`listen: 127.0.0.1:99\n${minting}`))).toMatchObject({ listen: { port: 99 } })
    await expect(locate(ofText('listen: no\n'))).rejects.toMatchObject({ code: 'config_invalid' })
  })
})

describe('the parts', () => {
  it('parses durations of one unit', () => {
    expect(['300ms', '90s', '10m', '24h', '7d', '0s'].map(parseDuration)).toEqual([
      300, 90_000, 600_000, 86_400_000, 604_800_000, 0,
    ])
    expect(['', '5', '1.5h', '1h30m', '-1s', '1w', ' 1s', '9999999999s'].map(parseDuration)).toEqual(
      Array.from({ length: 8 }, () => undefined),
    )
  })

  it('guesses what was meant only where it is near', () => {
    const known = ['overlap', 'quiet', 'verifyEvery']
    expect(['overlpa', 'quite', 'verify_every', 'OVERLAP'].map((word) => nearest(word, known))).toEqual([
      'overlap',
      'quiet',
      'verifyEvery',
      'overlap',
    ])
    expect(['x', 'schedule', ''].map((word) => nearest(word, known))).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('manages expiry only where the issuer mints', () => {
    expect(defaultPolicy({ kind: 'manual', baseUrl: 'x', timeoutMs: 1 }).expiryManaged).toBe(false)
  })
})
