import { describe, expect, it } from 'vitest'
import { operations } from '../../src/api/operations.ts'
import type { TokenAnswer } from '../../src/api/types.ts'
import { createMemoryAudit } from '../audit/memory-audit.ts'
import { bearer, problemOf, rawRequest, startServer, until } from './harness.ts'

const path = '/v1/credentials/openai'

it('counts the ends of an app’s own leases, as often as it likes, and writes down each that an operator drops', async () => {
  const [audit, repeats] = [createMemoryAudit(), createMemoryAudit()]
  const harness = await startServer({ audit, auditRepeats: repeats })
  const end = (headers: Record<string, string>) =>
    harness.send('DELETE', `${path}/leases/web-1`, undefined, headers)
  await harness.get(path, { 'keyturn-instance': 'web-1' })
  const before = audit.rows.length
  await end(bearer(harness.app))
  expect(audit.rows).toHaveLength(before)
  expect(repeats.rows).toMatchObject([
    { kind: 'act', action: 'dropLease', outcome: 'asked', caller: { name: 'web' }, reason: 'web-1' },
  ])
  await harness.get(path, { 'keyturn-instance': 'web-1' })
  await end(bearer(harness.operator))
  expect(audit.rows.slice(-2).map(({ kind, outcome }) => [kind, outcome])).toEqual([
    ['act', 'asked'],
    ['act', 'done'],
  ])
})

describe.each([
  ['the fast lane', path],
  ['the application', `${path}?wait=0`],
])('a hand-out by %s', (_lane, url) => {
  it('is a row: who, what, which key and from where, and no secret', async () => {
    const audit = createMemoryAudit()
    const harness = await startServer({ audit })
    const answer = await harness.get(url)
    const { apiKey, version, fingerprint, generation } = (await answer.json()) as Record<string, unknown>
    expect(audit.rows).toHaveLength(1)
    expect(audit.rows[0]).toMatchObject({
      kind: 'read',
      action: 'getCredential',
      outcome: 'done',
      caller: { id: harness.appId, name: 'web', kind: 'token' },
      credential: 'openai',
      version,
      fingerprint,
      generation,
      source: '127.0.0.1',
    })
    const text = JSON.stringify(audit.rows)
    expect(text).not.toContain(apiKey)
    expect(text).not.toContain(harness.app)
  })

  it('does not leave before its row is durable', async () => {
    const audit = createMemoryAudit()
    const harness = await startServer({ audit })
    audit.hold()
    let isAnswered = false
    const asked = harness.get(url).then((answer) => {
      isAnswered = true
      return answer
    })
    // Another request, answered after the held one was taken in: nothing of the held one may have come before.
    await harness.get('/healthz')
    await harness.get('/healthz')
    expect(isAnswered).toBe(false)
    audit.settle('durable')
    expect((await asked).status).toBe(200)
  })

  it('is refused with cause and fix, and without the secret, where the row cannot be written', async () => {
    const audit = createMemoryAudit()
    const harness = await startServer({ audit })
    audit.setAvailable(false)
    const answer = await harness.get(url)
    const problem = await problemOf(answer)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(problem).toMatchObject({ code: 'audit_unavailable' })
    expect(problem.fix).not.toBe('')
    audit.setAvailable(true)
    const { apiKey } = (await (await harness.get(url)).json()) as { readonly apiKey: string }
    expect(apiKey).not.toBe('')
    expect(JSON.stringify(problem)).not.toContain(apiKey)
  })

  it('of a key or to a token that was taken back while the row was written does not happen', async () => {
    const audit = createMemoryAudit()
    const harness = await startServer({ audit })
    audit.hold()
    const asked = harness.get(url)
    await harness.get('/healthz')
    await harness.tokens.revoke(harness.appId)
    audit.settle('durable')
    expect((await asked).status).toBe(401)
  })

  it('is judged by itself where rows are written together, and each waits for its own', async () => {
    const audit = createMemoryAudit()
    const harness = await startServer({ audit })
    const { id, token } = await harness.tokens.create({ name: 'gone', role: 'app', credentials: ['*'] })
    audit.hold()
    const asked = [harness.get(url), harness.get(url, bearer(token)), harness.get(url)]
    await until(() => audit.waiting === 3)
    await harness.tokens.revoke(id)
    audit.settle('durable')
    expect(await statusesOf(asked)).toEqual([200, 401, 200])
    audit.hold()
    const later = [harness.get(url), harness.get(url)]
    await until(() => audit.waiting === 2)
    audit.settle('unavailable')
    expect(await statusesOf(later)).toEqual([503, 503])
    expect((await harness.get(url)).status).toBe(200)
  })
})

