import { expect, it, onTestFinished } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { alertSample, channelSample } from '../server/fake-alerting.ts'
import { startServer } from '../server/harness.ts'
import { fakeIo } from './fake-io.ts'
import { fakeService } from './fake-service.ts'

async function keyturn(line: string, env: Readonly<Record<string, string>>) {
  const io = fakeIo({ env })
  const code = await run(line.split(' '), io)
  return { code, out: io.out(), err: io.err() }
}

async function listeningFake() {
  const service = await fakeService()
  onTestFinished(() => service.close())
  return service
}

it('lists what fires with its fix, who was told, what waits and why', async () => {
  const { url, operator } = await startServer()
  const { code, out } = await keyturn('alerts list', { KEYTURN_URL: url, KEYTURN_OPERATOR_TOKEN: operator })
  expect(code).toBe(0)
  for (const part of [
    'WARNING  store_unusable  openai',
    alertSample.summary,
    'fix: Give the role secretsmanager:GetSecretValue.',
    'apps: checkout',
    'ops: told 2026-11-26T00:00:00.000Z',
    'pager: not told yet; waits: opened (3 tries: it answered with status 503)',
  ])
    expect(out).toContain(part)
})

it('says that nobody is told where no channel is configured, and needs a person where it is critical', async () => {
  const service = await listeningFake()
  const env = { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: 'kt' }
  service.answer('GET /v1/alerts', { items: [], channels: [] })
  expect(await keyturn('alerts list', env)).toMatchObject({
    code: 0,
    out: expect.stringContaining('nobody is told'),
  })
  service.answer('GET /v1/alerts', {
    items: [{ ...alertSample, severity: 'critical' }],
    channels: [channelSample],
  })
  expect((await keyturn('alerts list', env)).code).toBe(3)
  const refusing = {
    ...channelSample,
    failure: 'it answered with status 404',
    failingSince: alertSample.since,
    isRefusing: true,
  }
  service.answer('GET /v1/alerts', { items: [], channels: [refusing] })
  expect(await keyturn('alerts list', env)).toMatchObject({
    code: 3,
    out: expect.stringContaining('status 404'),
  })
})

it('tests all channels or one, and says what came of it', async () => {
  const { url, operator } = await startServer()
  const env = { KEYTURN_URL: url, KEYTURN_OPERATOR_TOKEN: operator }
  expect(await keyturn('alerts test', env)).toMatchObject({ code: 0, out: 'ops (slack): delivered\n' })
  expect((await keyturn('alerts test ops', env)).code).toBe(0)
  const unknown = await keyturn('alerts test pager', env)
  expect(unknown.code).toBe(1)
  expect(unknown.err).toContain('There are: ops.')
  const service = await listeningFake()
  const failure = 'it answered with status 404'
  service.answer('POST /v1/alerts/tests', {
    items: [{ channel: 'ops', kind: 'slack', isDelivered: false, failure }],
  })
  const failed = await keyturn('alerts test', { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: 'kt' })
  expect(failed).toMatchObject({ code: 3, out: `ops (slack): not delivered: ${failure}\n` })
})
