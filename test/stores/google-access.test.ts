import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { googleCalls } from '../../src/stores/google-calls.ts'
import { type GoogleSdk, loadGoogleSdk, openGoogleClient } from '../../src/stores/google-client.ts'
import { openGoogleSecretManagerStore } from '../../src/stores/google-secret-manager.ts'
import { canary, establish, failure, someMeta, stageNew } from '../conformance/store-suite-support.ts'
import { startGoogleGrpcFake } from './fakes/google-fake-grpc.ts'
import type { Message } from './fakes/google-fake-state.ts'
import { type GooglePlace, startGoogle } from './fakes/google-place.ts'
import { closeServer, readBody } from './fakes/http-faults.ts'
import { testContext } from './fakes/system.ts'

let place: GooglePlace
let store: SecretStore

beforeEach(async () => {
  place = await startGoogle()
  store = await place.open()
})
afterEach(() => place.end())

describe('permissions', () => {
  it('are named one by one where they are missing, without changing anything', async () => {
    await establish(store, 'openai')
    const before = JSON.stringify([...place.fake.secrets.values()])
    place.fake.deny('secretmanager.versions.add', 'secretmanager.secrets.update openai-keyturn')
    const missing = (await store.check('openai')).filter(({ state }) => state === 'missing')
    const main = 'projects/team-1/secrets/openai'
    expect(missing.map(({ permission, resource }) => `${permission} ${resource}`)).toEqual([
      `secretmanager.versions.add ${main}`,
      `secretmanager.versions.add ${main}-keyturn`,
      `secretmanager.secrets.update ${main}-keyturn`,
    ])
    expect(missing[0]?.fix).toContain(
      'gcloud secrets add-iam-policy-binding openai --project=team-1 --role=roles/secretmanager.secretVersionManager',
    )
    expect(JSON.stringify([...place.fake.secrets.values()])).toBe(before)
  })

  it('to make secrets cannot be asked for, and are not needed where both are there', async () => {
    expect((await store.check('openai')).map(({ permission, state }) => [permission, state])).toEqual([
      ['secretmanager.secrets.create', 'untested'],
      ['secretmanager.secrets.create', 'untested'],
    ])
    const careful = await place.open({ createIfAbsent: false })
    const missing = await careful.check('openai')
    expect(missing.map(({ state, fix }) => [state, fix])).toEqual([
      ['missing', 'gcloud secrets create openai --project=team-1 --replication-policy=automatic'],
      ['missing', 'gcloud secrets create openai-keyturn --project=team-1 --replication-policy=automatic'],
    ])
    const error = await failure(stageNew(careful, 'openai'))
    expect([error.code, error.fix?.includes('gcloud secrets create openai-keyturn')]).toEqual([
      'store_absent',
      true,
    ])
    place.fake.make('openai')
    place.fake.make('openai-keyturn')
    expect((await careful.check('openai')).every(({ state }) => state === 'granted')).toBe(true)
  })

  it('are missing, and the secret is there, where nothing at all is allowed', async () => {
    await establish(store, 'openai')
    place.fake.deny(
      ...['access', 'add', 'destroy', 'list'].map((each) => `secretmanager.versions.${each}`),
      ...['get', 'update'].map((each) => `secretmanager.secrets.${each}`),
    )
    expect((await store.check('openai')).map(({ state }) => state)).toEqual(
      Array.from({ length: 12 }, () => 'missing'),
    )
  })

  it('to access versions are enough for a reader, under an id that every such reader gives the key', async () => {
    const { secret } = await establish(store, 'openai')
    place.fake.deny('secretmanager.secrets.get', 'secretmanager.versions.list')
    const reader = await place.open()
    const read = await reader.read('openai')
    expect([read?.secret.equals(secret), read?.meta]).toEqual([true, {}])
    expect((await (await place.open()).read('openai'))?.version).toBe(read?.version)
    const before = place.fake.requests.length
    await reader.read('openai')
    // The refusal is not asked for again: it would be a line in an audit log each time.
    expect(place.fake.requests.slice(before)).toEqual(['AccessSecretVersion openai'])
    const error = await failure(stageNew(reader, 'openai'))
    expect([error.code, error.fix?.includes('secretmanager.secrets.get')]).toEqual(['store_denied', true])
  })

  it('on the secret alone tell its version too', async () => {
    const { version } = await establish(store, 'openai')
    place.fake.deny('secretmanager.secrets.get openai-keyturn')
    const reader = await place.open()
    expect((await reader.read('openai'))?.version).toBe(version)
    place.fake.put('openai', `${canary}-other`)
    expect((await reader.read('openai'))?.version).toMatch(/^google-secret-manager-[0-9a-f]{12}$/)
  })

  it('of a disabled version are not needed to say that it may be disabled', async () => {
    place.fake.put('openai', 'x').state = 'DISABLED'
    place.fake.deny('secretmanager.versions.list', 'secretmanager.secrets.get')
    const error = await failure((await place.open()).read('openai'))
    expect([error.code, error.fix]).toEqual([
      'store_disabled',
      'gcloud secrets versions enable VERSION --secret=openai --project=team-1',
    ])
  })

  it('begin with credentials', async () => {
    for (const grpc of [false, true]) {
      const other = grpc ? await startGoogle({ transport: 'grpc' }, startGoogleGrpcFake) : place
      const client = await other.open()
      other.fake.needsToken = true
      const error = await failure(client.read('openai'))
      expect([error.code, error.fix?.includes('gcloud auth')]).toEqual(['store_denied', true])
      other.fake.needsToken = false
      if (grpc) await other.end()
    }
  })
})

