import { describe, expect, it } from 'vitest'
import type { RotationPhase } from '../../src/core/types.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import type { IssuerCall } from './scripted-issuer.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const policy = { overlapMs: hourMs, activationGraceMs: 0 }

function refuse(world: World, version: string | undefined, name = 'openai'): void {
  const entry = world.content.get(name)?.values.get(version ?? '')
  const key = world.issuerOf(name).keys.find((one) => entry?.equals(one.secret) === true)
  if (key === undefined) throw new Error('it was minted here')
  key.isRefused = true
}

async function reported(world: World, version: string | undefined, name = 'openai'): Promise<void> {
  void world.service.report(name, { version: version ?? '', status: 401 }, operator)
  await world.time.until(() => world.handedOut(name) !== version, 10_000)
}

/** A second key is current, the first one drains and lives. */
async function withReserve(): Promise<{
  world: World
  first: string | undefined
  second: string | undefined
}> {
  const world = new World({ policy })
  await world.ready()
  const first = world.handedOut()
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  return { world, first, second: world.handedOut() }
}

describe('a current key that dies while a rotation is under way', () => {
  const phases: readonly (readonly [RotationPhase, IssuerCall | 'promote' | 'read'])[] = [
    ['checking', 'check'],
    ['minting', 'mint'],
    ['reconciling', 'list'],
    ['extending', 'setExpiry'],
    ['promoting', 'promote'],
    ['confirming', 'read'],
  ]
  for (const [phase, call] of phases) {
    it(`in ${phase}: the previous one takes over at once, the rotation ends, store and service agree`, async () => {
      expectNoUnhandled()
      const world = new World({ policy })
      const base = world.store()
      let gate: Promise<void> | undefined
      let isHeld = false
      let open: () => void = () => undefined
      const held = async <T>(what: 'promote' | 'read', work: () => Promise<T>): Promise<T> => {
        const { rotation } = await world.state()
        if (gate !== undefined && what === call && rotation?.phase === phase) {
          isHeld = true
          await gate
        }
        return work()
      }
      const store = {
        ...base,
        promote: (...args: Parameters<typeof base.promote>) => held('promote', () => base.promote(...args)),
        read: (...args: Parameters<typeof base.read>) => held('read', () => base.read(...args)),
      }
      await world.ready({ setup: { store } })
      const first = world.handedOut()
      await world.service.rotate('openai', {}, operator)
      await world.walkRotation()
      const second = world.handedOut()
      if (call === 'promote' || call === 'read') gate = new Promise((resolve) => (open = resolve))
      else open = world.issuer.hold(call)
      if (phase === 'reconciling') world.issuer.breakCall('mint', 'after')
      await world.service.rotate('openai', {}, operator)
      const reached = async (): Promise<boolean> => (await world.state()).rotation?.phase === phase
      let isThere = false
      await world.time.until(() => {
        void reached().then((is) => (isThere = is))
        return isThere && (gate === undefined || isHeld)
      }, minuteMs)
      world.issuer.mend('mint')

      refuse(world, second)
      await reported(world, second)
      expect(world.handedOut()).toBe(first)
      open()
      gate = undefined
      await world.walkRotation()
      await world.time.advance(2 * minuteMs)
      const state = await world.state()
      expect(state.rotation).toMatchObject({ phase: 'done', outcome: 'promoted' })
      expect((await world.store().read('openai'))?.version).toBe(state.current)
      expect(world.handedOut()).toBe(state.current)
      expect(state.current).not.toBe(second)
      expect(world.faults()).toEqual([])
    })
  }

  it('and no other is left: nothing is handed out until the new one is proven, in a hurry', async () => {
    const world = new World({ policy: { ...policy, provingSettleMs: 10 * minuteMs, provingCount: 10 } })
    await world.ready()
    const first = world.handedOut()
    await world.service.rotate('openai', {}, operator)
    await world.time.advance(5_000)
    expect((await world.state()).rotation?.phase).toBe('proving')
    refuse(world, first)
    const at = world.time.now()
    await reported(world, first)
    await world.time.until(() => world.isHandedOut(), 2 * minuteMs)
    expect(world.time.now() - at).toBeLessThan(3 * minuteMs)
    expect((await world.state()).rotation?.mode).toBe('emergency')
  })
})

