import { expect, it } from 'vitest'
import {
  type FilledFamily,
  formatFor,
  loadExposition,
  noLabels,
  type Sample,
} from '../../src/server/exposition.ts'
import { metricFamilies } from '../../src/server/metric-families.ts'

const samplesOf = (count: number): readonly Sample[] =>
  Array.from({ length: count }, (_none, index) => ({
    labels: noLabels,
    sharedLabels: { credential: `app-${index}` },
    value: index,
  }))

it.each(['text/plain', 'application/openmetrics-text'])(
  'others get their turn within one family of ten thousand lines, which is written as one: %s',
  async (type) => {
    const format = formatFor(type)
    const { write } = await loadExposition()
    const families: readonly FilledFamily[] = [
      { family: metricFamilies.ready, samples: samplesOf(10_000) },
      {
        family: metricFamilies.handOuts,
        samples: [{ labels: noLabels, sharedLabels: { app: 'a"\\\nb' }, value: 2 }],
      },
    ]
    let turns = 0
    const text = await write(families, format, async () => void (turns += 1))
    expect(turns).toBeGreaterThanOrEqual(20)
    const lines = text.split('\n')
    const own = lines.filter((line) => line.includes('keyturn_credential_ready'))
    expect(own.filter((line) => line.startsWith('#'))).toHaveLength(2)
    expect(own.slice(0, 2).every((line) => line.startsWith('#'))).toBe(true)
    const expected = samplesOf(10_000).map(
      ({ value }) => `keyturn_credential_ready{credential="app-${value}"} ${value}`,
    )
    expect(own.slice(2)).toEqual(expected)
    // Whoever chooses the name of an app writes no line and no label of their own.
    expect(lines).toContain('keyturn_hand_outs_total{app="a\\"\\\\\\nb"} 2')
    expect(lines.filter((line) => line === '')).toHaveLength(1)
  },
)
