import { describe, expect, it } from 'vitest'
import type { Secret } from '../../src/core/secret.ts'
import type { VersionId, VersionMeta } from '../../src/core/types.ts'
import type { MemoryContent } from '../../src/stores/memory.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { Mirror } from './mirror.ts'
import { operator, World } from './world.ts'

/** Whoever can write to a store or a mirror, and to nothing else: what they can bring about, and what not. */

const policy = { overlapMs: hourMs, activationGraceMs: 0, quietMs: 0 }

/** Writes past all rules, as who has the rights can; the metadata is whatever he likes. */
function overwrite(
  content: MemoryContent,
  ref: string,
  planted: {
    readonly version: VersionId
    readonly secret?: Secret
    readonly meta: Readonly<Record<string, unknown>>
  },
): void {
  const record = content.get(ref)
  const current = record?.shelf.current
  const secret = planted.secret ?? (current === undefined ? undefined : record?.values.get(current))
  if (record === undefined || secret === undefined) throw new Error('something is there')
  const { version } = planted
  const entry = { version, stagedAt: 1, isRetired: false, meta: planted.meta as VersionMeta }
  content.set(ref, {
    shelf: { ...record.shelf, current: version, versions: [entry, ...record.shelf.versions] },
    values: new Map([...record.values, [version, secret]]),
  })
}

describe('the key that is handed out, under another id', () => {
  it('stays what it was: it is not revoked as the old one', async () => {
    const world = new World({ policy })
    await world.ready()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    const good = world.issuer.keys.at(-1)
    const before = world.handedOut()
    overwrite(world.content, 'openai', { version: 'drawn-from-the-value', meta: {} })
    await world.time.until(() => world.handedOut() === 'drawn-from-the-value', 5 * minuteMs)
    await world.time.advance(5 * hourMs)
    expect(good?.isDeleted).toBe(false)
    const [current, ...others] = await world.service.versions('openai')
    expect(current).toMatchObject({ stage: 'current', origin: 'minted', keyId: good?.keyId })
    expect(others.map(({ version }) => version)).not.toContain(before)
    expect(world.faults()).toEqual([])
    // And it turns like any other.
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    await world.time.until(() => good?.isDeleted === true, 3 * hourMs)
  })

  it('makes nobody mint, however often and with whatever expiry', async () => {
    const world = new World({ policy })
    await world.ready()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    const mints = world.issuer.count('mint')
    for (let round = 0; round < 10; round++) {
      overwrite(world.content, 'openai', { version: `renamed-${round}`, meta: { expiresAt: 1 } })
      await world.time.advance(5 * minuteMs)
    }
    expect(world.issuer.count('mint')).toBe(mints)
    expect(world.isHandedOut()).toBe(true)
  })
})

it('a key of ours that somebody put there says nothing about when it has to be turned', async () => {
  const world = new World({ policy })
  await world.ready()
  for (let round = 0; round < 5; round++) {
    const { secret } = world.issuer.plant()
    overwrite(world.content, 'openai', { version: `theirs-${round}`, secret, meta: { expiresAt: 1 } })
    await world.time.advance(5 * minuteMs)
  }
  expect(world.handedOut()).toBe('theirs-4')
  expect(world.issuer.count('mint')).toBe(0)
})

const monsters: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['texts of megabytes', { keyId: 'k'.repeat(3_000_000), project: 'p'.repeat(300_000) }],
  ['control characters', { keyId: 'key\u001b[2J\u202e', organization: 'a\nb' }],
  ['instants that are no dates', { expiresAt: 1e300, createdAt: -1e300 }],
  ['things that are no text', { keyId: { toString: 1 }, marker: [1], serviceAccount: null, expiresAt: '1' }],
  ['fields of its own', { apiKey: 'x', __proto__: { a: 1 } }],
]
for (const [what, meta] of monsters) {
  for (const place of ['store', 'mirror'] as const)
    it(`${what} as metadata in the ${place} are left out, and nothing else suffers`, async () => {
      const world = new World({ policy: { ...policy, mirrors: ['aws/openai'] } })
      const mirror = new Mirror(world, 'aws/openai')
      await world.ready({ setup: { mirrors: [mirror.setup] } })
      await world.time.advance(minuteMs)
      const { secret } = world.issuer.plant()
      if (place === 'store') overwrite(world.content, 'openai', { version: 'monster', secret, meta })
      else overwrite(mirror.content, 'copy', { version: 'monster', secret, meta })
      await world.time.advance(10 * minuteMs)
      const handed = world.content.get('openai')?.values.get(world.handedOut() ?? '')
      expect(handed?.equals(secret)).toBe(true)
      const [current] = await world.service.versions('openai')
      expect(current).toMatchObject({ keyId: null, organization: null, expiresAt: null })
      expect(JSON.stringify(await world.state()).length).toBeLessThan(20_000)
      expect(world.faults()).toEqual([])
    })
}

it('a fence from the far future halts a rotation before anything is minted, and says what it is', async () => {
  const world = new World({ policy })
  await world.ready()
  const record = world.content.get('openai')
  if (record === undefined) throw new Error('it is there')
  world.content.set('openai', { ...record, shelf: { ...record.shelf, fence: Number.MAX_SAFE_INTEGER } })
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  const { rotation } = await world.state()
  expect(rotation?.halt?.summary).toMatch(/fence .* far above/)
  expect(rotation?.halt?.fix).toMatch(/Somebody changed it/)
  expect(world.issuer.count('mint')).toBe(0)
  expect(world.isHandedOut()).toBe(true)
})
