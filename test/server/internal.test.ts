import { expect, it } from 'vitest'
import { operations } from '../../src/api/operations.ts'
import type { CredentialSummary, List, Problem } from '../../src/api/types.ts'
import { canary } from './fake-service.ts'
import { bearer, problemOf, startServer } from './harness.ts'

const internal = 'openai-admin'

/** Every route of a credential that those who only read may call, whatever it is for. */
const forApps = Object.values(operations).filter(
  ({ path, access }) => path.startsWith('/v1/credentials/{name}') && (access === 'read' || access === 'seen'),
)

it('answers for an internal credential as for none, on every route that apps may call, to operators too', async () => {
  const harness = await startServer({ internal: [internal] })
  expect(forApps.length).toBeGreaterThan(3)
  const all = await harness.tokens.create({ name: 'all', role: 'app', credentials: ['*'] })
  // A grant that is in the file already, from before the name was an internal one.
  const granted = await harness.tokens.create({ name: 'granted', role: 'app', credentials: [internal] })
  for (const token of [harness.operator, all.token, granted.token])
    for (const { method, path } of forApps) {
      const ask = async (name: string): Promise<Problem> => {
        const body = method === 'POST' ? { version: 'v', status: 401 } : undefined
        const answer = await harness.send(method, path.replace('{name}', name), body, bearer(token))
        expect(answer.status, `${method} ${path}`).toBe(404)
        expect(answer.headers.get('keyturn-generation')).toBeNull()
        return problemOf(answer)
      }
      const { instance: _one, ...said } = await ask(internal)
      const { instance: _other, ...usual } = await ask('no-such-name')
      expect(said).toEqual(usual)
    }
})

it('lets the fast lane hand out none either, however the request looks', async () => {
  const harness = await startServer({ internal: [internal] })
  for (const query of ['', '?wait=0', '?wait=1'])
    for (const headers of [{}, { 'if-none-match': '*' }, { 'keyturn-instance': 'web-1' }]) {
      const path = `/v1/credentials/${internal}${query}`
      const answer = await harness.get(path, { ...bearer(harness.operator), ...headers })
      expect(answer.status).toBe(404)
      expect(await answer.text()).not.toContain(canary)
    }
  expect(harness.service.touches).toEqual([])
})

it('shows it to operators, who turn it, and to nobody else', async () => {
  const harness = await startServer({ internal: [internal] })
  const all = await harness.tokens.create({ name: 'all', role: 'app', credentials: ['*'] })
  const listed = async (token: string): Promise<readonly CredentialSummary[]> =>
    ((await (await harness.get('/v1/credentials', bearer(token))).json()) as List<CredentialSummary>).items
  expect((await listed(all.token)).map((one) => one.name)).toEqual(['openai', 'openai-prod'])
  const seen = await listed(harness.operator)
  expect(seen.map((one) => [one.name, one.isInternal])).toEqual([
    ['openai', false],
    ['openai-prod', false],
    [internal, true],
  ])
  const started = await harness.send('POST', `/v1/credentials/${internal}/rotations`, {})
  expect(started.status).toBe(202)
  const refused = await harness.send('POST', `/v1/credentials/${internal}/rotations`, {}, bearer(all.token))
  expect(refused.status).toBe(403)
})

it('grants it to no token', async () => {
  const harness = await startServer({ internal: [internal] })
  const answer = await harness.send('POST', '/v1/tokens', {
    name: 'greedy',
    role: 'app',
    credentials: ['openai', internal],
  })
  expect(await problemOf(answer)).toMatchObject({ status: 400, code: 'bad_request' })
  expect(harness.tokens.list().some((one) => one.name === 'greedy')).toBe(false)
})

it('tells whether it works, without any of it', async () => {
  const harness = await startServer({ internal: [internal] })
  const metrics = await (await harness.send('GET', '/metrics')).text()
  expect(metrics).toContain(`keyturn_internal_ready{credential="${internal}"} 1`)
  expect(metrics).not.toContain(`keyturn_credential_ready{credential="${internal}"}`)
  const ready = await (await harness.send('GET', '/readyz')).text()
  expect(JSON.parse(ready)).toMatchObject({ credentials: [{}, {}, { name: internal, isInternal: true }] })
  expect(metrics + ready).not.toContain(canary)
})
