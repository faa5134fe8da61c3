import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { createCounter, createHistogram, seriesMax } from '../../src/telemetry/tally.ts'

it('holds a bounded number of series, and loses nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 4 * seriesMax }), { minLength: 1, maxLength: 3_000 }), (seen) => {
      const counter = createCounter(2)
      for (const number of seen) counter.add([`name-${number}`, 'x'])
      const all = [...counter.all()]
      expect(all.length).toBeLessThanOrEqual(seriesMax + 1)
      expect(all.reduce((sum, { value }) => sum + value, 0)).toBe(seen.length)
    }),
    { numRuns: 30 },
  )
})

it('puts what is beyond the bound under other', () => {
  const counter = createCounter(2)
  for (let number = 0; number < seriesMax + 7; number += 1) counter.add([String(number), 'x'])
  expect([...counter.all()].at(-1)).toMatchObject({ labels: ['other', 'other'], value: 7 })
  // Those that are known go on being counted by name.
  counter.add(['0', 'x'], 5)
  expect([...counter.all()][0]).toMatchObject({ labels: ['0', 'x'], value: 6 })
})

it('counts every value in the first bucket that holds it', () => {
  const bounds = [1, 2, 5]
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 10, noNaN: true })), (values) => {
      const histogram = createHistogram(1, bounds)
      for (const value of values) histogram.observe(['a'], value)
      const [found] = [...histogram.all()]
      const fitting = (index: number) =>
        values.filter((one) => one <= (bounds[index] ?? 0) && one > (bounds[index - 1] ?? -1)).length
      expect(found?.buckets ?? [0, 0, 0]).toEqual(bounds.map((_, index) => fitting(index)))
      expect(found?.count ?? 0).toBe(values.length)
    }),
  )
})
