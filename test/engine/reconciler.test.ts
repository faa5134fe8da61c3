import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { markerOf } from '../../src/core/marker.ts'
import type { Ledger, SecretStore } from '../../src/core/ports.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { dayMs, hourMs, minuteMs } from '../core/fixtures.ts'
import type { FakeKey } from './scripted-issuer.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

/** What else a service does is done seldom, so that hours pass quickly. */
const calm = { verifyEveryMs: dayMs, verifyCloselyForMs: 0, storePollMs: dayMs }
const policy = { overlapMs: 10 * minuteMs, activationGraceMs: 0, quietMs: 0, ...calm }
/** The worker's own timers do without the beat. */
const quiet = { beat: 'silent' } as const
const often = { ...quiet, reconcile: { everyMs: 30 * minuteMs, apartMs: 10 * minuteMs } }
const markerOfOurs = (digit: string): string => markerOf('inst1', digit.repeat(32))

function alertsOf(world: World, code: string): readonly unknown[] {
  return world.events.filter(({ kind, data }) => kind === 'alert' && data['code'] === code)
}

/** Made at the issuer under a name of ours, and then forgotten by everybody. */
function orphanOf(world: World, digit = 'a'): FakeKey {
  return world.issuer.plant({ name: markerOfOurs(digit) })
}

describe('an orphan', () => {
  it('is revoked after two looks an hour apart, and people are told; keys of others live on', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    const orphan = orphanOf(world)
    const others = [
      world.issuer.plant({ name: 'somebody’s' }),
      world.issuer.plant({ name: markerOf('inst2', 'a'.repeat(32)) }),
    ]
    await world.ready(quiet)
    await world.time.advance(hourMs)
    expect(orphan.isDeleted).toBe(false)
    await world.time.advance(10 * minuteMs)
    expect(orphan.isDeleted).toBe(true)
    await world.time.advance(3 * hourMs)
    expect(others.map(({ isDeleted }) => isDeleted)).toEqual([false, false])
    expect(alertsOf(world, 'orphan_revoked')).toMatchObject([
      { data: { keyId: orphan.keyId, marker: orphan.name } },
    ])
    expect(world.isHandedOut()).toBe(true)
    expect(world.faults()).toEqual([])
  })

  it('is left alone while the ledger is younger than an overlap', async () => {
    const world = new World({ policy: { ...policy, overlapMs: 2 * hourMs } })
    const orphan = orphanOf(world)
    await world.ready(often)
    await world.time.advance(2 * hourMs)
    expect(orphan.isDeleted).toBe(false)
    await world.time.advance(hourMs)
    expect(orphan.isDeleted).toBe(true)
  })

  it('is none while a store cannot be read, of whichever credential', async () => {
    const world = new World({ policy, names: ['openai', 'other'] })
    const orphan = orphanOf(world)
    const broken: SecretStore = { ...world.store(), describe: () => Promise.reject(denied) }
    const denied = new KeyturnError('store_denied', 'The store does not tell what it has.')
    const setups = [world.setup('openai'), world.setup('other', { store: broken })]
    await world.ready({ ...often, setups })
    await world.time.advance(3 * hourMs)
    expect(orphan.isDeleted).toBe(false)
    const told = world.logs.filter(({ message }) => message.startsWith('a store could not be searched'))
    expect(told[0]?.fields).toMatchObject({ credential: 'other', place: 'the store' })
  })

  it('is none that a mirror has', async () => {
    const world = new World({ policy })
    const held = orphanOf(world)
    const mirror = world.store()
    await mirror.stage('copy', { version: 'v1', secret: held.secret, meta: {}, fence: 1 })
    const setup = { mirrors: [{ id: 'm', ref: 'copy', store: mirror }] }
    await world.ready({ ...often, setup })
    await world.time.advance(3 * hourMs)
    expect(held.isDeleted).toBe(false)
  })

  it('is looked for by one replica at a time', async () => {
    const world = new World({ policy })
    await world.ready(often)
    const first = world.service
    const second = await world.start({ ...often, deps: { owner: 'other-host' } })
    await world.time.advance(minuteMs)
    expect(world.issuer.count('list')).toBe(1)
    await world.time.advance(5 * hourMs)
    expect(world.issuer.count('list')).toBeGreaterThan(8)
    expect(world.issuer.count('list')).toBeLessThan(14)
    const stopping = first.stop()
    await world.time.advance(minuteMs)
    await stopping
    expect(second.names).toEqual(['openai'])
  })

  it('is found by ticks too, each of them a process of its own', async () => {
    const world = new World({ policy })
    const orphan = orphanOf(world)
    for (let tick = 0; tick < 20; tick++) {
      const service = await world.start({ beat: 'none', patienceMs: 30_000 })
      let isOver = false
      const ticking = service.tick().finally(() => (isOver = true))
      await world.time.until(() => isOver, 20 * minuteMs, 1_000)
      await ticking
      await world.stop()
      await world.time.advance(5 * minuteMs)
    }
    expect(orphan.isDeleted).toBe(true)
    expect(world.issuer.count('list')).toBeLessThan(8)
  })

  it('is ended though another one cannot be', async () => {
    const world = new World({ policy })
    const [stuck, other] = [orphanOf(world, 'a'), orphanOf(world, 'b')]
    const { issuer } = world.setup('openai')
    const revoke = (keyId: string) =>
      keyId === stuck.keyId ? Promise.reject(new Error('no such id')) : issuer.revoke?.(keyId)
    await world.ready({ ...often, setup: { issuer: { ...issuer, revoke } as typeof issuer } })
    await world.time.advance(2 * hourMs)
    expect([stuck.isDeleted, other.isDeleted]).toEqual([false, true])
    const told = world.logs.filter(({ message }) => message.startsWith('what a look at the keys found'))
    expect(told[0]?.fields).toMatchObject({ keyId: stuck.keyId })
  })

  it('is not deleted by a process that slept between the last look and the delete', async () => {
    const world = new World({ policy })
    const orphan = orphanOf(world)
    const store = world.store()
    let sleeps = 0
    const sleepy: SecretStore = {
      ...store,
      async read(ref, options) {
        const seen = await store.read(ref, options)
        if (sleeps-- > 0) world.time.jump(2 * minuteMs)
        return seen
      },
    }
    await world.ready({ ...often, setup: { store: sleepy } })
    await world.time.advance(5 * minuteMs)
    // In the look that finds it twice, and in the one immediately before the delete.
    sleeps = 2
    await world.time.until(() => sleeps === 0, hourMs, 1_000)
    expect(orphan.isDeleted).toBe(false)
    await world.time.until(() => orphan.isDeleted, hourMs, minuteMs)
  })
})

