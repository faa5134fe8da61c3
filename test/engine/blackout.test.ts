import { expect, it } from 'vitest'
import { blackoutsOf } from '../../src/core/blackout.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import { hourMs, minuteMs, startAt } from '../core/fixtures.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const until = startAt + 3 * hourMs
const once = { fromAt: startAt + 30 * minuteMs, untilAt: until }
const blackoutAt = blackoutsOf([once], createOccurrences())

it('a scheduled rotation comes after the blackout, the ledger is left alone meanwhile, and who insists has it at once', async () => {
  expectNoUnhandled()
  const policy = { blackoutAt, overlapMs: minuteMs, storePollMs: 12 * hourMs, verifyEveryMs: 12 * hourMs }
  const world = new World({ policy, schedule: { expression: '0 * * * *', timeZone: 'UTC', jitterMs: 0 } })
  await world.ready()
  const first = world.handedOut()
  await world.time.advance(once.fromAt + 2 * minuteMs - world.time.now())
  const before = await world.service.summary('openai')
  expect(before).toMatchObject({ blackoutUntil: new Date(until).toISOString(), rotation: null })
  expect(before.rotatesAt).toBe(new Date(until).toISOString())
  const { revision } = await world.state()
  await world.time.advance(2 * hourMs)
  expect(world.handedOut()).toBe(first)
  expect((await world.state()).revision - revision).toBeLessThan(5)

  await expect(world.service.rotate('openai', {}, operator)).rejects.toMatchObject({ code: 'blackout' })
  await world.service.rotate('openai', { inBlackout: true }, operator)
  await world.walkRotation()
  const insisted = world.handedOut()
  expect(insisted).not.toBe(first)

  await world.time.advance(until + 5 * minuteMs - world.time.now())
  expect(world.handedOut()).not.toBe(insisted)
  expect((await world.service.summary('openai')).blackoutUntil).toBeNull()
  expect(world.faults()).toEqual([])
})
