import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkConfig } from '../../src/config.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import { openAzureKeyVaultStore } from '../../src/stores/azure-key-vault.ts'
import { turns } from '../conformance/share.ts'
import { canary, establish, failure, newSecret, stageNew } from '../conformance/store-suite-support.ts'
import { addVersion, type FakeAzureSecrets } from './fakes/azure-fake-vault.ts'
import { openInProcess } from './fakes/azure-in-process.ts'
import { type AzurePlace, startAzure } from './fakes/azure-place.ts'
import { testContext } from './fakes/system.ts'

let place: AzurePlace
let store: SecretStore

beforeEach(async () => {
  place = await startAzure()
  store = await place.open()
})
afterEach(() => place.end())

const requestsSince = (count: number): readonly string[] =>
  place.fake.requests.slice(count).map(({ line }) => line)

describe('values in Key Vault', () => {
  it('are kept whole up to 25,000 bytes, unicode and all, and refused above', async () => {
    const stage = (text: string, version: string = randomUUID()): Promise<void> =>
      store.stage('openai', { version, secret: new Secret(text), meta: {}, fence: 1 })
    for (const text of [`${canary}-ünï-✓-𝄞`, canary.padEnd(25_000, 'x'), `"${canary}"\\`]) {
      const version = randomUUID()
      await stage(text, version)
      expect((await store.read('openai', { version }))?.secret.reveal()).toBe(text)
    }
    const version = randomUUID()
    for (let round = 0; round < 2; round += 1) await stage(`${canary}\n`, version)
    expect((await store.read('openai', { version }))?.secret.reveal()).toBe(canary)
    expect((await failure(stage(canary.padEnd(25_001, 'x')))).code).toBe('store_too_large')
  })

  it('of a document are refused as too large before anything is written', async () => {
    place.fake.put('openai', JSON.stringify({ other: 'x'.repeat(24_970) }))
    const json = await place.open({ format: 'json', field: 'key' })
    const { version } = await stageNew(json, 'openai')
    const promote = { to: version, expectCurrent: undefined, fence: 1 }
    expect((await failure(json.promote('openai', promote))).code).toBe('store_too_large')
    expect(place.fake.secrets.get('openai')?.versions).toHaveLength(1)
  })

  it('that stand for no key yet, as Terraform puts them into both secrets, are a beginning', async () => {
    for (const name of ['openai', 'openai-keyturn']) place.fake.put(name, 'no-key-yet')
    expect(await store.read('openai')).toBeUndefined()
    expect((await store.describe('openai'))?.versions ?? []).toEqual([])
    const { version, secret } = await stageNew(store, 'openai')
    expect(await store.read('openai')).toBeUndefined()
    const promoted = await store.promote('openai', { to: version, expectCurrent: undefined, fence: 1 })
    expect(promoted).toEqual({ kind: 'promoted' })
    expect((await store.read('openai'))?.secret.reveal()).toBe(secret.reveal())
    expect((await (await place.open()).describe('openai'))?.versions.map((one) => one.version)).toEqual([
      version,
    ])
  })

  it('carry the expiry as attribute, and leave other tags and the content type as they were', async () => {
    place.fake.put('openai', canary, { tags: { team: 'search' }, contentType: 'text/plain' })
    const version = randomUUID()
    const meta = { expiresAt: 1_900_000_000_000 }
    await store.stage('openai', { version, secret: newSecret(), meta, fence: 1 })
    const expectCurrent = (await store.read('openai'))?.version
    await store.promote('openai', { to: version, expectCurrent, fence: 1 })
    expect(place.fake.top('openai')).toMatchObject({ contentType: 'text/plain', expires: 1_900_000_000 })
    expect(place.fake.top('openai')?.tags).toMatchObject({ team: 'search', 'keyturn-version': version })
    await store.annotate('openai', version, { expiresAt: 1_950_000_000_000 })
    expect(place.fake.top('openai')?.expires).toBe(1_950_000_000)
  })

  it('with more tags than there is room for are refused before anything is written', async () => {
    const tags = Object.fromEntries(Array.from({ length: 13 }, (_, index) => [`tag-${index}`, 'x']))
    place.fake.put('openai', canary, { tags })
    const { version } = await stageNew(store, 'openai')
    const expectCurrent = (await store.read('openai'))?.version
    const error = await failure(store.promote('openai', { to: version, expectCurrent, fence: 1 }))
    expect([error.code, error.message.includes('tags')]).toEqual(['store_too_large', true])
    expect(place.fake.secrets.get('openai')?.versions).toHaveLength(1)
  })

  it('cost one request to read, and one for the metadata', async () => {
    await establish(store, 'openai')
    const before = place.fake.requests.length
    await store.read('openai')
    expect(requestsSince(before).map((line) => line.replace(/[0-9a-f]{32}$/, 'ID'))).toEqual([
      'GET /secrets/openai/',
      'GET /secrets/openai-keyturn/ID',
    ])
  })

  it('are sent to nobody who has not asked who we are', async () => {
    const clients = await Promise.all([place.open(), place.open()])
    await Promise.all(
      ['one', 'two', 'three'].flatMap((ref) => clients.map((client) => stageNew(client, ref))),
    )
    const sent = place.fake.requests.filter(({ body }) => body.includes(canary))
    expect(sent.length).toBeGreaterThanOrEqual(6)
    expect(sent.filter(({ hasToken }) => !hasToken)).toEqual([])
  })
})

