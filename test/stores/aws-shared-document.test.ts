import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { raceSuite } from '../conformance/race-suite.ts'
import { turns } from '../conformance/share.ts'
import { canary, establish, failure, someMeta, stageNew } from '../conformance/store-suite-support.ts'
import { type AwsPlace, openAws, startAws } from './fakes/aws-place.ts'
import { awsHarness } from './fakes/harnesses.ts'

const ref = 'team/shared'
const json = { format: 'json', field: 'key' } as const

let place: AwsPlace
let store: SecretStore

beforeEach(async () => {
  place = await startAws()
  place.fake.secrets.set(ref, { versions: new Map(), tags: new Map([['team', 'search']]) })
  place.fake.put(ref, JSON.stringify({ kept: { deep: ['ünï', 1, null] }, key: `${canary}-theirs`, count: 0 }))
  store = await openAws(place, json)
})
afterEach(() => place.end())

type Document = Readonly<Record<string, unknown>>

function current(): Document {
  const versions = [...(place.fake.secrets.get(ref)?.versions.values() ?? [])]
  return JSON.parse(versions.find(({ labels }) => labels.has('AWSCURRENT'))?.text ?? '') as Document
}

/** Other people's GetSecretValue, change and PutSecretValue in one. */
function change(fields: Document): string {
  return place.fake.put(ref, JSON.stringify({ ...current(), ...fields }))
}

