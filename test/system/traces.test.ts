import { expect, it, onTestFinished } from 'vitest'
import { serve } from '../../src/main.ts'
import { createSystem } from '../../src/system.ts'
import { type RecordedSpan, registerRecordingSdk } from '../telemetry/recording-sdk.ts'
import { handOut, prepareRig, type Rig, rotate, untilAllDead, untilPromoted, untilReady } from './harness.ts'

/** Registered before anything of Keyturn asks whether there is one, as `node --import` does. */
const sdk = registerRecordingSdk()

async function started(rig: Rig) {
  const system = createSystem()
  const serving = await serve({ env: rig.env, cwd: rig.home, system, log: () => undefined })
  onTestFinished(() => serving.stop())
  await untilReady(rig)
  return serving
}

const traceOf = (id: string) => id.replaceAll('-', '')

it('a rotation and the retirement it sets off are one trace, over a restart too', async () => {
  const rig = await prepareRig({ policy: { overlap: '1s' } })
  const first = await started(rig)
  const before = (await handOut(rig)).body.apiKey
  const { id } = await rotate(rig)
  await untilPromoted(rig, id)
  await first.stop()
  await started(rig)
  await untilAllDead(rig)
  const spans = sdk.spans.filter((one) => one.traceId === traceOf(id))
  const names = new Set(spans.map((one) => one.name))
  for (const name of [
    'rotation',
    'rotation phase minting',
    'rotation phase proving',
    'rotate mint',
    'issuer mint',
    'store stage',
    'store promote',
    'verification',
    'ledger commit',
    'retirement phase draining',
    'retire revoke',
    'issuer revoke',
  ])
    expect(names, name).toContain(name)
  const whole = spans.find(({ name }) => name === 'rotation')
  expect(whole?.attributes).toMatchObject({
    'keyturn.credential': 'openai',
    'keyturn.walk': id,
    'keyturn.outcome': 'promoted',
  })
  const phases = spans.filter(({ name }) => name.startsWith('rotation phase '))
  const summed = phases.reduce((sum, one) => sum + one.endedAt - one.startedAt, 0)
  // They follow each other without a gap.
  expect(summed).toBe((whole?.endedAt ?? 0) - (whole?.startedAt ?? 0))

  // A call is a part of the work that makes it, and bears the issuer's own name of it.
  const byId = new Map(spans.map((one) => [one.spanId, one]))
  const above = (one: RecordedSpan | undefined) => byId.get(one?.parentId ?? '')?.name
  const mint = spans.find(({ name }) => name === 'issuer mint')
  expect(above(mint)).toBe('rotate mint')
  expect(mint?.attributes['openai.request_id']).toMatch(/^req_/)
  expect(mint?.attributes).toMatchObject({ 'keyturn.operation': 'mint', 'keyturn.outcome': 'minted' })
  const proofs = spans.filter(({ name }) => name === 'issuer verify')
  expect(new Set(proofs.map(above))).toEqual(new Set(['verification']))
  // At first some of the edges do not know the key yet.
  expect(proofs.map(({ attributes }) => attributes['http.response.status_code'])).toContain(200)

  const told = JSON.stringify(sdk.spans)
  const secrets = [before, (await handOut(rig)).body.apiKey, rig.sandbox.adminKey(), rig.operatorToken()]
  for (const secret of secrets) expect(told.includes(secret.slice(-24))).toBe(false)
}, 60_000)

it('takes up the trace of a caller who is let in, and of nobody else', async () => {
  const rig = await prepareRig()
  await started(rig)
  const traceId = 'ab'.repeat(16)
  const traceparent = `00-${traceId}-${'cd'.repeat(8)}-01`
  const send = (token: string) =>
    fetch(`${rig.url}/v1/credentials/openai/verifications`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, traceparent },
    })
  expect((await send('kt_op_nobody')).status).toBe(401)
  expect(sdk.spans.filter((one) => one.traceId === traceId)).toEqual([])
  expect((await send(rig.operatorToken())).status).toBe(200)
  const spans = sdk.spans.filter((one) => one.traceId === traceId)
  const request = spans.find(({ name }) => name === 'POST /v1/credentials/{name}/verifications')
  expect(request).toMatchObject({
    parentId: 'cd'.repeat(8),
    attributes: { 'http.response.status_code': 200, 'keyturn.credential': 'openai' },
  })
}, 60_000)
