import { expect, it } from 'vitest'
import { checkConfig } from '../src/config.ts'

type Env = Readonly<Record<string, string>>
type Spelling = readonly [store: string, ref: string]

/** What is said of two credentials of these stores and refs. */
function saidOf([one, oneRef]: Spelling, [other, otherRef]: Spelling, env: Env = {}): string {
  const text = `credentials:
  one: { store: ${one}, ref: '${oneRef}' }
  two: { store: ${other}, ref: '${otherRef}' }
`
  const check = checkConfig({
    env,
    cwd: '/srv/app',
    readFile: (path) => (path === '/srv/app/keyturn.yaml' ? text : undefined),
  })
  if (check.kind !== 'invalid') return ''
  return check.problems.map(({ path, message, fix }) => `${path}: ${message}. ${fix}`).join('\n')
}

const aws = (more = ''): string => `{ kind: aws-secrets-manager, region: eu-central-1${more} }`
const arn = (name: string, account = '111122223333', region = 'eu-central-1'): string =>
  `arn:aws:secretsmanager:${region}:${account}:secret:${name}`
const google = (more = ', project: my-app'): string => `{ kind: google-secret-manager${more} }`
const azure = (host = 'my-app.vault.azure.net', more = ''): string =>
  `{ kind: azure-key-vault, vault: 'https://${host}'${more} }`
const vault = (more = ", address: 'https://vault.example.com:8200'"): string => `{ kind: vault${more} }`
const kubernetes = (more = ''): string => `{ kind: kubernetes${more} }`
const json = (field: string): string => `, format: json, field: ${field}`

const same: readonly (readonly [string, Spelling, Spelling, Env?])[] = [
  ['AWS, other attempts', [aws(), 'x'], [aws(', attempts: 5, requestTimeout: 1s'), 'x']],
  ['AWS, a name and its ARN', [aws(), 'team/x'], [aws(), arn('team/x-AbC123')]],
  ['AWS, a name and its ARN without the end', [aws(), 'team/x'], [aws(), arn('team/x')]],
  ['AWS, an ARN with and without the end', [aws(), arn('x-AbC123')], [aws(), arn('x')]],
  ['AWS, a name with an end of six and its ARN', [aws(), 'my-openai'], [aws(), arn('my-openai')]],
  ['AWS, an ARN where no region is told', [aws(), 'x'], ['{ kind: aws-secrets-manager }', arn('x-AbC123')]],
  [
    'AWS, the region of the environment',
    [aws(), 'x'],
    ['{ kind: aws-secrets-manager }', 'x'],
    { AWS_REGION: 'eu-central-1' },
  ],
  [
    'AWS, the endpoint of a VPC',
    [aws(), 'x'],
    [aws(", endpoint: 'https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com'"), 'x'],
  ],
  ['AWS, two fields', [aws(json('A')), 'x'], [aws(json('B')), 'x']],
  ['AWS, plain and a field', [aws(), 'x'], [aws(json('B')), 'x']],
  ['Google, short and full', [google(), 'x'], [google(), 'projects/my-app/secrets/x']],
  [
    'Google, regional',
    [google(', project: my-app, location: europe-west3'), 'x'],
    [google(), 'projects/my-app/locations/europe-west3/secrets/x'],
  ],
  [
    'Google, the project of the environment',
    [google(''), 'x'],
    [google(), 'x'],
    { GOOGLE_CLOUD_PROJECT: 'my-app' },
  ],
  ['Google, a project by id and by number', [google(), 'x'], [google(), 'projects/123456789/secrets/x']],
  [
    'Google, other ways there',
    [google(), 'x'],
    [google(', project: my-app, transport: grpc, consumers: alias'), 'x'],
  ],
  [
    'Google, two fields',
    [google(`, project: my-app${json('A')}`), 'x'],
    [google(`, project: my-app${json('B')}`), 'x'],
  ],
  ['Azure, capitals', [azure(), 'Openai'], [azure('My-App.vault.azure.net/'), 'openai']],
  [
    'Azure, two fields and identities',
    [azure(undefined, json('A')), 'x'],
    [azure(undefined, `${json('B')}, clientId: c`), 'x'],
  ],
  [
    'Vault, a slash and capitals',
    [vault(), 'a/x'],
    [vault(", address: 'https://Vault.example.com:8200/', mount: /secret/"), 'a/x'],
  ],
  [
    'Vault, by the environment',
    [vault(), 'x'],
    [vault(''), 'x'],
    { VAULT_ADDR: 'https://vault.example.com:8200' },
  ],
  [
    'Vault, other logins and fields',
    [vault(), 'x'],
    [
      vault(", address: 'https://vault.example.com:8200', field: other, auth: { kind: kubernetes, role: r }"),
      'x',
    ],
  ],
  [
    'Vault, a namespace in the mount',
    [vault(', namespace: a/, mount: kv'), 'x'],
    [vault(', mount: a/kv'), 'x'],
  ],
  [
    'Kubernetes, with and without namespace',
    [kubernetes(', namespace: apps'), 'x'],
    [kubernetes(), 'apps/x'],
  ],
  ['Kubernetes, two keys', [kubernetes(), 'x'], [kubernetes(', key: other'), 'x']],
  [
    'Kubernetes, KUBECONFIG',
    [kubernetes(), 'x'],
    [kubernetes(', kubeconfig: /k/config'), 'x'],
    { KUBECONFIG: '/k/config' },
  ],
  [
    'local, another identity',
    ['{ kind: local, folder: s }', 'x'],
    ['{ kind: local, folder: ./s/, identityFile: i }', 'x'],
  ],
  ['env, one variable', ['{ kind: env, variable: KEY }', 'a'], ['{ kind: env }', 'KEY']],
  [
    'file, two ways to say a path',
    ['{ kind: file, path: /run }', 'a/key'],
    ['{ kind: file, path: /run/a }', 'key'],
  ],
]
for (const [what, one, other, env] of same)
  it(`sees one secret under two spellings: ${what}`, () => {
    expect(saidOf(one, other, env)).toMatch(/credentials\.two: .*the same secret as credentials\.one/)
  })

