import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { nodeFetch, type StoreFetchInit } from '../../src/stores/http-transport.ts'
import { turns } from '../conformance/share.ts'
import { canary, establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { closeServer, type HttpFaultKind } from './fakes/http-faults.ts'
import { impatience } from './fakes/impatience.ts'
import { type KubernetesPlace, startKubernetes } from './fakes/kubernetes-place.ts'

let place: KubernetesPlace
let store: SecretStore

beforeEach(async () => {
  place = await startKubernetes()
  store = await place.open()
})
afterEach(() => place.end())

/** So that each fault comes through. */
const single = { maxAttempts: 1 }
const givingUp = () => ({ ...place.context, system: impatience(place.fake) })
const dataOf = (name: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(place.fake.secrets.get(`apps/${name}`)?.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, 'base64').toString(),
    ]),
  )

describe('what Kubernetes answers', () => {
  const answers: readonly (readonly [HttpFaultKind, KeyturnError['code'], boolean, string])[] = [
    [401, 'store_denied', false, 'kubectl auth whoami'],
    [403, 'store_denied', false, 'resources: [secrets], verbs: [get], resourceNames: [openai-keyturn]'],
    [413, 'store_too_large', false, 'Revoke'],
    [422, 'store_malformed', false, 'admission webhook'],
    [429, 'store_throttled', true, 'tried again'],
    [500, 'store_unreachable', true, '/readyz'],
    [504, 'store_unreachable', true, '/readyz'],
    [307, 'store_unreachable', false, 'API server itself'],
    ['huge', 'store_malformed', false, 'proxy'],
    ['proxy_page', 'store_unreachable', true, '502'],
    ['hang', 'store_unreachable', true, 'TIMEOUT'],
    ['reset', 'store_unreachable', true, 'network'],
  ]
  it.each(answers)('%s is %s', async (kind, code, retryable, says) => {
    const client = await place.open(single, givingUp())
    place.fake.fault(kind, { times: 9 })
    const error = await failure(client.describe('openai'))
    expect([error.code, error.retryable]).toEqual([code, retryable])
    expect(`${error.message} ${error.fix}`).toContain(says)
    expect(error.message).toContain('apps/openai')
  })

  it('a port that answers in the clear does not speak TLS, which no authority mends', async () => {
    const plain = createServer().listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const port = String((plain.address() as AddressInfo).port)
    const env = { ...place.context.env, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: port }
    const error = await failure((await place.open(single, { ...place.context, env })).read('openai'))
    expect(error).toMatchObject({ code: 'store_unreachable', retryable: true })
    expect(error.message).toContain('does not speak TLS')
    expect(error.fix).not.toContain('certificate')
    await closeServer(plain)
  })

  it('a namespace that is not there is found out', async () => {
    const error = await failure(stageNew(store, 'nowhere/openai'))
    expect([error.code, error.fix]).toEqual([
      'store_absent',
      'Configure the namespace that is there, or make it (kubectl create namespace nowhere).',
    ])
  })

  it.each(['', 'Openai', 'a/b/c', 'openai-keyturn', 'open_ai', '../openai', '-a'])(
    'takes no Secret named %j',
    async (ref) => {
      expect((await failure((async () => store.read(ref))())).code).toBe('bad_request')
    },
  )
})

