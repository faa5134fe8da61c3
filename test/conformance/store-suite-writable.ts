import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import {
  canary,
  establish,
  expectNoSecret,
  failure,
  newSecret,
  type StoreCase,
  someMeta,
  stageNew,
} from './store-suite-support.ts'

const raceRounds = 25
const bytesMax = 65_536

const readingCases: readonly StoreCase[] = [
  {
    title: 'says undefined for what is not there',
    async run({ store, ref, absentRef }) {
      expect(await store.read(absentRef)).toBeUndefined()
      expect(await store.describe(absentRef)).toBeUndefined()
      expect(await store.read(ref)).toBeUndefined()
      expect((await store.describe(ref))?.current).toBeUndefined()
      expect(await store.read(absentRef, { version: randomUUID() })).toBeUndefined()
      await establish(store, ref)
      expect(await store.read(ref, { version: randomUUID() })).toBeUndefined()
    },
  },
  {
    title: 'reads each version back by its id, whatever its stage',
    async run({ store, ref }) {
      const first = await establish(store, ref)
      const second = await establish(store, ref)
      const third = await stageNew(store, ref)
      for (const { version, secret } of [first, second, third])
        expect((await store.read(ref, { version }))?.secret.equals(secret)).toBe(true)
      await store.retire(ref, { version: first.version, fence: 1 })
      expect((await store.read(ref, { version: first.version }))?.secret.equals(first.secret)).toBe(true)
    },
  },
  {
    title: 'keeps metadata with the version and gives it back in full',
    async run({ store, ref, another }) {
      const version = randomUUID()
      await store.stage(ref, { version, secret: newSecret(), meta: someMeta, fence: 1 })
      const described = await (await another()).describe(ref)
      expect(described?.versions).toEqual([{ version, isRetired: false, meta: someMeta }])
      expect((await store.read(ref, { version }))?.meta).toEqual(someMeta)
    },
  },
  {
    title: 'replaces metadata on annotate, as often as it is asked, and refuses a version that is not there',
    async run({ store, ref }) {
      const { version } = await establish(store, ref)
      await store.annotate(ref, version, someMeta)
      const meta = { keyId: 'key_other', expiresAt: 1_900_000_000_000 }
      for (let round = 0; round < 2; round += 1) await store.annotate(ref, version, meta)
      expect((await store.read(ref))?.meta).toEqual(meta)
      expect((await store.describe(ref))?.current).toBe(version)
      expect((await failure(store.annotate(ref, randomUUID(), {}))).code).toBe('store_absent')
    },
  },
  {
    title: 'lists versions newest first',
    async run({ store, ref }) {
      const staged = [await establish(store, ref), await establish(store, ref), await stageNew(store, ref)]
      const listed = (await store.describe(ref))?.versions.map(({ version }) => version)
      expect(listed).toEqual(staged.map(({ version }) => version).toReversed())
    },
  },
  {
    title: 'proves what it may do without changing anything',
    async run({ store, ref }) {
      await establish(store, ref)
      const before = await store.describe(ref)
      const findings = await store.check(ref)
      expect(findings.length).toBeGreaterThan(0)
      expect(findings.filter(({ state }) => state === 'missing')).toEqual([])
      expect(await store.describe(ref)).toEqual(before)
    },
  },
]

