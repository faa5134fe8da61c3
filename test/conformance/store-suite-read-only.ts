import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import {
  canary,
  expectNoSecret,
  failure,
  newSecret,
  type StoreCase,
  type StoreHarness,
} from './store-suite-support.ts'

function place({ place: put }: StoreHarness, value: string): Promise<void> {
  if (put === undefined)
    throw new Error('the harness of a store that is only read must be able to place a value')
  return put(value)
}

export const readOnlyCases: readonly StoreCase[] = [
  {
    title: 'says undefined for what is not there',
    async run({ store, absentRef }) {
      expect(await store.read(absentRef)).toBeUndefined()
      expect(await store.describe(absentRef)).toBeUndefined()
    },
  },
  {
    title: 'gives what was placed there, as its one current version',
    async run(harness) {
      const { store, ref } = harness
      await place(harness, `${canary}-ünï-✓`)
      const read = await store.read(ref)
      expect(read?.secret.reveal()).toBe(`${canary}-ünï-✓`)
      expect(await store.describe(ref)).toEqual({
        current: read?.version,
        versions: [{ version: read?.version, isRetired: false, meta: {} }],
      })
    },
  },
  {
    title: 'leaves out a newline at the end',
    async run(harness) {
      await place(harness, `${canary}\r\n`)
      expect((await harness.store.read(harness.ref))?.secret.reveal()).toBe(canary)
    },
  },
  {
    title: 'gives equal values equal versions in every client, and another value another version',
    async run(harness) {
      const { store, ref } = harness
      await place(harness, `${canary}-1`)
      const first = (await store.read(ref))?.version
      expect((await (await harness.another()).read(ref))?.version).toBe(first)
      await place(harness, `${canary}-2`)
      const second = await store.read(ref)
      expect(second?.secret.reveal()).toBe(`${canary}-2`)
      expect(second?.version).not.toBe(first)
      expect(first).toMatch(/^[a-z]+-[0-9a-f]{12}$/)
    },
  },
  {
    title: 'reads a version by its id, and no other than the one that is there',
    async run(harness) {
      const { store, ref } = harness
      await place(harness, `${canary}-1`)
      const version = (await store.read(ref))?.version ?? ''
      expect((await store.read(ref, { version }))?.secret.reveal()).toBe(`${canary}-1`)
      expect(await store.read(ref, { version: randomUUID() })).toBeUndefined()
    },
  },
  {
    title: 'refuses every change as read-only, and changes nothing',
    async run(harness) {
      const { store, ref } = harness
      await place(harness, `${canary}-1`)
      const version = (await store.read(ref))?.version ?? ''
      const changes = [
        () => store.stage(ref, { version: randomUUID(), secret: newSecret(), meta: {}, fence: 1 }),
        () => store.promote(ref, { to: version, expectCurrent: version, fence: 1 }),
        () => store.retire(ref, { version, fence: 1 }),
        () => store.destroy(ref, version),
        () => store.annotate(ref, version, {}),
      ]
      for (const change of changes) {
        const error = await failure(change())
        expect(error.code).toBe('store_read_only')
        expect(error.message).toContain(ref)
        expect(error.fix).toBeTruthy()
      }
      expect((await store.read(ref))?.secret.reveal()).toBe(`${canary}-1`)
    },
  },
  {
    title: 'proves that it may read',
    async run(harness) {
      await place(harness, `${canary}-1`)
      expect((await harness.store.check(harness.ref)).map(({ state }) => state)).toEqual(['granted'])
    },
  },
  {
    title: 'refuses a placeholder and names where it stands',
    async run(harness) {
      await place(harness, 'your-api-key-here')
      const error = await failure(harness.store.read(harness.ref))
      expect(error.code).toBe('store_malformed')
      expect(error.message).toContain(harness.ref)
    },
  },
  {
    title: 'puts no secret into a description, a log line or an inspected version',
    async run(harness) {
      const { store, ref } = harness
      await place(harness, `  ${canary}  `)
      expectNoSecret(await store.read(ref))
      expectNoSecret(await store.describe(ref))
      expectNoSecret(await store.check(ref))
      expectNoSecret(store)
      expect(harness.logged()).not.toContain(canary)
    },
  },
]
