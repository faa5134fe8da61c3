import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger } from '../../src/core/ports.ts'
import { createPace } from '../../src/engine/pace.ts'
import { engineLimits } from '../../src/engine/setup.ts'
import { dayMs, hourMs, minuteMs } from '../core/fixtures.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const quarterly = { expression: '0 3 1 1,4,7,10 *', timeZone: 'UTC', jitterMs: 0 }

function namesOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `app-${String(index).padStart(4, '0')}`)
}

describe('waking', () => {
  it('timers alone keep a key verified and let it fail over: the beat may never come', async () => {
    const world = new World()
    await world.ready({ beat: 'silent' })
    const before = world.issuer.count('verify')
    await world.time.advance(20 * minuteMs)
    expect(world.issuer.count('verify')).toBeGreaterThan(before + 5)
    const first = world.handedOut()
    for (const key of world.issuer.keys) key.isRefused = true
    await world.time.until(() => world.handedOut() !== first && world.isHandedOut(), 10 * minuteMs)
    expect(world.faults()).toEqual([])
  })

  it('what another process made due, without a word to us, is found by asking the ledger', async () => {
    const world = new World()
    await world.ready()
    await world.time.advance(15 * minuteMs)
    const state = await world.state()
    const versions = state.versions.map((one) => ({ ...one, nextCheckAt: world.time.now() }))
    await world.ledger.commit({ state: { ...state, versions }, dueAt: world.time.now(), events: [] })
    const before = world.issuer.count('verify')
    await world.time.advance(engineLimits.askAllEveryMs + 2_000)
    expect(world.issuer.count('verify')).toBe(before + 1)
  })

  it('a wake that comes while the ledger is asked what is due is not lost', async () => {
    const world = new World()
    let isArmed = false
    const ledger: Ledger = {
      ...world.ledger,
      close: async () => undefined,
      claim: async (request) => {
        const claimed = await world.ledger.claim(request)
        if (isArmed) {
          isArmed = false
          await world.service.rotate('openai', {}, operator)
        }
        return claimed
      },
    }
    await world.ready({ deps: { ledger }, beat: 'silent' })
    await world.time.advance(5_000)
    isArmed = true
    await world.service.verify('openai', operator)
    await world.time.until(() => !isArmed, minuteMs)
    await world.time.advance(50)
    expect(world.issuer.count('check')).toBe(1)
  })

  it('a hundred wakes at once are one look after another, and one runner', async () => {
    const world = new World()
    let claims = 0
    const ledger: Ledger = {
      ...world.ledger,
      close: async () => undefined,
      claim: async (request) => {
        claims++
        return world.ledger.claim(request)
      },
    }
    await world.ready({ deps: { ledger }, beat: 'silent' })
    await world.time.advance(5_000)
    claims = 0
    await Promise.all(
      Array.from({ length: 100 }, () =>
        world.service.report('openai', { version: 'no', status: 401 }, operator),
      ),
    )
    expect(claims).toBeLessThan(10)
  })

  it('a credential that is no longer configured does not keep the timers of the others from being set', async () => {
    const world = new World({ names: ['openai', 'gone'] })
    await world.ready()
    await world.stop()
    await world.start({ setups: [world.setup('openai')], beat: 'silent' })
    const before = world.issuer.count('verify')
    await world.time.advance(20 * minuteMs)
    expect(world.issuer.count('verify')).toBeGreaterThan(before + 2)
  })
})

describe('a ledger that cannot be asked', () => {
  it('is asked again, and the service goes on handing out', async () => {
    expectNoUnhandled()
    const world = new World()
    let isDown = false
    const ledger: Ledger = {
      ...world.ledger,
      close: async () => undefined,
      claim: async (request) => {
        if (isDown) throw new KeyturnError('ledger_unreachable', 'not now', { retryable: true })
        return world.ledger.claim(request)
      },
    }
    await world.ready({ deps: { ledger } })
    isDown = true
    const before = world.issuer.count('verify')
    await world.time.advance(hourMs)
    expect(world.isHandedOut()).toBe(true)
    isDown = false
    await world.time.advance(2 * minuteMs)
    expect(world.issuer.count('verify')).toBeGreaterThan(before)
  })
})

describe('a credential whose state cannot be worked with', () => {
  it('is taken up again ever more seldom, and the others are handed out and turned', async () => {
    const world = new World({ names: ['openai', 'broken'] })
    await world.ready()
    await world.stop()
    const state = await world.state('broken')
    const rotation = {
      id: 'r',
      credential: 'broken',
      mode: 'normal',
      reason: 'x',
      requestedBy: 'x',
      startedAt: 0,
      phase: 'discarding',
      phaseAt: 0,
      deadlineAt: Number.MAX_SAFE_INTEGER,
      wakeAt: 0,
      paused: false,
      isCompromised: false,
      attempts: [],
      confirmations: 0,
      retries: 0,
      steps: [],
    } as const
    await world.ledger.commit({ state: { ...state, rotation }, dueAt: 0, events: [] })
    let claims = 0
    const ledger: Ledger = {
      ...world.ledger,
      close: async () => undefined,
      claim: async (request) => {
        const taken = await world.ledger.claim(request)
        claims += taken.filter((one) => one.state.name === 'broken').length
        return taken
      },
    }
    await world.start({ deps: { ledger } })
    await world.time.until(() => world.isHandedOut('openai'), minuteMs)
    await world.time.advance(10 * minuteMs)
    expect(claims).toBeGreaterThan(2)
    expect(claims).toBeLessThan(30)
    expect(world.isHandedOut('broken')).toBe(true)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation('openai')
    expect((await world.state('openai')).rotation?.outcome).toBe('promoted')
  })
})

