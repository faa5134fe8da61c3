import { expect, it } from 'vitest'
import { expectNoUnhandled, operator, World } from './world.ts'

for (const mode of ['normal', 'emergency'] as const) {
  it(`a store that lost everything takes the key of a rotation (${mode}): nobody's key is in its way`, async () => {
    expectNoUnhandled()
    const world = new World()
    await world.ready()
    const lost = world.handedOut()
    world.content.delete('openai')
    await world.service.rotate('openai', { mode, reason: 'the store is empty' }, operator)
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    expect(world.handedOut()).not.toBe(lost)
    expect(world.content.get('openai')?.shelf.current).toBe(world.handedOut())
    expect(world.faults()).toEqual([])
  })
}
