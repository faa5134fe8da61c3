import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startVaultFake, type VaultFake } from './fakes/vault-fake.ts'

let fake: VaultFake
let token: string
let now = 1_795_000_000_000

beforeEach(async () => {
  fake = await startVaultFake({ now: () => now })
  token = fake.issueToken()
})
afterEach(() => fake.close())

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

async function ask(
  method: string,
  path: string,
  {
    body,
    headers = {},
  }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const answer = await fetch(`${fake.address}/v1/${path}`, {
    method,
    headers: { 'x-vault-request': 'true', 'x-vault-token': token, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: JSON.parse(text === '' ? '{}' : text) as Answer['body'] }
}

const write = (cas: number, value = 'one') =>
  ask('POST', 'secret/data/openai', { body: { options: { cas }, data: { api_key: value } } })

describe('the fake of Vault refuses', () => {
  it('a request without a token', async () => {
    const answer = await ask('GET', 'secret/data/openai', { headers: { 'x-vault-token': '' } })
    expect(answer).toEqual({ status: 403, body: { errors: ['permission denied'] } })
  })

  it('a token that it does not know, that is over, and one of another namespace', async () => {
    const short = fake.issueToken({ leaseSeconds: 10 })
    const other = fake.issueToken({ namespace: 'team-a' })
    expect((await ask('GET', 'secret/data/openai', { headers: { 'x-vault-token': short } })).status).toBe(404)
    now += 10_000
    for (const one of ['unknown', short, other]) {
      const answer = await ask('GET', 'secret/data/openai', { headers: { 'x-vault-token': one } })
      expect(answer).toEqual({ status: 403, body: { errors: ['permission denied'] } })
    }
    const inside = { 'x-vault-token': other, 'x-vault-namespace': 'team-a' }
    expect((await ask('GET', 'secret/data/openai', { headers: inside })).status).toBe(404)
  })

  it('what the policy does not allow', async () => {
    fake.deny('create secret/data/openai')
    expect((await write(0)).status).toBe(403)
    fake.deny()
    await write(0)
    fake.deny('update secret/data/openai')
    expect((await write(1)).status).toBe(403)
  })

  it('a stale check-and-set, and a missing one where it is required', async () => {
    expect((await write(0)).status).toBe(200)
    for (const cas of [0, 2])
      expect(await write(cas)).toEqual({
        status: 400,
        body: { errors: ['check-and-set parameter did not match the current version'] },
      })
    expect(await ask('POST', 'secret/data/openai', { body: { data: {} } })).toEqual({
      status: 400,
      body: { errors: ['check-and-set parameter required for this call'] },
    })
  })

  it('a login that is none, and the renewal of a token that cannot be renewed', async () => {
    const login = await ask('POST', 'auth/approle/login', { body: { role_id: 'a', secret_id: 'b' } })
    expect(login).toEqual({ status: 400, body: { errors: ['invalid role or secret ID'] } })
    expect((await ask('POST', 'auth/kubernetes/login', { body: { role: 'a', jwt: 'b' } })).status).toBe(403)
    token = fake.issueToken({ isRenewable: false, leaseSeconds: 60 })
    expect((await ask('POST', 'auth/token/renew-self', { body: {} })).status).toBe(400)
  })

  it('a mount that is not there, with a reason, and a document that is not there, without one', async () => {
    expect((await ask('GET', 'other/data/openai')).body['errors']).toHaveLength(1)
    expect(await ask('GET', 'secret/data/openai')).toEqual({ status: 404, body: { errors: [] } })
  })

  it('to show what was destroyed or deleted, but says that it was there', async () => {
    await write(0)
    await ask('PUT', 'secret/destroy/openai', { body: { versions: [1] } })
    const destroyed = await ask('GET', 'secret/data/openai')
    expect(destroyed.status).toBe(404)
    expect(destroyed.body['data']).toMatchObject({ data: null, metadata: { version: 1, destroyed: true } })
    fake.mount.deleteVersionAfterMs = 1_000
    await write(1)
    expect((await ask('GET', 'secret/data/openai')).status).toBe(200)
    now += 1_000
    const deleted = await ask('GET', 'secret/data/openai')
    expect([deleted.status, deleted.body['data']]).toMatchObject([404, { metadata: { destroyed: false } }])
  })

  it('a namespace that is not there', async () => {
    const answer = await ask('GET', 'secret/data/openai', { headers: { 'x-vault-namespace': 'nowhere' } })
    expect(answer).toEqual({ status: 404, body: { errors: ['namespace not found'] } })
  })

  it('the methods of another endpoint', async () => {
    expect((await ask('DELETE', 'secret/destroy/openai')).status).toBe(405)
  })
})

it('the fake of Vault keeps ten versions and forgets the oldest', async () => {
  for (let cas = 0; cas < 12; cas += 1) await write(cas, `value ${cas}`)
  expect((await ask('GET', 'secret/data/openai?version=2')).status).toBe(404)
  expect((await ask('GET', 'secret/data/openai?version=3')).status).toBe(200)
})
