import { describe, expect, it } from 'vitest'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const reveal = (world: World): string => world.issuer.plant().secret.reveal()

describe('bringing a key', () => {
  it('walks to its promotion', async () => {
    const world = new World()
    await world.ready()
    const brought = await world.service.bring('openai', { apiKey: reveal(world) }, operator)
    await world.walkRotation()
    expect(world.handedOut()).toBe(brought.version)
  })

  it('that the store does not take leaves no rotation that waits for ever', async () => {
    const world = new World()
    const base = world.store()
    let isDown = false
    const store = {
      ...base,
      stage: async (...args: Parameters<typeof base.stage>) => {
        if (isDown) throw new Error('the store is full')
        return base.stage(...args)
      },
    }
    await world.ready({ setup: { store } })
    isDown = true
    await expect(world.service.bring('openai', { apiKey: reveal(world) }, operator)).rejects.toThrow('full')
    expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'aborted' })
    isDown = false
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
  })

  it('twice at once: one is taken, the other is refused and leaves nothing in the store', async () => {
    expectNoUnhandled()
    const world = new World()
    await world.ready()
    const results = await Promise.allSettled([
      world.service.bring('openai', { apiKey: reveal(world) }, operator),
      world.service.bring('openai', { apiKey: reveal(world) }, operator),
    ])
    expect(results.map((one) => one.status).toSorted()).toEqual(['fulfilled', 'rejected'])
    await world.walkRotation()
    const described = await world.store().describe('openai')
    expect(described?.versions).toHaveLength(2)
  })

  it('the key that is there already is a conflict', async () => {
    const world = new World()
    await world.ready()
    const given = world.service.handOut('openai')
    const apiKey = given?.kind === 'available' ? given.secret.reveal() : ''
    await expect(world.service.bring('openai', { apiKey }, operator)).rejects.toMatchObject({
      code: 'conflict',
    })
  })
})

describe('going back', () => {
  it('is refused where the store cannot be written, and nothing changes', async () => {
    const world = new World()
    await world.ready()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.stop()
    const current = (await world.state()).current
    await world.start({ setup: { policy: { ...world.policy, storeWritable: false } } })
    await settle()
    await expect(world.service.rollback('openai', {}, operator)).rejects.toMatchObject({
      code: 'store_read_only',
    })
    expect((await world.state()).current).toBe(current)
  })

  it('takes the draining key out of its retirement, and a retired one is refused', async () => {
    const world = new World({ policy: { overlapMs: 5_000, quietMs: 0, deadSpanMs: 1_000 } })
    await world.ready()
    const versions: string[] = []
    for (const _turn of [1, 2]) {
      await world.service.rotate('openai', {}, operator)
      await world.walkRotation()
      versions.push(world.handedOut() ?? '')
    }
    const back = world.service.rollback('openai', { to: versions[0] ?? '' }, operator)
    await world.time.advance(1_000)
    await back
    await world.time.advance(hourMs)
    expect(world.handedOut()).toBe(versions[0])
    expect((await world.store().read('openai'))?.version).toBe(versions[0])
    await expect(world.service.rollback('openai', { to: versions[1] ?? '' }, operator)).rejects.toMatchObject(
      {
        code: 'version_not_live',
      },
    )
  })
})

describe('revoking', () => {
  it('a key that another credential holds needs the typed word', async () => {
    const world = new World({ names: ['one', 'two'] })
    const shared = world.issuer.plant()
    for (const name of world.names) {
      const store = world.store()
      await store.stage(name, {
        version: `shared-${name}`,
        secret: shared.secret,
        meta: { keyId: shared.keyId },
        fence: 1,
      })
      await store.promote(name, { to: `shared-${name}`, expectCurrent: `first-${name}`, fence: 1 })
    }
    await world.ready()
    await world.service.rotate('one', {}, operator)
    await world.walkRotation('one')
    await expect(world.service.revoke('one', 'shared-one', {}, operator)).rejects.toMatchObject({
      code: 'conflict',
    })
    await world.time.advance(10 * minuteMs)
    expect(shared.isDeleted).toBe(false)
    expect(world.isHandedOut('two')).toBe(true)
    await world.service.revoke('one', 'shared-one', { evenIfLast: true, confirm: 'one' }, operator)
    await world.time.advance(10 * minuteMs)
    expect(shared.isDeleted).toBe(true)
  })

  it('the last working key is refused without it', async () => {
    const world = new World()
    await world.ready()
    const version = world.handedOut() ?? ''
    await expect(world.service.revoke('openai', version, {}, operator)).rejects.toMatchObject({
      code: expect.stringMatching(/last_working_key|issuer_cannot_mint/),
    })
    expect(world.isHandedOut()).toBe(true)
  })
})

describe('waiting for a probe', () => {
  it('ends after its time although the issuer never answers, and leaves neither timer nor listener', async () => {
    const world = new World()
    await world.ready()
    await world.time.advance(minuteMs)
    world.issuer.hold('verify')
    let isOver = false
    const waiting = world.service.verify('openai', operator).finally(() => (isOver = true))
    await world.time.until(() => isOver, 20_000)
    expect((await waiting).current?.check?.verdict).toBe('valid')
    expect(world.time.waiting.foreground).toBe(0)
  })
})

describe('operators and lanes at once', () => {
  it('a storm of acts leaves a sound state, and every act is answered', async () => {
    expectNoUnhandled()
    const world = new World()
    await world.ready()
    for (let round = 0; round < 20; round++) {
      const id = (await world.state()).rotation?.id ?? 'none'
      const acts = Promise.allSettled([
        world.service.rotate('openai', {}, operator),
        world.service.rotate('openai', { mode: 'emergency' }, operator),
        world.service.rollback('openai', {}, operator),
        world.service.actOnRotation('openai', id, 'pause', operator),
        world.service.actOnRotation('openai', id, 'resume', operator),
        world.service.actOnRotation('openai', id, 'abort', operator),
        world.service.report('openai', { version: world.handedOut() ?? '', status: 401 }, operator),
      ])
      await world.time.advance(100 + round * 137)
      await world.time.advance(20_000)
      for (const one of await acts)
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ name: 'KeyturnError' })
      expect(world.isHandedOut()).toBe(true)
    }
    expect(world.faults()).toEqual([])
    await world.time.advance(hourMs)
    const state = await world.state()
    const live = state.versions.filter((one) => one.stage === 'current')
    expect(live).toHaveLength(1)
    expect((await world.store().read('openai'))?.version).toBe(state.current)
  })
})
