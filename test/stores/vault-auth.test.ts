import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { openVaultStore, type VaultOptions } from '../../src/stores/vault.ts'
import { establish, failure } from '../conformance/store-suite-support.ts'
import { makeFolder } from './fakes/folder.ts'
import { type ManualClock, manualClock } from './fakes/manual-clock.ts'
import { testContext } from './fakes/system.ts'
import { startVaultFake, type VaultFake } from './fakes/vault-fake.ts'
import { waitFor } from './fakes/wait-for.ts'

let clock: ManualClock
let fake: VaultFake
let folder: Awaited<ReturnType<typeof makeFolder>>
let opened: SecretStore[]

beforeEach(async () => {
  clock = manualClock()
  fake = await startVaultFake({ now: () => clock.system.now() })
  folder = await makeFolder()
  opened = []
})
afterEach(async () => {
  for (const store of opened) await store.close()
  await fake.close()
  await folder.remove()
})

async function open(
  options: VaultOptions,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly store: SecretStore; readonly context: ReturnType<typeof testContext> }> {
  const context = { ...testContext(folder.path, env), system: clock.system }
  const store = await openVaultStore({ address: fake.address, ...options }, context)
  opened.push(store)
  return { store, context }
}

const secretId = ['secret', 'id', 'one'].join('-')
const appRole: VaultOptions = {
  auth: { kind: 'approle', roleId: 'role-one', secretId: { env: 'SECRET_ID' } },
}

function acceptAppRole(lease: VaultFake['logins']['lease'] = {}): void {
  fake.logins.lease = lease
  fake.logins.accepts = (path, body) =>
    path === 'auth/approle/login' && body['role_id'] === 'role-one' && body['secret_id'] === secretId
}

const lines = (part: string): string[] =>
  fake.requests.map(({ line }) => line).filter((line) => line.includes(part))

describe('logging in', () => {
  it('happens once for a crowd of callers, and each of them uses what it gave', async () => {
    acceptAppRole()
    const { store } = await open(appRole, { SECRET_ID: secretId })
    await Promise.all(Array.from({ length: 50 }, () => store.read('openai')))
    expect(lines('login')).toHaveLength(1)
    expect(
      new Set(fake.requests.filter(({ line }) => !line.includes('login')).map(({ token }) => token)).size,
    ).toBe(1)
  })

  it('takes the secret id from a file too, and says nothing of it', async () => {
    acceptAppRole()
    await writeFile(join(folder.path, 'secret-id'), `${secretId}\n`)
    const { store, context } = await open({
      auth: { kind: 'approle', roleId: 'role-one', secretId: { file: 'secret-id' } },
    })
    expect(await store.read('openai')).toBeUndefined()
    expect(context.lines.join('\n')).not.toContain(secretId)
  })

  it('with the token of a Kubernetes service account, read afresh at each login', async () => {
    await writeFile(join(folder.path, 'jwt'), 'jwt-one')
    fake.logins.accepts = (path, body) =>
      path === 'auth/k8s/prod/login' && body['role'] === 'keyturn' && body['jwt'] === 'jwt-two'
    const { store } = await open({
      auth: { kind: 'kubernetes', role: 'keyturn', jwtFile: 'jwt', mount: 'k8s/prod' },
    })
    const error = await failure(store.read('openai'))
    expect([error.code, error.retryable]).toEqual(['store_denied', false])
    await writeFile(join(folder.path, 'jwt'), 'jwt-two')
    expect(await store.read('openai')).toBeUndefined()
  })

  it('with a JWT', async () => {
    fake.logins.accepts = (path, body) =>
      path === 'auth/jwt/login' && body['role'] === 'ci' && body['jwt'] === 'a.b.c'
    const { store } = await open(
      { auth: { kind: 'jwt', role: 'ci', jwt: { env: 'CI_JWT' } } },
      { CI_JWT: 'a.b.c' },
    )
    expect(await store.read('openai')).toBeUndefined()
  })

  it.each([
    ['a wrong secret id', 'another-one', 'store_denied', 'bound to this machine, used up or over'],
    ['none at all', '', 'store_denied', 'the variable SECRET_ID'],
  ])('is refused with %s, and says what to do', async (_case, value, code, says) => {
    acceptAppRole()
    const { store } = await open(appRole, { SECRET_ID: value })
    const error = await failure(store.read('openai'))
    expect(error.code).toBe(code)
    expect(`${error.message} ${error.fix}`).toContain(says)
  })

  it('goes into the namespace, and a token of another one is refused', async () => {
    acceptAppRole()
    const { store } = await open({ ...appRole, namespace: '/team-a/' }, { SECRET_ID: secretId })
    expect(await store.read('openai')).toBeUndefined()
    const foreign = await open(
      { namespace: 'team-b' },
      { VAULT_TOKEN: fake.issueToken({ namespace: 'team-a' }) },
    )
    const error = await failure(foreign.store.read('openai'))
    expect([error.code, error.fix?.includes('team-b')]).toEqual(['store_denied', true])
  })
})