describe('what the sibling can take', () => {
  it('is made room for by retired versions, and refused where all are live', async () => {
    // As much as metadata may be.
    const long = 'm'.repeat(256)
    const meta = {
      ...someMeta,
      keyId: long,
      serviceAccount: long,
      organization: long,
      project: long,
      marker: long,
    }
    const staged: string[] = []
    for (let round = 0; round < 8; round += 1) {
      const { version } = await stageNew(store, 'openai')
      staged.push(version)
      await store.annotate('openai', version, meta)
    }
    const error = await failure(
      (async () => {
        const { version } = await stageNew(store, 'openai')
        await store.annotate('openai', version, meta)
      })(),
    )
    expect([error.code, error.retryable]).toEqual(['store_too_large', false])
    await store.retire('openai', { version: staged[0] ?? '', fence: 1 })
    const { version } = await stageNew(store, 'openai')
    await store.annotate('openai', version, meta)
    const listed = (await store.describe('openai'))?.versions.map((each) => each.version)
    expect(listed).toContain(version)
    expect(listed).not.toContain(staged[0])
  })

  it('is less where somebody else fills its annotations', async () => {
    await establish(store, 'openai')
    const sibling = place.fake.secret('openai-keyturn')
    if (sibling !== undefined) sibling.annotations['theirs'] = 'x'.repeat(16_000)
    const error = await failure(stageNew(store, 'openai'))
    expect([error.code, error.message.includes('16383')]).toEqual(['store_too_large', true])
  })

  it('is not taken for empty where its annotation is damaged', async () => {
    await establish(store, 'openai')
    const sibling = place.fake.secret('openai-keyturn')
    for (const text of ['', '{}', 'null', '{"format":9,"revision":99,"shelf":{},"numbers":[]}']) {
      if (sibling !== undefined) sibling.annotations['keyturn-state'] = text
      expect((await failure(stageNew(await place.open(), 'openai'))).code).toBe('store_malformed')
    }
  })

  it('is kept where the secret itself is kept', async () => {
    const replication = { userManaged: { replicas: [{ location: 'europe-west3' }] } }
    place.fake.make('openai', { replication })
    await stageNew(store, 'openai')
    expect(place.fake.secret('openai-keyturn')?.replication).toMatchObject(replication)
  })
})

describe('what comes over the wire', () => {
  it('is compared with its checksum, and asked for again', async () => {
    const { secret } = await establish(store, 'openai')
    const call = place.fake.call.bind(place.fake)
    let isDamaged = true
    place.fake.call = (rpc, request): Message => {
      const answer = call(rpc, request)
      if (rpc !== 'AccessSecretVersion' || !isDamaged) return answer
      isDamaged = false
      return { ...answer, payload: { data: Buffer.from('damaged'), dataCrc32c: '1' } }
    }
    expect((await store.read('openai'))?.secret.equals(secret)).toBe(true)
    expect(isDamaged).toBe(false)
    isDamaged = true
    const once = await place.open({ maxAttempts: 1 })
    expect((await failure(once.read('openai'))).message).toContain('damaged on its way')
  })

  it('is asked for a bounded number of times, where the value can be read and what is known of it cannot', async () => {
    await establish(store, 'openai')
    for (const consumers of ['latest', 'alias'] as const) {
      const client = await place.open({ consumers })
      const before = place.fake.requests.length
      place.fake.fault(503, { on: (line) => line.startsWith('GetSecret'), times: 99 })
      expect((await failure(client.read('openai'))).code).toBe('store_unreachable')
      const asked = place.fake.requests.slice(before).filter((line) => line.startsWith('GetSecret'))
      expect(asked).toHaveLength(3)
      place.fake.clear()
    }
  })

  it('ends, whatever the other side does', async () => {
    const client = await place.open({ maxAttempts: 2, requestTimeoutMs: 150 })
    place.fake.fault('hang', { times: 9 })
    const error = await failure(client.describe('openai'))
    expect([error.code, error.message.includes('DEADLINE_EXCEEDED')]).toEqual(['store_unreachable', true])
  })
})

