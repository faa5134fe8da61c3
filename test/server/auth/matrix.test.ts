import { expect, it } from 'vitest'
import { type Operation, type OperationId, operations } from '../../../src/api/operations.ts'
import { allGrants, type Grant } from '../../../src/core/grants.ts'
import type { Authenticator, Unjudged } from '../../../src/server/auth/authenticator.ts'
import { type Caller, type CallerKind, createCaller } from '../../../src/server/auth/caller.ts'
import { createMemoryAudit } from '../../audit/memory-audit.ts'
import { canary } from '../fake-service.ts'
import { bearer, type Harness, startServer } from '../harness.ts'

/** What hands out or acts, and the grants of which each needs one; written down here once more, so that a slip shows. */
const needed: Partial<Record<OperationId, Grant | readonly Grant[]>> = {
  getCredential: 'read',
  reportRejection: 'read',
  bringVersion: 'operate',
  verifyCredential: 'operate',
  startRotation: 'operate',
  pauseRotation: 'operate',
  resumeRotation: 'operate',
  abortRotation: 'operate',
  rollBack: 'operate',
  revokeVersion: 'operate',
  dropLease: ['operate', 'read'],
  getInventory: 'operate',
  listTokens: 'operate',
  createToken: 'operate',
  rotateToken: 'operate',
  revokeToken: 'operate',
}

const kinds: readonly CallerKind[] = ['token', 'jwt', 'certificate', 'socket']
const scopes = ['openai', 'openai-prod', 'openai*', '*'] as const
const grantSets: readonly (readonly Grant[])[] = [[], ...allGrants.map((grant) => [grant]), allGrants]

const callers = new Map<string, Caller>()
for (const [index, may] of grantSets.entries())
  for (const scope of scopes) {
    const kind = kinds[callers.size % kinds.length] ?? 'token'
    const id = `c${index}-${scope}`
    callers.set(id, createCaller({ id, name: 'somebody', kind, grants: [{ credentials: [scope], may }] }))
  }

/** The keys of their issuer cannot be had, as is found at once or later. */
const unjudged: Unjudged = { kind: 'unjudged', isAway: true, retryAfterMs: 17_500 }
const unjudgedTokens = ['unjudged', 'unjudged-later']
/** Who has to wait for what they asked for too often. */
const waiting: Unjudged = { ...unjudged, isAway: false }

/** Every other caller is made out later, as one whose signature has to be looked at. */
const authenticator: Authenticator = {
  authenticate({ authorization = '' }) {
    const token = authorization.slice('Bearer '.length)
    if (unjudgedTokens.includes(token)) return token === 'unjudged' ? unjudged : Promise.resolve(unjudged)
    if (token === 'waiting') return waiting
    const caller = callers.get(token)
    return caller?.kind === 'jwt' ? Promise.resolve(caller) : caller
  },
  isLive: () => true,
  onChange: () => () => undefined,
}

/** What the rules say, worked out from the words of the contract and not from the code that enforces them. */
function isAllowed(caller: Caller, id: OperationId, name: string): boolean {
  const { access, path }: Operation = operations[id]
  if (access === 'open') return true
  const isNamed = path.includes('{name}')
  if (access === 'seen')
    return !isNamed || ['read', 'operate', 'audit'].some((grant) => has(caller, grant, name))
  const grants: readonly Grant[] = typeof access === 'string' ? [access] : access
  return grants.some((grant) => has(caller, grant, isNamed ? name : undefined))
}

function has({ id }: Caller, grant: string, name: string | undefined): boolean {
  const [index = '', ...rest] = id.slice(1).split('-')
  const scope = rest.join('-')
  if (grantSets[Number(index)]?.some((one) => one === grant) !== true) return false
  if (grant === 'metrics' || grant === 'dashboard' || scope === '*') return true
  return name !== undefined && (scope === 'openai*' || scope === name)
}

const bodies: Partial<Record<OperationId, unknown>> = {
  reportRejection: { version: 'version-1', status: 401 },
  bringVersion: { apiKey: 'x'.repeat(40) },
  createToken: { name: 'made', credentials: ['openai'] },
  rotateToken: { name: 'nobody' },
}

async function ask(harness: Harness, id: OperationId, name: string, headers: Record<string, string>) {
  const { method, path } = operations[id]
  const target = path.replace('{name}', name).replace(/\{\w+\}/, 'some-id')
  const hasBody = method === 'POST'
  const response = await fetch(harness.url + target, {
    method,
    headers: { ...headers, ...(hasBody ? { 'content-type': 'application/json' } : {}) },
    ...(hasBody ? { body: JSON.stringify(bodies[id] ?? {}) } : {}),
  })
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  const text = isStream ? '' : await response.text()
  if (isStream) await response.body?.cancel()
  return { status: response.status, headers: response.headers, text }
}

const ids = Object.keys(operations) as OperationId[]

it('asks for the grant that each act and each secret needs', () => {
  for (const [id, grant] of Object.entries(needed) as [OperationId, Grant | readonly Grant[]][])
    expect([id, operations[id].access]).toEqual([id, grant])
})

