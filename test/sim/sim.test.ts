import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fingerprint } from '../../src/core/fingerprint.ts'
import { recordWith, startAt, stateOf } from '../core/fixtures.ts'
import { retirementOf } from '../ledger/states.ts'
import { diceOf } from './dice.ts'
import { linesOfFailures } from './failures.ts'
import { type History, playHistory } from './history.ts'
import { quarterOptionsOf } from './quarter.ts'
import { Slow } from './slow.ts'
import { SimTime } from './time.ts'
import { World } from './world.ts'

/** Of each run of the tests; `npm run sim` plays as many more as are wanted. */
const seeds = 24

describe('the simulator', () => {
  it('plays the same story for the same seed', async () => {
    const [one, other] = [await playHistory(7), await playHistory(7)]
    expect(one.fingerprint).toBe(other.fingerprint)
    expect(one.events).toBe(other.events)
    expect((await playHistory(8)).fingerprint).not.toBe(one.fingerprint)
  })

  it('rings timers in their order, and lets promises end in between', () => {
    const time = new SimTime()
    const heard: string[] = []
    const note = async (what: string): Promise<void> => {
      await Promise.resolve()
      heard.push(`${what} at ${time.elapsed}`)
    }
    // The loop works outside of promises only, as a callback of the event loop is.
    return new Promise<void>((resolve) => {
      setImmediate(() => {
        const dice = diceOf(1)
        const delays = Array.from({ length: 50 }, () => dice.below(1_000))
        for (const delayMs of delays) time.after(delayMs, () => void note('timer'))
        time.after(500, () => undefined)()
        time.run(10_000)
        expect(heard).toEqual(delays.toSorted((a, b) => a - b).map((at) => `timer at ${at}`))
        resolve()
      })
    })
  })
})

it('tells of failures in the order of their seeds, whichever worker was first', () => {
  const failed = [9, 4, 7, 2].map(
    (seed): History => ({
      seed,
      violations: [{ rule: 'a rule', what: `in ${seed}` }],
      fingerprint: '',
      story: [`the story of ${seed}`],
      pending: [],
      events: 1,
      virtualMs: 1,
      seen: {},
    }),
  )
  const lines = linesOfFailures(failed, (seed) => `again ${seed}`)
  expect(linesOfFailures(failed.toReversed(), (seed) => `again ${seed}`)).toEqual(lines)
  expect(lines.filter((line) => line.startsWith('the story'))).toEqual(
    [2, 4, 7].map((seed) => `the story of ${seed}`),
  )
  expect(lines.at(-1)).toBe('seed 9 failed: a rule')
})

describe('what only a quarter shows', () => {
  const dayMs = 86_400_000

  function setUp() {
    const world = new World(quarterOptionsOf(5))
    return { world, slow: new Slow(world), broken: () => world.sim.violations.map(({ rule }) => rule) }
  }

  it.each([
    ['none', [], false],
    ['one', [10.5], true],
    ['two', [10.5, 12], false],
    ['one too early', [9, 10.5], false],
  ])('is the rotation that was scheduled: %s', (_what, days, isRight) => {
    const { world, slow, broken } = setUp()
    for (const day of days) world.watch.belief('openai').scheduledAt.push(startAt + day * dayMs)
    slow.lookBack()
    expect(broken()).toEqual(isRight ? [] : ['what is scheduled happens once'])
  })

  it('is a ledger that was lost, and its plan with it', () => {
    const { world, slow, broken } = setUp()
    world.ledger.losses.push(startAt + 11 * dayMs)
    slow.lookBack()
    expect(broken()).toEqual([])
  })

  it('is a timer that is forgotten again and again', () => {
    const { world, slow, broken } = setUp()
    for (let timer = 0; timer < 150; timer++) world.sim.time.after(1_000, () => undefined)()
    slow.look()
    expect(broken()).toEqual([])
    for (let timer = 0; timer < 150; timer++) world.sim.time.after(1_000, () => undefined)
    slow.look()
    expect(broken()).toEqual(['timers are bounded'])
  })

  it.each([
    ['draining and nobody knows', {}, ['no key outlives its overlap unseen']],
    ['draining and people were told', { isLimitAlerted: true }, []],
  ])('is an old key that lives on for ten days: %s', (_what, change, rules) => {
    const { world, slow, broken } = setUp()
    const key = world.issuer.make({ madeBy: 'keyturn' })
    const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')
    const record = recordWith('old', { fingerprint: fingerprint(key.secret, { sha256Hex }) })
    const retirement = retirementOf('one', { version: 'old', phase: 'draining', ...change })
    world.ledger.latest.set('openai', stateOf([record], { retirements: [retirement] }))
    world.watch.belief('openai').leftAt.set('old', startAt - 10 * dayMs)
    slow.look()
    expect(broken()).toEqual(rules)
  })
})

describe('whatever happens to a fleet', () => {
  it(`no invariant breaks, and all is well in the end (seeds 1 to ${seeds})`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const history = await playHistory(seed)
      const told = history.violations.map(({ rule, what }) => `${rule}: ${what}`)
      expect(told, `SEED=${seed} npm run sim`).toEqual([])
    }
  }, 120_000)
})