const stagingCases: readonly StoreCase[] = [
  {
    title: 'never gives a pending version to a default read, not even the first one',
    async run({ store, ref, another }) {
      const pending = await stageNew(store, ref)
      expect(await (await another()).read(ref)).toBeUndefined()
      expect(await store.describe(ref)).toMatchObject({ pending: pending.version })
      expect((await store.describe(ref))?.current).toBeUndefined()
      const current = await establish(store, ref)
      await stageNew(store, ref)
      expect((await (await another()).read(ref))?.version).toBe(current.version)
    },
  },
  {
    title: 'takes the same version with the same secret again, before and after it was promoted',
    async run({ store, ref }) {
      const { version, secret } = await stageNew(store, ref)
      await store.stage(ref, { version, secret, meta: {}, fence: 1 })
      await store.promote(ref, { to: version, expectCurrent: undefined, fence: 1 })
      await store.stage(ref, { version, secret, meta: {}, fence: 1 })
      const described = await store.describe(ref)
      expect(described).toMatchObject({ current: version })
      expect(described?.pending).toBeUndefined()
      expect(described?.versions).toHaveLength(1)
    },
  },
  {
    title: 'refuses the same version with another secret and keeps the first',
    async run({ store, ref }) {
      const { version, secret } = await stageNew(store, ref)
      const error = await failure(store.stage(ref, { version, secret: newSecret(), meta: {}, fence: 1 }))
      expect(error.code).toBe('store_conflict')
      expect((await store.read(ref, { version }))?.secret.equals(secret)).toBe(true)
    },
  },
  {
    title: 'keeps an older pending version when a newer one takes its place',
    async run({ store, ref }) {
      const older = await stageNew(store, ref)
      const newer = await stageNew(store, ref)
      expect(await store.describe(ref)).toMatchObject({ pending: newer.version })
      expect((await store.read(ref, { version: older.version }))?.secret.equals(older.secret)).toBe(true)
    },
  },
  {
    title: 'keeps a version in reserve through whole rotations of others, and promotes it then',
    async run({ store, ref, another }) {
      let old = await establish(store, ref)
      const reserve = await stageNew(store, ref)
      for (let round = 0; round < 2; round += 1) {
        const next = await establish(store, ref)
        await store.retire(ref, { version: old.version, fence: 1 })
        await store.destroy(ref, old.version)
        old = next
      }
      const reader = await another()
      expect((await reader.read(ref))?.version).toBe(old.version)
      const request = { to: reserve.version, expectCurrent: old.version, fence: 1 }
      expect(await store.promote(ref, request)).toEqual({ kind: 'promoted' })
      expect((await store.read(ref))?.secret.equals(reserve.secret)).toBe(true)
      expect((await store.read(ref, { version: old.version }))?.secret.equals(old.secret)).toBe(true)
    },
  },
  {
    title: 'keeps unicode and 64 KiB whole, and a newline at the end does no harm',
    async run({ store, ref }) {
      const exact = [`${canary}-ünï-✓-𝄞`, canary.padEnd(bytesMax, 'x'), `"${canary}"\\`]
      for (const text of exact) {
        const version = randomUUID()
        await store.stage(ref, { version, secret: new Secret(text), meta: {}, fence: 1 })
        expect((await store.read(ref, { version }))?.secret.reveal()).toBe(text)
      }
      const version = randomUUID()
      const request = { version, secret: new Secret(`${canary}\n`), meta: {}, fence: 1 }
      await store.stage(ref, request)
      await store.stage(ref, request)
      expect((await store.read(ref, { version }))?.secret.reveal().trimEnd()).toBe(canary)
    },
  },
  {
    title: 'refuses a secret over 64 KiB, a blank one, and a version id that is none',
    async run({ store, ref }) {
      const stage = (text: string, version: string = randomUUID()): Promise<void> =>
        store.stage(ref, { version, secret: new Secret(text), meta: {}, fence: 1 })
      expect((await failure(stage(canary.padEnd(bytesMax + 1, 'x')))).code).toBe('store_too_large')
      expect((await failure(stage(canary.padEnd(bytesMax - 1, 'x') + '✓'))).code).toBe('store_too_large')
      expect((await failure(stage(' \n'))).code).toBe('bad_request')
      expect((await failure(stage(canary, `../${randomUUID()}`))).code).toBe('bad_request')
      expect((await store.describe(ref))?.versions ?? []).toEqual([])
    },
  },
]