it('lets no caller without the right grant have a secret or act, on any route, of any kind', async () => {
  const harness = await startServer({ authenticator })
  const { service } = harness
  const done = (): number =>
    service.acts.length + service.rotationsStarted.length + service.reports.length + service.ends.length
  let allowed = 0
  for (const id of ids)
    for (const [key, caller] of callers)
      for (const name of operations[id].path.includes('{name}') ? ['openai', 'no-such'] : ['openai']) {
        const before = done()
        const tokens = harness.tokens.list().length
        const { status, text } = await ask(harness, id, name, bearer(key))
        const what = `${id} of ${name} by ${caller.kind} ${key}: ${status}`
        expect(status, what).toBeLessThan(600)
        expect(text.includes(canary) && id !== 'getCredential', what).toBe(false)
        if (isAllowed(caller, id, name) && name !== 'no-such') {
          allowed += 1
          // A token beyond its maker is refused by content, not by route.
          if (id !== 'createToken') expect([401, 403], what).not.toContain(status)
          if (id === 'getCredential') expect(text, what).toContain(canary)
        } else if (operations[id].access !== 'open') {
          expect([403, 404], what).toContain(status)
          expect(text.includes(canary), what).toBe(false)
          expect([done(), harness.tokens.list().length], what).toEqual([before, tokens])
        }
      }
  expect(allowed).toBeGreaterThan(150)
})

it('lets nobody but an operator end what another app holds, nor tells anybody else that it is held', async () => {
  const harness = await startServer({ authenticator })
  const held = async () => (await harness.service.leases('openai')).length
  for (const [key, caller] of callers) {
    harness.service.touchLease({ name: 'openai', instance: 'theirs', app: 'another', generation: 1 })
    const before = await held()
    const answers = new Set<string>()
    for (const instance of ['theirs', 'nobodys']) {
      const answer = await harness.send(
        'DELETE',
        `/v1/credentials/openai/leases/${instance}`,
        undefined,
        bearer(key),
      )
      answers.add(`${answer.status} ${(await answer.text()).replace(/urn:keyturn:request:[^"]+/, '')}`)
    }
    const isOperator = has(caller, 'operate', 'openai')
    const expected = isOperator ? [before - 1, 2] : [before, 1]
    expect([key, await held(), answers.size]).toEqual([key, ...expected])
  }
})

it('lets nobody in who is not made out, and tells them nothing of what there is', async () => {
  const harness = await startServer({ authenticator })
  for (const id of ids) {
    const { access, path }: Operation = operations[id]
    if (access === 'open') continue
    const said = new Set<string>()
    for (const name of path.includes('{name}') ? ['openai', 'openai-prod', 'no-such'] : ['openai'])
      for (const headers of [{}, bearer('stranger'), { authorization: 'Basic eDp5' }]) {
        const { status, text } = await ask(harness, id, name, headers)
        expect([id, status]).toEqual([id, 401])
        said.add(text.replace(/urn:keyturn:request:[^"]+/, ''))
      }
    expect([id, said.size]).toEqual([id, 1])
  }
})

it('lets nobody in who cannot be made out now, and asks them to come again, on any route', async () => {
  const audit = createMemoryAudit()
  const harness = await startServer({ authenticator, audit })
  for (const id of ids) {
    const { access, path }: Operation = operations[id]
    const said = new Set<string>()
    for (const name of path.includes('{name}') ? ['openai', 'openai-prod', 'no-such'] : ['openai'])
      for (const token of unjudgedTokens) {
        const { status, headers, text } = await ask(harness, id, name, bearer(token))
        if (access === 'open') {
          expect([id, text.includes('openai-prod')]).toEqual([id, false])
          continue
        }
        expect([id, status, headers.get('retry-after')]).toEqual([id, 503, '18'])
        expect(JSON.parse(text)).toMatchObject({ code: 'caller_unverifiable', fix: expect.any(String) })
        said.add(text.replace(/urn:keyturn:request:[^"]+/, ''))
      }
    if (access !== 'open') expect([id, said.size]).toEqual([id, 1])
  }
  const { service } = harness
  expect([service.acts, service.rotationsStarted, service.reports, service.ends]).toEqual([[], [], [], []])
  const outcomes = audit.rows.map(({ kind, outcome, caller, reason }) =>
    [kind, outcome, caller.kind, reason].join(' '),
  )
  expect(new Set(outcomes)).toEqual(new Set(['refusal caller_unverifiable nobody 503']))
})

it('has no 5xx for who has to wait for themselves: nobody is woken by tokens that somebody makes up', async () => {
  const harness = await startServer({ authenticator })
  for (const path of ['/v1/credentials/openai', '/v1/credentials']) {
    const { status, headers } = await harness.get(path, bearer('waiting'))
    expect([status, headers.get('retry-after')]).toEqual([429, '18'])
  }
})

it('counts who cannot be made out now as who is not let in', async () => {
  const rateLimits = { requestsPerSecond: 1, burst: 3, failuresPerMinute: 2 }
  const harness = await startServer({ authenticator, rateLimits })
  const statuses = []
  for (const token of ['unjudged', 'stranger', 'unjudged', 'unjudged-later'])
    statuses.push((await harness.get('/v1/credentials/openai', bearer(token))).status)
  expect(statuses).toEqual([503, 401, 429, 429])
  const [good = ''] = callers.keys()
  expect((await harness.get('/v1/credentials', bearer(good))).status).toBe(200)
})

it('judges a hand-out in the fast lane as it does behind it', async () => {
  const harness = await startServer({ authenticator })
  for (const key of callers.keys())
    for (const name of ['openai', 'openai-prod', 'no-such']) {
      const fast = await harness.get(`/v1/credentials/${name}`, bearer(key))
      const slow = await harness.get(`/v1/credentials/${name}?wait=0`, bearer(key))
      expect([key, name, fast.status]).toEqual([key, name, slow.status])
      const bodies = await Promise.all([fast.text(), slow.text()])
      if (fast.status === 200) expect(bodies[0]).toBe(bodies[1])
    }
})
