import { expect, it } from 'vitest'
import { raceSuite } from '../conformance/race-suite.ts'
import { googleDirectHarness, unknownCalls } from './fakes/google-direct.ts'
import { googleHarness } from './fakes/google-place.ts'

raceSuite('google-secret-manager', () => googleDirectHarness({}, 1))
raceSuite('google-secret-manager (over REST)', () => googleHarness(), { races: 15, seed: 3 })

it('goes through calls that the real client has', () => {
  expect(unknownCalls).toEqual([])
})
