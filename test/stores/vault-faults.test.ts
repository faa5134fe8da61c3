import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { nodeFetch, type StoreFetchInit } from '../../src/stores/http-transport.ts'
import { openVaultStore } from '../../src/stores/vault.ts'
import { turns } from '../conformance/share.ts'
import { canary, establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { makeCertificate } from './fakes/certificate.ts'
import { makeFolder } from './fakes/folder.ts'
import { closeServer, type HttpFaultKind } from './fakes/http-faults.ts'
import { impatience } from './fakes/impatience.ts'
import { testContext } from './fakes/system.ts'
import { startVault, type VaultPlace } from './fakes/vault-place.ts'

let place: VaultPlace
let store: SecretStore

beforeEach(async () => {
  place = await startVault()
  store = await place.open()
})
afterEach(() => place.end())

/** So that each fault comes through. */
const single = { maxAttempts: 1 }
const givingUp = () => ({ ...place.context, system: impatience(place.fake) })

describe('what Vault answers', () => {
  const answers: readonly (readonly [HttpFaultKind, KeyturnError['code'], boolean, string])[] = [
    [403, 'store_denied', false, 'path "secret/data/openai__keyturn" { capabilities = ["read"] }'],
    [429, 'store_throttled', true, 'quotas'],
    [473, 'store_unreachable', true, 'standby'],
    [412, 'store_unreachable', true, 'standby'],
    [500, 'store_unreachable', true, 'logs of Vault'],
    [503, 'store_unreachable', true, 'unseal'],
    [307, 'store_unreachable', false, 'active node'],
    [405, 'store_malformed', false, 'KV engine of version 2'],
    [413, 'store_too_large', false, 'Revoke'],
    ['proxy_page', 'store_unreachable', true, '502'],
    ['huge', 'store_malformed', false, 'proxy'],
    ['hang', 'store_unreachable', true, 'TIMEOUT'],
    ['reset', 'store_unreachable', true, 'ECONNRESET'],
  ]
  it.each(answers)('%s is %s', async (kind, code, retryable, says) => {
    const client = await place.open(single, givingUp())
    place.fake.fault(kind, { times: 9 })
    const error = await failure(client.describe('openai'))
    expect([error.code, error.retryable]).toEqual([code, retryable])
    expect(`${error.message} ${error.fix}`).toContain(says)
    expect(error.message).toContain('secret/data/openai')
    expect(error.message).toContain(place.fake.address)
  })

  it('a deleted newest version is disabled, with the command that brings it back, and nothing is written over it', async () => {
    await establish(store, 'team/openai')
    const document = place.fake.mount.documents.get('team/openai')
    const version = document?.versions.get(document.current)
    if (version !== undefined) version.deletedAt = 1
    for (const call of [() => store.read('team/openai'), () => stageNew(store, 'team/openai')]) {
      const error = await failure(call())
      expect([error.code, error.fix]).toEqual([
        'store_disabled',
        'vault kv undelete -mount=secret -versions=1 team/openai',
      ])
    }
  })

  it('a destroyed newest version is absence, and can be promoted over', async () => {
    await establish(store, 'openai')
    const document = place.fake.mount.documents.get('openai')
    const version = document?.versions.get(document.current)
    if (version !== undefined) version.data = undefined
    expect(await store.read('openai')).toBeUndefined()
    const next = await establish(store, 'openai')
    expect((await store.read('openai'))?.secret.equals(next.secret)).toBe(true)
  })

  it.each([{ mount: 'other' }, { namespace: 'nowhere' }])(
    '%o that is not there is no absence',
    async (options) => {
      const elsewhere = await place.open(options)
      const error = await failure(elsewhere.read('openai'))
      expect([error.code, error.fix?.includes('vault secrets list')]).toEqual(['store_absent', true])
    },
  )

  it('an engine of version 1 is found out before anything is minted', async () => {
    place.fake.mount.version = '1'
    const error = await failure(store.check('openai'))
    expect([error.code, error.message]).toEqual([
      'config_invalid',
      'secret is an engine of version 1, not a KV engine of version 2.',
    ])
  })

  it('a key that is no text, or blank, is malformed, and an empty field is absence', async () => {
    for (const value of [17, ' ', { nested: true }]) {
      place.fake.put('openai', { api_key: value })
      expect((await failure(store.read('openai'))).code).toBe('store_malformed')
    }
    for (const value of ['', null]) {
      place.fake.put('openai', { host: 'db', api_key: value })
      expect(await store.read('openai')).toBeUndefined()
    }
  })

  it('a date on which Vault deletes the key by itself is warned of, once', async () => {
    place.fake.mount.deleteVersionAfterMs = 3_600_000
    await establish(store, 'openai')
    for (let round = 0; round < 3; round += 1) await store.read('openai')
    expect(place.context.warnings.filter((text) => text.includes('delete_version_after'))).toHaveLength(1)
  })
})

describe('what careless people configure', () => {
  it.each([
    ['secret/data/team/good', 'team/good'],
    ['secret/metadata/team/good', 'team/good'],
    ['/secret/data/team/good', 'team/good'],
    ['v1/secret/data/team/good', 'team/good'],
    ['/team/good', 'team/good'],
  ])('%s is refused as a name, and %s is proposed', async (ref, right) => {
    for (const call of [() => store.read(ref), () => stageNew(store, ref)]) {
      const error = await failure(call())
      expect([error.code, error.fix]).toEqual(['bad_request', `Name it ${right} in the configuration.`])
    }
    expect(place.fake.requests).toEqual([])
  })

  it('the mount is the configured one: secret/data is a path like any other in another mount', async () => {
    const elsewhere = await place.open({ mount: 'team/kv' })
    expect((await failure(elsewhere.read('team/kv/data/good'))).fix).toBe(
      'Name it good in the configuration.',
    )
    expect((await failure(elsewhere.read('secret/data/good'))).code).toBe('store_absent')
  })

  it('a field that is not in the document is no place to begin: nothing is put beside the key that others read', async () => {
    const theirs = { OPENAI_API_KEY: canary, host: 'db' }
    place.fake.put('openai', theirs)
    const reader = await place.open()
    const calls = [
      () => store.read('openai'),
      () => store.describe('openai'),
      () => stageNew(store, 'openai'),
    ]
    for (const call of calls) {
      const error = await failure(call())
      expect(error.code).toBe('store_malformed')
      expect(error.message).toBe('secret/data/openai has fields (OPENAI_API_KEY, host) but no api_key.')
      expect(error.fix).toContain('vault kv patch -mount=secret openai api_key=""')
    }
    place.fake.deny('read secret/data/openai__keyturn')
    expect((await failure(reader.read('openai'))).code).toBe('store_malformed')
    expect([...place.fake.mount.documents.keys()]).toEqual(['openai'])
    expect(place.fake.mount.documents.get('openai')?.current).toBe(1)
  })

  it('a field that is not in the document is absence where Keyturn has been before', async () => {
    await establish(store, 'openai')
    place.fake.put('openai', { host: 'db' })
    expect(await store.read('openai')).toBeUndefined()
  })

  it('of the names of other fields few are shown, and nothing that could be a key', async () => {
    const key = ['sk', 'proj', 'a'.repeat(60)].join('-')
    const names = [key, `line\n${'x'.repeat(60)}`, 'a', 'b', 'c', 'd', 'e']
    place.fake.put('openai', Object.fromEntries(names.map((name) => [name, 1])))
    const { message } = await failure(store.read('openai'))
    expect(message).toContain(`([redacted], line?${'x'.repeat(35)}…, a, b, c, and 2 more)`)
  })

  it('a token that Vault does not know may be unknown or expired, and not only without a policy', async () => {
    const stranger = await openVaultStore(
      {},
      { ...place.context, env: { ...place.context.env, VAULT_TOKEN: ['no', 'token'].join('-') } },
    )
    const error = await failure(stranger.read('openai'))
    expect([error.code, error.fix?.includes('unknown or has expired (vault token lookup).')]).toEqual([
      'store_denied',
      true,
    ])
    await stranger.close()
  })

  it('a port that answers in the clear does not speak TLS, which no caFile mends', async () => {
    const address = place.fake.address.replace('http:', 'https:')
    const error = await failure((await place.open({ ...single, address })).read('openai'))
    expect(error).toMatchObject({ code: 'store_unreachable', retryable: true })
    expect(error.message).toContain('does not speak TLS')
    expect(error.fix).not.toContain('caFile')
  })
})

describe('permissions', () => {
  it('are named one by one where they are missing, without changing anything', async () => {
    await establish(store, 'openai')
    const before = place.fake.mount.documents.get('openai')?.current
    const rules = [
      'update secret/data/openai',
      'create secret/data/openai__keyturn',
      'update secret/destroy/openai',
    ]
    place.fake.deny(...rules)
    const missing = (await store.check('openai')).filter(({ state }) => state === 'missing')
    expect(missing.map(({ permission, resource }) => `${permission} ${resource}`)).toEqual(rules)
    // One after another they are read as sentences.
    expect(missing[0]?.fix).toBe(
      'Allow it in the policy of the token: path "secret/data/openai" { capabilities = ["update"] }.',
    )
    expect(place.fake.mount.documents.get('openai')?.current).toBe(before)
  })

  it('that Vault does not tell are untested, and reading is tried', async () => {
    place.fake.deny('update sys/capabilities-self')
    const states = (await store.check('openai')).map(({ state }) => state)
    expect(states).toEqual(['granted', ...Array.from({ length: 7 }, () => 'untested')])
    place.fake.deny('update sys/capabilities-self', 'read secret/data/openai')
    expect((await store.check('openai'))[0]).toMatchObject({
      permission: 'read',
      state: 'missing',
      fix: expect.stringContaining('(vault token lookup).'),
    })
  })

  it('to destroy in a document that others have fields in are not asked for', async () => {
    place.fake.put('openai', { host: 'db', api_key: canary })
    const resources = (await store.check('openai')).map(({ resource }) => resource)
    expect(resources).not.toContain('secret/destroy/openai')
  })

  it('on the secret alone are enough to read the key, under an id that every such reader gives it', async () => {
    const { secret } = await establish(store, 'openai')
    place.fake.deny('read secret/data/openai__keyturn')
    const reader = await place.open()
    const read = await reader.read('openai')
    expect(read?.secret.equals(secret)).toBe(true)
    expect(read?.version).toMatch(/^vault-[0-9a-f]{12}$/)
    expect((await (await place.open()).read('openai'))?.version).toBe(read?.version)
    const requests = place.fake.requests.length
    await reader.read('openai')
    // The refusal is remembered: it would be a line in an audit log each time.
    expect(place.fake.requests.length - requests).toBe(1)
    expect(place.context.warnings.filter((text) => text.includes('without its metadata'))).toHaveLength(2)
  })
})

describe('a document that others use', () => {
  it(`keeps every other field through ${turns} rotations while another writer changes one of them`, async () => {
    const ref = 'shared'
    place.fake.put(ref, { api_key: '', counter: 0, kept: { deep: [1, 'two', null] } })
    let requests = 0
    let counter = 0
    const context = {
      ...place.context,
      fetch: (url: string, init: StoreFetchInit) => {
        requests += 1
        // Between any two of the driver's requests sooner or later: five of them make a promotion.
        if (requests % 7 === 0) {
          const document = place.fake.mount.documents.get(ref)
          counter += 1
          place.fake.put(ref, { ...document?.versions.get(document.current)?.data, counter })
        }
        return nodeFetch(url, init)
      },
    }
    const client = await openVaultStore({}, context)
    let previous: string | undefined
    for (let round = 0; round < turns; round += 1) {
      const { version, secret } = await establish(client, ref)
      expect((await client.read(ref))?.secret.equals(secret)).toBe(true)
      if (previous !== undefined) {
        await client.retire(ref, { version: previous, fence: 1 })
        await client.destroy(ref, previous)
      }
      previous = version
    }
    const document = place.fake.mount.documents.get(ref)
    const data = document?.versions.get(document.current)?.data ?? {}
    expect(Object.keys(data).sort()).toEqual(['api_key', 'counter', 'kept'])
    expect(data).toMatchObject({ counter, kept: { deep: [1, 'two', null] } })
    expect(counter).toBeGreaterThan(turns)
    await client.close()
  })

  it('keeps numbers that no double can hold as they are', async () => {
    const big = '12345678901234567890'
    const bodies: string[] = []
    const context = {
      ...place.context,
      async fetch(url: string, init: StoreFetchInit) {
        if (init.method === 'POST' && url.endsWith('/openai')) bodies.push(init.body ?? '')
        const answer = await nodeFetch(url, init)
        if (init.method !== 'GET' || !url.endsWith('/openai')) return answer
        const chunks: Uint8Array[] = []
        for await (const chunk of answer.body ?? []) chunks.push(chunk)
        const text = Buffer.concat(chunks).toString().replace('"as-it-is"', big)
        return {
          ...answer,
          headers: answer.headers,
          body: (async function* () {
            yield Buffer.from(text)
          })(),
        }
      },
    }
    place.fake.put('openai', { api_key: '', big: 'as-it-is', list: [1.5] })
    const client = await openVaultStore({}, context)
    await establish(client, 'openai')
    expect(bodies.join()).toContain(`"big":${big},"list":[1.5]`)
    await client.close()
  })

  it('takes up what somebody else put there, and keeps it for a way back', async () => {
    const first = await establish(store, 'openai')
    place.fake.put('openai', { api_key: `${canary}-by-hand` })
    const found = await store.read('openai')
    expect(found?.version).toMatch(/^vault-[0-9a-f]{12}$/)
    expect(await store.describe('openai')).toMatchObject({ current: found?.version, previous: first.version })
    const next = await establish(store, 'openai')
    const version = found?.version ?? ''
    expect((await store.read('openai', { version }))?.secret.reveal()).toBe(`${canary}-by-hand`)
    const back = { to: version, expectCurrent: next.version, fence: 1 }
    expect(await store.promote('openai', back)).toEqual({ kind: 'promoted' })
    expect((await store.read('openai'))?.secret.reveal()).toBe(`${canary}-by-hand`)
  })

  it('is not taken for foreign where it was staged and promoted during the look at it', async () => {
    await establish(store, 'openai')
    let isFirst = true
    let version = ''
    const context = {
      ...place.context,
      fetch: async (url: string, init: StoreFetchInit) => {
        // The sibling was read, the secret not yet.
        if (isFirst && url.endsWith('/openai')) {
          isFirst = false
          version = (await establish(store, 'openai')).version
        }
        return nodeFetch(url, init)
      },
    }
    const client = await openVaultStore({}, context)
    expect((await client.read('openai'))?.version).toBe(version)
    expect(version).not.toBe('')
    await client.close()
  })

  it('is not written over where somebody changed the key first', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const context = {
      ...place.context,
      fetch: (url: string, init: StoreFetchInit) => {
        // At the last moment: the promotion itself is about to be sent.
        if (init.method === 'POST' && url.endsWith('/openai'))
          place.fake.put('openai', { api_key: `${canary}-by-hand` })
        return nodeFetch(url, init)
      },
    }
    const client = await openVaultStore({}, context)
    const outcome = await client.promote('openai', { to: version, expectCurrent: first.version, fence: 1 })
    const found = await store.read('openai')
    expect(found?.secret.reveal()).toBe(`${canary}-by-hand`)
    expect(outcome).toEqual({ kind: 'conflict', current: found?.version })
    await client.close()
  })
})

