import { context, propagation } from '@opentelemetry/api'
import { expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { TracedOperation } from '../../src/core/ports.ts'
import { createLog } from '../../src/log.ts'
import { createSystem } from '../../src/system.ts'
import { createTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { openTelemetryTracer, registeredSdk } from '../../src/telemetry/open-telemetry.ts'
import { createRecorder } from '../../src/telemetry/recorder.ts'
import { registerRecordingSdk } from './recording-sdk.ts'

const sdk = registerRecordingSdk()
const registered = registeredSdk()
if (registered === undefined) throw new Error('nothing is registered')
const tracer = openTelemetryTracer(registered, '1.2.3')

interface LogLine {
  readonly trace_id?: string
}

function telemetryOf() {
  const recorder = createRecorder()
  let at = 0
  return { recorder, telemetry: createTelemetry({ recorder, tracer, elapsedMs: () => (at += 250) }) }
}

const done = () => ({ outcome: 'done' })

it.each<[TracedOperation['part'], boolean]>([
  ['issuer', false],
  ['store', false],
  ['work', true],
])('in a call of the %s a header of the trace is added by whatever sends it: %s', async (part, isAdded) => {
  const { telemetry } = telemetryOf()
  const carrier: Record<string, string> = {}
  await telemetry.run(
    { part, name: 'verify' },
    async () => propagation.inject(context.active(), carrier),
    done,
  )
  expect('traceparent' in carrier).toBe(isAdded)
})

it('what fails is counted and told by its code, and no message goes into a span', async () => {
  const { recorder, telemetry } = telemetryOf()
  const secret = ['sk', 'proj', 'x'.repeat(40)].join('-')
  const fault = new KeyturnError('store_denied', `no, ${secret}`)
  const work = telemetry.run(
    { part: 'store', kind: 'memory', name: 'stage' },
    () => Promise.reject(fault),
    done,
  )
  await expect(work).rejects.toBe(fault)
  expect(sdk.spans.at(-1)).toMatchObject({
    name: 'store stage',
    isError: true,
    attributes: { 'keyturn.outcome': 'store_denied', 'keyturn.store': 'memory' },
  })
  expect(JSON.stringify(sdk.spans)).not.toContain(secret)
  expect([...recorder.storeSeconds.all()]).toMatchObject([
    { labels: ['memory', 'stage', 'store_denied'], count: 1, sum: 0.25 },
  ])
})

it('a call of the ledger is told as a part of something, and is no trace of its own', async () => {
  const { recorder, telemetry } = telemetryOf()
  const claim = () => telemetry.run({ part: 'ledger', name: 'claim' }, async () => undefined, done)
  const before = sdk.spans.length
  await claim()
  expect(sdk.spans).toHaveLength(before)
  await telemetry.run({ part: 'work', name: 'look' }, claim, done)
  expect(sdk.spans.slice(before).map(({ name }) => name)).toEqual(['ledger claim', 'look'])
  expect([...recorder.ledgerSeconds.all()]).toMatchObject([{ labels: ['claim', 'done'], count: 2 }])
})

it.each([
  ['0f8fad5b-d9cb-469f-a165-70867728950e', '0f8fad5bd9cb469fa16570867728950e'],
  // Ids of a simulation, and of whoever may write into the ledger.
  ['rotation-7', undefined],
  ['00000000-0000-0000-0000-000000000000', undefined],
])('the id of a walk is the id of its trace where it can be one: %s', async (walk, traceId) => {
  const { telemetry } = telemetryOf()
  await telemetry.run({ part: 'work', name: 'rotate mint', walk }, async () => undefined, done)
  const span = sdk.spans.at(-1)
  if (traceId === undefined) expect(span?.parentId).toBeUndefined()
  else expect([span?.traceId, span?.parentId]).toEqual([traceId, traceId.slice(16)])
})

it('what a timer does later is no part of the request that set it', async () => {
  const system = createSystem()
  const request = { operation: 'rotate', method: 'POST', route: '/later', requestId: 'r', headers: {} }
  const seen = await tracer.request(
    request,
    () =>
      new Promise((resolve) => {
        system.after(
          0,
          tracer.detached(() => resolve([tracer.active()])),
        )
      }),
    () => 200,
  )
  expect(seen).toEqual([undefined])
})

it('a line of the log names trace, span and request', async () => {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    format: 'json',
    write: (line) => lines.push(line),
    clock: createSystem(),
    trace: tracer.active,
  })
  const request = { operation: 'getCredential', method: 'GET', route: '/x', requestId: 'r-1', headers: {} }
  log('info', 'before')
  await tracer.request(
    request,
    async () => log('info', 'within', { credential: 'openai' }),
    () => 200,
  )
  const [before, within] = lines.map((line) => JSON.parse(line) as LogLine)
  expect(before).not.toHaveProperty('trace_id')
  const span = sdk.named('GET /x').at(-1)
  expect(within).toMatchObject({
    credential: 'openai',
    trace_id: span?.traceId,
    span_id: span?.spanId,
    request_id: 'r-1',
  })
})

it('a request that fails is one of the status that is answered', async () => {
  const request = { operation: 'getCredential', method: 'GET', route: '/broken', requestId: 'r', headers: {} }
  const fault = new Error('no')
  const failing = tracer.request(
    request,
    () => Promise.reject(fault),
    (thrown) => (thrown === fault ? 503 : 200),
  )
  await expect(failing).rejects.toBe(fault)
  expect(sdk.spans.at(-1)).toMatchObject({ isError: true, attributes: { 'http.response.status_code': 503 } })
})
