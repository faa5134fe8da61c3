import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { type AzurePlace, startAzure } from './fakes/azure-place.ts'
import type { HttpFaultKind } from './fakes/http-faults.ts'
import { impatience } from './fakes/impatience.ts'
import { rotateUntilDone } from './fakes/rotate.ts'

let place: AzurePlace
let store: SecretStore

beforeEach(async () => {
  place = await startAzure()
  store = await place.open()
})
afterEach(() => place.end())

/** No patience with what gets no answer and, unless more are wanted, one attempt, so that each fault comes through to the driver. */
function openImpatient(maxAttempts = 1): Promise<SecretStore> {
  return place.open({ maxAttempts }, { ...place.context, system: impatience(place.fake) })
}

const onPromotion = (line: string): boolean => line === 'PUT /secrets/openai'

describe('answers of Key Vault that get lost', () => {
  it.each(['lost', 'broken'] as const)('do not stage a key twice for others to see (%s)', async (kind) => {
    const impatient = await openImpatient(3)
    await impatient.read('openai')
    place.fake.fault(kind, { on: (line) => line.startsWith('PUT') })
    const { version, secret } = await stageNew(impatient, 'openai')
    expect((await store.read('openai', { version }))?.secret.equals(secret)).toBe(true)
    expect(place.fake.secrets.get('openai-keyturn')?.versions).toHaveLength(1)
  })

  it('that were staged twice count once, also when they end', async () => {
    const { version, secret } = await stageNew(store, 'openai')
    const there = place.fake.top('openai-keyturn')
    place.fake.put('openai-keyturn', secret.reveal(), { tags: { ...there?.tags } })
    expect((await store.describe('openai'))?.versions).toHaveLength(1)
    await store.retire('openai', { version, fence: 1 })
    const promote = { to: version, expectCurrent: undefined, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'gone' })
    await store.destroy('openai', version)
    expect(place.fake.secrets.get('openai-keyturn')?.versions.every(({ enabled }) => !enabled)).toBe(true)
  })

  it.each(['lost', 'broken'] as const)('do not promote twice (%s)', async (kind) => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const impatient = await openImpatient(3)
    await impatient.read('openai')
    place.fake.fault(kind, { on: onPromotion })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await impatient.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(place.fake.secrets.get('openai')?.versions).toHaveLength(2)
  })

  it('leave a promotion to be asked for again, which goes on where it stopped', async () => {
    const first = await establish(store, 'openai')
    const impatient = await openImpatient()
    await impatient.read('openai')
    for (const on of [onPromotion, (line: string) => line.startsWith('PATCH /secrets/openai/')]) {
      const expectCurrent = (await store.read('openai'))?.version ?? first.version
      const { version } = await stageNew(store, 'openai')
      place.fake.fault('lost', { on })
      const promote = { to: version, expectCurrent, fence: 1 }
      const error = await failure(impatient.promote('openai', promote))
      expect([error.code, error.retryable]).toEqual(['store_unreachable', true])
      expect(await impatient.promote('openai', promote)).toEqual({ kind: 'promoted' })
      expect((await store.read('openai'))?.version).toBe(version)
    }
  })

  it('leave a retirement to be asked for again', async () => {
    const old = await establish(store, 'openai')
    await establish(store, 'openai')
    const impatient = await openImpatient()
    await impatient.read('openai')
    place.fake.fault('lost', { on: (line) => line.startsWith('PATCH') })
    const retire = { version: old.version, fence: 1 }
    expect((await failure(impatient.retire('openai', retire))).retryable).toBe(true)
    await impatient.retire('openai', retire)
    const described = await store.describe('openai')
    expect(described?.versions.find(({ version }) => version === old.version)?.isRetired).toBe(true)
  })

  // Each kind begins at another request and takes every fourth, so that together they meet all of them.
  const everywhere: readonly (readonly [kind: HttpFaultKind, first: number])[] = [
    ['broken', 0],
    ['reset', 1],
    ['broken', 2],
    [500, 3],
  ]
  it.each(everywhere)('end in the same place whichever request meets %s (from %i)', async (kind, first) => {
    const once = await place.open({ maxAttempts: 1 })
    await once.read('nothing')
    for (let position = first, isOver = false; !isOver; position += 4) {
      expect(position).toBeLessThan(150)
      const ref = `openai-${position}`
      place.fake.faultAfter(position, kind)
      const before = place.fake.requests.length
      const { old, current } = await rotateUntilDone(once, ref)
      isOver = place.fake.requests.length - before <= position
      place.fake.clear()
      expect((await store.read(ref))?.secret.equals(current.secret)).toBe(true)
      const described = await store.describe(ref)
      expect([described?.current, described?.pending]).toEqual([current.version, undefined])
      const promote = { to: old.version, expectCurrent: current.version, fence: 1 }
      expect(await store.promote(ref, promote)).toEqual({ kind: 'gone' })
    }
  })
})