const promotionCases: readonly StoreCase[] = [
  {
    title: 'promotes from nothing, then from the current one, which becomes previous',
    async run({ store, ref, another }) {
      const first = await establish(store, ref)
      expect(await store.describe(ref)).toMatchObject({ current: first.version })
      expect((await store.describe(ref))?.previous).toBeUndefined()
      const second = await establish(store, ref)
      const described = await (await another()).describe(ref)
      expect(described).toMatchObject({ current: second.version, previous: first.version })
      expect(described?.pending).toBeUndefined()
      expect((await store.read(ref))?.secret.equals(second.secret)).toBe(true)
    },
  },
  {
    title: 'answers already where the version is current, whatever was expected',
    async run({ store, ref }) {
      const { version } = await establish(store, ref)
      for (const expectCurrent of [undefined, version, randomUUID()])
        expect(await store.promote(ref, { to: version, expectCurrent, fence: 1 })).toEqual({
          kind: 'already',
        })
    },
  },
  {
    title: 'loses with the current version where something else is current, and changes nothing',
    async run({ store, ref }) {
      const current = await establish(store, ref)
      const pending = await stageNew(store, ref)
      for (const expectCurrent of [undefined, randomUUID()])
        expect(await store.promote(ref, { to: pending.version, expectCurrent, fence: 1 })).toEqual({
          kind: 'conflict',
          current: current.version,
        })
      expect(await store.describe(ref)).toMatchObject({ current: current.version, pending: pending.version })
    },
  },
  {
    title: 'answers gone for a version, or a secret, that is not there',
    async run({ store, ref, absentRef }) {
      const gone = { to: randomUUID(), expectCurrent: undefined, fence: 1 }
      expect(await store.promote(absentRef, gone)).toEqual({ kind: 'gone' })
      const { version } = await establish(store, ref)
      expect(await store.promote(ref, { ...gone, expectCurrent: version })).toEqual({ kind: 'gone' })
    },
  },
  {
    title: 'rolls back to the previous version and to deeper ones',
    async run({ store, ref }) {
      const [first, second, third, fourth] = [
        await establish(store, ref),
        await establish(store, ref),
        await establish(store, ref),
        await establish(store, ref),
      ]
      const back = { to: third.version, expectCurrent: fourth.version, fence: 2 }
      expect(await store.promote(ref, back)).toEqual({ kind: 'promoted' })
      expect(await store.describe(ref)).toMatchObject({ current: third.version, previous: fourth.version })
      for (const { version, secret } of [first, second]) {
        const expectCurrent = (await store.describe(ref))?.current
        expect(await store.promote(ref, { to: version, expectCurrent, fence: 2 })).toEqual({
          kind: 'promoted',
        })
        expect((await store.read(ref))?.secret.equals(secret)).toBe(true)
      }
    },
  },
  {
    title: 'lets exactly one of two racing clients win, round after round, and loses no version',
    async run({ store, ref, another }) {
      const clients = [store, await another()]
      let expectCurrent = (await establish(store, ref)).version
      for (let round = 0; round < raceRounds; round += 1) {
        const staged = await Promise.all(clients.map((client) => stageNew(client, ref)))
        const outcomes = await Promise.all(
          staged.map(({ version }, index) =>
            (clients[index] ?? store).promote(ref, { to: version, expectCurrent, fence: 1 }),
          ),
        )
        const winners = staged.filter((_, index) => outcomes[index]?.kind === 'promoted')
        expect(winners).toHaveLength(1)
        const current = winners[0]?.version ?? ''
        expect(outcomes).toContainEqual({ kind: 'conflict', current })
        expect((await store.describe(ref))?.current).toBe(current)
        for (const { version, secret } of staged) {
          expect((await store.read(ref, { version }))?.secret.equals(secret)).toBe(true)
          if (version === current) continue
          await store.retire(ref, { version, fence: 1 })
          await store.destroy(ref, version)
        }
        await store.retire(ref, { version: expectCurrent, fence: 1 })
        await store.destroy(ref, expectCurrent)
        expectCurrent = current
      }
    },
  },
]