describe('what somebody sets by hand', () => {
  it('is current under an id of its own, and can be gone back to', async () => {
    const first = await establish(store, 'openai')
    place.fake.put('openai', `${canary}-by-hand`)
    const found = await store.read('openai')
    expect(found?.version).toMatch(/^azure-key-vault-[0-9a-f]{12}$/)
    expect(await store.describe('openai')).toMatchObject({ current: found?.version, previous: first.version })
    const next = await establish(store, 'openai')
    const described = await store.describe('openai')
    expect(described).toMatchObject({ current: next.version, previous: found?.version })
    expect(described?.pending).toBeUndefined()
    const back = { to: found?.version ?? '', expectCurrent: next.version, fence: 1 }
    expect(await store.promote('openai', back)).toEqual({ kind: 'promoted' })
    expect((await store.read('openai'))?.secret.reveal()).toBe(`${canary}-by-hand`)
  })

  it('is known again where it is a key of ours', async () => {
    const first = await establish(store, 'openai')
    await establish(store, 'openai')
    place.fake.put('openai', first.secret.reveal())
    expect((await store.read('openai'))?.version).toBe(first.version)
  })

  it('is not taken for ours because it carries our tags', async () => {
    await establish(store, 'openai')
    place.fake.put('openai', `${canary}-by-hand`, { tags: { ...place.fake.top('openai')?.tags } })
    expect((await store.read('openai'))?.version).toMatch(/^azure-key-vault-/)
  })

  it('can be annotated, and a pending key stays pending', async () => {
    place.fake.put('openai', `${canary}-by-hand`)
    const pending = await stageNew(store, 'openai')
    const version = (await store.read('openai'))?.version ?? ''
    await store.annotate('openai', version, { keyId: 'key_1' })
    expect(await store.read('openai')).toMatchObject({ version, meta: { keyId: 'key_1' } })
    expect(await store.describe('openai')).toMatchObject({ current: version, pending: pending.version })
  })

  it.each([
    ['before', /^PUT \/secrets\/openai$/],
    ['after', /^PUT \/secrets\/openai$/],
  ] as const)('%s the write of a promotion stands, and the promotion is lost', async (when, line) => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    place.fake[when](line, () => void place.fake.put('openai', `${canary}-by-hand`))
    const outcome = await store.promote('openai', { to: version, expectCurrent: first.version, fence: 1 })
    const read = await store.read('openai')
    expect(read?.secret.reveal()).toBe(`${canary}-by-hand`)
    expect(outcome).toEqual({ kind: 'conflict', current: read?.version })
  })
})

