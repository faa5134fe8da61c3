import { expect, it } from 'vitest'
import type { Lease } from '../../src/core/leases.ts'
import { createLeaseKeeper, type LeaseKeeper } from '../../src/engine/leases.ts'
import { stateOf } from '../core/fixtures.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, World } from './world.ts'

class Rig {
  readonly world = new World()
  readonly written: Lease[] = []
  readonly ended: string[] = []
  writing: Promise<void> = Promise.resolve()
  tries = 0
  isDown = false
  readonly keeper: LeaseKeeper

  constructor() {
    const ledger = {
      ...this.world.ledger,
      touchLease: async (...leases: readonly Lease[]) => {
        this.tries++
        if (this.isDown) throw new Error('the ledger is down')
        await this.writing
        this.written.push(...leases)
      },
      leases: async () => this.written,
      endLease: async (lease: Pick<Lease, 'instance' | 'app'>) => {
        this.ended.push(`${lease.app} ${lease.instance} after ${this.written.length}`)
      },
    }
    this.keeper = createLeaseKeeper(this.world.deps({ ledger }), () => stateOf([], { generation: 5 }))
  }

  touch(instance = 'i1', generation = 1): void {
    this.keeper.touch({ name: 'openai', instance, app: 'shop', generation })
  }
}

it('writes an instance at once, then at most every thirty seconds unless it has moved on', async () => {
  const rig = new Rig()
  for (let second = 0; second < 65; second++) {
    rig.touch()
    await rig.world.time.advance(1_000)
  }
  expect(rig.written).toHaveLength(3)
  rig.touch('i1', 2)
  await settle()
  expect(rig.written.at(-1)).toMatchObject({ generation: 2 })
})

it('no instance can claim a generation that is not there yet', async () => {
  const rig = new Rig()
  rig.touch('i1', 99)
  await settle()
  expect(rig.written[0]?.generation).toBe(5)
})

it('a ledger that fails is asked once in five seconds however many requests come, and nothing is forgotten', async () => {
  expectNoUnhandled()
  const rig = new Rig()
  rig.isDown = true
  for (let request = 0; request < 500; request++) {
    rig.touch(`i${request % 50}`)
    await rig.world.time.advance(20)
  }
  expect(rig.tries).toBeLessThanOrEqual(3)
  expect(rig.world.logs.length).toBe(rig.tries)
  rig.isDown = false
  await rig.world.time.advance(5_000)
  rig.touch('i1')
  await settle()
  expect(new Set(rig.written.map((one) => one.instance)).size).toBe(50)
})

it('a flush ends whether the ledger works or not, and a list waits for what is under way', async () => {
  expectNoUnhandled()
  const rig = new Rig()
  rig.isDown = true
  rig.touch('i1')
  rig.touch('i2')
  await rig.keeper.flush()
  expect(rig.written).toEqual([])
  rig.isDown = false
  expect((await rig.keeper.list('openai')).map((one) => one.instance)).toEqual(['i1', 'i2'])
})

it('what is dropped is written again by its next sign of life', async () => {
  const rig = new Rig()
  rig.touch()
  await settle()
  await rig.keeper.drop('openai', 'i1')
  rig.touch()
  await settle()
  expect(rig.written).toHaveLength(2)
})

it('what waits to be written is not written after its end, and what is being written is waited for', async () => {
  const rig = new Rig()
  rig.isDown = true
  rig.touch('i1')
  rig.touch('i2')
  await settle()
  rig.isDown = false
  await rig.keeper.end({ name: 'openai', app: 'shop', instance: 'i1' })
  await rig.keeper.flush()
  expect(rig.written.map((one) => one.instance)).toEqual(['i2'])

  await rig.world.time.advance(5_000)
  let go = (): void => undefined
  rig.writing = new Promise((resolve) => {
    go = resolve
  })
  rig.touch('i3')
  const ending = rig.keeper.end({ name: 'openai', app: 'shop', instance: 'i3' })
  await settle()
  expect(rig.ended).toEqual(['shop i1 after 0'])
  go()
  await ending
  expect(rig.ended).toEqual(['shop i1 after 0', 'shop i3 after 2'])
  rig.touch('i3')
  await settle()
  expect(rig.written.map((one) => one.instance)).toEqual(['i2', 'i3', 'i3'])
})

it('a clock that was set back does not keep leases from being written', async () => {
  const rig = new Rig()
  rig.isDown = true
  rig.touch()
  await settle()
  rig.isDown = false
  rig.world.time.jump(-3 * 3_600_000)
  rig.touch()
  await settle()
  expect(rig.written).toHaveLength(1)
})
