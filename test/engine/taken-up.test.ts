import { expect, it } from 'vitest'
import { minuteMs } from '../core/fixtures.ts'
import { type Logged, operator, World } from './world.ts'

const message = 'openai: goes on where it was left'

function told(world: World): readonly Logged[] {
  return world.logs.filter((one) => one.message === message)
}

it('a start says what was under way when the process before ended', async () => {
  const world = new World({ policy: { overlapMs: 60 * minuteMs } })
  await world.ready()
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  world.issuer.hold('mint')
  await world.service.rotate('openai', {}, operator)
  await world.time.until(() => world.issuer.count('mint') > 1, minuteMs)
  expect(told(world)).toEqual([])

  await world.start()
  const { id } = (await world.state()).rotation ?? {}
  expect(told(world)).toEqual([
    {
      level: 'info',
      message,
      fields: expect.objectContaining({
        rotation: { id, phase: 'minting', paused: false },
      }) as Logged['fields'],
    },
  ])
})

it('a start says nothing where nothing was under way', async () => {
  const world = new World()
  await world.ready()
  await world.stop()
  await world.start()
  expect(told(world)).toEqual([])
})
