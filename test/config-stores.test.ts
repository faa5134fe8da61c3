import { expect, it } from 'vitest'
import { checkConfig, loadConfig } from '../src/config.ts'
import type { StoreConfig as OpenableStore } from '../src/stores/index.ts'

const sourcesOf = (text: string) => ({
  env: {},
  cwd: '/srv/app',
  readFile: (path: string) => (path === '/srv/app/keyturn.yaml' ? text : undefined),
})

function storeOf(store: string): OpenableStore | undefined {
  // The driver takes what the configuration gives, as it is.
  return loadConfig(sourcesOf(`credentials:\n  openai:\n    store: ${store}\n`)).credentials[0]?.store
}

function messagesOf(store: string): string {
  const check = checkConfig(sourcesOf(`credentials:\n  openai:\n    store: ${store}\n`))
  return check.kind === 'invalid'
    ? check.problems.map(({ message, fix }) => `${message} ${fix}`).join('\n')
    : ''
}

it('gives the vault store its defaults', () => {
  expect(storeOf('{ kind: vault }')).toEqual({
    kind: 'vault',
    mount: 'secret',
    field: 'api_key',
    auth: { kind: 'token' },
    requestTimeoutMs: 5_000,
    maxAttempts: 3,
  })
})

it('makes the paths of the vault store absolute', () => {
  const store = (auth: string): OpenableStore | undefined =>
    storeOf(`{ kind: vault, address: 'https://vault.example.com', caFile: ca.pem, auth: ${auth} }`)
  expect(store('{ kind: token, token: { file: token } }')).toMatchObject({
    caFile: '/srv/app/ca.pem',
    auth: { kind: 'token', token: { file: '/srv/app/token' } },
  })
  expect(store('{ kind: approle, roleId: one, secretId: { file: id }, mount: a/b }')).toMatchObject({
    auth: { kind: 'approle', roleId: 'one', secretId: { file: '/srv/app/id' }, mount: 'a/b' },
  })
  expect(store('{ kind: kubernetes, role: keyturn, jwtFile: jwt }')).toMatchObject({
    auth: { kind: 'kubernetes', role: 'keyturn', jwtFile: '/srv/app/jwt' },
  })
  expect(store('{ kind: jwt, role: ci, jwt: { env: CI_JWT } }')).toMatchObject({
    auth: { kind: 'jwt', role: 'ci', jwt: { env: 'CI_JWT' } },
  })
})

it('gives the kubernetes store its defaults, and makes its path absolute', () => {
  const rest = { key: 'api_key', requestTimeoutMs: 5_000, maxAttempts: 3 }
  expect(storeOf('{ kind: kubernetes }')).toEqual({ kind: 'kubernetes', ...rest })
  expect(storeOf('{ kind: kubernetes, kubeconfig: kube/config, context: one, namespace: apps }')).toEqual({
    kind: 'kubernetes',
    kubeconfig: '/srv/app/kube/config',
    context: 'one',
    namespace: 'apps',
    ...rest,
  })
})

it("makes the path of one's own store absolute, and leaves its options alone", () => {
  expect(
    storeOf('{ kind: module, path: ./my store.ts, options: { address: x, deep: { path: ./y } } }'),
  ).toEqual({
    kind: 'module',
    path: '/srv/app/my store.ts',
    options: { address: 'x', deep: { path: './y' } },
  })
  expect(storeOf('{ kind: module, path: /opt/store.mjs }')).toEqual({
    kind: 'module',
    path: '/opt/store.mjs',
    options: {},
  })
})

it.each([
  ["{ kind: module, path: 'https://example.com/store.js' }", /not a package and not an address/],
  ["{ kind: module, path: 'file:///srv/store.js' }", /not a package and not an address/],
  ["{ kind: module, path: 'data:text/javascript,0//.js' }", /not a package and not an address/],
  ['{ kind: module, path: keyturn-consul }', /not a package and not an address/],
  ['{ kind: module }', /path/],
  ['{ kind: kubernetes, namespace: Apps }', /a namespace: a-z/],
  ["{ kind: kubernetes, key: 'a b' }", /a key of a Secret/],
  ['{ kind: kubernets }', /vault, kubernetes or module/],
  ["{ kind: vault, address: 'http://vault.example.com' }", /https:\/\//],
  ['{ kind: vault, adress: x }', /Did you mean 'address'/],
  ['{ kind: vault, auth: { kind: approle, roleId: one } }', /secretId/],
  ['{ kind: vault, auth: { kind: ldap } }', /token, approle, kubernetes or jwt/],
  ['{ kind: vault, auth: { kind: jwt, role: ci, jwt: a.b.c } }', /\{ env: NAME \} or \{ file: PATH \}/],
])('refuses %s', (store, says) => {
  expect(messagesOf(store)).toMatch(says)
})

it.each([
  ['a token of Vault', ['hvs', 'CAESI'.repeat(6)].join('.')],
  ['a token of OpenBao', ['s', 'a1B2c3'.repeat(4)].join('.')],
])('finds %s that was pasted into the file, and does not quote it', (_what, token) => {
  const messages = messagesOf(`{ kind: vault, auth: { kind: token, token: { env: ${token} } } }`)
  expect(messages).not.toBe('')
  expect(messages).not.toContain(token)
})

it('takes an alias at Google only where others read it, and none that Google keeps for itself', () => {
  expect(messagesOf('{ kind: google-secret-manager, alias: prod }')).toMatch(
    /an alias means nothing .*consumers: alias/,
  )
  expect(messagesOf('{ kind: google-secret-manager, consumers: alias, alias: latest }')).toMatch(
    /expected an alias/,
  )
  expect(messagesOf('{ kind: google-secret-manager, consumers: alias, alias: prod }')).toBe('')
})
