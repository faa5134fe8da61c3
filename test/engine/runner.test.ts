import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger } from '../../src/core/ports.ts'
import { engineLimits } from '../../src/engine/setup.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

/** A ledger that refuses to commit as long as it is told to. */
function failing(world: World): { isDown: boolean; readonly ledger: Ledger } {
  const switched = {
    isDown: false,
    ledger: {
      ...world.ledger,
      close: async () => undefined,
      commit: async (commit: Parameters<Ledger['commit']>[0]) => {
        if (switched.isDown)
          throw new KeyturnError('ledger_unreachable', 'the disk is full', { retryable: true })
        return world.ledger.commit(commit)
      },
    },
  }
  return switched
}

describe('a claim that is lost while something is being done', () => {
  it('lets nothing of it land; the new owner looks for the key and no orphan stays alive', async () => {
    expectNoUnhandled()
    const world = new World()
    await world.ready()
    const release = world.issuer.hold('mint')
    await world.service.rotate('openai', {}, operator)
    await world.time.until(() => world.issuer.count('mint') === 1, 5_000)
    // The claim has run out unnoticed, and somebody else takes the credential over.
    const taken = await world.ledger.claim({
      owner: 'another',
      now: world.time.now() + 10 * engineLimits.claimMs,
      leaseMs: engineLimits.claimMs,
      limit: 1,
    })
    expect(taken).toHaveLength(1)
    const before = await world.state()
    release()
    await world.time.advance(2_000)
    const after = await world.state()
    expect(after.rotation).toEqual(before.rotation)
    expect(after.rotation?.phase).toBe('minting')
    // The other one goes away again; we find what was minted, by its marker and in the store.
    await world.ledger.release({ owner: 'another', name: 'openai', fence: taken[0]?.fence ?? 0 })
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    expect(world.issuer.alive).toHaveLength(2)
    expect(world.issuer.count('mint')).toBe(1)
    expect(world.faults()).toEqual([])
  })

  it('ends the work when a renewal says so, and takes it up again when it may', async () => {
    const world = new World()
    await world.ready()
    const release = world.issuer.hold('check')
    await world.service.rotate('openai', {}, operator)
    await world.time.until(() => world.issuer.count('check') === 1, 5_000)
    const now = world.time.now() + 10 * engineLimits.claimMs
    const [taken] = await world.ledger.claim({ owner: 'another', now, leaseMs: 600_000, limit: 1 })
    await world.time.advance(2 * engineLimits.renewEveryMs)
    release()
    await world.time.advance(1_000)
    expect((await world.state()).rotation?.phase).toBe('checking')
    await world.ledger.release({ owner: 'another', name: 'openai', fence: taken?.fence ?? 0 })
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
  })
})

describe('a ledger that fails for a while', () => {
  for (const call of ['mint', 'setExpiry', 'verify', 'check'] as const) {
    it(`gets what was done in ${call} as soon as it works again, and nothing is done twice`, async () => {
      expectNoUnhandled()
      const world = new World()
      const switched = failing(world)
      await world.ready({ deps: { ledger: switched.ledger } })
      const release = world.issuer.hold(call)
      const count = world.issuer.count(call)
      await world.service.rotate('openai', {}, operator)
      await world.time.until(() => world.issuer.count(call) > count, 60_000)
      switched.isDown = true
      release()
      await world.time.advance(30_000)
      switched.isDown = false
      await world.walkRotation()
      const { rotation } = await world.state()
      expect(rotation).toMatchObject({ phase: 'done', outcome: 'promoted' })
      expect(world.issuer.count('mint')).toBe(1)
      expect(world.issuer.alive).toHaveLength(2)
    })
  }

  it('is said to whoever asks how things are, until it answers again', async () => {
    const world = new World()
    let isDown = false
    const claim: Ledger['claim'] = async (asked) => {
      if (isDown) throw new KeyturnError('ledger_unreachable', 'the database is away', { fix: 'start it' })
      return world.ledger.claim(asked)
    }
    await world.ready({ deps: { ledger: { ...world.ledger, close: async () => undefined, claim } } })
    const troubles = async (): Promise<unknown> => (await world.service.summary('openai')).troubles
    expect(await troubles()).toEqual([])
    isDown = true
    await world.time.advance(600_000)
    expect(await troubles()).toMatchObject([
      { code: 'ledger_unreachable', summary: 'the database is away', fix: 'start it' },
    ])
    expect(world.isHandedOut()).toBe(true)
    isDown = false
    await world.time.advance(600_000)
    expect(await troubles()).toEqual([])
  })

  it('does not keep the verified key from being handed out', async () => {
    const world = new World()
    const switched = failing(world)
    await world.ready({ deps: { ledger: switched.ledger } })
    switched.isDown = true
    await world.time.advance(3_600_000)
    expect(world.isHandedOut()).toBe(true)
    switched.isDown = false
    await world.time.advance(20_000)
    expect(world.faults()).toEqual([])
  })
})

