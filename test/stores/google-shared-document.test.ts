import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { turns } from '../conformance/share.ts'
import { canary, establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { type GooglePlace, startGoogle } from './fakes/google-place.ts'

const ref = 'shared'
const json = { format: 'json', field: 'key' } as const

let place: GooglePlace
let store: SecretStore

type Document = Readonly<Record<string, unknown>>

const newest = (): Document => JSON.parse(place.fake.newest(ref) ?? '{}') as Document

/** Other people's reading of the newest version, change and AddSecretVersion, in one moment. */
function change(fields: Document): void {
  place.fake.put(ref, JSON.stringify({ ...newest(), ...fields }))
}

/** Does something at the first request that `line` names. */
function at(line: string, act: () => void): void {
  let isFirst = true
  place.fake.onRequest = (each) => {
    if (each !== line || !isFirst) return
    isFirst = false
    act()
  }
}

beforeEach(async () => {
  place = await startGoogle(json)
  place.fake.put(ref, JSON.stringify({ kept: { deep: ['ünï', 1, null] }, count: 0 }))
  store = await place.open()
})
afterEach(() => place.end())

describe('a field of a document that others add versions of', () => {
  it(`rotates ${turns} times while another writer changes another field, and neither loses a write`, async () => {
    let requests = 0
    let count = 0
    // Between any two of the driver's requests sooner or later. The writer reads and adds in one moment: it has nothing
    // to compare and swap with, so that two of its kind would lose each other's writes without any Keyturn.
    place.fake.onRequest = () => {
      requests += 1
      if (requests % 13 === 0) change({ count: (count += 1) })
    }
    let former: string | undefined
    let last = ''
    for (let round = 0; round < turns; round += 1) {
      const { version, secret } = await establish(store, ref)
      expect((await store.read(ref))?.secret.equals(secret)).toBe(true)
      last = secret.reveal()
      if (former !== undefined) {
        await store.retire(ref, { version: former, fence: 1 })
        await store.destroy(ref, former)
      }
      former = version
    }
    expect(newest()).toEqual({ kept: { deep: ['ünï', 1, null] }, count, key: last })
    expect(count).toBeGreaterThan(turns)
  })

  it.each(['GetSecret shared', 'UpdateSecret shared', 'AddSecretVersion shared'])(
    'takes over what somebody else changes just before a %s of the promotion',
    async (line) => {
      const first = await establish(store, ref)
      const { version, secret } = await stageNew(store, ref)
      at(line, () => change({ count: 1 }))
      const promote = { to: version, expectCurrent: first.version, fence: 1 }
      expect(await store.promote(ref, promote)).toEqual({ kind: 'promoted' })
      expect(newest()).toMatchObject({ count: 1, key: secret.reveal() })
      expect(await store.describe(ref)).toMatchObject({ current: version, previous: first.version })
    },
  )

  it('is put back where somebody wrote what they had read before the promotion', async () => {
    const first = await establish(store, ref)
    const { version, secret } = await stageNew(store, ref)
    const read = newest()
    const length = place.fake.secret(ref)?.versions.length ?? 0
    let isOver = false
    place.fake.onRequest = () => {
      // Our version is there, and our look behind it is not over.
      if (isOver || place.fake.secret(ref)?.versions.length !== length + 1) return
      isOver = true
      place.fake.put(ref, JSON.stringify({ ...read, count: 7 }))
    }
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote(ref, promote)).toEqual({ kind: 'promoted' })
    expect(newest()).toMatchObject({ count: 7, key: secret.reveal() })
  })

  it('loses to somebody who changes the key itself', async () => {
    const first = await establish(store, ref)
    const { version } = await stageNew(store, ref)
    at('AddSecretVersion shared', () => change({ count: 1, key: `${canary}-by-hand` }))
    const outcome = await store.promote(ref, { to: version, expectCurrent: first.version, fence: 1 })
    expect(outcome).toEqual({ kind: 'conflict', current: (await store.read(ref))?.version })
    expect(newest()).toMatchObject({ count: 1, key: `${canary}-by-hand` })
  })

  it('takes over what somebody writes before each of many versions, and says so where there is no end to it', async () => {
    const first = await establish(store, ref)
    const second = await stageNew(store, ref)
    let count = 0
    let until = 8
    place.fake.onRequest = (line) => {
      if (line === 'AddSecretVersion shared' && count < until) change({ count: (count += 1) })
    }
    const promote = { to: second.version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote(ref, promote)).toEqual({ kind: 'promoted' })
    expect(newest()).toMatchObject({ count: 8, key: second.secret.reveal() })
    const { version } = await stageNew(store, ref)
    until = 999
    const endless = { to: version, expectCurrent: second.version, fence: 1 }
    const error = await failure((await place.open({ maxAttempts: 1 })).promote(ref, endless))
    expect([error.code, error.retryable]).toEqual(['store_conflict', true])
    expect(error.fix).toMatch(/what version \d+ changed/)
  })

  it('leaves versions alone that others have fields in', async () => {
    const first = await establish(store, ref)
    await establish(store, ref)
    const before = place.fake.texts(ref).length
    await store.retire(ref, { version: first.version, fence: 1 })
    await store.destroy(ref, first.version)
    expect(place.fake.texts(ref)).toHaveLength(before)
    expect(place.fake.texts('shared-keyturn')).toHaveLength(1)
  })
})