const endingCases: readonly StoreCase[] = [
  {
    title: 'retires for good: no promotion, no staging, and again is a success',
    async run({ store, ref }) {
      const old = await establish(store, ref)
      const current = await establish(store, ref)
      for (let round = 0; round < 2; round += 1) await store.retire(ref, { version: old.version, fence: 1 })
      const described = await store.describe(ref)
      expect(described?.previous).toBeUndefined()
      expect(described?.versions.find(({ version }) => version === old.version)?.isRetired ?? true).toBe(true)
      const promote = { to: old.version, expectCurrent: current.version, fence: 1 }
      expect(await store.promote(ref, promote)).toEqual({ kind: 'gone' })
      const restage = store.stage(ref, { version: old.version, secret: old.secret, meta: {}, fence: 1 })
      expect((await failure(restage)).code).toBe('store_conflict')
      expect((await store.read(ref))?.version).toBe(current.version)
    },
  },
  {
    title: 'retires a pending version too',
    async run({ store, ref }) {
      const pending = await stageNew(store, ref)
      await store.retire(ref, { version: pending.version, fence: 1 })
      expect((await store.describe(ref))?.pending).toBeUndefined()
      const promote = { to: pending.version, expectCurrent: undefined, fence: 1 }
      expect(await store.promote(ref, promote)).toEqual({ kind: 'gone' })
    },
  },
  {
    title: 'refuses to retire or destroy the current version, and to destroy the one a rollback goes to',
    async run({ store, ref }) {
      const previous = await establish(store, ref)
      const current = await establish(store, ref)
      const refusals = [
        () => store.retire(ref, { version: current.version, fence: 1 }),
        () => store.destroy(ref, current.version),
        () => store.destroy(ref, previous.version),
      ]
      for (const refusal of refusals) expect((await failure(refusal())).code).toBe('store_conflict')
      expect((await store.read(ref))?.secret.equals(current.secret)).toBe(true)
      expect(await store.describe(ref)).toMatchObject({
        current: current.version,
        previous: previous.version,
      })
    },
  },
  {
    title: 'takes retiring and destroying what is not there for done',
    async run({ store, ref, absentRef }) {
      await establish(store, ref)
      for (const name of [ref, absentRef]) {
        await store.retire(name, { version: randomUUID(), fence: 1 })
        await store.destroy(name, randomUUID())
      }
      expect((await store.describe(ref))?.versions).toHaveLength(1)
    },
  },
  {
    title: 'destroys pending and retired versions as far as it says it can, and again is a success',
    async run({ store, ref }) {
      const old = await establish(store, ref)
      await establish(store, ref)
      const pending = await stageNew(store, ref)
      await store.retire(ref, { version: old.version, fence: 1 })
      const promised = {
        version: 'destroyed',
        unlabel: 'unlabelled',
        disable: 'disabled',
        none: 'unsupported',
      }
      for (const { version } of [old, pending, old, pending]) {
        expect(await store.destroy(ref, version)).toBe(promised[store.capabilities.destroy])
        if (store.capabilities.destroy === 'version')
          expect(await store.read(ref, { version })).toBeUndefined()
        const expectCurrent = (await store.describe(ref))?.current
        expect(await store.promote(ref, { to: version, expectCurrent, fence: 1 })).toEqual({ kind: 'gone' })
      }
      expect((await store.describe(ref))?.pending).toBeUndefined()
    },
  },
]

const guardCases: readonly StoreCase[] = [
  {
    title: 'tells the highest fence under which it was changed',
    async run({ store, ref, another }) {
      const first = await establish(store, ref, 5)
      await stageNew(store, ref, 7)
      expect((await (await another()).describe(ref))?.fence).toBe(7)
      const second = await establish(store, ref, 9)
      await store.retire(ref, { version: first.version, fence: 12 })
      expect(await (await another()).describe(ref)).toMatchObject({ current: second.version, fence: 12 })
    },
  },
  {
    title: 'refuses a change under a lower fence than it has seen, and changes nothing',
    async run({ store, ref, another }) {
      const first = await establish(store, ref, 5)
      const second = await stageNew(store, ref, 7)
      const late = await another()
      const before = await store.describe(ref)
      const changes = [
        () => late.stage(ref, { version: randomUUID(), secret: newSecret(), meta: {}, fence: 6 }),
        () => late.promote(ref, { to: second.version, expectCurrent: first.version, fence: 6 }),
        () => late.retire(ref, { version: second.version, fence: 6 }),
      ]
      for (const change of changes) {
        const error = await failure(change())
        expect(error.code).toBe('store_conflict')
        expect(error.message).toContain('fence 6')
      }
      expect(await store.describe(ref)).toEqual(before)
      const promote = { to: second.version, expectCurrent: first.version, fence: 7 }
      expect(await late.promote(ref, promote)).toEqual({ kind: 'promoted' })
    },
  },
  {
    title: 'puts no secret into errors, logs, descriptions or itself',
    async run({ store, ref, logged }) {
      const current = await establish(store, ref)
      const pending = await stageNew(store, ref)
      await failure(store.stage(ref, { ...pending, secret: newSecret(), meta: {}, fence: 1 }))
      await failure(
        store.stage(ref, {
          version: randomUUID(),
          secret: new Secret(canary.repeat(9_000)),
          meta: {},
          fence: 1,
        }),
      )
      await failure(store.destroy(ref, current.version))
      expectNoSecret(await store.read(ref))
      expectNoSecret(await store.describe(ref))
      expectNoSecret(await store.check(ref))
      expectNoSecret(store)
      expect(logged()).not.toContain(canary)
    },
  },
]

export const writableCases: readonly StoreCase[] = [
  ...readingCases,
  ...stagingCases,
  ...promotionCases,
  ...endingCases,
  ...guardCases,
]