describe('the Secret that pods see', () => {
  it('has the current key and nothing more of ours but annotations', async () => {
    const first = await establish(store, 'openai')
    await stageNew(store, 'openai')
    expect(dataOf('openai')).toEqual({ api_key: first.secret.reveal() })
    const { annotations = {} } = place.fake.secrets.get('apps/openai')?.metadata ?? {}
    expect(annotations['keyturn/current']).toMatch(new RegExp(`^${first.version} [0-9a-f]{12}$`))
  })

  it('keeps its type, labels and owners', async () => {
    const theirs = { labels: { team: 'one' }, ownerReferences: [{ name: 'x' }] }
    place.fake.put(
      'openai',
      { other: 'kept', api_key: '' },
      { type: 'example.com/own', metadata: theirs as never },
    )
    const { secret } = await establish(store, 'openai')
    const object = place.fake.secrets.get('apps/openai')
    expect([object?.type, object?.metadata]).toMatchObject(['example.com/own', theirs])
    expect(dataOf('openai')).toEqual({ other: 'kept', api_key: secret.reveal() })
  })

  it(`keeps every other key through ${turns} rotations while another writer changes one of them`, async () => {
    place.fake.put('shared', { counter: '0', kept: 'ünï', api_key: '' })
    let requests = 0
    let counter = 0
    const client = await place.open(
      {},
      {
        ...place.context,
        fetch: (url: string, init: StoreFetchInit) => {
          requests += 1
          if (requests % 7 === 0) {
            counter += 1
            place.fake.put('shared', { ...dataOf('shared'), counter: String(counter) })
          }
          return nodeFetch(url, init)
        },
      },
    )
    let previous: string | undefined
    let last = ''
    for (let round = 0; round < turns; round += 1) {
      const { version, secret } = await establish(client, 'shared')
      last = secret.reveal()
      if (previous !== undefined) {
        await client.retire('shared', { version: previous, fence: 1 })
        await client.destroy('shared', previous)
      }
      previous = version
    }
    expect(dataOf('shared')).toEqual({ counter: String(counter), kept: 'ünï', api_key: last })
    expect(counter).toBeGreaterThan(turns)
  })

  it('may end in a newline, and is taken up when somebody changes it by hand', async () => {
    const first = await establish(store, 'openai')
    place.fake.put('openai', { api_key: `${canary}-by-hand\n` })
    const found = await store.read('openai')
    expect(found?.secret.reveal()).toBe(`${canary}-by-hand`)
    expect(found?.version).toMatch(/^kubernetes-[0-9a-f]{12}$/)
    expect(await store.describe('openai')).toMatchObject({ current: found?.version, previous: first.version })
  })

  it('is malformed where it is blank or no text', async () => {
    place.fake.put('openai', { api_key: '\n' })
    expect((await failure(store.read('openai'))).code).toBe('store_malformed')
    const object = place.fake.put('openai', {})
    object.data = { api_key: Buffer.from([0xff, 0xfe, 0x80]).toString('base64') }
    expect((await failure(store.read('openai'))).code).toBe('store_malformed')
  })

  it('is refused where it is immutable, before anything is minted', async () => {
    place.fake.put('openai', { api_key: canary }, { immutable: true })
    const error = await failure(store.check('openai'))
    expect([error.code, error.fix?.includes('another name')]).toEqual(['store_read_only', true])
    const { version } = await stageNew(store, 'openai')
    const expectCurrent = (await store.read('openai'))?.version
    expect((await failure(store.promote('openai', { to: version, expectCurrent, fence: 1 }))).code).toBe(
      'store_read_only',
    )
    expect(dataOf('openai')).toEqual({ api_key: canary })
  })

  it('is warned of where the next kubectl apply would put an older key back', async () => {
    const applied = { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"api_key":"eA=="}}' }
    place.fake.put('openai', { api_key: canary }, { metadata: { annotations: applied } as never })
    await establish(store, 'openai')
    expect(place.context.warnings.join()).toContain('kubectl apply')
  })
})

describe('a Secret with keys, and none under the configured name', () => {
  it('is no place to begin: no key is put beside the one that pods read', async () => {
    place.fake.put('openai', { OPENAI_API_KEY: canary, host: 'db' })
    for (const call of [
      () => store.read('openai'),
      () => store.describe('openai'),
      () => stageNew(store, 'openai'),
    ]) {
      const error = await failure(call())
      expect(error.code).toBe('store_malformed')
      expect(error.message).toBe('The Secret apps/openai has fields (OPENAI_API_KEY, host) but no api_key.')
      expect(error.fix).toContain(`kubectl -n apps patch secret openai -p '{"stringData":{"api_key":""}}'`)
    }
    expect(dataOf('openai')).toEqual({ OPENAI_API_KEY: canary, host: 'db' })
    expect(place.fake.secrets.has('apps/openai-keyturn')).toBe(false)
    // Made by hand, so that Keyturn need not be allowed to make it.
    place.fake.put('openai-keyturn', {})
    expect((await failure(store.read('openai'))).code).toBe('store_malformed')
  })

  it('is one to begin with an empty one, or with none at all', async () => {
    for (const data of [{ host: 'db', api_key: '' }, {}]) {
      place.fake.remove('openai-keyturn')
      place.fake.put('openai', data)
      expect(await store.read('openai')).toBeUndefined()
      const { secret } = await establish(store, 'openai')
      expect(dataOf('openai')).toEqual({ ...data, api_key: secret.reveal() })
    }
  })

  it('is absence where Keyturn has been before: somebody took the key away', async () => {
    place.fake.put('openai', { host: 'db', api_key: '' })
    await establish(store, 'openai')
    place.fake.put('openai', { host: 'db' })
    expect(await store.read('openai')).toBeUndefined()
  })
})