describe('keeping a token alive', () => {
  it('renews it when two thirds of the lease are over, without another login', async () => {
    acceptAppRole({ leaseSeconds: 60 })
    const { store } = await open(appRole, { SECRET_ID: secretId })
    await store.read('openai')
    expect(clock.pending()).toContain(40_000)
    for (let round = 1; round <= 20; round += 1) {
      clock.pass(40_000)
      await waitFor(() => expect(clock.pending()).toContain(40_000))
      expect(lines('renew-self')).toHaveLength(round)
    }
    expect(await store.read('openai')).toBeUndefined()
    expect(lines('login')).toHaveLength(1)
  })

  it('logs in anew where the longest life of the token is near', async () => {
    acceptAppRole({ leaseSeconds: 60, maxSeconds: 65 })
    const { store } = await open(appRole, { SECRET_ID: secretId })
    await store.read('openai')
    clock.pass(40_000)
    await waitFor(() => expect(clock.pending().map(Math.round)).toContain(16_667))
    clock.pass(16_667)
    await waitFor(() => expect(lines('login')).toHaveLength(2))
    await waitFor(() => expect(clock.pending()).toContain(40_000))
    clock.pass(20_000)
    expect(await store.read('openai')).toBeUndefined()
    expect(lines('login')).toHaveLength(2)
  })

  it('logs in anew where a token cannot be renewed, or was slept through', async () => {
    acceptAppRole({ leaseSeconds: 60, isRenewable: false })
    const { store } = await open(appRole, { SECRET_ID: secretId })
    await store.read('openai')
    clock.pass(40_000)
    await waitFor(() => expect(lines('login')).toHaveLength(2))
    await waitFor(() => expect(clock.pending()).toContain(40_000))
    clock.pass(3_600_000)
    await waitFor(() => expect(lines('login').length).toBeGreaterThanOrEqual(3))
    expect(await store.read('openai')).toBeUndefined()
  })

  it('tries a renewal again that Vault could not answer', async () => {
    acceptAppRole({ leaseSeconds: 60 })
    const { store, context } = await open(appRole, { SECRET_ID: secretId })
    await store.read('openai')
    fake.fault(503, { on: (line) => line.includes('renew-self') })
    clock.pass(40_000)
    await waitFor(() => expect(context.lines.join()).toContain('could not be renewed'))
    const retryMs = Math.min(...clock.pending())
    expect(retryMs).toBeLessThan(20_000)
    clock.pass(retryMs)
    await waitFor(() => expect(clock.pending()).toContain(40_000))
    expect(lines('login')).toHaveLength(1)
  })

  it('renews a given token that has a lease, and warns where that ends', async () => {
    const token = fake.issueToken({ leaseSeconds: 60, maxSeconds: 70 })
    const { store, context } = await open({}, { VAULT_TOKEN: token })
    await store.read('openai')
    await waitFor(() => expect(clock.pending()).toContain(40_000))
    clock.pass(40_000)
    await waitFor(() => expect(lines('renew-self')).toHaveLength(1))
    await waitFor(() => expect(clock.pending()).toContain(20_000))
    clock.pass(20_000)
    await waitFor(() => expect(context.warnings.join()).toContain('give Keyturn a new one'))
    expect(context.lines.join()).not.toContain(token)
  })

  it('ends with the store', async () => {
    acceptAppRole({ leaseSeconds: 60 })
    const { store } = await open(appRole, { SECRET_ID: secretId })
    await store.read('openai')
    await store.close()
    expect(clock.pending()).toEqual([])
    expect((await failure(store.read('openai'))).code).toBe('store_unreachable')
  })
})

describe('a 403', () => {
  it('of a token that is no good any more is answered with one login, and goes unnoticed', async () => {
    acceptAppRole()
    const { store } = await open(appRole, { SECRET_ID: secretId })
    await establish(store, 'openai')
    fake.revokeAll()
    const reads = await Promise.all(Array.from({ length: 20 }, () => store.read('openai')))
    expect(reads.every((read) => read !== undefined)).toBe(true)
    expect(lines('login')).toHaveLength(2)
  })

  it('of the policy is no reason to log in again, and names what to allow', async () => {
    acceptAppRole()
    const { store } = await open(appRole, { SECRET_ID: secretId })
    fake.deny('read secret/data/openai')
    for (let round = 0; round < 3; round += 1) {
      const error = await failure(store.read('openai'))
      expect(error.code).toBe('store_denied')
      expect(error.fix).toContain('path "secret/data/openai" { capabilities = ["read"] }')
    }
    expect(lines('login')).toHaveLength(1)
  })

  it('makes a token file be read again, as an agent replaces it', async () => {
    const path = join(folder.path, 'token')
    await writeFile(path, fake.issueToken())
    const { store } = await open({ auth: { kind: 'token', token: { file: 'token' } } })
    await establish(store, 'openai')
    fake.revokeAll()
    expect((await failure(store.read('openai'))).code).toBe('store_denied')
    await writeFile(`${path}.new`, `${fake.issueToken()}\n`)
    await rename(`${path}.new`, path)
    expect(await store.read('openai')).toBeDefined()
  })

  it('while Vault cannot say whether the token is good is no denial', async () => {
    acceptAppRole()
    const { store } = await open({ ...appRole, maxAttempts: 1 }, { SECRET_ID: secretId })
    await store.read('openai')
    fake.revokeAll()
    fake.fault(503, { on: (line) => line.includes('lookup-self') })
    const error = await failure(store.read('openai'))
    expect([error.code, error.retryable]).toEqual(['store_unreachable', true])
  })
})
