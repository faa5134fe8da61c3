import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger, SecretStore } from '../../src/core/ports.ts'
import { dayMs, hourMs, minuteMs } from '../core/fixtures.ts'
import { World } from './world.ts'

/** A world that counts what is read and written, with a store that can be broken. */
function counting(names: readonly string[] = ['openai']) {
  const world = new World({
    names,
    policy: { storePollMs: minuteMs, verifyEveryMs: dayMs, verifyCloselyForMs: 0 },
  })
  const seen = { reads: 0, writes: 0, isDown: false }
  const store: SecretStore = {
    ...world.store(),
    read: async (ref, options) => {
      seen.reads += 1
      if (seen.isDown) throw new KeyturnError('store_unreachable', 'not now', { retryable: true })
      return world.store().read(ref, options)
    },
  }
  const ledger: Ledger = {
    ...world.ledger,
    close: async () => undefined,
    claim: async (request) => {
      const claimed = await world.ledger.claim(request)
      seen.writes += claimed.length
      return claimed
    },
    commit: async (commit) => {
      seen.writes += 1
      return world.ledger.commit(commit)
    },
    release: async (request) => {
      seen.writes += 1
      return world.ledger.release(request)
    },
  }
  const setup = { store, policy: { ...world.policy, canMint: false } }
  return { world, seen, start: () => world.ready({ deps: { ledger }, setup }) }
}

describe('a store that has what is known', () => {
  it('is looked at every minute, and nothing is written down', async () => {
    const { world, seen, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    Object.assign(seen, { reads: 0, writes: 0 })
    await world.time.advance(hourMs)
    expect(seen.reads).toBeGreaterThanOrEqual(50)
    expect(seen.reads).toBeLessThanOrEqual(70)
    expect(seen.writes).toBe(0)
  })

  it('tells a key that somebody put there within one pause, and it is verified and taken up', async () => {
    const { world, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    world.stock('openai', 'second')
    await world.time.until(() => world.handedOut() === 'second', 70_000)
  })

  it('tells that a known version was written over: the key is not taken', async () => {
    const { world, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    const version = world.handedOut() ?? ''
    world.stock('openai', version)
    await world.time.advance(2 * minuteMs)
    expect((await world.state()).storeTrouble?.code).toBe('store_changed')
    expect(world.handedOut()).toBe(version)
  })

  it('tells that it was emptied', async () => {
    const { world, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    world.content.clear()
    await world.time.advance(2 * minuteMs)
    expect((await world.state()).storeTrouble?.code).toBe('store_absent')
    expect(world.isHandedOut()).toBe(true)
  })
})

describe('a store that is away', () => {
  it('is said to be once, asked from memory meanwhile, and found again within one pause', async () => {
    const { world, seen, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    seen.isDown = true
    await world.time.advance(3 * minuteMs)
    expect((await world.state()).storeTrouble?.code).toBe('store_unreachable')
    Object.assign(seen, { reads: 0, writes: 0 })
    await world.time.advance(hourMs)
    expect(seen.reads).toBeGreaterThanOrEqual(50)
    expect(seen.writes).toBe(0)
    seen.isDown = false
    await world.time.advance(70_000)
    expect((await world.state()).storeTrouble).toBeUndefined()
  })
})

describe('a credential that has nothing to hand out', () => {
  it('is looked at as often as before, however far ahead its next look was planned when it had', async () => {
    const { world, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    for (const key of world.issuer.keys) key.isRefused = true
    const version = world.handedOut() ?? ''
    void world.service.report('openai', { version, status: 401 }, { name: 'app' })
    await world.time.until(() => !world.isHandedOut(), minuteMs)
    await world.time.advance(5 * minuteMs)
    world.stock('openai', 'brought-by-hand')
    await world.time.until(() => world.handedOut() === 'brought-by-hand', 150_000)
  })
})

describe('a clock that is set back by days', () => {
  it('does not keep the store from being looked at', async () => {
    const { world, start } = counting()
    await start()
    await world.time.advance(10 * minuteMs)
    world.time.jump(-3 * dayMs)
    world.stock('openai', 'second')
    await world.time.until(() => world.handedOut() === 'second', 3 * minuteMs)
  })
})
