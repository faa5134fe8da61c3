import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import type { GoogleSecretManagerOptions } from '../../src/stores/google-secret-manager.ts'
import { turns } from '../conformance/share.ts'
import { canary, establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import type { FakeSecret } from './fakes/google-fake-state.ts'
import { type GooglePlace, startGoogle } from './fakes/google-place.ts'
import { impatience } from './fakes/impatience.ts'

let place: GooglePlace
let store: SecretStore

beforeEach(async () => {
  place = await startGoogle({ consumers: 'alias' })
  store = await place.open()
})
afterEach(() => place.end())

function secret(): FakeSecret {
  const found = place.fake.secret('openai')
  if (found === undefined) expect.fail('there is no such secret')
  return found
}

const under = (alias: string): string | undefined =>
  secret()
    .versions.find(({ number }) => number === secret().aliases[alias])
    ?.data.toString()

describe('a secret that is read by an alias', () => {
  it('has all versions in itself, and aliases for the current and the previous one', async () => {
    const first = await establish(store, 'openai')
    expect(secret().aliases).toEqual({ current: 1 })
    const second = await establish(store, 'openai')
    await stageNew(store, 'openai')
    expect([under('current'), under('previous')]).toEqual([second.secret.reveal(), first.secret.reveal()])
    expect(Object.keys(secret().aliases)).toEqual(['current', 'previous'])
    expect(place.fake.secrets.size).toBe(1)
    await store.retire('openai', { version: first.version, fence: 1 })
    expect(secret().aliases).toEqual({ current: 2 })
    await store.destroy('openai', first.version)
    expect(secret().versions.map(({ state }) => state)).toEqual(['DESTROYED', 'ENABLED', 'ENABLED'])
  })

  it('moves both in one update', async () => {
    await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const before = place.fake.requests.length
    const expectCurrent = (await store.read('openai'))?.version
    await store.promote('openai', { to: version, expectCurrent, fence: 1 })
    const writes = place.fake.requests.slice(before).filter((line) => !/^(?:Get|Access)/.test(line))
    expect(writes).toEqual(['UpdateSecret openai'])
  })

  it('keeps aliases, labels, annotations and versions that are not ours', async () => {
    place.fake.make('openai', { labels: { team: 'one' }, annotations: { owner: 'x' } })
    const { number } = place.fake.put('openai', `${canary}-theirs`)
    secret().aliases = { previous: number, stable: number }
    const old = await establish(store, 'openai')
    await establish(store, 'openai')
    await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    await store.destroy('openai', old.version)
    expect(secret()).toMatchObject({ labels: { team: 'one' }, annotations: { owner: 'x' } })
    expect(secret().aliases).toMatchObject({ previous: number, stable: number })
    expect(place.fake.texts('openai')).toContain(`${canary}-theirs`)
  })

  it('is refused where all aliases are in use', async () => {
    place.fake.put('openai', `${canary}-theirs`)
    secret().aliases = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`a${index}`, 1]))
    const { version } = await stageNew(store, 'openai')
    const promote = store.promote('openai', { to: version, expectCurrent: undefined, fence: 1 })
    const error = await failure(promote)
    expect([error.code, error.fix?.includes('current and previous')]).toEqual(['store_too_large', true])
  })

  it('is taken up as it is where somebody moved the alias, and can be rolled back to', async () => {
    const { number } = place.fake.put('openai', `${canary}-theirs`)
    secret().aliases = { current: number }
    const found = await store.read('openai')
    expect([found?.secret.reveal(), found?.version]).toEqual([
      `${canary}-theirs`,
      expect.stringMatching(/^google-secret-manager-[0-9a-f]{12}$/),
    ])
    const next = await establish(store, 'openai')
    const back = { to: found?.version ?? '', expectCurrent: next.version, fence: 1 }
    expect(await store.promote('openai', back)).toEqual({ kind: 'promoted' })
    expect(secret().aliases).toEqual({ current: number, previous: 2 })
  })

  it('is disabled where its version is, and holds nothing where that was destroyed', async () => {
    await establish(store, 'openai')
    const [version] = secret().versions
    if (version !== undefined) version.state = 'DISABLED'
    const error = await failure(store.read('openai'))
    expect([error.code, error.fix]).toEqual([
      'store_disabled',
      'gcloud secrets versions enable 1 --secret=openai --project=team-1',
    ])
    if (version !== undefined) version.state = 'DESTROYED'
    expect(await store.read('openai')).toBeUndefined()
  })

  it('costs one access to poll', async () => {
    const { version } = await establish(store, 'openai')
    await store.read('openai')
    const before = place.fake.requests.length
    expect((await store.read('openai'))?.version).toBe(version)
    expect(place.fake.requests.slice(before)).toEqual(['AccessSecretVersion openai'])
  })

  it('is read right by one who has promoted, however old the answers under the alias are', async () => {
    await establish(store, 'openai')
    const { version } = await establish(store, 'openai')
    for (let round = 0; round < 3; round += 1) {
      place.fake.lag(1)
      expect((await store.read('openai'))?.version).toBe(version)
    }
  })

  it('gives its value to one who may not see more', async () => {
    const { secret: key } = await establish(store, 'openai')
    place.fake.deny('secretmanager.secrets.get')
    const reader = await place.open()
    for (let round = 0; round < 2; round += 1)
      expect((await reader.read('openai'))?.secret.equals(key)).toBe(true)
    expect(place.context.warnings).toHaveLength(1)
    expect((await failure(reader.describe('openai'))).code).toBe('store_denied')
  })

  it('adds no second version where an answer got lost', async () => {
    const client = await place.open({}, { ...place.context, system: impatience(place.fake) })
    await establish(store, 'openai')
    for (const call of ['AddSecretVersion openai', 'UpdateSecret openai']) {
      place.fake.fault('lost', { on: (line) => line === call })
      await stageNew(client, 'openai')
    }
    expect(secret().versions).toHaveLength(3)
  })

  it('asks for the permissions on one secret', async () => {
    await establish(store, 'openai')
    const findings = await store.check('openai')
    expect(new Set(findings.map(({ resource }) => resource))).toEqual(
      new Set(['projects/team-1/secrets/openai']),
    )
  })
})