describe('a field of a document in AWS that others write to', () => {
  it(`rotates ${turns} times while another writer changes another field, and neither loses a write`, async () => {
    let requests = 0
    let count = 0
    place.fake.beforeEach(() => {
      requests += 1
      // Between any two of the driver's requests sooner or later.
      if (requests % 13 === 0) change({ count: (count += 1) })
    })
    let former: string | undefined
    for (let round = 0; round < turns; round += 1) {
      const { version, secret } = await establish(store, ref)
      await store.annotate(ref, version, someMeta)
      expect(await store.describe(ref)).toMatchObject({ current: version })
      const read = await store.read(ref)
      expect([read?.version, read?.secret.equals(secret), read?.meta]).toEqual([version, true, someMeta])
      if (former !== undefined) {
        expect(await store.read(ref, { version: former })).toBeDefined()
        await store.retire(ref, { version: former, fence: 1 })
        await store.destroy(ref, former)
      }
      former = version
      place.fake.forgetDeprecated()
    }
    place.fake.beforeEach(undefined)
    expect(current()).toMatchObject({ kept: { deep: ['ünï', 1, null] }, count })
    expect(count).toBeGreaterThan(turns)
    const secret = place.fake.secrets.get(ref)
    expect(secret?.tags.get('team')).toBe('search')
    expect(secret?.tags.size).toBeLessThanOrEqual(50)
    expect(secret?.versions.size).toBeLessThan(10)
  })

  it.each(['DescribeSecret', 'GetSecretValue', 'UpdateSecretVersionStage'])(
    'takes over what somebody else changes just before a %s of the promotion',
    async (action) => {
      const first = await establish(store, ref)
      const { version, secret } = await stageNew(store, ref)
      place.fake.before(action, () => void change({ count: 1 }))
      const promote = { to: version, expectCurrent: first.version, fence: 1 }
      expect(await store.promote(ref, promote)).toEqual({ kind: 'promoted' })
      expect(current()).toMatchObject({ count: 1, key: secret.reveal() })
      expect(await store.promote(ref, promote)).toEqual({ kind: 'already' })
      const described = await store.describe(ref)
      expect(described).toMatchObject({ current: version })
      expect(described?.pending).toBeUndefined()
      expect((await store.read(ref, { version }))?.secret.equals(secret)).toBe(true)
    },
  )

  it('takes over what was changed since it was staged, also where the key is not one of Keyturn yet', async () => {
    const expectCurrent = (await store.describe(ref))?.current
    const { version, secret } = await stageNew(store, ref)
    change({ count: 1 })
    change({ count: 2, added: true })
    expect((await store.read(ref))?.version).toBe(expectCurrent)
    expect(await store.promote(ref, { to: version, expectCurrent, fence: 1 })).toEqual({ kind: 'promoted' })
    expect(current()).toMatchObject({ count: 2, added: true, key: secret.reveal() })
    const back = { to: expectCurrent ?? '', expectCurrent: version, fence: 1 }
    change({ count: 3 })
    expect(await store.promote(ref, back)).toEqual({ kind: 'promoted' })
    expect(current()).toMatchObject({ count: 3, added: true, key: `${canary}-theirs` })
  })

  it('loses to somebody who changes the key itself, and writes nothing', async () => {
    const first = await establish(store, ref)
    const { version } = await stageNew(store, ref)
    let theirs = ''
    place.fake.before('UpdateSecretVersionStage', () => {
      theirs = change({ count: 1, key: `${canary}-by-hand` })
    })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote(ref, promote)).toEqual({ kind: 'conflict', current: theirs })
    expect(current()).toMatchObject({ count: 1, key: `${canary}-by-hand` })
    expect(await store.describe(ref)).toMatchObject({ current: theirs, pending: version })
    // And once they are taken for current, their key can be come back to.
    change({ count: 2 })
    const next = { to: version, expectCurrent: (await store.describe(ref))?.current, fence: 1 }
    expect(await store.promote(ref, next)).toEqual({ kind: 'promoted' })
    expect(current()['count']).toBe(2)
  })

  it('shows the old version as current again where somebody wrote what they had read before', async () => {
    const first = await establish(store, ref)
    const read = current()
    const second = await establish(store, ref)
    place.fake.put(ref, JSON.stringify({ ...read, count: 1 }))
    expect((await store.read(ref))?.version).toBe(first.version)
    expect(await store.describe(ref)).toMatchObject({ current: first.version })
    const again = { to: second.version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote(ref, again)).toEqual({ kind: 'promoted' })
    expect(current()).toMatchObject({ count: 1, key: second.secret.reveal() })
  })

  it('is current under its own version for one who may only get values', async () => {
    const first = await establish(store, ref)
    const { version } = await stageNew(store, ref)
    change({ count: 1 })
    await store.promote(ref, { to: version, expectCurrent: first.version, fence: 1 })
    place.fake.deny('DescribeSecret')
    expect(await (await openAws(place, json)).read(ref)).toMatchObject({ version, meta: {} })
  })

  it('is retired with all that carries it', async () => {
    const first = await establish(store, ref)
    change({ count: 1 })
    const second = await establish(store, ref)
    change({ count: 2 })
    await store.retire(ref, { version: first.version, fence: 1 })
    await store.retire(ref, { version: first.version, fence: 1 })
    expect((await failure(store.retire(ref, { version: second.version, fence: 1 }))).code).toBe(
      'store_conflict',
    )
    const back = { to: first.version, expectCurrent: second.version, fence: 1 }
    expect(await store.promote(ref, back)).toEqual({ kind: 'gone' })
    place.fake.forgetDeprecated()
    expect(await store.read(ref, { version: first.version })).toBeUndefined()
    expect(await store.read(ref)).toMatchObject({ version: second.version })
  })

  it('is absent where the field has nothing in it yet, and comes to be beside the others', async () => {
    const version = place.fake.put(ref, JSON.stringify({ host: 'db', key: '' }))
    expect(await store.read(ref)).toBeUndefined()
    const described = await store.describe(ref)
    expect([described?.current, described?.versions.map((each) => each.version)]).toEqual([
      undefined,
      expect.not.arrayContaining([version]),
    ])
    change({ count: 1 })
    const { secret } = await establish(store, ref)
    expect(current()).toEqual({ host: 'db', count: 1, key: secret.reveal() })
  })

  it('is no place to begin where the document has other fields alone: nothing is put beside the key that others read', async () => {
    const theirs = { OPENAI_API_KEY: canary, host: 'db' }
    place.fake.put(ref, JSON.stringify(theirs))
    const versions = place.fake.secrets.get(ref)?.versions.size
    for (const call of [() => store.read(ref), () => store.describe(ref), () => stageNew(store, ref)]) {
      const error = await failure(call())
      expect([error.code, error.message]).toEqual([
        'store_malformed',
        'team/shared has fields (OPENAI_API_KEY, host) but no key.',
      ])
      expect(error.fix).toContain('add key with nothing in it ("") to begin.')
    }
    expect([current(), place.fake.secrets.get(ref)?.versions.size]).toEqual([theirs, versions])
    place.fake.deny('DescribeSecret')
    expect((await failure(store.read(ref))).code).toBe('store_malformed')
  })

  it('is absent without the field where Keyturn has been before: somebody took it away', async () => {
    await establish(store, ref)
    place.fake.put(ref, JSON.stringify({ host: 'db' }))
    expect(await store.read(ref)).toBeUndefined()
    expect((await store.describe(ref))?.current).toBeUndefined()
  })

  it('leaves numbers that no double can hold as they are', async () => {
    const [big, exact] = ['12345678901234567890', '1.10']
    place.fake.put(ref, `{"big":${big},"deep":{"exact":[${exact}]},"key":"x"}`)
    const { secret } = await establish(store, ref)
    const versions = [...(place.fake.secrets.get(ref)?.versions.values() ?? [])]
    expect(versions.find(({ labels }) => labels.has('AWSCURRENT'))?.text).toBe(
      `{"big":${big},"deep":{"exact":[${exact}]},"key":"${secret.reveal()}"}`,
    )
  })

  it('is not promoted over what is no document any more', async () => {
    const first = await establish(store, ref)
    const { version } = await stageNew(store, ref)
    place.fake.put(ref, 'by mistake')
    const outcome = await store.promote(ref, { to: version, expectCurrent: first.version, fence: 1 })
    expect(outcome.kind).toBe('conflict')
    expect((await failure(store.read(ref))).code).toBe('store_malformed')
  })

  it('gets its labels back where it was made before and has lost them since', async () => {
    const first = await establish(store, ref)
    const { version } = await stageNew(store, ref)
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    const theirs = [1, 2].map((count) => () => change({ count }))
    const made: string[] = []
    for (const act of theirs) {
      made.push(act())
      place.fake.deny('UpdateSecretVersionStage')
      expect((await failure(store.promote(ref, promote))).code).toBe('store_denied')
      place.fake.deny()
    }
    // They go back to what they wrote first, for which a version was made that the second one took the labels from.
    const versions = place.fake.secrets.get(ref)?.versions
    versions?.get(made[1] ?? '')?.labels.delete('AWSCURRENT')
    versions?.get(made[0] ?? '')?.labels.add('AWSCURRENT')
    expect(await store.promote(ref, promote)).toEqual({ kind: 'promoted' })
    expect(current()['count']).toBe(1)
    const holder = [...(versions?.values() ?? [])].find(({ labels }) => labels.has('AWSCURRENT'))
    expect([...(holder?.labels ?? [])].sort()).toEqual(['AWSCURRENT', `KEYTURN_${version}`])
  })

  it('gives up, to be tried again, where somebody writes before each and every move', async () => {
    const first = await establish(store, ref)
    const { version } = await stageNew(store, ref)
    let count = 0
    place.fake.beforeEach((action) => {
      if (action === 'UpdateSecretVersionStage') change({ count: (count += 1) })
    })
    const error = await failure(store.promote(ref, { to: version, expectCurrent: first.version, fence: 1 }))
    expect([error.code, error.retryable]).toEqual(['store_conflict', true])
    place.fake.beforeEach(undefined)
    expect(current()).toMatchObject({ count, key: first.secret.reveal() })
  })

  it.each(['broken', 'reset', 'internal'] as const)(
    'ends in the same place whichever one request of such a promotion meets %s',
    async (kind) => {
      const client = await openAws(place, { ...json, maxAttempts: 1 })
      let position = 0
      for (let isOver = false; !isOver; position += 1) {
        expect(position).toBeLessThan(40)
        const expectCurrent = (await store.describe(ref))?.current
        const version = (await stageNew(store, ref)).version
        change({ count: position })
        place.fake.fault({ kind, after: position })
        const before = place.fake.requests.length
        const promote = { to: version, expectCurrent, fence: 1 }
        const outcome = await client.promote(ref, promote).catch(() => client.promote(ref, promote))
        expect(['promoted', 'already']).toContain(outcome.kind)
        isOver = place.fake.requests.length - before <= position
        place.fake.clear()
        expect(await store.describe(ref)).toMatchObject({ current: version })
        expect((await store.read(ref, { version }))?.version).toBe(version)
        expect(current()['count']).toBe(position)
        for (const each of (await store.describe(ref))?.versions ?? [])
          if (each.version !== version && !each.isRetired)
            await store.retire(ref, { version: each.version, fence: 1 })
        place.fake.forgetDeprecated()
      }
      expect(position).toBeGreaterThan(6)
    },
  )
})

raceSuite(
  'aws-secrets-manager (a field of a document that somebody else writes to all the time)',
  async () => {
    const harness = await awsHarness(json)
    let requests = 0
    harness.fake.beforeEach(() => {
      requests += 1
      const versions = [...(harness.fake.secrets.get(harness.ref)?.versions.values() ?? [])]
      const text = versions.find(({ labels }) => labels.has('AWSCURRENT'))?.text
      if (requests % 41 === 0 && text !== undefined)
        harness.fake.put(harness.ref, JSON.stringify({ ...(JSON.parse(text) as Document), requests }))
    })
    return harness
  },
  { races: 200, seed: 7, stopsRetired: false },
)