describe('a bug', () => {
  it('in what is committed after a mint does not mint again and again', async () => {
    expectNoUnhandled()
    const world = new World()
    let isBroken = false
    const ledger: Ledger = {
      ...world.ledger,
      commit: async (commit) => {
        if (isBroken && commit.state.rotation?.phase === 'proving') throw new TypeError('a bug')
        return world.ledger.commit(commit)
      },
    }
    await world.ready({ deps: { ledger } })
    isBroken = true
    await world.service.rotate('openai', {}, operator)
    await world.time.advance(120_000)
    expect(world.issuer.count('mint')).toBe(1)
    expect(world.issuer.calls.length).toBeLessThan(30)
    // Verification goes on beside it.
    expect(world.isHandedOut()).toBe(true)
    isBroken = false
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    expect(world.issuer.alive).toHaveLength(2)
  })

  it('in one lane rests that lane and leaves the others alone', async () => {
    const world = new World()
    await world.ready()
    await world.service.rotate('openai', {}, operator)
    const checks = world.issuer.count('verify')
    world.issuer.breakCall('list', 'throws')
    world.issuer.breakCall('check', 'throws')
    await world.time.advance(60_000)
    expect(world.issuer.count('check')).toBeLessThan(20)
    expect(world.issuer.count('verify')).toBeGreaterThan(checks)
  })
})

describe('lanes of one credential', () => {
  for (const call of ['check', 'mint', 'list', 'revoke'] as const) {
    it(`a ${call} that hangs does not keep the key from being failed over within a second`, async () => {
      const world = new World({ policy: { overlapMs: 5_000, quietMs: 0 } })
      await world.ready()
      const first = world.handedOut()
      await world.service.rotate('openai', {}, operator)
      await world.walkRotation()
      const second = world.handedOut()
      expect(second).not.toBe(first)
      const release = world.issuer.hold(call)
      await world.service.rotate('openai', {}, operator)
      await world.time.advance(3_000)
      const current = world.issuer.keys.find((one) => one.keyId === 'key_svc_1_2')
      if (current !== undefined) current.isRefused = true
      const at = world.time.now()
      const answer = world.service.report('openai', { version: second ?? '', status: 401 }, operator)
      await world.time.until(() => world.handedOut() !== second, 5_000)
      expect(world.time.now() - at).toBeLessThanOrEqual(1_500)
      await world.time.advance(5_000)
      expect((await answer).generation).toBeGreaterThan(2)
      release()
    })
  }
})

describe('the end of a runner', () => {
  it('work that comes between the last look and the release is taken up at once', async () => {
    const world = new World()
    let releases = 0
    let isAsked = false
    const ledger: Ledger = {
      ...world.ledger,
      close: async () => undefined,
      release: async (request) => {
        releases++
        if (isAsked) {
          isAsked = false
          await world.service.rotate('openai', {}, operator)
          await settle()
        }
        await world.ledger.release(request)
      },
    }
    await world.ready({ deps: { ledger }, beat: 'silent' })
    await world.time.until(() => releases > 0, 60_000)
    isAsked = true
    void world.service.verify('openai', operator)
    await world.time.until(() => !isAsked, 60_000)
    await world.time.advance(50)
    expect(world.issuer.count('check')).toBe(1)
  })
})