describe('keys that are rejected together', () => {
  const names = ['one', 'two', 'three']

  it('while the list still shows them: no more than one is minted, the rest freezes and is told', async () => {
    const world = new World({ names, isApart: true, policy })
    await world.ready()
    for (const name of names) {
      await world.service.rotate(name, {}, operator)
      await world.walkRotation(name)
    }
    await world.time.advance(2 * hourMs)
    const minted = names.map((name) => world.issuerOf(name).count('mint'))
    expect(minted).toEqual([1, 1, 1])
    for (const name of names) for (const key of world.issuerOf(name).keys) key.isRefused = true
    for (const name of names) await reported(world, world.handedOut(name), name)
    await world.time.advance(minuteMs)
    const states = await Promise.all(names.map((name) => world.state(name)))
    const frozen = states.filter((one) => one.rotation?.halt?.reason === 'mass_rejection')
    expect(frozen.length).toBeGreaterThanOrEqual(2)
    expect(names.reduce((sum, name) => sum + world.issuerOf(name).count('mint'), 0)).toBeLessThanOrEqual(4)
    const name = frozen[0]?.name ?? ''
    expect((await world.service.summary(name)).troubles.map((one) => one.code)).toContain('rotation_halted')
    // A person may know better.
    await world.service.rotate(name, { mode: 'emergency' }, operator)
    await world.time.until(() => world.isHandedOut(name), minuteMs)
  })

  it('when the list shows them no more it is a real loss, and each is minted anew', async () => {
    const world = new World({ names, isApart: true, policy })
    await world.ready()
    for (const name of names) {
      await world.service.rotate(name, {}, operator)
      await world.walkRotation(name)
    }
    for (const name of names) for (const key of world.issuerOf(name).keys) key.isDeleted = true
    for (const name of names)
      void world.service.report(name, { version: world.handedOut(name) ?? '', status: 401 }, operator)
    await world.time.advance(minuteMs)
    for (const name of names) {
      expect(world.isHandedOut(name)).toBe(true)
      expect(world.issuerOf(name).count('mint')).toBe(2)
    }
  })
})

describe('a dead first key', () => {
  it('is replaced by itself where a key can be minted', async () => {
    const world = new World()
    for (const key of world.issuer.keys) key.isRefused = true
    await world.start()
    await world.time.until(() => world.isHandedOut(), 5 * minuteMs)
    expect((await world.state()).rotation).toMatchObject({ requestedBy: 'failover', outcome: 'promoted' })
    expect((await world.store().read('openai'))?.version).toBe(world.handedOut())
  })

  it('is not replaced again and again where minting does not help', async () => {
    const world = new World()
    for (const key of world.issuer.keys) key.isRefused = true
    world.issuer.breakCall('mint', 'before')
    await world.start()
    await world.time.advance(12 * hourMs)
    expect((await world.ledger.rotations('openai')).length).toBeLessThanOrEqual(3)
    expect(world.issuer.count('mint')).toBeLessThanOrEqual(3 * world.policy.attemptsMax)
  })
})

describe('a key that expires', () => {
  it('is turned in time although the schedule would come later', async () => {
    const world = new World({ isStocked: false, policy: { keyExpirySeconds: 86_400, overlapMs: hourMs } })
    await world.start()
    await world.time.until(() => world.isHandedOut(), minuteMs)
    const first = world.handedOut()
    const expiresAt = (await world.state()).versions[0]?.meta.expiresAt ?? 0
    const summary = await world.service.summary('openai')
    expect(Date.parse(summary.rotatesAt ?? '')).toBeLessThan(expiresAt)
    world.time.jump(20 * hourMs)
    await world.time.until(() => world.handedOut() !== first, 10 * minuteMs)
    expect((await world.state()).rotation?.reason).toBe('the key expires soon')
    expect(world.time.now()).toBeLessThan(expiresAt)
  })
})

describe('what a failover leaves', () => {
  it('is written to the store, and a store that is down gets it later', async () => {
    const { world, first, second } = await withReserve()
    refuse(world, second)
    await reported(world, second)
    await world.time.advance(5_000)
    expect(world.handedOut()).not.toBe(second)
    expect((await world.store().read('openai'))?.version).toBe((await world.state()).current)
    expect(first).toBeDefined()
  })
})
