import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import type { FakeKey } from './scripted-issuer.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const policy = { overlapMs: hourMs, activationGraceMs: 0, quietMs: 0 }

/** Two keys of ours live, the second one current; then the ledger is lost and another process starts. */
async function lost(world: World, before: () => void = () => undefined): Promise<readonly FakeKey[]> {
  await world.ready()
  for (const _turn of [1, 2]) {
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
  }
  const made = world.issuer.keys.slice(-2)
  await world.stop()
  before()
  const ledger: Ledger = openSqliteLedger({ path: ':memory:' })
  await world.ready({ deps: { ledger } })
  return made
}

describe('a ledger that was lost', () => {
  it('is rebuilt from the store: the old key drains anew for a whole overlap, and then it dies', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    const [old, current] = await lost(world)
    const versions = await world.service.versions('openai')
    expect(versions.map(({ stage, origin, keyId }) => ({ stage, origin, keyId }))).toEqual([
      { stage: 'current', origin: 'minted', keyId: current?.keyId },
      { stage: 'previous', origin: 'minted', keyId: old?.keyId },
      // The one that was there before Keyturn, made by a person.
      { stage: 'previous', origin: 'found', keyId: null },
    ])
    await world.time.advance(hourMs - minuteMs)
    expect(old?.isDeleted).toBe(false)
    await world.time.until(() => old?.isDeleted === true, hourMs)
    await world.time.advance(2 * hourMs)
    expect(world.issuer.keys.map(({ isDeleted }) => isDeleted)).toEqual([false, true, false])
    expect(world.faults()).toEqual([])
  })

  it('turns the key that was current as its own again', async () => {
    const world = new World({ policy })
    const [, current] = await lost(world)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.time.until(() => current?.isDeleted === true, 3 * hourMs)
  })

  it('takes no word of the store for whose a key is: what it names is never revoked by itself', async () => {
    const world = new World({ policy })
    const victim = world.issuer.plant({ name: `keyturn-inst1-${'a'.repeat(20)}` })
    const [old] = await lost(world, () => {
      const record = world.content.get('openai')
      if (record === undefined) throw new Error('it is there')
      // Somebody who may write there puts other names beside the values.
      const versions = record.shelf.versions.map((entry) => ({
        ...entry,
        meta: { ...entry.meta, keyId: victim.keyId, marker: victim.name },
      }))
      world.content.set('openai', { ...record, shelf: { ...record.shelf, versions } })
    })
    await world.time.advance(5 * hourMs)
    expect(victim.isDeleted).toBe(false)
    expect(old?.isDeleted).toBe(false)
    const origins = (await world.service.versions('openai')).map(({ origin }) => origin)
    expect(origins).toEqual(['found', 'found', 'found'])
  })

  it('takes no word of the store for when a key expires, or whose account it is on', async () => {
    const world = new World({ policy })
    const [, current] = await lost(world, () => {
      const record = world.content.get('openai')
      if (record === undefined) throw new Error('it is there')
      // Somebody who may write there would have the key turned at will.
      const versions = record.shelf.versions.map((entry) => ({
        ...entry,
        meta: { ...entry.meta, expiresAt: world.time.now() + minuteMs, serviceAccount: 'another' },
      }))
      world.content.set('openai', { ...record, shelf: { ...record.shelf, versions } })
    })
    await world.time.advance(hourMs)
    const { versions } = await world.state()
    expect(versions.find(({ stage }) => stage === 'current')?.meta).toMatchObject({
      keyId: current?.keyId,
      serviceAccount: current?.serviceAccount,
      expiresAt: current?.expiresAt,
    })
    expect(world.issuer.keys.at(-1)).toBe(current)
  })

  it('hands out all the same where OpenAI lists nothing, and leaves the rest to a person', async () => {
    const world = new World({ policy })
    const [old] = await lost(world, () => world.issuer.breakCall('list'))
    expect(world.isHandedOut()).toBe(true)
    const retirements = (await world.service.summary('openai')).retirements
    expect(retirements.map(({ phase }) => phase)).toEqual(['kept', 'kept'])
    expect(old?.isDeleted).toBe(false)
  })

  it('asks nobody whose a key is that bears no marker', async () => {
    const world = new World({ policy })
    await world.ready()
    expect(world.issuer.count('list')).toBe(0)
    expect(world.content.get('openai')?.values.values().next().value).toBeInstanceOf(Secret)
  })
})

describe('fences below those that a store has seen', () => {
  it('are raised above them where the ledger was lost after the clock was set back', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    await lost(world, () => world.time.jump(-2 * hourMs))
    const before = world.handedOut()
    await world.service.rotate('openai', {}, operator)
    await world.time.advance(minuteMs)
    expect(world.handedOut()).not.toBe(before)
    expect(world.content.get('openai')?.shelf.current).toBe(world.handedOut())
  })

  it('are raised where the store refuses a change though nobody else took over', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    await world.ready()
    seen(world, world.time.now() + hourMs)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'promoted' })
    expect((await world.state()).fence).toBeGreaterThan(world.time.now())
    expect(world.logs.map(({ message }) => message)).toContain(
      'a store has seen a higher fence than the ledger gave out; going on above it',
    )
    expect(world.faults()).toEqual([])
  })

  it('are left as they are where it is more than a day ahead of the clock: nobody gave that out', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    await world.ready()
    seen(world, world.time.now() + 30 * hourMs)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation('openai', 5 * hourMs)
    const { rotation, fence } = await world.state()
    expect(rotation).toMatchObject({ phase: 'halted', halt: { reason: 'store_conflict' } })
    expect(rotation?.halt?.summary).toContain('far above')
    expect(fence).toBeLessThan(world.time.now())
  })

  /** As after somebody else's change, or a clock that was ahead. */
  function seen(world: World, fence: number): void {
    const record = world.content.get('openai')
    if (record === undefined) throw new Error('it is there')
    world.content.set('openai', { ...record, shelf: { ...record.shelf, fence } })
  }
})
