import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Lease } from '../../src/core/ports.ts'
import { createLeaseKeeper } from '../../src/engine/leases.ts'
import { createSystem } from '../../src/system.ts'
import { stateOf } from '../ledger/states.ts'

/** A keeper on a ledger that answers without ever letting go of the turn, as an embedded one does. */
function keeperOn(write: (leases: readonly Lease[]) => void) {
  const kept: Lease[] = []
  const calls: number[] = []
  const ledger = {
    async touchLease(...leases: readonly Lease[]) {
      calls.push(leases.length)
      write(leases)
      kept.push(...leases)
    },
    leases: async () => kept,
    dropLease: async () => false,
  }
  const deps = { system: createSystem(), log: () => undefined, ledger: ledger as never }
  const keeper = createLeaseKeeper(deps, () => ({ ...stateOf('openai'), generation: 5 }))
  const touch = (instance: string, app = 'web', generation = 5) =>
    keeper.touch({ name: 'openai', instance, app, generation })
  return { keeper, touch, kept, calls }
}

describe('leases of very many instances at once', () => {
  it('are written in few steps, with room for everything else in between', async () => {
    const { keeper, touch, kept, calls } = keeperOn(() => undefined)
    for (let index = 0; index < 1_000; index += 1) touch(`made-up-${index}`)
    await new Promise((resolve) => setImmediate(resolve))
    expect(kept.length).toBeLessThan(1_000)
    await keeper.flush()
    expect(new Set(kept.map(({ instance }) => instance)).size).toBe(1_000)
    expect(calls.length).toBeLessThan(10)
  })

  it('are all written but the one that can never be', async () => {
    const { keeper, touch, kept } = keeperOn((leases) => {
      if (leases.some(({ instance }) => instance === 'bad'))
        throw new KeyturnError('internal', 'not this one')
    })
    for (const instance of ['a', 'bad', 'b']) touch(instance)
    await keeper.flush()
    expect(kept.map(({ instance }) => instance).toSorted()).toEqual(['a', 'b'])
  })
})

it('one app that moved on does not move an instance of the same name of another', async () => {
  const { keeper, touch, kept } = keeperOn(() => undefined)
  touch('web-1', 'slow', 4)
  touch('web-1', 'quick', 5)
  await keeper.flush()
  expect(kept.map(({ app, generation }) => [app, generation])).toEqual([
    ['slow', 4],
    ['quick', 5],
  ])
})
