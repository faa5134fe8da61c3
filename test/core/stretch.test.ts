import { array, assert, boolean, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stretched, stretchOf } from '../../src/core/stretch.ts'
import { minuteMs, policyOf } from './fixtures.ts'

const policy = policyOf({ verifyEveryMs: 5 * minuteMs, verifyCloselyEveryMs: 30_000 })

describe('intervals within a rate', () => {
  it('stay as they are where there is room', () => {
    const stretch = stretchOf([{ policy, requests: 1 }], 3_000)
    expect(stretch.factor).toBe(1)
    expect(stretched(policy, stretch)).toBe(policy)
  })

  it('are drawn out alike where there is none, and say what was configured', () => {
    const demands = Array.from({ length: 10_000 }, () => ({ policy, requests: 1 }))
    // Two thousand a minute are wanted, of six hundred four fifths are planned.
    const stretch = stretchOf(demands, 600)
    expect(stretch.factor).toBeCloseTo(2_000 / 480)
    const paced = stretched(policy, stretch)
    expect(paced.verifyConfiguredMs).toBe(policy.verifyEveryMs)
    expect(paced.verifyEveryMs).toBeCloseTo((2_000 / 480) * policy.verifyEveryMs, -1)
    expect(paced.verifyUnsureEveryMs).toBeCloseTo((10_000 / 480) * minuteMs, -1)
  })

  it('never ask more than four fifths of the rate, with spares and scopes, sure or unsure', () => {
    const demand = record({
      policy: record({
        verifyEveryMs: integer({ min: 1_000, max: 86_400_000 }),
        verifyCloselyEveryMs: integer({ min: 1_000, max: 3_600_000 }),
        standby: boolean(),
      }),
      requests: integer({ min: 1, max: 33 }),
    })
    assert(
      property(
        array(demand, { minLength: 1, maxLength: 200 }),
        integer({ min: 10, max: 5_000 }),
        (all, perMinute) => {
          const stretch = stretchOf(all, perMinute)
          const planned = perMinute * 0.8
          let regular = 0
          let unsure = 0
          for (const { policy: one, requests } of all) {
            const paced = stretched(policyOf(one), stretch)
            const keys = one.standby ? 2 : 1
            regular += (requests * keys * minuteMs) / paced.verifyEveryMs
            unsure += (requests * keys * minuteMs) / Math.max(stretch.unsureEveryMs, one.verifyCloselyEveryMs)
          }
          expect(regular).toBeLessThanOrEqual(planned * 1.000_001)
          expect(unsure).toBeLessThanOrEqual(planned * 1.000_001)
        },
      ),
    )
  })
})
