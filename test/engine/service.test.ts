import { describe, expect, it } from 'vitest'
import type { Issuer } from '../../src/core/ports.ts'
import type { CredentialEvent } from '../../src/core/types.ts'
import { openMemoryStore } from '../../src/stores/memory.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

describe('what apps hear', () => {
  it('whoever asks when `promoted` is told gets the new key, through rotations, failovers and rollbacks', async () => {
    const world = new World({ policy: { activationGraceMs: 0 } })
    await world.ready()
    const seen: (readonly [unknown, string | undefined])[] = []
    world.service.onEvent((event) => {
      if (event.kind === 'promoted') seen.push([event.data['version'], world.handedOut()])
    })
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    const second = world.handedOut()
    const rolling = world.service.rollback('openai', {}, operator)
    await world.time.advance(1_000)
    await rolling
    expect(world.handedOut()).not.toBe(second)
    const again = world.service.rollback('openai', { to: second ?? '' }, operator)
    await world.time.advance(1_000)
    await again
    const key = world.issuer.keys.find((one) => one.keyId === 'key_svc_1_2')
    if (key !== undefined) key.isRefused = true
    void world.service.report('openai', { version: second ?? '', status: 401 }, operator)
    await world.time.advance(minuteMs)
    expect(seen.length).toBeGreaterThanOrEqual(4)
    for (const [promoted, handedOut] of seen) expect(handedOut).toBe(promoted)
  })

  it('a key that somebody else put into the store is handed out at the moment its adoption is told', async () => {
    const world = new World()
    await world.ready()
    const planted = world.issuer.plant()
    const store = world.store()
    await store.stage('openai', {
      version: 'by-hand',
      secret: planted.secret,
      meta: {},
      fence: Number.MAX_SAFE_INTEGER - 1,
    })
    const first = world.handedOut()
    await store.promote('openai', { to: 'by-hand', expectCurrent: first, fence: Number.MAX_SAFE_INTEGER - 1 })
    const seen: (string | undefined)[] = []
    world.service.onEvent((event) => {
      if (event.kind === 'promoted') seen.push(world.handedOut())
    })
    await world.time.until(() => world.handedOut() === 'by-hand', 3 * minuteMs)
    expect(seen).toEqual(['by-hand'])
  })

  it('events of a credential rise strictly and are durable when they are told', async () => {
    const world = new World({ names: ['one', 'two'] })
    await world.start()
    const told: CredentialEvent[] = []
    const durable: Promise<boolean>[] = []
    world.service.onEvent((event) => {
      told.push(event)
      durable.push(world.ledger.lastEventId(event.credential).then((last) => last >= event.id))
    })
    await world.time.until(() => world.isHandedOut('one') && world.isHandedOut('two'), minuteMs)
    await Promise.all(['one', 'two'].map((name) => world.service.rotate(name, {}, operator)))
    await world.walkRotation('one')
    await world.walkRotation('two')
    for (const name of ['one', 'two']) {
      const ids = told.filter((one) => one.credential === name).map((one) => one.id)
      expect(ids.length).toBeGreaterThan(5)
      expect(ids).toEqual(Array.from(ids, (_, index) => (ids[0] ?? 0) + index))
    }
    expect(await Promise.all(durable)).not.toContain(false)
  })

  it('a listener that throws keeps nobody else from hearing', async () => {
    const world = new World()
    await world.start()
    world.service.onHandOut(() => {
      throw new Error('a broken waiter')
    })
    world.service.onEvent(() => {
      throw new Error('a broken stream')
    })
    let heard = 0
    world.service.onHandOut(() => void heard++)
    await world.time.until(() => world.isHandedOut(), minuteMs)
    expect(heard).toBeGreaterThan(0)
  })

  it('the same object is handed out until something changes', async () => {
    const world = new World()
    await world.ready()
    await world.time.advance(1_000)
    const one = world.service.handOut('openai')
    await world.service.report('openai', { version: 'another', status: 401 }, operator)
    expect(world.service.handOut('openai')).toBe(one)
  })
})

describe('a flood of reports', () => {
  it('ten thousand at once are a few commits and a few probes, and all are answered', async () => {
    expectNoUnhandled()
    const world = new World()
    await world.ready()
    await world.time.advance(5_000)
    const version = world.handedOut() ?? ''
    const revision = (await world.state()).revision
    const probes = world.issuer.count('verify')
    const answers = Promise.all(
      Array.from({ length: 10_000 }, () =>
        world.service.report('openai', { version, status: 401 }, operator),
      ),
    )
    await world.time.advance(5_000)
    expect(new Set((await answers).map((one) => one.verdict))).toEqual(new Set(['valid']))
    expect((await world.state()).revision - revision).toBeLessThan(20)
    expect(world.issuer.count('verify') - probes).toBeLessThan(8)
    expect(world.time.waiting.foreground).toBe(0)
  })
})