describe('who can write to a store', () => {
  /** In our store beside what is current, under a name that the issuer gives it too. */
  async function stagedBeside(world: World, key: FakeKey, meta: Readonly<Record<string, string>> = {}) {
    const { fence } = await world.state()
    const request = { version: 'planted', secret: key.secret, meta: { marker: key.name, ...meta }, fence }
    await world.store().stage('openai', request)
  }

  it('cannot make keys of another installation ours by putting one of them there', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    const nameOf = (digit: string): string => markerOf('inst2', digit.repeat(32))
    const [planted, spare, used] = ['a', 'b', 'c'].map((digit) => world.issuer.plant({ name: nameOf(digit) }))
    if (planted === undefined || spare === undefined || used === undefined) throw new Error('three keys')
    // Anybody who may make a key in the project can have the stores searched.
    const bait = orphanOf(world)
    await world.ready(often)
    await world.time.advance(minuteMs)
    used.lastUsedAt = world.time.now()
    await stagedBeside(world, planted)
    await world.time.advance(5 * hourMs)
    expect([planted, spare, used].map(({ isDeleted }) => isDeleted)).toEqual([false, false, false])
    expect(bait.isDeleted).toBe(true)
    expect(world.isHandedOut()).toBe(true)
  })

  it('cannot keep orphans alive by metadata that looks like a key', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    const orphan = orphanOf(world)
    await world.ready(often)
    const planted = world.issuer.plant({ name: markerOfOurs('e') })
    await stagedBeside(world, planted, { serviceAccount: planted.secret.reveal() })
    await world.time.advance(3 * hourMs)
    expect(orphan.isDeleted).toBe(true)
    expect(world.faults()).toEqual([])
  })
})

describe('a key that vanished', () => {
  it('is told once and checked at once', async () => {
    const world = new World({ policy })
    await world.ready(often)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    const current = world.issuer.keys.at(-1)
    await world.time.advance(hourMs)
    if (current === undefined) throw new Error('a key was made')
    current.isDeleted = true
    await world.time.advance(2 * hourMs)
    expect(alertsOf(world, 'key_vanished')).toMatchObject([{ data: { keyId: current.keyId } }])
    expect(world.handedOut()).not.toBe(undefined)
    expect(world.issuer.keys.at(-1)).not.toBe(current)
  })
})

describe('a ledger that was lost', () => {
  async function lost(world: World): Promise<void> {
    await world.stop()
    const ledger: Ledger = openSqliteLedger({ path: ':memory:' })
    await world.ready({ ...often, deps: { ledger } })
  }

  it('does not hide a key that was pending: it is found and ended', async () => {
    const world = new World({ policy: { ...policy, pendingExpirySeconds: 90 * 86_400 } })
    await world.ready(quiet)
    // Made at the issuer, and the process died before it was staged.
    world.issuer.hold('mint')
    await world.service.rotate('openai', {}, operator)
    await world.time.advance(minuteMs)
    const pending = world.issuer.plant({ name: markerOfOurs('d') })
    world.issuer.mend('mint')
    await lost(world)
    await world.time.until(() => pending.isDeleted, 2 * hourMs, minuteMs)
    expect(alertsOf(world, 'orphan_revoked')).toHaveLength(1)
  })

  it('and could not be rebuilt for want of a list: the old key of ours drains as soon as there is one', async () => {
    const world = new World({ policy })
    await world.ready(quiet)
    for (const _turn of [1, 2]) {
      await world.service.rotate('openai', {}, operator)
      await world.walkRotation()
    }
    const [old, current] = world.issuer.keys.slice(-2)
    world.issuer.breakCall('list')
    await lost(world)
    expect((await world.service.versions('openai')).map(({ origin }) => origin)).toEqual([
      'found',
      'found',
      'found',
    ])
    world.issuer.mend('list')
    await world.time.until(() => old?.isDeleted === true, 2 * hourMs, minuteMs)
    expect(current?.isDeleted).toBe(false)
    const versions = await world.service.versions('openai')
    expect(versions.map(({ origin }) => origin)).toEqual(['minted', 'minted', 'found'])
    expect(world.faults()).toEqual([])
  })
})
