import { expect, it } from 'vitest'
import { type MetricFamily, metricFamilies } from '../../src/server/metric-families.ts'
import { startServer } from './harness.ts'

it('each metric has the help, the type and the labels that its family says', async () => {
  const harness = await startServer()
  const text = await (await harness.send('GET', '/metrics')).text()
  const families = new Map(Object.values<MetricFamily>(metricFamilies).map((one) => [one.name, one]))
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  expect(samples.length).toBeGreaterThan(4)
  for (const line of samples) {
    const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? []
    const family = families.get(name)
    expect(
      [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label),
      line,
    ).toEqual(family?.labels)
    expect(text).toContain(`# HELP ${name} ${family?.help}\n# TYPE ${name} ${family?.type}\n`)
  }
})
