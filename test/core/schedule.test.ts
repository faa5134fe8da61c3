import { array, assert, integer, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Occurrences } from '../../src/core/ports.ts'
import {
  dueRotation,
  nextCheckAt,
  nextRotation,
  quarterly,
  type RotationPlan,
  type Schedule,
  withPlan,
} from '../../src/core/schedule.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import { stateOf } from '../ledger/states.ts'

const occurrences = createOccurrences()
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const schedule: Schedule = {
  expression: quarterly,
  timeZone: 'UTC',
  jitterMs: 2 * hourMs,
  seed: 'install/openai',
  occurrences,
}
const at = (text: string) => Date.parse(text)

/** Walks a clock over given instants and returns those at which a rotation fired. */
function fired(instants: readonly number[], one: Schedule = schedule, start: RotationPlan = {}): number[] {
  const fires: number[] = []
  let plan = start
  for (const now of instants) {
    const due = dueRotation(plan, one, now)
    if (due.isDue) fires.push(now)
    plan = due.plan
  }
  return fires
}

describe('the next rotation', () => {
  it('is the next first day of a quarter, at three, in the time zone', () => {
    const next = (afterAt: string, timeZone: string) =>
      nextRotation({ ...schedule, timeZone, jitterMs: 0, afterAt: at(afterAt) })?.dueAt
    expect(next('2026-11-21T00:00:00Z', 'UTC')).toBe(at('2027-01-01T03:00:00Z'))
    expect(next('2027-01-01T03:00:00Z', 'UTC')).toBe(at('2027-04-01T03:00:00Z'))
    expect(next('2027-01-01T02:59:59.999Z', 'UTC')).toBe(at('2027-01-01T03:00:00Z'))
    expect(next('2026-11-21T00:00:00Z', 'Europe/Berlin')).toBe(at('2027-01-01T02:00:00Z'))
    expect(next('2027-02-01T00:00:00Z', 'Europe/Berlin')).toBe(at('2027-04-01T01:00:00Z'))
  })

  it('has a jitter that is the same each time, and another for each credential and occurrence', () => {
    const jitterOf = (seed: string, afterAt: number) => {
      const next = nextRotation({ ...schedule, seed, afterAt })
      return next === undefined ? -1 : next.dueAt - next.occurrenceAt
    }
    const now = at('2026-11-21T00:00:00Z')
    expect(jitterOf('a', now)).toBe(jitterOf('a', now + dayMs))
    expect(new Set(['a', 'b', 'c', 'aa', 'ab'].map((seed) => jitterOf(seed, now))).size).toBe(5)
    expect(jitterOf('a', now)).not.toBe(jitterOf('a', at('2027-02-01T00:00:00Z')))
  })

  it('has a jitter that is uniform from nothing to the whole, both reached', () => {
    const counts = Array.from({ length: 6 }, () => 0)
    for (let index = 0; index < 6_000; index += 1) {
      const next = nextRotation({ ...schedule, jitterMs: 5, seed: `credential-${index}`, afterAt: 0 })
      const jitter = (next?.dueAt ?? 0) - (next?.occurrenceAt ?? 0)
      counts[jitter] = (counts[jitter] ?? 0) + 1
    }
    expect(counts).toHaveLength(6)
    // Six standard deviations of a binomial around 1000.
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(175)
  })

  it('is nothing where there is no occurrence', () => {
    const never: Occurrences = { next: () => undefined }
    expect(nextRotation({ ...schedule, occurrences: never, afterAt: 0 })).toBeUndefined()
    const due = dueRotation({}, { ...schedule, occurrences: never }, 0)
    expect(due.isDue).toBe(false)
    expect(due.plan.nextRotationAt).toBeUndefined()
  })

  it('refuses occurrences that do not move on', () => {
    const stuck: Occurrences = { next: (_expression, _timeZone, afterAt) => afterAt }
    expect(() => nextRotation({ ...schedule, occurrences: stuck, afterAt: 5 })).toThrow(/invariant/)
  })
})

