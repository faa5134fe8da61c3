import { array, assert, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Budget,
  fullBudget,
  mayAsk,
  mayAskAt,
  refilled,
  spent,
  type Urgency,
} from '../../src/core/budget.ts'

const minuteMs = 60_000

/** Asks as often as it may for so long; every step wants the given kinds, in their order. */
function drive(
  perMinute: number,
  forMs: number,
  wanted: (at: number) => readonly Urgency[],
  stepMs = 100,
): Record<Urgency, number> {
  const asked = { urgent: 0, close: 0, routine: 0 }
  let budget: Budget = fullBudget(perMinute, 0)
  for (let at = 0; at < forMs; at += stepMs) {
    budget = refilled(budget, perMinute, at)
    for (const urgency of wanted(at)) {
      if (!mayAsk(budget, perMinute, urgency)) continue
      budget = spent(budget, perMinute, { urgency, count: 1 })
      asked[urgency] += 1
    }
  }
  return asked
}

const crowd = (urgency: Urgency) => Array.from({ length: 20 }, () => urgency)

describe('the budget of an organisation', () => {
  it('lets no more through than its rate and one bucket, however many are routine', () => {
    const { routine } = drive(600, 10 * minuteMs, () => crowd('routine'))
    // The share of its own fills up while there is enough for all.
    expect(routine).toBeLessThanOrEqual(600 * 10 * 1.1 + 110)
    expect(routine).toBeGreaterThan(600 * 10 * 0.9)
  })

  it('never makes what is urgent wait', () => {
    assert(
      property(integer({ min: 1, max: 10_000 }), integer({ min: 0, max: 50_000 }), (perMinute, count) => {
        const budget = spent(fullBudget(perMinute, 0), perMinute, { urgency: 'urgent', count })
        expect(mayAsk(budget, perMinute, 'urgent')).toBe(true)
      }),
    )
  })

  it('goes to what is close before what is routine when it gets short', () => {
    const { close, routine } = drive(600, 5 * minuteMs, () => [...crowd('routine'), ...crowd('close')])
    expect(close).toBeGreaterThan(5 * routine)
  })

  it('starves neither, whatever else is asked without end', () => {
    const asked = drive(600, 10 * minuteMs, () => [
      ...crowd('urgent'),
      ...crowd('close'),
      ...crowd('routine'),
    ])
    expect(asked.routine).toBeGreaterThan(0.08 * 600 * 10)
    expect(asked.close).toBeGreaterThan(0.15 * 600 * 10)
  })

  it('owes no more than one bucket: after a storm of urgent ones the others wait seconds, not hours', () => {
    const storm = spent(fullBudget(600, 0), 600, { urgency: 'urgent', count: 1_000_000 })
    expect(mayAskAt(storm, 600, 'close')).toBeLessThan(minuteMs)
    expect(mayAskAt(storm, 600, 'routine')).toBeLessThan(minuteMs)
  })

  it('says when the next may be asked, and then it may', () => {
    const asked = array(
      record({
        urgency: constantFrom<Urgency>('urgent', 'close', 'routine'),
        count: integer({ min: 1, max: 300 }),
      }),
      { maxLength: 20 },
    )
    assert(
      property(
        integer({ min: 10, max: 10_000 }),
        asked,
        constantFrom('close', 'routine'),
        (perMinute, all, kind) => {
          const budget = all.reduce((left, one) => spent(left, perMinute, one), fullBudget(perMinute, 0))
          const at = mayAskAt(budget, perMinute, kind)
          expect(mayAsk(refilled(budget, perMinute, at + 1), perMinute, kind)).toBe(true)
        },
      ),
    )
  })

  it('gains nothing from a clock that is set back', () => {
    const empty = spent(fullBudget(600, 1_000_000), 600, { urgency: 'urgent', count: 500 })
    const back = refilled(empty, 600, 0)
    expect(back.tokens).toBe(empty.tokens)
    expect(refilled(back, 600, 1_000).tokens).toBeCloseTo(empty.tokens + 10)
  })
})
