import { describe, expect, it } from 'vitest'
import { type Config, checkConfig } from '../src/config.ts'

const issuer = (adminKey: string): string =>
  `{ kind: openai, project: proj_abc, serviceAccount: svc_acct_abc, adminKey: ${adminKey} }`

function fileOf(
  issuers: Readonly<Record<string, string>>,
  credentials: Readonly<Record<string, string>> = { openai: '{ store: { kind: local }, issuer: main }' },
): string {
  const lines = (entries: Readonly<Record<string, string>>): string[] =>
    Object.entries(entries).map(([name, text]) => `  ${name}: ${text}`)
  return ['issuers:', ...lines(issuers), 'credentials:', ...lines(credentials), ''].join('\n')
}

function check(text: string): ReturnType<typeof checkConfig> {
  return checkConfig({
    env: {},
    cwd: '/srv/app',
    readFile: (path) => (path === '/srv/app/keyturn.yaml' ? text : undefined),
  })
}

function configOf(text: string): Config {
  const checked = check(text)
  if (checked.kind !== 'valid') throw new Error(JSON.stringify(checked))
  return checked.config
}

describe('an admin key that is kept in a store', () => {
  it('is one for all credentials of the issuer, and none of them', () => {
    const config = configOf(
      fileOf(
        {
          main: issuer(
            '{ store: { kind: local }, organization: org-a, blackout: [{ from: 2027-01-01T00:00:00Z, until: 2027-01-02T00:00:00Z }] }',
          ),
        },
        {
          web: '{ store: { kind: local }, issuer: main }',
          batch: '{ store: { kind: local }, issuer: main }',
        },
      ),
    )
    expect(config.adminKeys).toMatchObject([
      {
        name: 'main-admin',
        ref: 'main-admin',
        store: { kind: 'local' },
        baseUrl: 'https://api.openai.com/v1',
        organization: 'org-a',
        schedule: { expression: '0 3 1 1,4,7,10 *' },
        blackout: [{ fromAt: Date.UTC(2027, 0, 1), untilAt: Date.UTC(2027, 0, 2) }],
        // Made with the expiry that it keeps.
        policy: { keyExpirySeconds: 120 * 86_400, expiryManaged: false },
      },
    ])
    expect(config.credentials.map((one) => one.name)).toEqual(['web', 'batch'])
    for (const { issuer: used } of config.credentials)
      expect(used).toMatchObject({ adminKey: { credential: 'main-admin' } })
  })

  it('has the name of the credential where the issuer has none, or a name of its own', () => {
    const inline = configOf(
      fileOf(
        { idle: '{ kind: manual }' },
        { web: `{ store: { kind: local }, issuer: ${issuer('{ store: { kind: local } }')} }` },
      ),
    )
    expect(inline.adminKeys?.map((one) => one.name)).toEqual(['web-admin'])
    const named = configOf(fileOf({ main: issuer('{ store: { kind: env }, name: boss }') }))
    expect(named.adminKeys).toMatchObject([{ name: 'boss', ref: 'OPENAI_ADMIN_KEY', schedule: null }])
    expect(named.credentials[0]?.issuer).toMatchObject({ adminKey: { credential: 'boss' } })
  })

  it('is none where it is only read from somewhere', () => {
    expect(configOf(fileOf({ main: issuer('{ env: OTHER }') })).adminKeys).toBeUndefined()
  })

  it.each([
    ['{ store: { kind: local }, name: openai }', /another credential named 'openai'.*name of its own/],
    [
      '{ store: { kind: local }, ref: openai }',
      /issuers\.main\.adminKey.*same secret as credentials\.openai/,
    ],
    ['{ store: vault }', /issuers\.main\.adminKey\.store.*no such name under stores/],
    ['{ store: { kind: local }, polcy: {} }', /'polcy' is not known.*Did you mean 'policy'/],
    ['{ store: { kind: local }, policy: { pendingExpiry: 2h } }', /'pendingExpiry' is not known/],
    [
      '{ store: { kind: local }, policy: { phaseDeadline: 2h, keyExpiry: 1h } }',
      /adminKey\.policy\.phaseDeadline.*longer than keyExpiry/,
    ],
    ['{ store: { kind: file }, schedule: {} }', /adminKey\.schedule.*only read/],
    ['{ store: { kind: local }, env: NAME }', /expected \{ env: NAME \} or/],
  ])('is refused with its place and the fix: %s', (adminKey, says) => {
    const checked = check(fileOf({ main: issuer(adminKey) }))
    const problems = checked.kind === 'invalid' ? checked.problems : []
    const told = problems.map(({ path, message, fix }) => `${path}: ${message}. ${fix}`).join('\n')
    expect(told).toMatch(says)
  })

  it('is refused where two issuers would call theirs alike, or the name grows too long', () => {
    const twice = check(
      fileOf({
        main: issuer('{ store: { kind: local } }'),
        other: issuer('{ store: { kind: local }, name: main-admin, ref: b }'),
      }),
    )
    expect(twice).toMatchObject({ kind: 'invalid', problems: [{ path: 'issuers.other.adminKey' }] })
    const long = 'a'.repeat(60)
    const tooLong = check(
      fileOf(
        { [long]: issuer('{ store: { kind: local } }') },
        { openai: `{ store: { kind: local }, issuer: ${long} }` },
      ),
    )
    expect(tooLong).toMatchObject({
      kind: 'invalid',
      problems: [{ message: expect.stringMatching(/longer than 63/) as string }],
    })
  })
})
