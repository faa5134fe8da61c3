import { expect, it } from 'vitest'
import { Presence } from './presence.ts'

it('tells the longest time without a break within two instants', () => {
  const presence = new Presence()
  expect(presence.longestWithin(0, 1_000)).toBe(0)
  presence.up(100)
  presence.down(300)
  presence.up(500)
  presence.up(600)
  presence.down(1_000)
  presence.down(1_100)
  expect(presence.longestWithin(0, 2_000)).toBe(500)
  expect(presence.longestWithin(200, 700)).toBe(200)
  expect(presence.longestWithin(0, 400)).toBe(200)
  presence.up(1_500)
  expect(presence.longestWithin(0, 9_500)).toBe(8_000)
})