describe('what is destroyed', () => {
  it('is in no former version of the two documents any more', async () => {
    const old = await establish(store, 'openai')
    const current = await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    await store.destroy('openai', old.version)
    const everything = JSON.stringify(
      [...place.fake.mount.documents.values()].map(({ versions }) => [...versions.values()]),
    )
    expect(everything).not.toContain(old.secret.reveal())
    expect(everything).toContain(current.secret.reveal())
  })

  it('goes on being destroyed after a crash in between', async () => {
    const old = await establish(store, 'openai')
    await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    const client = await place.open(single)
    place.fake.fault(500, { on: (line) => line.startsWith('PUT secret/destroy/openai__keyturn') })
    expect((await failure(client.destroy('openai', old.version))).code).toBe('store_unreachable')
    expect(await client.destroy('openai', old.version)).toBe('destroyed')
    const slot = place.fake.mount.documents.get('openai__keyturn')
    expect(JSON.stringify([...(slot?.versions.values() ?? [])])).not.toContain(old.secret.reveal())
  })

  it('leaves the history of a document alone that others have fields in', async () => {
    place.fake.put('openai', { host: 'db', api_key: '' })
    const old = await establish(store, 'openai')
    await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    await store.destroy('openai', old.version)
    const versions = [...(place.fake.mount.documents.get('openai')?.versions.values() ?? [])]
    expect(versions.every(({ data }) => data !== undefined)).toBe(true)
  })

  it('does not depend on how many versions Vault keeps', async () => {
    const first = await establish(store, 'openai')
    for (let round = 0; round < 15; round += 1) await establish(store, 'openai')
    expect(place.fake.mount.documents.get('openai')?.versions.size).toBe(10)
    const expectCurrent = (await store.describe('openai'))?.current
    expect(await store.promote('openai', { to: first.version, expectCurrent, fence: 1 })).toEqual({
      kind: 'promoted',
    })
    expect((await store.read('openai'))?.secret.equals(first.secret)).toBe(true)
  })
})

