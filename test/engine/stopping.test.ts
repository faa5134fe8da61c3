import { describe, expect, it } from 'vitest'
import { engineLimits } from '../../src/engine/setup.ts'
import { minuteMs } from '../core/fixtures.ts'
import type { IssuerCall } from './scripted-issuer.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const policy = { overlapMs: 5_000, quietMs: 0, deadSpanMs: 1_000, activationGraceMs: 0 }

/** A world in which everything has been turned once, so that the next rotation retires a key that can be revoked. */
async function turnedOnce(): Promise<World> {
  const world = new World({ policy })
  await world.ready()
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  return world
}

async function reaches(world: World, call: IssuerCall): Promise<() => void> {
  const release = world.issuer.hold(call)
  const count = world.issuer.count(call)
  await world.service.rotate('openai', {}, operator)
  await world.time.until(() => world.issuer.count(call) > count, 10 * minuteMs)
  return release
}

/** Started again, everything ends: one key is current, and no other one of ours is alive. */
async function recovers(world: World): Promise<void> {
  await world.start()
  await world.time.until(() => world.isHandedOut(), minuteMs)
  await world.walkRotation()
  await world.time.advance(20 * minuteMs)
  const state = await world.state()
  expect(state.rotation).toMatchObject({ phase: 'done', outcome: 'promoted' })
  const minted = world.issuer.alive.filter((one) => one.name.startsWith('keyturn-'))
  expect(minted.map((one) => one.keyId)).toEqual([
    state.versions.find((one) => one.version === state.current)?.meta.keyId,
  ])
}

describe('a stop', () => {
  for (const call of ['verify', 'mint', 'list', 'revoke', 'setExpiry', 'check'] as const) {
    it(`while ${call} is under way waits for it, gives its claim back, and loses nothing`, async () => {
      expectNoUnhandled()
      const world = await turnedOnce()
      const release = await reaches(world, call)
      const { service } = world
      const stopping = service.stop()
      await world.time.advance(1_000)
      release()
      await settle()
      await stopping
      expect(world.time.waiting.all).toBe(0)
      const claim = { owner: 'another', now: world.time.now() + 30 * minuteMs, leaseMs: 1, limit: 1 }
      const [taken] = await world.ledger.claim(claim)
      expect(taken).toBeDefined()
      await world.ledger.release({ owner: 'another', name: 'openai', fence: taken?.fence ?? 0 })
      await recovers(world)
      expect(world.faults()).toEqual([])
    })

    it(`while ${call} hangs for ever is bounded, and what it leaves is mended after the next start`, async () => {
      expectNoUnhandled()
      const world = await turnedOnce()
      const release = await reaches(world, call)
      const at = world.time.now()
      await world.stop()
      expect(world.time.now() - at).toBeLessThanOrEqual(engineLimits.stopMs + 100)
      expect(world.time.waiting.foreground).toBe(0)
      // It answers when nobody listens any more.
      release()
      await settle()
      await recovers(world)
    })
  }

  it('asked for twice is one, and nothing happens after it', async () => {
    const world = await turnedOnce()
    const { service } = world
    await Promise.all([service.stop(), service.stop()])
    const calls = world.issuer.calls.length
    await world.time.advance(10 * minuteMs)
    expect(world.issuer.calls.length).toBe(calls)
    expect(world.time.waiting.all).toBe(0)
  })

  it('while an operator waits for a probe leaves no timer that keeps the process alive', async () => {
    const world = new World()
    await world.ready()
    const release = world.issuer.hold('verify')
    void world.service.verify('openai', operator)
    await world.time.advance(100)
    const stopping = world.service.stop()
    await settle()
    release()
    await settle()
    await stopping
    expect(world.time.waiting.foreground).toBe(0)
  })

  it('closes everything although something of it fails', async () => {
    const world = new World()
    const { createService } = await import('../../src/engine/create-service.ts')
    const { createOccurrences } = await import('../../src/engine/cron.ts')
    const closed: string[] = []
    const service = await createService({
      setups: [world.setup('openai')],
      deps: world.deps({ occurrences: createOccurrences() }),
      version: '0',
      isSandbox: false,
      close: [
        async () => {
          throw new Error('the store does not close')
        },
        async () => void closed.push('issuer'),
        async () => void closed.push('ledger'),
      ],
    })
    await expect(service.stop()).rejects.toThrow('does not close')
    expect(closed).toEqual(['issuer', 'ledger'])
  })
})