describe('permissions', () => {
  it('are named one by one where they are missing, without changing anything', async () => {
    await establish(store, 'openai')
    const before = JSON.stringify([...place.fake.secrets])
    place.fake.deny('update openai', 'update openai-keyturn')
    const missing = (await store.check('openai')).filter(({ state }) => state === 'missing')
    expect(missing.map(({ permission, resource }) => `${permission} ${resource}`)).toEqual([
      'update secrets apps/openai',
      'update secrets apps/openai-keyturn',
    ])
    // One after another they are read as sentences.
    expect(missing.map(({ fix }) => fix)).toEqual([
      'Allow it by a Role in apps: apiGroups: [""], resources: [secrets], verbs: [update], resourceNames: [openai].',
      'Allow it by a Role in apps: apiGroups: [""], resources: [secrets], verbs: [update], resourceNames: [openai-keyturn].',
    ])
    expect(JSON.stringify([...place.fake.secrets])).toBe(before)
  })

  it('to make Secrets are asked for only where one is not there yet', async () => {
    place.fake.deny('create')
    const missing = (await store.check('openai')).filter(({ state }) => state === 'missing')
    expect(missing.map(({ permission }) => permission)).toEqual(['create secrets', 'create secrets'])
    place.fake.put('openai', {})
    place.fake.put('openai-keyturn', {})
    expect((await store.check('openai')).filter(({ state }) => state === 'missing')).toEqual([])
    expect((await establish(store, 'openai')).version).toBe((await store.read('openai'))?.version)
  })

  it('on the Secret alone are enough to read the key, under its own version', async () => {
    const { version, secret } = await establish(store, 'openai')
    place.fake.deny('get openai-keyturn')
    const reader = await place.open()
    const read = await reader.read('openai')
    expect([read?.version, read?.secret.equals(secret)]).toEqual([version, true])
    // Somebody wrote another key beside the annotation: it is not taken for the version it names.
    const { annotations } = place.fake.secrets.get('apps/openai')?.metadata ?? {}
    place.fake.put('openai', { api_key: `${canary}-other` }, { metadata: { annotations } as never })
    expect((await reader.read('openai'))?.version).toMatch(/^kubernetes-[0-9a-f]{12}$/)
  })
})

describe('answers that get lost', () => {
  it('settle a promotion by looking at what is current', async () => {
    await establish(store, 'openai')
    for (const kind of ['lost', 'broken'] as const) {
      const client = await place.open({}, givingUp())
      const { version } = await stageNew(store, 'openai')
      const expectCurrent = (await store.describe('openai'))?.current
      place.fake.fault(kind, { on: (line) => line === 'PUT /api/v1/namespaces/apps/secrets/openai' })
      expect(await client.promote('openai', { to: version, expectCurrent, fence: 1 })).toEqual({
        kind: 'already',
      })
      expect((await store.read('openai'))?.version).toBe(version)
    }
  })
})

describe('races', () => {
  it('a retirement stops a promotion that is under way, also the first one there ever was', async () => {
    for (const ref of ['fresh', 'openai']) {
      const expectCurrent = ref === 'fresh' ? undefined : (await establish(store, ref)).version
      const { version } = await stageNew(store, ref)
      const held = Promise.withResolvers<void>()
      const arrived = Promise.withResolvers<void>()
      let writes = 0
      const late = await place.open(
        {},
        {
          ...place.context,
          fetch: async (url: string, init: StoreFetchInit) => {
            // The first write notes the promotion, the second is the promotion.
            if (init.method !== 'GET' && (writes += 1) === 2) {
              arrived.resolve()
              await held.promise
            }
            return nodeFetch(url, init)
          },
        },
      )
      const outcome = late.promote(ref, { to: version, expectCurrent, fence: 1 })
      await arrived.promise
      await store.retire(ref, { version, fence: 1 })
      held.resolve()
      expect(await outcome).toEqual({ kind: 'gone' })
      expect((await store.read(ref))?.version).toBe(expectCurrent)
    }
  })
})