describe('promotions that are still under way', () => {
  const toMain = 'POST secret/data/openai'

  /** Holds the write of the secret back until `meanwhile` is over. */
  async function promoteAround(
    request: { readonly to: string; readonly expectCurrent: string; readonly fence: number },
    meanwhile: () => Promise<void>,
  ): Promise<Awaited<ReturnType<SecretStore['promote']>>> {
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    let isFirst = true
    const context = {
      ...place.context,
      fetch: async (url: string, init: StoreFetchInit) => {
        if (isFirst && `${init.method} ${new URL(url).pathname.slice(4)}` === toMain) {
          isFirst = false
          arrived.resolve()
          await held.promise
        }
        return nodeFetch(url, init)
      },
    }
    const late = await openVaultStore({}, context)
    const outcome = late.promote('openai', request)
    await arrived.promise
    await meanwhile()
    held.resolve()
    const result = await outcome
    await late.close()
    return result
  }

  it('cannot make a version current that was retired in between', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const outcome = await promoteAround({ to: version, expectCurrent: first.version, fence: 1 }, () =>
      store.retire('openai', { version, fence: 1 }),
    )
    expect(outcome).toEqual({ kind: 'gone' })
    expect((await store.read('openai'))?.version).toBe(first.version)
  })

  it('cannot arrive after somebody took over with a higher fence', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const late = promoteAround({ to: version, expectCurrent: first.version, fence: 1 }, async () => {
      await stageNew(store, 'openai', 2)
    })
    const error = await failure(late)
    expect([error.code, error.message.includes('fence 1')]).toEqual(['store_conflict', true])
    expect((await store.read('openai'))?.version).toBe(first.version)
  })

  it('are let through by whoever has nothing against them', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const outcome = await promoteAround({ to: version, expectCurrent: first.version, fence: 1 }, async () => {
      await store.annotate('openai', version, { keyId: 'key_1' })
    })
    expect(outcome).toEqual({ kind: 'promoted' })
    expect((await store.read('openai'))?.meta).toEqual({ keyId: 'key_1' })
  })
})

