import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createExchange, type HttpOutcome } from '../../src/stores/http-exchange.ts'
import { nodeFetch } from '../../src/stores/http-transport.ts'
import { type KubernetesFake, startKubernetesFake } from './fakes/kubernetes-fake.ts'
import { patientMs, testSystem } from './fakes/system.ts'

let fake: KubernetesFake

beforeEach(async () => {
  fake = await startKubernetesFake()
  fake.tokens.add('known')
})
afterEach(() => fake.close())

const secrets = '/api/v1/namespaces/apps/secrets'

async function ask(
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly [status: number, reason: unknown]> {
  const outcome: HttpOutcome = await createExchange(nodeFetch, testSystem).send({
    method,
    url: fake.server + path,
    timeoutMs: patientMs,
    tls: { ca: fake.certificate.cert },
    headers: { authorization: 'Bearer known', 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (outcome.kind !== 'answer') throw new Error(`no answer: ${outcome.code}`)
  return [outcome.status, (outcome.json as { readonly reason?: unknown }).reason]
}

const secret = (metadata: object, rest: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'openai', ...metadata },
  data: { api_key: 'eA==' },
  ...rest,
})

describe('the fake of Kubernetes refuses', () => {
  it('a request without credentials that it knows', async () => {
    for (const authorization of ['', 'Bearer unknown', 'Basic known'])
      expect(await ask('GET', secrets, undefined, { authorization })).toEqual([401, 'Unauthorized'])
  })

  it('what the roles do not allow', async () => {
    fake.deny('get openai', 'create', 'list openai')
    expect(await ask('GET', `${secrets}/openai`)).toEqual([403, 'Forbidden'])
    expect(await ask('GET', `${secrets}?fieldSelector=metadata.name%3Dopenai`)).toEqual([403, 'Forbidden'])
    expect(await ask('POST', secrets, secret({}))).toEqual([403, 'Forbidden'])
    expect(await ask('GET', `${secrets}/another`)).toEqual([404, 'NotFound'])
  })

  it('a stale resourceVersion, a second Secret of one name, and one that is not there', async () => {
    expect((await ask('POST', secrets, secret({})))[0]).toBe(201)
    expect(await ask('POST', secrets, secret({}))).toEqual([409, 'AlreadyExists'])
    expect(await ask('PUT', `${secrets}/openai`, secret({ resourceVersion: '1' }))).toEqual([409, 'Conflict'])
    expect(await ask('PUT', `${secrets}/another`, secret({ name: 'another' }))).toEqual([404, 'NotFound'])
    expect(await ask('PUT', `${secrets}/openai`, secret({ name: 'another' }))).toEqual([400, 'BadRequest'])
    const { resourceVersion } = fake.secrets.get('apps/openai')?.metadata ?? {}
    expect((await ask('PUT', `${secrets}/openai`, secret({ resourceVersion }, { type: 'x' })))[0]).toBe(200)
  })

  it('to change what is immutable', async () => {
    fake.put('openai', { api_key: 'one' }, { immutable: true })
    expect(await ask('PUT', `${secrets}/openai`, secret({}))).toEqual([422, 'Invalid'])
  })

  it('bodies of another type', async () => {
    for (const type of ['text/plain', 'application/merge-patch+json'])
      expect(await ask('PUT', `${secrets}/openai`, secret({}), { 'content-type': type })).toEqual([
        415,
        'UnsupportedMediaType',
      ])
  })

  it('values that are no base64 or too large, and names of keys that are none', async () => {
    expect(await ask('POST', secrets, secret({}, { data: { api_key: 'no base64' } }))).toEqual([
      400,
      'BadRequest',
    ])
    const large = Buffer.alloc(1_048_577).toString('base64')
    expect(await ask('POST', secrets, secret({}, { data: { api_key: large } }))).toEqual([422, 'Invalid'])
    expect(await ask('POST', secrets, secret({}, { data: { 'a b': 'eA==' } }))).toEqual([422, 'Invalid'])
  })

  it('a namespace that is not there', async () => {
    expect(await ask('POST', '/api/v1/namespaces/nowhere/secrets', secret({}))).toEqual([404, 'NotFound'])
  })
})

it('the fake of Kubernetes gives no new resourceVersion to an object that is the same', async () => {
  fake.put('openai', { api_key: 'one' })
  const before = fake.secrets.get('apps/openai')
  expect((await ask('PUT', `${secrets}/openai`, before))[0]).toBe(200)
  expect(fake.secrets.get('apps/openai')?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion)
})