describe('destroying', () => {
  it('disables the value in the sibling and in the history, and never the newest version', async () => {
    const old = await establish(store, 'openai')
    await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    expect(await store.destroy('openai', old.version)).toBe('disabled')
    const enabled = [...place.fake.secrets.values()].flatMap(({ versions }) =>
      versions.filter((each) => each.enabled).map(({ value }) => value),
    )
    expect(enabled).not.toContain(old.secret.reveal())
    expect(place.fake.top('openai')?.enabled).toBe(true)
    expect(await store.read('openai', { version: old.version })).toBeUndefined()
  })

  it("leaves the history of other people's documents alone", async () => {
    place.fake.put('openai', JSON.stringify({ other: 'theirs' }))
    const json = await place.open({ format: 'json' })
    const old = await establish(json, 'openai')
    await establish(json, 'openai')
    await json.retire('openai', { version: old.version, fence: 1 })
    await json.destroy('openai', old.version)
    expect(place.fake.secrets.get('openai')?.versions.every(({ enabled }) => enabled)).toBe(true)
    expect(await json.read('openai', { version: old.version })).toBeUndefined()
  })
})

describe('a version that is retired while it is promoted', () => {
  it.each([
    ['a key', true],
    ['no key', false],
  ] as const)('gives way, and %s is there again', async (_name, hasBase) => {
    const first = hasBase ? await establish(store, 'openai') : undefined
    const { version } = await stageNew(store, 'openai')
    const other = await place.open()
    const retiring = Promise.withResolvers<void>()
    place.fake.before(/^PUT \/secrets\/openai$/, async () => {
      const marked = Promise.withResolvers<void>()
      place.fake.after(/^PATCH \/secrets\/openai-keyturn\//, () => marked.resolve())
      other.retire('openai', { version, fence: 1 }).then(retiring.resolve, retiring.reject)
      await marked.promise
    })
    const promote = { to: version, expectCurrent: first?.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'gone' })
    await retiring.promise
    expect((await store.read('openai'))?.version).toBe(first?.version)
    expect((await store.describe('openai'))?.current).toBe(first?.version)
    const next = await establish(store, 'openai')
    expect((await store.read('openai'))?.secret.equals(next.secret)).toBe(true)
  })

  it('stays alive where the promotion was decided first', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const other = await place.open()
    let refused: Promise<unknown> | undefined
    place.fake.before(/^PATCH \/secrets\/openai\//, () => {
      refused = failure(other.retire('openai', { version, fence: 1 }))
    })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(await refused).toMatchObject({ code: 'store_conflict' })
    const described = await store.describe('openai')
    expect(described?.versions.find((each) => each.version === version)?.isRetired).toBe(false)
  })
})

/**
 * The other writer reads the document and writes it back with one more field, in one step, as one who holds a lock of his
 * own would: at each request of the promotions in turn, before or after it is carried out.
 */
