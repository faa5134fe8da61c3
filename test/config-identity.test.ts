import { describe, expect, it } from 'vitest'
import type { Config } from '../src/config/types.ts'
import { type ConfigProblem, checkConfig, loadConfig } from '../src/config.ts'
import { assertValidCron } from '../src/engine/cron.ts'

const sourcesOf = (text: string) => ({
  env: {},
  cwd: '/srv/app',
  readFile: (path: string) => (path === '/srv/app/keyturn.yaml' ? text : undefined),
  assertValidCron,
})

function configOf(text: string): Config {
  return loadConfig(sourcesOf(text))
}

function problemsOf(text: string): readonly ConfigProblem[] {
  const check = checkConfig(sourcesOf(text))
  if (check.kind !== 'invalid') throw new Error(`expected problems, got ${check.kind}`)
  return check.problems
}

const federated = (identity: string, more = ''): string => `
credentials:
  openai:
    identity:
      provider: idp_abc
      serviceAccount: svc_acct_abc
${identity}
${more}
`
const ofFile = '      subjectToken: { file: tokens/openai }'

describe('a credential of a workload identity', () => {
  it('has the defaults that the documentation names, and its token file from the folder of the file', () => {
    const config = configOf(federated(ofFile))
    expect(config.credentials).toEqual([])
    expect(config.federated).toMatchObject([
      {
        name: 'openai',
        identity: {
          provider: 'idp_abc',
          serviceAccount: 'svc_acct_abc',
          subjectToken: { kind: 'file', path: '/srv/app/tokens/openai' },
          tokenUrl: 'https://auth.openai.com/oauth/token',
          timeoutMs: 10_000,
        },
        refreshBufferMs: 1_200_000,
        baseUrl: 'https://api.openai.com/v1',
        expected: { scopes: [], models: [] },
      },
    ])
  })

  it.each([
    ['      subjectToken: { env: IDENTITY_TOKEN }', { kind: 'env', variable: 'IDENTITY_TOKEN' }],
    ['      subjectToken: { azure: {} }', { kind: 'azure', resource: 'https://management.azure.com/' }],
    [
      '      subjectToken: { azure: { resource: api://keyturn, clientId: c1 } }',
      { kind: 'azure', resource: 'api://keyturn', clientId: 'c1' },
    ],
    ['      subjectToken: { google: {} }', { kind: 'google', audience: 'https://api.openai.com/v1' }],
    [
      '      subjectToken: { google: { audience: mine, endpoint: http://127.0.0.1:8080 } }',
      { kind: 'google', audience: 'mine', endpoint: 'http://127.0.0.1:8080' },
    ],
  ])('takes its identity token from where it is said: %s', (line, source) => {
    expect(configOf(federated(line)).federated?.[0]?.identity.subjectToken).toEqual(source)
  })

  it('stands beside credentials with a store', () => {
    const config = configOf(federated(ofFile, '  other: { store: { kind: local } }'))
    expect(config.credentials.map((one) => one.name)).toEqual(['other'])
    expect(config.federated?.map((one) => one.name)).toEqual(['openai'])
  })

  it.each([
    ['store', '    store: { kind: local }'],
    ['ref', '    ref: prod/openai'],
    ['issuer', '    issuer: { kind: manual }'],
    ['mirrors', '    mirrors: []'],
    ['consumers', '    consumers: []'],
    ['schedule', '    schedule: none'],
  ])('says why %s does not go with it, at its place', (key, line) => {
    const problems = problemsOf(federated(ofFile, line))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ path: `credentials.openai.${key}`, line: 8 })
    expect(problems[0]?.message).toMatch(/does not go with identity: /)
  })

  it('takes the policy of checks and retries, and says of the rest that it is about other keys', () => {
    const { federated: built } = configOf(
      federated(ofFile, '    policy: { verifyEvery: 1m, staleAfter: 1h }'),
    )
    expect(built?.[0]?.policy).toMatchObject({ verifyEveryMs: 60_000, staleAfterMs: 3_600_000 })
    const problems = problemsOf(federated(ofFile, '    policy: { overlap: 1h, verifyEvery: 1m }'))
    expect(problems.map((one) => one.path)).toEqual(['credentials.openai.policy.overlap'])
  })

  it.each([
    ['no source', '', /'subjectToken' is missing/],
    [
      'two sources',
      '      subjectToken: { file: a, env: B }',
      /expected \{ file: PATH \}|'env' is not known|'file' is not known/,
    ],
    ['a token in place of its source', '      subjectToken: eyJhbGciOi', /the token itself never belongs/],
    [
      'plain HTTP to elsewhere',
      `${ofFile}\n      tokenUrl: http://auth.example.com/oauth/token`,
      /https:\/\/ URL/,
    ],
    ['a buffer of nothing', `${ofFile}\n      refreshBuffer: 0s`, /expected a duration from 1s to 12h/],
    [
      'a misspelt key',
      `${ofFile}\n      serviceAcount: x`,
      /'serviceAcount' is not known.*Did you mean 'serviceAccount'/,
    ],
  ])('refuses %s', (_what, lines, says) => {
    const told = problemsOf(federated(lines)).map((one) => `${one.message} ${one.fix}`)
    expect(told.join('\n')).toMatch(says)
  })

  it('a credential with neither store nor identity is told of both', () => {
    const [problem] = problemsOf('credentials:\n  openai:\n    ref: x\n')
    expect(problem).toMatchObject({ path: 'credentials.openai', line: 2 })
    expect(`${problem?.message} ${problem?.fix}`).toMatch(/'store' is missing.*identity/)
  })
})