describe('an answer that points elsewhere', () => {
  /** Tells of every request, and answers none of them. */
  async function listen(answer: (response: ServerResponse, url: string) => void): Promise<{
    readonly server: Server
    readonly port: number
    readonly bodies: string[]
  }> {
    const bodies: string[] = []
    const server = createServer((request, response) => {
      void readBody(request).then((body) => {
        bodies.push(body)
        answer(response, request.url ?? '')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { server, port: (server.address() as AddressInfo).port, bodies }
  }
  /** A key of a service account whose tokens the SDK signs itself, and asks nobody for. */
  async function accountFile(folder: string): Promise<string> {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const file = join(folder, 'account.json')
    const account = {
      type: 'service_account',
      project_id: 'team-1',
      client_email: 'keyturn@team-1.iam.gserviceaccount.com',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }
    await writeFile(file, JSON.stringify(account))
    return file
  }

  it.each([
    [false, 307],
    [false, 302],
    [true, 307],
    [true, 308],
  ])(
    'is not followed, neither with a key nor without (credentials: %s, %s)',
    async (hasCredentials, status) => {
      const elsewhere = await listen((response) => void response.end('{}'))
      const here = await listen((response, url) => {
        response.writeHead(status, { location: `http://localhost:${elsewhere.port}${url}` }).end()
      })
      const folder = await mkdtemp(join(tmpdir(), 'keyturn-'))
      try {
        const endpoint = { apiEndpoint: '127.0.0.1', port: here.port, protocol: 'http' }
        const load = async (): Promise<GoogleSdk> => {
          const sdk = await loadGoogleSdk()
          const { SecretManagerServiceClient } = sdk
          // The SDK as it is configured for Google itself, but for where that is.
          const toHere = class extends SecretManagerServiceClient {
            constructor(options: ConstructorParameters<typeof SecretManagerServiceClient>[0]) {
              super({ ...options, ...endpoint })
            }
          }
          return { ...sdk, SecretManagerServiceClient: toHere }
        }
        const env = hasCredentials ? { GOOGLE_APPLICATION_CREDENTIALS: await accountFile(folder) } : {}
        const options = hasCredentials ? {} : { endpoint: `http://127.0.0.1:${here.port}` }
        const { client } = await openGoogleClient(
          { ...options, project: 'team-1' },
          testContext('.', env),
          load,
        )
        const calls = googleCalls(client, 20_000, place.context.system)
        const name = { parent: 'projects/team-1', id: 'openai' }
        for (const call of [() => calls.add(name, canary), () => calls.access(name, 'latest')]) {
          const error = await failure(call())
          expect([error.code, error.retryable, error.message.includes('redirect')]).toEqual([
            'store_unreachable',
            true,
            true,
          ])
          expect(error.fix).toContain('endpoint')
        }
        await calls.close()
        // It was sent to where it was meant for.
        expect(here.bodies.join()).toContain(Buffer.from(canary).toString('base64'))
        expect(elsewhere.bodies).toEqual([])
      } finally {
        await rm(folder, { recursive: true })
        await closeServer(here.server)
        await closeServer(elsewhere.server)
      }
    },
  )
})

describe('where it is', () => {
  it.each(['', 'a/b', 'openai-keyturn', 'projects/team-1/openai', 'a.b', '../x', 'x'.repeat(250), 'ä'])(
    'takes no secret named %j',
    async (ref) => {
      for (const consumers of ['latest', 'alias'] as const) {
        const client = await place.open({ consumers })
        for (const call of [() => client.read(ref), () => stageNew(client, ref), () => client.check(ref)])
          expect((await failure((async () => call())())).code).toBe('bad_request')
      }
    },
  )

  it('can be said in full, and in a location', async () => {
    await establish(store, 'projects/team-1/secrets/openai')
    expect(await store.read('openai')).toBeDefined()
    const regional = await place.open({ location: 'europe-west3' })
    const { secret } = await establish(regional, 'openai')
    const full = 'projects/team-1/locations/europe-west3/secrets/openai'
    expect((await store.read(full))?.secret.equals(secret)).toBe(true)
    expect(place.fake.secrets.get(`${full}-keyturn`)?.versions).toHaveLength(1)
  })

  it('may be a project that is not there, or not allowed, which Google does not tell apart', async () => {
    const error = await failure(store.read('projects/other/secrets/openai'))
    expect([error.code, error.fix?.includes('--project=other')]).toEqual(['store_denied', true])
  })

  it('has to be known', async () => {
    const nowhere = await place.open({}, testContext('.'))
    const error = await failure(nowhere.read('openai'))
    expect([error.code, error.fix?.includes('GOOGLE_CLOUD_PROJECT')]).toEqual(['config_missing', true])
    expect(await nowhere.read('projects/team-1/secrets/openai')).toBeUndefined()
  })

  it.each([
    'http://secretmanager.example.com',
    'https://user:pass@example.com',
    'https://example.com/v1',
    'https://example.com/?a=b',
    'example.com',
  ])('is refused as %s', async (endpoint) => {
    const error = await failure(place.open({ endpoint }))
    expect(error.code).toBe('config_invalid')
    expect(`${error.message} ${error.fix}`).not.toContain('pass@')
  })

  it('needs the package', async () => {
    const missing = Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' })
    const error = await failure(
      openGoogleSecretManagerStore({}, place.context, () => Promise.reject(missing)),
    )
    expect([error.code, error.fix]).toEqual(['package_missing', 'npm install @google-cloud/secret-manager@7'])
  })
})