describe('a thousand credentials', () => {
  it('all get their first key although only so many are worked on at once', async () => {
    const world = new World({ names: namesOf(1_000) })
    await world.start({ beat: 'silent' })
    await world.time.until(() => world.names.every((name) => world.isHandedOut(name)), 5_000, 20)
    expect(world.faults()).toEqual([])
  })

  it('are verified evenly after a night in which nobody ran: no minute above twice the mean', async () => {
    const policy = { verifyEveryMs: 5 * minuteMs, verifyCloselyForMs: 0, storePollMs: hourMs }
    const world = new World({ names: namesOf(1_000), policy })
    await world.ready({ beat: 'silent' })
    await world.stop()
    world.time.jump(12 * hourMs)
    await world.start({ beat: 'silent' })
    const minutes: number[] = []
    for (let minute = 0; minute < 11; minute += 1) {
      const before = world.issuer.count('verify')
      await world.time.advance(minuteMs)
      minutes.push(world.issuer.count('verify') - before)
    }
    expect(Math.max(...minutes)).toBeLessThanOrEqual(400)
    expect(minutes.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2_000)
    const now = world.time.now()
    for (const name of world.names) {
      const [record] = (await world.state(name)).versions
      expect(now - (record?.verifiedAt ?? 0)).toBeLessThanOrEqual(6 * minuteMs)
    }
    expect(world.faults()).toEqual([])
  })

  it('of one organisation with a lower rate are verified less often, and it is said', async () => {
    const policy = { verifyEveryMs: 5 * minuteMs, verifyCloselyForMs: 0, storePollMs: hourMs }
    const world = new World({ names: namesOf(100), policy })
    await world.ready({ beat: 'silent', deps: { pace: createPace(world.time, 10) } })
    await world.time.advance(10 * minuteMs)
    const before = world.issuer.count('verify')
    await world.time.advance(20 * minuteMs)
    // Ten a minute, and of them four fifths planned.
    expect(world.issuer.count('verify') - before).toBeLessThanOrEqual(200)
    expect(world.issuer.count('verify') - before).toBeGreaterThanOrEqual(100)
    expect(world.logs.some(({ message }) => message.includes('less often than configured'))).toBe(true)
    const [summary] = await world.service.summaries()
    expect(summary?.troubles.map(({ code }) => code)).toEqual(['verification_stretched'])
  })

  it('none starves while others pause: a key that dies among sixty-four that are being turned is replaced in time', async () => {
    const world = new World({
      names: namesOf(70),
      policy: { provingSettleMs: 20_000, provingCount: 20 },
      isApart: true,
    })
    await world.ready()
    await world.time.advance(minuteMs)
    for (const name of world.names.slice(0, engineLimits.runnersMax))
      await world.service.rotate(name, {}, operator)
    await world.time.advance(2_000)
    const victim = world.names.at(-1) ?? ''
    for (const key of world.issuerOf(victim).keys) key.isRefused = true
    const version = world.handedOut(victim) ?? ''
    const at = world.time.now()
    void world.service.report(victim, { version, status: 401 }, operator)
    await world.time.until(() => world.handedOut(victim) !== version && world.isHandedOut(victim), 5_000)
    expect(world.time.now() - at).toBeLessThan(1_500)
  })
})

describe('the clock', () => {
  it('set back by hours: verification, rotation and failover go on as if nothing had happened', async () => {
    const world = new World()
    await world.ready()
    await world.time.advance(15 * minuteMs)
    world.time.jump(5 * hourMs)
    await world.time.advance(10 * minuteMs)
    world.time.jump(-5 * hourMs)
    const before = world.issuer.count('verify')
    await world.time.advance(12 * minuteMs)
    expect(world.issuer.count('verify')).toBeGreaterThan(before + 1)
    await world.service.rotate('openai', {}, operator)
    world.time.jump(-hourMs)
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    const key = world.issuer.keys.at(-1)
    if (key !== undefined) key.isRefused = true
    world.time.jump(-hourMs)
    const second = world.handedOut()
    await world.time.until(() => world.handedOut() !== second, 6 * minuteMs)
    expect(world.faults()).toEqual([])
  })

  it('set ahead by hours: nothing is rotated twice and nothing is withdrawn', async () => {
    const world = new World({ schedule: quarterly })
    await world.ready()
    const first = world.handedOut()
    world.time.jump(9 * hourMs)
    await world.time.advance(10 * minuteMs)
    expect(world.handedOut()).toBe(first)
    expect((await world.state()).rotation).toBeUndefined()
  })
})

