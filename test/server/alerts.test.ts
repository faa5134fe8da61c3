import { expect, it } from 'vitest'
import { createMemoryAudit } from '../audit/memory-audit.ts'
import { alertSample, channelSample } from './fake-alerting.ts'
import { startServer } from './harness.ts'

it('shows operators and auditors what fires, and apps nothing of it', async () => {
  const harness = await startServer()
  const answer = await harness.send('GET', '/v1/alerts')
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { items: [alertSample], channels: [channelSample] },
  ])
  expect((await harness.get('/v1/alerts')).status).toBe(403)
  const auditor = await harness.tokens.create({ name: 'auditor', credentials: ['*'], grants: ['audit'] })
  const asAuditor = { authorization: `Bearer ${auditor.token}` }
  expect((await harness.get('/v1/alerts', asAuditor)).status).toBe(200)
  const narrow = await harness.tokens.create({ name: 'narrow', credentials: ['openai'], grants: ['audit'] })
  expect((await harness.get('/v1/alerts', { authorization: `Bearer ${narrow.token}` })).status).toBe(403)
})

it('tests one channel or all for operators alone, and it is an act in the audit', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  const all = await harness.send('POST', '/v1/alerts/tests', {})
  expect(await all.json()).toEqual({
    items: [{ channel: 'ops', kind: 'slack', isDelivered: true, failure: null }],
  })
  expect((await harness.send('POST', '/v1/alerts/tests', { channel: 'ops' })).status).toBe(200)
  const unknown = await harness.send('POST', '/v1/alerts/tests', { channel: 'pager' })
  expect([unknown.status, await unknown.json()]).toEqual([
    404,
    expect.objectContaining({ code: 'not_found', fix: 'There are: ops.' }),
  ])
  expect((await harness.send('POST', '/v1/alerts/tests', { chanel: 'ops' })).status).toBe(400)
  const asApp = { authorization: `Bearer ${harness.app}` }
  expect((await harness.send('POST', '/v1/alerts/tests', {}, asApp)).status).toBe(403)
  const acts = audit.rows.filter(({ kind, action }) => kind === 'act' && action === 'testAlerts')
  expect(acts.map(({ outcome }) => outcome)).toContain('done')
})