describe('a document that is read by an alias', () => {
  const json = { consumers: 'alias', format: 'json', field: 'key' } as const
  const current = (): unknown => JSON.parse(under('current') ?? '')

  /** Somebody adds a version with other fields and moves the alias to it. */
  function change(fields: Readonly<Record<string, unknown>>): void {
    const base = JSON.parse(under('current') ?? '{}') as Readonly<Record<string, unknown>>
    const { number } = place.fake.put('openai', JSON.stringify({ ...base, ...fields }))
    secret().aliases = { ...secret().aliases, current: number }
    secret().etag = `"${number}-moved"`
  }

  it('keeps the fields that others changed after a key was staged', async () => {
    store = await place.open(json)
    place.fake.put('openai', JSON.stringify({ host: 'db' }))
    secret().aliases = { current: 1 }
    const first = await establish(store, 'openai')
    const { version, secret: key } = await stageNew(store, 'openai')
    change({ host: 'db-2' })
    expect((await store.read('openai'))?.version).toBe(first.version)
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(current()).toEqual({ host: 'db-2', key: key.reveal() })
    expect(await store.promote('openai', { ...promote, to: first.version, expectCurrent: version })).toEqual({
      kind: 'promoted',
    })
    expect(current()).toEqual({ host: 'db-2', key: first.secret.reveal() })
  })

  it(`rotates ${turns} times while another writer changes another field, and neither loses a write`, async () => {
    store = await place.open(json)
    place.fake.put('openai', JSON.stringify({ count: 0 }))
    secret().aliases = { current: 1 }
    let requests = 0
    let count = 0
    place.fake.onRequest = () => {
      requests += 1
      if (requests % 13 === 0) change({ count: (count += 1) })
    }
    let former: string | undefined
    let last = ''
    for (let round = 0; round < turns; round += 1) {
      const { version, secret: key } = await establish(store, 'openai')
      last = key.reveal()
      if (former !== undefined) {
        await store.retire('openai', { version: former, fence: 1 })
        await store.destroy('openai', former)
      }
      former = version
    }
    expect(current()).toEqual({ count, key: last })
    expect(count).toBeGreaterThan(turns / 2)
  })
})

describe('what was added by one who died before anything pointed to it', () => {
  /** Leaves a version that nothing points to. */
  async function dieStaging(
    version: string,
    key: Secret,
    options: GoogleSecretManagerOptions = {},
  ): Promise<void> {
    const dying = await place.open({ ...options, maxAttempts: 1 })
    let adds = 0
    place.fake.onRequest = (line) => void (adds += line === 'AddSecretVersion openai' ? 1 : 0)
    place.fake.fault('reset', { on: (line) => line === 'UpdateSecret openai' && adds > 0 })
    await failure(dying.stage('openai', { version, secret: key, meta: {}, fence: 1 }))
    place.fake.clear()
  }
  const newKey = (): Secret => new Secret(`${canary}-${randomUUID()}`)

  it.each(['plain', 'json'] as const)(
    'is destroyed with the next key, and nothing of others is (%s)',
    async (format) => {
      const text = (key: string): string =>
        format === 'plain' ? key : JSON.stringify({ OPENAI_API_KEY: key })
      store = await place.open({ format })
      place.fake.put('openai', text(`${canary}-theirs`))
      const first = await establish(store, 'openai')
      const orphan = newKey()
      await dieStaging(randomUUID(), orphan, { format })
      expect(place.fake.texts('openai')).toContain(text(orphan.reveal()))
      const second = await establish(store, 'openai')
      await store.retire('openai', { version: first.version, fence: 1 })
      await store.destroy('openai', first.version)
      expect(place.fake.texts('openai')).toEqual([text(`${canary}-theirs`), text(second.secret.reveal())])
      // It is not looked for for ever.
      const before = place.fake.requests.length
      await establish(store, 'openai')
      await store.retire('openai', { version: second.version, fence: 1 })
      await store.destroy('openai', second.version)
      expect(place.fake.requests.slice(before)).not.toContain('ListSecretVersions openai')
    },
  )

  it('is taken up by whoever stages it again, so that there is no copy', async () => {
    await establish(store, 'openai')
    const version = randomUUID()
    const key = newKey()
    await dieStaging(version, key)
    const other = await place.open()
    await other.stage('openai', { version, secret: key, meta: {}, fence: 1 })
    expect(place.fake.texts('openai').filter((text) => text === key.reveal())).toHaveLength(1)
    expect((await store.read('openai', { version }))?.secret.equals(key)).toBe(true)
  })
})