describe('a restart', () => {
  it('hands out the last verified key at once although OpenAI is down', async () => {
    const world = new World()
    await world.ready()
    await world.stop()
    world.issuer.breakCall('verify')
    await world.start()
    await settle()
    expect(world.isHandedOut()).toBe(true)
    await world.time.advance(hourMs)
    expect(world.isHandedOut()).toBe(true)
  })

  it('does not hand out what somebody wrote over the current version meanwhile', async () => {
    const world = new World()
    await world.ready()
    const version = world.handedOut() ?? ''
    await world.stop()
    const planted = world.issuer.plant({ organization: 'org-theirs' })
    world.content.delete('openai')
    openMemoryStore(
      { content: world.content, initial: { openai: { version, secret: planted.secret } } },
      { system: world.time },
    )
    await world.start()
    for (let passed = 0; passed < 20; passed++) {
      await world.time.advance(10_000)
      const given = world.service.handOut('openai')
      expect(given?.kind === 'available' && given.secret.equals(planted.secret)).toBe(false)
    }
    expect((await world.state()).storeTrouble?.code).toBe('store_changed')
  })

  it('with a store that is down hands out as soon as it is back, without a change of anything', async () => {
    const world = new World()
    await world.ready()
    await world.stop()
    const base = world.store()
    let isDown = true
    const store = {
      ...base,
      read: async (...args: Parameters<typeof base.read>) => {
        if (isDown) throw new Error('down')
        return base.read(...args)
      },
    }
    await world.start({ setup: { store } })
    await world.time.advance(minuteMs)
    expect(world.isHandedOut()).toBe(false)
    isDown = false
    await world.time.until(() => world.isHandedOut(), 40_000)
  })

  it('with a state that breaks an invariant starts all the same', async () => {
    const world = new World({ names: ['sound', 'broken'] })
    await world.ready()
    await world.stop()
    const state = await world.state('broken')
    await world.ledger.commit({ state: { ...state, current: 'nobody' }, dueAt: 0, events: [] })
    await world.start()
    await world.time.until(() => world.isHandedOut('sound'), minuteMs)
    expect(world.service.handOut('broken')?.kind).toBe('unavailable')
  })

  it('with another policy goes on where it was: an installation that cannot mint any more ends nothing half', async () => {
    const world = new World()
    await world.ready()
    const release = world.issuer.hold('mint')
    await world.service.rotate('openai', {}, operator)
    await world.time.until(() => world.issuer.count('mint') === 1, minuteMs)
    await world.stop()
    release()
    await settle()
    const { kind, baseUrl } = world.issuer.asIssuer()
    const poor = {
      kind,
      baseUrl,
      verify: (...args: Parameters<Issuer['verify']>) => world.issuer.asIssuer().verify(...args),
      close: async () => undefined,
    }
    const without = { issuer: { ...poor, canMint: false }, policy: { ...world.policy, canMint: false } }
    await world.start({ setup: without })
    await world.time.advance(hourMs)
    expect(world.isHandedOut()).toBe(true)
    expect((await world.state()).rotation?.phase).toBe('halted')
    await world.stop()
    await world.start()
    const { rotation } = await world.state()
    await world.service.actOnRotation('openai', rotation?.id ?? '', 'resume', operator)
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    await world.time.advance(30 * minuteMs)
    expect(world.issuer.alive).toHaveLength(2)
  })
})

describe('secrets in memory', () => {
  it('of a key that is proven dead are gone, those of keys that live are there', async () => {
    const world = new World({ policy: { overlapMs: 5_000, quietMs: 0, deadSpanMs: 1_000 } })
    await world.ready()
    const reads: string[] = []
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.time.advance(30 * minuteMs)
    const state = await world.state()
    const dead = state.retirements.filter((one) => one.phase === 'dead')
    expect(dead).toHaveLength(1)
    for (const one of dead)
      expect(await world.store().read('openai', { version: one.version })).toBeUndefined()
    expect(reads).toEqual([])
  })
})

it('reads a credential a few times however often others tell of it at once: in a database anybody can notify', async () => {
  const world = new World()
  let tell: (name: string) => void = () => undefined
  let reads = 0
  const read = world.ledger.read.bind(world.ledger)
  Object.assign(world.ledger, {
    watch(listener: typeof tell) {
      tell = listener
      return () => undefined
    },
    read(name: string) {
      reads += 1
      return read(name)
    },
  })
  await world.ready()
  reads = 0
  for (let index = 0; index < 5_000; index += 1) tell(index % 2 === 0 ? 'openai' : 'unknown')
  await settle()
  expect(reads).toBeGreaterThan(0)
  expect(reads).toBeLessThan(200)
})