describe('answers that get lost', () => {
  it('settle a promotion by looking at what is current', async () => {
    for (const kind of ['lost', 'broken'] as const) {
      const client = await place.open({}, givingUp())
      const { version } = await stageNew(store, 'openai')
      const expectCurrent = (await store.describe('openai'))?.current
      place.fake.fault(kind, { on: (line) => line === 'POST secret/data/openai' })
      expect(await client.promote('openai', { to: version, expectCurrent, fence: 1 })).toEqual({
        kind: 'already',
      })
      expect((await store.read('openai'))?.version).toBe(version)
    }
  })

  it('do not hide a promotion that could not be noted', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    let slotWrites = 0
    place.fake.fault(500, {
      on: (line) => line === 'POST secret/data/openai__keyturn' && (slotWrites += 1) === 2,
    })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(place.context.warnings).toHaveLength(1)
    expect(await store.describe('openai')).toMatchObject({ current: version, previous: first.version })
  })
})

describe('standby nodes that lag', () => {
  it('are not believed by a client that has seen more', async () => {
    const { version, secret } = await establish(store, 'openai')
    const next = await establish(store, 'openai')
    place.fake.lag(2)
    expect((await store.read('openai'))?.version).toBe(next.version)
    place.fake.lag(2)
    expect((await store.read('openai', { version }))?.secret.equals(secret)).toBe(true)
    place.fake.lag(99)
    const error = await failure(store.read('openai'))
    expect([error.code, error.retryable, error.fix?.includes('standby')]).toEqual([
      'store_unreachable',
      true,
      true,
    ])
  })

  it('cannot make a client lose what somebody else wrote', async () => {
    const other = await place.open()
    const first = await establish(store, 'openai')
    await other.read('openai')
    const second = await establish(store, 'openai')
    place.fake.lag(1)
    const { version } = await stageNew(other, 'openai')
    const promote = { to: version, expectCurrent: second.version, fence: 1 }
    expect(await other.promote('openai', promote)).toEqual({ kind: 'promoted' })
    const described = await store.describe('openai')
    expect(described).toMatchObject({ current: version, previous: second.version })
    expect(described?.versions.map((each) => each.version)).toContain(first.version)
  })

  it('cannot make a client retire or destroy what is current by now', async () => {
    await establish(store, 'openai')
    const { version, secret } = await establish(store, 'openai')
    for (const end of [
      (client: SecretStore) => client.retire('openai', { version, fence: 1 }),
      (client: SecretStore) => client.destroy('openai', version),
    ]) {
      const other = await place.open()
      // The secret as it was before the promotion, beside a sibling that knows of it.
      place.fake.lag(2, 'openai')
      expect((await failure(end(other))).code).toBe('store_conflict')
      place.fake.lag(0)
      expect((await store.read('openai'))?.secret.equals(secret)).toBe(true)
    }
  })

  it('are told apart from a document that was removed and made anew', async () => {
    await establish(store, 'openai')
    await establish(store, 'openai')
    place.fake.mount.documents.delete('openai')
    place.fake.put('openai', { api_key: `${canary}-anew` })
    expect((await store.read('openai'))?.secret.reveal()).toBe(`${canary}-anew`)
  })
})