it('a 304 and lists are no rows', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  const etag = (await harness.get(path)).headers.get('etag') ?? ''
  expect((await harness.get(path, { 'if-none-match': etag })).status).toBe(304)
  expect((await harness.get(`${path}?wait=0`, { 'if-none-match': etag })).status).toBe(304)
  expect((await harness.get('/v1/credentials')).status).toBe(200)
  expect(audit.rows).toHaveLength(1)
})

it('an act is a row before it begins and one after it, and does not begin without the first', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  expect((await harness.send('POST', `${path}/rotations`, { reason: 'a test' })).status).toBe(202)
  expect(audit.rows.map(({ action, outcome }) => [action, outcome])).toEqual([
    ['startRotation', 'asked'],
    ['startRotation', 'done'],
  ])
  audit.setAvailable(false)
  const before = harness.service.rotationsStarted.length
  const refused = await harness.send('POST', `${path}/rotations`, { reason: 'a test' })
  expect(refused.status).toBe(503)
  expect((await problemOf(refused)).code).toBe('audit_unavailable')
  expect(harness.service.rotationsStarted).toHaveLength(before)
})

it('the row of a token that was made, turned or revoked says which', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  const make = async (route: string, body: object) =>
    (await (await harness.send('POST', route, body)).json()) as TokenAnswer
  const made = await make('/v1/tokens', { name: 'ann', credentials: ['openai'] })
  const turned = await make('/v1/tokens/rotations', { name: 'ann' })
  await harness.send('DELETE', `/v1/tokens/${made.id}`)
  const done = audit.rows.filter(({ outcome }) => outcome === 'done')
  expect(done.map(({ action, reason }) => [action, reason])).toEqual([
    ['createToken', `${made.id} ann`],
    ['rotateToken', `${turned.id} ann`],
    ['revokeToken', made.id],
  ])
  expect(JSON.stringify(audit.rows)).not.toContain(made.token)
})

it('an act for a token that was taken back while its row was written does not happen', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  const { id, token } = await harness.tokens.create({ name: 'gone', role: 'operator' })
  audit.hold()
  const asked = harness.send('POST', `${path}/rotations`, {}, bearer(token))
  await harness.get('/healthz')
  await harness.get('/healthz')
  await harness.tokens.revoke(id)
  audit.settle('durable')
  expect((await asked).status).toBe(401)
  expect(harness.service.rotationsStarted).toEqual([])
})

it('every operation that is no GET is an act', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  const acts = Object.entries(operations).filter(([, { method }]) => method !== 'GET')
  for (const [, { method, path: route }] of acts)
    await harness.send(method, route.replace('{name}', 'openai').replaceAll(/\{\w+\}/g, 'version-1'), {})
  for (const [id] of acts) expect(audit.rows.map(({ action }) => action)).toContain(id)
})

describe('a refusal is a row with its code, whoever asked', () => {
  it.each([
    ['no token', path, {}, 'unauthenticated', 'nobody'],
    ['a wrong token', path, bearer('kt_wrong'), 'unauthenticated', 'nobody'],
    ['a credential that is not there', '/v1/credentials/nope', undefined, 'not_found', 'web'],
    ['a grant that lacks', `${path}/versions`, undefined, 'forbidden', 'web'],
    ['another host', path, { host: 'evil.example' }, 'forbidden', 'nobody'],
    ['a route that is not there', '/nothing', undefined, 'not_found', 'nobody'],
  ])('%s', async (_what, url, headers, code, caller) => {
    const audit = createMemoryAudit()
    const harness = await startServer({ audit })
    const sent = headers ?? bearer(harness.app)
    await new Promise<void>((resolve, reject) => {
      void import('node:http').then(({ get }) =>
        get(`${harness.url}${url}`, { headers: sent }, (response) => response.resume().on('end', resolve)).on(
          'error',
          reject,
        ),
      )
    })
    await until(() => audit.rows.length > 0)
    expect(audit.rows).toHaveLength(1)
    expect(audit.rows[0]).toMatchObject({
      kind: 'refusal',
      outcome: code,
      caller: { name: caller },
      source: '127.0.0.1',
    })
    expect(audit.rows[0]?.credential).toBe(
      url.includes('openai') && code !== 'not_found' ? 'openai' : undefined,
    )
  })
})

it('what is no request is a refusal too', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ audit })
  await rawRequest(harness.port, 'nonsense\r\n\r\n')
  expect(audit.rows).toMatchObject([{ kind: 'refusal', outcome: 'bad_request', source: '127.0.0.1' }])
})

async function statusesOf(answers: readonly Promise<Response>[]): Promise<readonly number[]> {
  return (await Promise.all(answers)).map(({ status }) => status)
}
