import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Service } from '../../src/engine/service.ts'
import { appsMax, createApps } from '../../src/server/apps.ts'
import { formatFor, type MetricsFormat, metricsTypes } from '../../src/server/exposition.ts'
import { metricFamilies } from '../../src/server/metric-families.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { createSystem } from '../../src/system.ts'
import { createRecorder } from '../../src/telemetry/recorder.ts'
import { readExposition } from './exposition.ts'
import { canary, createFakeService, keyNumber } from './fake-service.ts'
import { bearer, startServer } from './harness.ts'

const formats: readonly MetricsFormat[] = ['prometheus', 'openmetrics']

function metricsOf(service: Service, recorder = createRecorder()) {
  let turns = 0
  const real = createSystem()
  const system: typeof real = {
    ...real,
    after(delayMs, callback, options) {
      turns += 1
      return real.after(delayMs, callback, options)
    },
  }
  const metrics = createMetrics({
    service,
    system,
    recorder,
    leases: { census: () => new Map() },
    streams: () => 3,
    waiters: () => 4,
    version: '1.2.3',
    isSandbox: false,
  })
  return { metrics, recorder, turns: () => turns }
}

describe.each(formats)('the answer as %s', (format) => {
  it('can be read by a strict scraper, and names only what is documented', async () => {
    const { metrics, recorder } = metricsOf(createFakeService())
    metrics.count('getCredential', 404)
    recorder.verifications.add(['valid', 'ok'])
    recorder.issuerSeconds.observe(['mint', 'minted'], 0.3)
    recorder.suspects.set('here', 2)
    const exposed = readExposition(await metrics.render(format), format)
    const documented = Object.values(metricFamilies).map(({ name, type }) => [
      format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name,
      type,
    ])
    expect(documented).toEqual(expect.arrayContaining([...exposed.types]))
    expect(exposed.types.size).toBeGreaterThan(20)
    expect(exposed.valueOf('keyturn_verifications_total', { verdict: 'valid', cause: 'ok' })).toBe(1)
    expect(exposed.valueOf('keyturn_http_requests_total', { route: 'getCredential', status: '404' })).toBe(1)
    const mint = { operation: 'mint', outcome: 'minted' }
    expect(exposed.valueOf('keyturn_issuer_call_duration_seconds_bucket', { ...mint, le: '0.25' })).toBe(0)
    expect(exposed.valueOf('keyturn_issuer_call_duration_seconds_bucket', { ...mint, le: '0.5' })).toBe(1)
    expect(exposed.valueOf('keyturn_issuer_call_duration_seconds_sum', mint)).toBe(0.3)
    expect(exposed.valueOf('keyturn_orphan_suspects')).toBe(2)
    expect(exposed.valueOf('keyturn_event_streams')).toBe(3)
    expect(exposed.valueOf('process_resident_memory_bytes')).toBeGreaterThan(1e6)
  })

  it('holds the labels that each family is documented with', async () => {
    const { metrics, recorder } = metricsOf(createFakeService(['openai', 'admin'], ['admin']))
    metrics.count('getCredential', 200)
    metrics.apps.of('web').value += 1
    recorder.storeSeconds.observe(['memory', 'read', 'found'], 0.001)
    const { samples } = readExposition(await metrics.render(format), format)
    for (const { name, labels } of samples) {
      const family = Object.values(metricFamilies).find(
        (one) => one.name === name || name.replace(/_(?:bucket|sum|count)$/, '') === one.name,
      )
      const { le: _bound, ...own } = labels
      expect([name, Object.keys(own).toSorted()]).toEqual([name, [...(family?.labels ?? [])].toSorted()])
    }
  })
})

it('writes whatever an app is called so that it can be read again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 60 })), async (names) => {
      const { metrics } = metricsOf(createFakeService(['openai']))
      for (const name of names) metrics.apps.of(name).value += 1
      const { samples } = readExposition(await metrics.render('prometheus'))
      const told = samples.filter(({ name }) => name === 'keyturn_hand_outs_total')
      expect(told.map(({ labels }) => labels['app'])).toEqual(names)
    }),
    { numRuns: 25 },
  )
})

