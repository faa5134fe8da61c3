import { expect, it } from 'vitest'
import { checkConfig, loadConfig } from '../src/config.ts'

const head = `
stores:
  aws: { kind: aws-secrets-manager, region: eu-central-1 }
  mounted: { kind: file, path: /run/secrets }
`

const sourcesOf = (text: string) => ({
  env: {},
  cwd: '/srv/app',
  readFile: (path: string) => (path === '/srv/app/keyturn.yaml' ? head + text : undefined),
})

function problemsOf(text: string): string {
  const check = checkConfig(sourcesOf(text))
  return check.kind === 'invalid'
    ? check.problems.map(({ path, message, fix }) => `${path}: ${message} ${fix}`).join('\n')
    : ''
}

it('builds mirrors with a name for people, and refs that default to the credential', () => {
  const [credential] = loadConfig(
    sourcesOf(`
credentials:
  openai-prod:
    store: { kind: local }
    mirrors:
      - { store: aws, ref: openai/api-key }
      - { store: { kind: vault } }
`),
  ).credentials
  expect(credential?.mirrors).toMatchObject([
    { id: 'aws/openai/api-key', ref: 'openai/api-key', store: { kind: 'aws-secrets-manager' } },
    { id: 'vault/openai-prod', ref: 'openai-prod', store: { kind: 'vault', field: 'api_key' } },
  ])
})

it('has none by default', () => {
  const config = loadConfig(sourcesOf('credentials:\n  openai: { store: aws }\n'))
  expect(config.credentials[0]?.mirrors).toEqual([])
})

const wrong: readonly (readonly [string, string, RegExp])[] = [
  [
    'a store that is only read',
    '[{ store: mounted }]',
    /mirrors\[0\]\.store: the file store is only read .*can be written/,
  ],
  [
    'a name that is none',
    '[{ store: awz }]',
    /mirrors\[0\]\.store: no such name under stores Did you mean 'aws'/,
  ],
  [
    'the very secret it would mirror',
    '[{ store: { kind: local }, ref: openai }]',
    /the same secret as credentials\.openai/,
  ],
  [
    'two of one name',
    '[{ store: { kind: vault, mount: a } }, { store: { kind: vault, mount: b } }]',
    /mirrors\[1\]: two mirrors would be called vault\/openai .*under stores/,
  ],
  ['a misspelt key', '[{ store: aws, reff: x }]', /mirrors\[0\]\.reff/],
  ['a mapping', '{ store: aws }', /expected a list of mirrors/],
  [
    'more than ten',
    `[${Array.from({ length: 11 }, (_, at) => `{ store: aws, ref: r${at} }`).join(', ')}]`,
    /at most 10/,
  ],
]
for (const [what, mirrors, message] of wrong)
  it(`refuses ${what}, and says where and what to do`, () => {
    expect(
      problemsOf(`credentials:\n  openai:\n    store: { kind: local }\n    mirrors: ${mirrors}\n`),
    ).toMatch(message)
  })

it('refuses a secret that is mirrored to by two credentials', () => {
  const text = `
credentials:
  one: { store: { kind: local }, mirrors: [{ store: aws, ref: shared }] }
  two: { store: { kind: local }, mirrors: [{ store: aws, ref: shared }] }
`
  expect(problemsOf(text)).toMatch(/credentials\.two\.mirrors\[0\]: .*a mirror of credentials\.one/)
})
