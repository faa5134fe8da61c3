import { request as send } from 'node:https'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AzureFake, startAzureFake } from './fakes/azure-fake.ts'
import { readBody } from './fakes/http-faults.ts'

let fake: AzureFake

beforeEach(async () => {
  fake = await startAzureFake()
})
afterEach(() => fake.close())

interface Given {
  readonly method?: string
  readonly body?: unknown
  readonly token?: string
  readonly version?: string
}

interface Told {
  readonly status: number
  readonly challenge: string | undefined
  readonly code: string | undefined
  readonly inner: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

async function ask(path: string, given: Given = {}): Promise<Told> {
  const url = new URL(path, fake.address)
  if (given.version !== '') url.searchParams.set('api-version', given.version ?? '2026-04-01')
  const token = given.token ?? fake.issueToken()
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
  const answer = await new Promise<Awaited<ReturnType<typeof read>>>((resolve, reject) => {
    const outgoing = send(url, { method: given.method ?? 'GET', headers, ca: fake.certificate.cert })
    outgoing.on('response', (response) => void read(response).then(resolve, reject))
    outgoing.on('error', reject)
    outgoing.end(given.body === undefined ? undefined : JSON.stringify(given.body))
  })
  const error = answer.body['error'] as { code?: string; innererror?: { code?: string } } | undefined
  return { ...answer, code: error?.code, inner: error?.innererror?.code }
}

async function read(
  response: Parameters<typeof readBody>[0],
): Promise<{ status: number; challenge: string | undefined; body: Record<string, unknown> }> {
  const body = JSON.parse(await readBody(response)) as Record<string, unknown>
  return { status: response.statusCode ?? 0, challenge: response.headers['www-authenticate'], body }
}

const put = (value: unknown, more: Readonly<Record<string, unknown>> = {}): Promise<Told> =>
  ask('/secrets/openai', { method: 'PUT', body: { value, ...more } })

describe('the fake of Key Vault refuses', () => {
  it.each([
    ['none', () => ''],
    ['an invented one', () => 'invented'],
    ['one that is over', () => fake.issueToken({ expiresInMs: -1 })],
    ['one for another resource', () => fake.issueToken({ resource: 'https://management.azure.com' })],
  ])('a request with a token that is %s, and says where to get one', async (_name, token) => {
    const told = await ask('/secrets/openai', { token: token() })
    expect([told.status, told.code]).toEqual([401, 'Unauthorized'])
    expect(told.challenge).toBe(
      `Bearer authorization="${fake.address}/${fake.tenantId}", resource="https://vault.azure.net"`,
    )
  })

  it('a request without an api-version, or with one that it does not know', async () => {
    for (const version of ['', '2001-01-01'])
      expect(await ask('/secrets/openai', { version })).toMatchObject({ status: 400, code: 'BadParameter' })
  })

  it('what the identity may not do', async () => {
    fake.put('openai', 'value')
    fake.deny('get openai', 'set *')
    expect(await ask('/secrets/openai')).toMatchObject({ status: 403, inner: 'ForbiddenByRbac' })
    expect(await put('value')).toMatchObject({ status: 403, inner: 'ForbiddenByRbac' })
    expect((await ask('/secrets/openai/versions')).status).toBe(200)
  })

  it('to read a newest version that is disabled, and falls back to no other', async () => {
    const first = fake.put('openai', 'one')
    fake.put('openai', 'two', { enabled: false })
    expect(await ask('/secrets/openai/')).toMatchObject({ status: 403, inner: 'SecretDisabled' })
    expect((await ask(`/secrets/openai/${first.id}`)).body['value']).toBe('one')
  })

  it('to read, or to set, what was deleted and can be recovered', async () => {
    fake.put('openai', 'value')
    fake.softDelete('openai')
    expect(await ask('/secrets/openai/')).toMatchObject({ status: 404, code: 'SecretNotFound' })
    expect(await put('value')).toMatchObject({ status: 409, inner: 'ObjectIsDeletedButRecoverable' })
    expect((await ask('/deletedsecrets/openai')).status).toBe(200)
    expect((await ask('/deletedsecrets/other')).status).toBe(404)
  })

  it('too many tags, tags that are too long, and values that are too large', async () => {
    const tags = (count: number, length: number): Readonly<Record<string, string>> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`tag-${index}`, 'x'.repeat(length)]))
    for (const bad of [tags(16, 1), tags(1, 257)])
      expect(await put('value', { tags: bad })).toMatchObject({ status: 400, code: 'BadParameter' })
    expect((await put('value', { tags: tags(15, 256) })).status).toBe(200)
    expect((await put('x'.repeat(25_600))).status).toBe(200)
    expect(await put('x'.repeat(25_601))).toMatchObject({ status: 400, code: 'BadParameter' })
    expect(await put(undefined)).toMatchObject({ status: 400, code: 'BadParameter' })
  })

  it('names that are none, and versions that are not there', async () => {
    expect((await ask('/secrets/no_name')).status).toBe(400)
    fake.put('openai', 'value')
    const path = `/secrets/openai/${'0'.repeat(32)}`
    expect((await ask(path)).code).toBe('SecretNotFound')
    expect((await ask(path, { method: 'PATCH', body: { tags: {} } })).code).toBe('SecretNotFound')
  })

  it('a client secret that is wrong, and a tenant that is another', async () => {
    const form = new URLSearchParams({
      client_id: fake.clientId,
      client_secret: 'wrong',
      scope: 'x/.default',
    })
    const login = (tenant: string): Promise<Told> =>
      ask(`/${tenant}/oauth2/v2.0/token`, { method: 'POST', body: form.toString() })
    expect((await login(fake.tenantId)).status).toBe(401)
    expect((await login('other')).status).toBe(400)
  })
})

describe('the fake of Key Vault', () => {
  it('makes what was set last the newest, whatever the case of the name, and tells pages of 25', async () => {
    for (let index = 0; index < 60; index += 1) fake.put(index % 2 === 0 ? 'openai' : 'OpenAI', String(index))
    expect((await ask('/secrets/OPENAI/')).body['value']).toBe('59')
    const sizes: number[] = []
    for (let path: string | null = '/secrets/openai/versions'; path !== null; ) {
      const { body }: Told = await ask(path, { version: sizes.length === 0 ? '2026-04-01' : '' })
      sizes.push((body['value'] as readonly unknown[]).length)
      path = body['nextLink'] as string | null
    }
    expect(sizes).toEqual([25, 25, 10])
  })

  it('replaces tags as a whole, and leaves alone what is not named', async () => {
    const { id } = fake.put('openai', 'value', { tags: { one: '1' }, expires: 1_900_000_000 })
    const patch = (body: unknown): Promise<Told> => ask(`/secrets/openai/${id}`, { method: 'PATCH', body })
    await patch({ attributes: { enabled: false } })
    expect(fake.top('openai')).toMatchObject({ tags: { one: '1' }, enabled: false, expires: 1_900_000_000 })
    await patch({ tags: { two: '2' } })
    expect(fake.top('openai')).toMatchObject({ tags: { two: '2' }, enabled: false })
  })
})