describe('a tick', () => {
  it('brings a rotation and its short waits to the end, and leaves no timer behind', async () => {
    const world = new World({ policy: { overlapMs: 5_000, quietMs: 0, deadSpanMs: 1_000 } })
    await world.ready()
    await world.service.rotate('openai', {}, operator)
    await world.stop()
    await world.start({ beat: 'none', patienceMs: 30_000 })
    let isOver = false
    const ticking = world.service.tick().then(() => (isOver = true))
    await world.time.until(() => isOver, 5 * minuteMs)
    await ticking
    const state = await world.state()
    expect(state.rotation?.outcome).toBe('promoted')
    expect(state.retirements[0]?.phase).toBe('kept')
    await world.stop()
    expect(world.time.waiting.all).toBe(0)
  })

  const outages = {
    'OpenAI does not answer': (world: World) => {
      for (const call of ['verify', 'list', 'check', 'mint'] as const) world.issuer.breakCall(call)
    },
    'a driver has a bug': (world: World) => {
      for (const call of ['verify', 'list', 'check', 'mint'] as const) world.issuer.breakCall(call, 'throws')
    },
    'every call hangs': (world: World) => {
      for (const call of ['verify', 'list', 'check', 'mint'] as const) world.issuer.hold(call)
    },
    'nothing is wrong': () => undefined,
  }
  for (const [what, strike] of Object.entries(outages)) {
    it(`always ends: ${what}`, async () => {
      expectNoUnhandled()
      const world = new World({ policy: { verifyCloselyEveryMs: 10_000, retryMaxMs: 10_000 } })
      await world.ready()
      await world.service.rotate('openai', {}, operator)
      await world.stop()
      strike(world)
      await world.start({ beat: 'none', patienceMs: 30_000 })
      let isOver = false
      const ticking = world.service.tick().then(() => (isOver = true))
      await world.time.until(() => isOver, engineLimits.drainMs + minuteMs, 1_000)
      await ticking
    })
  }

  it('ends although the ledger takes nothing', async () => {
    const world = new World()
    await world.ready()
    await world.stop()
    const ledger: Ledger = { ...world.ledger, close: async () => undefined }
    await world.start({ beat: 'none', patienceMs: 30_000, deps: { ledger } })
    ledger.commit = async () => {
      throw new KeyturnError('ledger_unreachable', 'the disk is full', { retryable: true })
    }
    let isOver = false
    const ticking = world.service.tick().then(() => (isOver = true))
    await world.time.until(() => isOver, engineLimits.drainMs + minuteMs, 1_000)
    await ticking
  })

  it('does what is due for more credentials than are worked on at once', async () => {
    const world = new World({ names: namesOf(150) })
    await world.start({ beat: 'none', patienceMs: 30_000 })
    let isOver = false
    const ticking = world.service.tick().then(() => (isOver = true))
    await world.time.until(() => isOver, 5 * minuteMs, 20)
    await ticking
    expect(world.names.filter((name) => !world.isHandedOut(name))).toEqual([])
  })
})

describe('a rotation that became due while nobody ran', () => {
  it('is caught up once at the next start', async () => {
    const world = new World({ schedule: quarterly })
    await world.ready()
    const first = world.handedOut()
    const dueAt = (await world.state()).nextRotationAt ?? 0
    await world.stop()
    world.time.jump(dueAt - world.time.now() + 400 * dayMs)
    await world.start()
    await world.time.until(() => world.handedOut() !== first && world.isHandedOut(), 10 * minuteMs)
    await world.time.advance(hourMs)
    const state = await world.state()
    expect(state.rotation).toMatchObject({ phase: 'done', requestedBy: 'schedule', outcome: 'promoted' })
    expect(await world.ledger.rotations('openai')).toHaveLength(1)
    expect(state.nextRotationAt).toBeGreaterThan(world.time.now())
  })

  it('is caught up under a schedule that was changed meanwhile, and not where there is none any more', async () => {
    const world = new World({ schedule: quarterly })
    await world.ready()
    const dueAt = (await world.state()).nextRotationAt ?? 0
    await world.stop()
    world.time.jump(dueAt - world.time.now() + dayMs)
    await world.start({ setup: { schedule: undefined } })
    await world.time.advance(10 * minuteMs)
    expect((await world.state()).rotation).toBeUndefined()
    expect((await world.state()).nextRotationAt).toBeUndefined()
  })

  it('of a credential that was taken out of the configuration is caught up when it is back', async () => {
    const world = new World({ names: ['openai', 'other'], schedule: quarterly })
    await world.ready()
    const dueAt = (await world.state('other')).nextRotationAt ?? 0
    await world.stop()
    world.time.jump(dueAt - world.time.now() + dayMs)
    await world.start({ setups: [world.setup('openai')] })
    await world.time.advance(10 * minuteMs)
    expect((await world.state('other')).rotation).toBeUndefined()
    await world.stop()
    await world.start()
    await world.time.advance(10 * minuteMs)
    expect((await world.state('other')).rotation?.outcome).toBe('promoted')
  })
})