describe('a field of a shared document', () => {
  it(`rotates ${turns} times while somebody else changes another field, and nobody loses a write`, async () => {
    const secrets: FakeAzureSecrets = new Map()
    addVersion(secrets, 'shared', { value: JSON.stringify({ host: 'db.example.com' }) })
    let until = Number.POSITIVE_INFINITY
    let written = 0
    const gate = async (): Promise<void> => {
      until -= 1
      if (until !== 0) return
      const top = secrets.get('shared')?.versions.at(-1)?.value ?? '{}'
      written += 1
      addVersion(secrets, 'shared', {
        value: JSON.stringify({ ...JSON.parse(top), [`field-${written}`]: written }),
      })
    }
    const shared = await openInProcess(secrets, gate, { context: testContext('.'), format: 'json' })
    for (let rotation = 1; rotation <= turns; rotation += 1) {
      const { version, secret } = await stageNew(shared, 'shared')
      const expectCurrent = (await shared.read('shared'))?.version
      until = 1 + ((rotation * 7) % 60)
      const outcome = await shared.promote('shared', { to: version, expectCurrent, fence: 1 })
      until = Number.POSITIVE_INFINITY
      expect(outcome, `rotation ${rotation}`).toEqual({ kind: 'promoted' })
      const read = await shared.read('shared')
      expect([read?.version, read?.secret.equals(secret)], `rotation ${rotation}`).toEqual([version, true])
    }
    expect(written).toBeGreaterThan(turns / 3)
    const fields = Array.from({ length: written }, (_, index) => [`field-${index + 1}`, index + 1])
    expect(JSON.parse(secrets.get('shared')?.versions.at(-1)?.value ?? '{}')).toMatchObject({
      host: 'db.example.com',
      ...Object.fromEntries(fields),
    })
  })

  it('is written again where somebody wrote back an older document over it', async () => {
    place.fake.put('openai', JSON.stringify({ host: 'one' }))
    const json = await place.open({ format: 'json', field: 'key' })
    const first = await establish(json, 'openai')
    const older = place.fake.top('openai')?.value ?? '{}'
    const { version, secret } = await stageNew(json, 'openai')
    place.fake.after(/^PUT \/secrets\/openai$/, () => {
      place.fake.put('openai', JSON.stringify({ ...JSON.parse(older), host: 'two' }))
    })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await json.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(JSON.parse(place.fake.top('openai')?.value ?? '{}')).toEqual({ host: 'two', key: secret.reveal() })
  })
})

describe('opening a vault', () => {
  it('refuses an address that is not https, and names that Azure or the sibling does not take', async () => {
    for (const vault of ['http://127.0.0.1:1', 'vault'])
      expect((await failure(place.open({ vault }))).code).toBe('bad_request')
    for (const ref of ['', 'no_name', 'a/b', 'x'.repeat(120), 'openai-keyturn', 'openai-KeyTurn'])
      expect((await failure(store.read(ref))).code).toBe('bad_request')
    expect(await store.read('x'.repeat(119))).toBeUndefined()
  })

  it('refuses an address without TLS already where the configuration is checked, also on this machine', () => {
    const check = (vault: string): string => {
      const file = `stores:\n  a: { kind: azure-key-vault, vault: '${vault}' }\ncredentials:\n  c: { store: a, ref: c }\n`
      const sources = { env: {}, cwd: '/', readFile: () => file, assertValidCron: () => undefined }
      const found = checkConfig(sources)
      return found.kind === 'invalid' ? found.problems.map(({ message }) => message).join('\n') : found.kind
    }
    for (const vault of [
      'http://127.0.0.1:8443',
      'http://localhost',
      'http://my-vault.vault.azure.net',
      'vault',
    ])
      expect(check(vault)).toContain('expected an https:// URL')
    expect(check('https://my-vault.vault.azure.net')).not.toContain('https://')
    expect(check('http://localhost')).not.toContain('http:// only')
  })

  it('names both packages where one is missing', async () => {
    const missing = async (): Promise<never> => {
      throw Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' })
    }
    const opening = openAzureKeyVaultStore({ vault: place.fake.address }, place.context, missing)
    const error = await failure(opening)
    expect([error.code, error.fix]).toEqual([
      'package_missing',
      'npm install @azure/keyvault-secrets@4 @azure/identity@4',
    ])
  })

  it('says which file with an authority cannot be read, or holds none', async () => {
    const error = await failure(place.open({ caFile: 'nowhere.pem' }))
    expect([error.code, error.message.includes('nowhere.pem')]).toEqual(['file_unusable', true])
    const here = fileURLToPath(import.meta.url)
    const other = await failure(place.open({ caFile: here }))
    expect([other.code, other.message]).toEqual([
      'file_unusable',
      `The file ${here} with the authority to trust holds no certificate in PEM.`,
    ])
  })
})
