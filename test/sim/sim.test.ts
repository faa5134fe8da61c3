import { describe, expect, it } from 'vitest'
import { diceOf } from './dice.ts'
import { playHistory } from './history.ts'
import { SimTime } from './time.ts'

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

describe('whatever happens to a fleet', () => {
  it(`no invariant breaks, and all is well in the end (seeds 1 to ${seeds})`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const history = await playHistory(seed)
      const told = history.violations.map(({ rule, what }) => `${rule}: ${what}`)
      expect(told, `SEED=${seed} npm run sim`).toEqual([])
    }
  }, 120_000)
})