describe('where it is', () => {
  it.each([
    ['http://vault.example.com:8200'],
    ['https://user:pass@vault.example.com'],
    ['https://vault.example.com/?a=b'],
    ['vault.example.com'],
  ])('is refused as %s', async (address) => {
    const error = await failure(place.open({ address }))
    expect(error.code).toBe('config_invalid')
    expect(`${error.message} ${error.fix}`).not.toContain('pass@')
  })

  it('has to be said', async () => {
    expect((await failure(openVaultStore({}, testContext('.')))).code).toBe('config_missing')
  })

  it.each(['', '/openai', 'openai/', 'a//b', '../openai', 'a b', 'openai__keyturn', 'ä'])(
    'takes no secret named %j',
    async (ref) => {
      const calls = [
        () => store.read(ref),
        () => stageNew(store, ref),
        () => store.promote(ref, { to: randomUUID(), expectCurrent: undefined, fence: 1 }),
      ]
      for (const call of calls) expect((await failure((async () => call())())).code).toBe('bad_request')
    },
  )

  it('is spoken to over TLS with an authority of its own, and with no other', async () => {
    const folder = await makeFolder()
    const mine = makeCertificate('vault')
    await writeFile(join(folder.path, 'ca.pem'), mine.cert)
    await writeFile(join(folder.path, 'other.pem'), makeCertificate('other').cert)
    await writeFile(join(folder.path, 'none.pem'), 'nothing')
    const server = createServer(mine, (_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[]}')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const context = testContext(folder.path, { VAULT_TOKEN: 'a-token' })
    const open = (caFile?: string) =>
      openVaultStore({ address, maxAttempts: 1, ...(caFile === undefined ? {} : { caFile }) }, context)
    expect(await (await open('ca.pem')).read('openai')).toBeUndefined()
    for (const caFile of [undefined, 'other.pem']) {
      const error = await failure((await open(caFile)).read('openai'))
      expect([error.code, error.fix?.includes('caFile')]).toEqual(['store_unreachable', true])
    }
    expect((await failure(open('none.pem'))).code).toBe('config_invalid')
    await closeServer(server)
    await folder.remove()
  })
})