describe('a due rotation', () => {
  const exact = { ...schedule, jitterMs: 0 }

  it('does not come at adoption, but at the next occurrence', () => {
    const now = at('2026-11-21T00:00:00Z')
    const { isDue, plan } = dueRotation({}, exact, now)
    expect(isDue).toBe(false)
    expect(plan).toMatchObject({
      nextRotationAt: at('2027-01-01T03:00:00Z'),
      lastScheduledAt: at('2027-01-01T03:00:00Z'),
    })
    expect(dueRotation(plan, exact, at('2027-01-01T02:59:59Z'))).toEqual({ isDue: false, plan })
    const due = dueRotation(plan, exact, at('2027-01-01T03:00:00Z'))
    expect(due.isDue).toBe(true)
    expect(due.plan.nextRotationAt).toBe(at('2027-04-01T03:00:00Z'))
  })

  it('comes once after three missed quarters', () => {
    const back = at('2027-08-15T12:00:00Z')
    const instants = [at('2026-11-21T00:00:00Z'), back, back + 1, back + 1_000, at('2027-10-01T02:59:00Z')]
    expect(fired(instants, exact)).toEqual([back])
  })

  it('comes four times a year, and never twice for one occurrence, whatever the jitter', () => {
    const hours = Array.from({ length: 365 * 24 }, (_, index) => at('2027-01-01T12:00:00Z') + index * hourMs)
    for (const jitterMs of [0, 5 * hourMs, 80 * dayMs])
      expect(fired(hours, { ...schedule, jitterMs })).toHaveLength(jitterMs > dayMs ? 3 : 4)
  })

  it('comes once where the clock is set back over the occurrence', () => {
    const occurrence = at('2027-01-01T03:00:00Z')
    const instants = [occurrence - dayMs, occurrence, occurrence - 1_000, occurrence, occurrence - 9 * dayMs]
    expect(fired([...instants, occurrence, occurrence + 1], exact)).toEqual([occurrence])
  })

  it.each([
    ['Europe/Berlin', '30 2 * * *', '2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z', 2],
    ['Europe/Berlin', '30 2 * * *', '2026-03-28T12:00:00Z', '2026-03-30T12:00:00Z', 2],
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00:00Z', '2026-11-02T12:00:00Z', 2],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T00:00:00Z', '2026-04-06T00:00:00Z', 2],
  ])(
    'comes once a day in %s also when the clocks change (%s from %s)',
    (timeZone, expression, from, to, days) => {
      const minutes: number[] = []
      for (let now = at(from); now <= at(to); now += 60_000) minutes.push(now)
      expect(fired(minutes, { ...exact, expression, timeZone })).toHaveLength(days)
    },
  )

  it('is planned anew when the schedule changes, after what was overdue', () => {
    const { plan } = dueRotation({}, exact, at('2026-11-21T00:00:00Z'))
    const daily = { ...exact, expression: '0 4 * * *' }
    const changed = dueRotation(plan, daily, at('2026-11-21T00:00:00Z'))
    expect(changed.isDue).toBe(false)
    expect(changed.plan.nextRotationAt).toBe(at('2026-11-21T04:00:00Z'))
    const overdue = dueRotation(plan, daily, at('2027-02-01T00:00:00Z'))
    expect(overdue.isDue).toBe(true)
    expect(overdue.plan.nextRotationAt).toBe(at('2027-02-01T04:00:00Z'))
  })

  it('does not plan an occurrence again that was planned before and then taken off', () => {
    const occurrence = at('2027-01-01T03:00:00Z')
    const { plan } = dueRotation({}, exact, occurrence - dayMs)
    const { nextRotationAt: _off, ...without } = plan
    expect(dueRotation(without, exact, occurrence - dayMs).plan.nextRotationAt).toBe(
      at('2027-04-01T03:00:00Z'),
    )
  })

  it('is none without a schedule, and the plan goes', () => {
    const { plan } = dueRotation({}, exact, 0)
    const state = withPlan(stateOf('openai'), plan)
    expect(state.nextRotationAt).toBeDefined()
    const gone = dueRotation(state, null, Number.MAX_SAFE_INTEGER)
    expect(gone).toEqual({ isDue: false, plan: {} })
    expect(withPlan(state, gone.plan)).toEqual(stateOf('openai'))
  })

  it('holds for any walk of the clock: plans only move on, and there is at most one rotation per occurrence', () => {
    const step = integer({ min: -40 * dayMs, max: 60 * dayMs })
    assert(
      property(array(step, { maxLength: 60 }), integer({ min: 0, max: 30 * dayMs }), (steps, jitterMs) => {
        const one = { ...schedule, jitterMs }
        let now = at('2026-11-21T00:00:00Z')
        let plan: RotationPlan = {}
        for (const stepMs of steps) {
          now += stepMs
          const due = dueRotation(plan, one, now)
          const before = plan.lastScheduledAt ?? Number.NEGATIVE_INFINITY
          const after = due.plan.lastScheduledAt ?? Number.NEGATIVE_INFINITY
          if (due.isDue) expect(after).toBeGreaterThan(Math.max(before, now))
          else if (plan.lastScheduledAt !== undefined) expect(due.plan).toEqual(plan)
          // Asked again at the same instant, nothing more is due.
          expect(dueRotation(due.plan, one, now)).toEqual({ isDue: false, plan: due.plan })
          plan = due.plan
        }
      }),
    )
  })
})