const different: readonly (readonly [string, Spelling, Spelling, Env?])[] = [
  ['AWS, regions', [aws(), 'x'], ['{ kind: aws-secrets-manager, region: us-east-1 }', 'x']],
  ['AWS, accounts', [aws(), arn('x-AbC123')], [aws(), arn('x-AbC124', '444455556666')]],
  ['AWS, capitals', [aws(), 'x'], [aws(), 'X']],
  ['AWS, an emulator', [aws(), 'x'], [aws(", endpoint: 'http://127.0.0.1:5000'"), 'x']],
  ['Google, projects', [google(), 'x'], [google(), 'projects/other/secrets/x']],
  ['Google, locations', [google(), 'x'], [google(', project: my-app, location: europe-west3'), 'x']],
  ['Azure, vaults', [azure(), 'x'], [azure('other.vault.azure.net'), 'x']],
  ['Vault, capitals in the path', [vault(), 'x'], [vault(), 'X']],
  ['Vault, mounts', [vault(), 'x'], [vault(", address: 'https://vault.example.com:8200', mount: kv"), 'x']],
  ['Kubernetes, namespaces', [kubernetes(), 'a/x'], [kubernetes(), 'b/x']],
  ['Kubernetes, the default namespace and another', [kubernetes(), 'x'], [kubernetes(), 'apps/x']],
  [
    'Kubernetes, contexts',
    [kubernetes(', kubeconfig: c, context: a'), 'x'],
    [kubernetes(', kubeconfig: c, context: b'), 'x'],
  ],
  [
    'file, two fields that are only read',
    ['{ kind: file, field: a }', 'x'],
    ['{ kind: file, field: b }', 'x'],
  ],
  ['memory', ['{ kind: memory }', 'x'], ['{ kind: memory }', 'x']],
  [
    'module, other options',
    ['{ kind: module, path: m.mjs, options: { a: 1 } }', 'x'],
    ['{ kind: module, path: m.mjs }', 'x'],
  ],
]
for (const [what, one, other, env] of different)
  it(`takes two secrets for two: ${what}`, () => {
    expect(saidOf(one, other, env)).toBe('')
  })

it('says why two fields are one secret, and what to do where the account is open', () => {
  expect(saidOf([aws(json('A')), 'x'], [aws(json('B')), 'x'])).toMatch(/labels are of the whole secret/)
  expect(saidOf([aws(), 'x'], [aws(), 'x'])).not.toMatch(/whole secret|accounts/)
  expect(saidOf([aws(), 'x'], [aws(), arn('x-AbC123')])).toMatch(/two accounts or projects, name both/)
  expect(saidOf([aws(), arn('x')], [aws(), arn('x-AbC123')])).not.toMatch(/two accounts/)
})