it('counts apps by name up to a bound, and loses none', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 3 * appsMax }), { maxLength: 2_000 }), (asked) => {
      const apps = createApps()
      for (const number of asked) apps.of(`app-${number}`).value += 1
      const all = [...apps.all()]
      expect(all.length).toBeLessThanOrEqual(appsMax + 1)
      expect(all.reduce((sum, { value }) => sum + value, 0)).toBe(asked.length)
      expect(new Set(all.map(({ app }) => app)).size).toBe(all.length)
    }),
  )
})

it('names no app that looks like a key', () => {
  const apps = createApps()
  apps.of(keyNumber(1)).value += 1
  expect([...apps.all()]).toEqual([{ app: 'other', value: 1 }])
})

it('says a bounded number of lines of each credential, and lets others in between', async () => {
  const linesOf = async (count: number) => {
    const names = Array.from({ length: count }, (_, index) => `credential-${index}`)
    const { metrics, turns } = metricsOf(createFakeService(names))
    const text = await metrics.render('prometheus')
    return { lines: text.split('\n').length, turns: turns() }
  }
  const few = await linesOf(10)
  const many = await linesOf(2_010)
  expect((many.lines - few.lines) / 2_000).toBeLessThanOrEqual(12)
  expect(few.turns).toBe(0)
  expect(many.turns).toBeGreaterThanOrEqual(2_010 / 250)
})

it('is written once for all who ask at the same time', async () => {
  const service = createFakeService()
  let reads = 0
  const counted = { ...service, summary: (name: string) => ((reads += 1), service.summary(name)) }
  const { metrics } = metricsOf(counted)
  const [one, other] = await Promise.all([metrics.render('prometheus'), metrics.render('prometheus')])
  expect(other).toBe(one)
  expect(reads).toBe(2)
  await metrics.render('prometheus')
  expect(reads).toBe(4)
})

it.each([
  [undefined, 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/plain', 'prometheus'],
  ['application/openmetrics-text', 'openmetrics'],
  ['application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', 'openmetrics'],
  ['application/openmetrics-text;q=0.3, text/plain;q=0.5', 'prometheus'],
  ['application/openmetrics-text;q=0', 'prometheus'],
])('answers %s with %s', (accept, format) => {
  expect(formatFor(accept)).toBe(format)
})

describe('over HTTP', () => {
  it('answers in the format that was asked for', async () => {
    const harness = await startServer()
    for (const format of formats) {
      const response = await harness.send('GET', '/metrics', undefined, { accept: metricsTypes[format] })
      expect(response.headers.get('content-type')).toBe(metricsTypes[format])
      const { valueOf } = readExposition(await response.text(), format)
      expect(valueOf('keyturn_build_info', { version: '1.2.3', sandbox: 'true' })).toBe(1)
    }
  })

  it('counts hand-outs by app whichever way they are answered, and shows no key', async () => {
    const harness = await startServer()
    const first = await harness.get('/v1/credentials/openai', { 'keyturn-instance': 'web-1' })
    const etag = first.headers.get('etag') ?? ''
    await harness.get('/v1/credentials/openai', { 'if-none-match': etag })
    // What the fast lane leaves to the application.
    await harness.get('/v1/credentials/openai?wait=0')
    await harness.get('/v1/credentials/openai-prod', bearer(harness.other))
    const text = await (await harness.send('GET', '/metrics')).text()
    const { valueOf } = readExposition(text)
    expect(valueOf('keyturn_hand_outs_total', { app: 'web' })).toBe(3)
    expect(valueOf('keyturn_hand_outs_total', { app: 'batch' })).toBe(1)
    expect(valueOf('keyturn_credential_leases', { credential: 'openai' })).toBe(1)
    expect(valueOf('keyturn_credential_lease_lag', { credential: 'openai' })).toBe(0)
    expect(text).not.toContain(canary)
    expect(text).not.toContain('web-1')
  })

  it('says how far the slowest instance is behind', async () => {
    const harness = await startServer()
    await harness.get('/v1/credentials/openai', { 'keyturn-instance': 'slow' })
    harness.service.promote('openai')
    harness.service.promote('openai')
    await harness.get('/v1/credentials/openai', { 'keyturn-instance': 'quick' })
    const { valueOf } = readExposition(await (await harness.send('GET', '/metrics')).text())
    expect(valueOf('keyturn_credential_leases', { credential: 'openai' })).toBe(2)
    expect(valueOf('keyturn_credential_lease_lag', { credential: 'openai' })).toBe(2)
  })
})