describe('the next check', () => {
  const policy = { verifyEveryMs: 300_000, verifyCloselyEveryMs: 15_000, verifyCloselyForMs: 600_000 }
  const afterMs = (promotedAt: number | undefined, now: number, fraction: number, seed = 'openai') =>
    nextCheckAt({ promotedAt, now, policy, fraction, seed }) - now

  it('comes closely for a while after the promotion, within ten percent', () => {
    expect(afterMs(0, 0, 0)).toBe(13_500)
    expect(afterMs(0, 599_999, 0.5)).toBe(15_000)
    expect(afterMs(0, 300_000, 0.999_999)).toBe(16_500)
  })

  it('comes at the regular interval otherwise, within a tenth', () => {
    let now = nextCheckAt({ promotedAt: undefined, now: 5_000_000, policy, fraction: 0.5, seed: 'openai' })
    for (let turn = 0; turn < 50; turn += 1) {
      const next = nextCheckAt({
        promotedAt: undefined,
        now,
        policy,
        fraction: (turn * 0.37) % 1,
        seed: 'openai',
      })
      expect(next - now).toBeGreaterThanOrEqual(270_000)
      expect(next - now).toBeLessThanOrEqual(330_000)
      now = next
    }
  })

  it('has its place in the interval by the name alone, whenever the last one was', () => {
    assert(
      property(
        string(),
        integer({ min: 0, max: 10 ** 12 }),
        integer({ min: 0, max: 10 ** 12 }),
        (seed, one, other) => {
          const placeOf = (now: number) =>
            nextCheckAt({ promotedAt: undefined, now, policy, fraction: 0, seed }) % policy.verifyEveryMs
          const apart = Math.abs(placeOf(one) - placeOf(other))
          expect(Math.min(apart, policy.verifyEveryMs - apart)).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  it('never comes sooner than a twentieth of the interval, nor later than eleven tenths', () => {
    assert(
      property(
        string(),
        integer({ min: 0, max: 10 ** 12 }),
        integer({ min: 0, max: 999 }),
        (seed, now, drawn) => {
          const fraction = drawn / 1_000
          const after = nextCheckAt({ promotedAt: undefined, now, policy, fraction, seed }) - now
          expect(after).toBeGreaterThanOrEqual(0.05 * policy.verifyEveryMs - 1)
          expect(after).toBeLessThanOrEqual(1.1 * policy.verifyEveryMs + 1)
        },
      ),
    )
  })

  it('treats a promotion that a clock set back shows in the future as one of now', () => {
    expect(afterMs(1_000, 0, 0.5)).toBe(15_000)
  })

  it('never comes at the same instant again, whatever the policy', () => {
    const zero = { verifyEveryMs: 0, verifyCloselyEveryMs: 0, verifyCloselyForMs: 0 }
    expect(nextCheckAt({ promotedAt: 0, now: 7, policy: zero, fraction: 0, seed: '' })).toBe(8)
  })

  it.each(['start', 'promotion'] as const)(
    'spreads 10,000 credentials after one common %s: no minute above twice the mean',
    (beginning) => {
      let drawn = 1
      const fraction = () => {
        drawn = (Math.imul(drawn, 1_664_525) + 1_013_904_223) >>> 0
        return drawn / 2 ** 32
      }
      const hours = 2
      const minutes = Array.from({ length: hours * 60 }, () => 0)
      const settledMs = beginning === 'start' ? 0 : policy.verifyCloselyForMs + 60_000
      for (let credential = 0; credential < 10_000; credential += 1) {
        let now = 0
        while (now < hours * hourMs) {
          const promotedAt = beginning === 'start' ? undefined : 0
          now = nextCheckAt({ promotedAt, now, policy, fraction: fraction(), seed: `app-${credential}` })
          const minute = Math.floor(now / 60_000)
          if (now >= settledMs && minute < minutes.length) minutes[minute] = (minutes[minute] ?? 0) + 1
        }
      }
      const busy = minutes.slice(settledMs / 60_000)
      const mean = busy.reduce((sum, count) => sum + count, 0) / busy.length
      expect(Math.max(...busy)).toBeLessThan(2 * mean)
      expect(mean).toBeGreaterThan(1_500)
    },
  )
})
