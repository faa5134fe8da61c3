import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Access, type Operation, type OperationId, operations } from '../../src/api/operations.ts'
import { allGrants, type Grant } from '../../src/core/grants.ts'
import { canary } from './fake-service.ts'
import { type Harness, type RawAnswer, rawGet, rawRequest, startServer } from './harness.ts'

/** Every route of the contract. One that is added is asked here too. */
const routes = Object.entries(operations) as [OperationId, Operation][]
const needing = routes.filter(([, { access }]) => access !== 'open')
/** What is answered with a secret, and to whom alone. */
const secrets: Readonly<Partial<Record<OperationId, Grant>>> = {
  getCredential: 'read',
  createToken: 'operate',
}

async function ask(
  harness: Harness,
  { method, path, body }: Operation,
  options: { readonly name: string; readonly headers: readonly string[]; readonly query?: string },
): Promise<RawAnswer> {
  const at = path.replace('{name}', options.name).replaceAll(/\{\w+\}/g, 'rotation-1')
  const text = body === undefined ? '' : bodyFor(path)
  const head = ['Host: localhost', ...options.headers]
  if (text !== '') head.push('Content-Type: application/json', `Content-Length: ${text.length}`)
  const target = `${at}${options.query ?? ''}`
  return rawRequest(harness.port, `${rawGet(target, head, method)}${text}`)
}

function bodyFor(path: string): string {
  if (path.endsWith('/reports')) return '{"version":"version-1","status":401}'
  if (path.endsWith('/tokens')) return '{"name":"made-here","role":"operator"}'
  if (path.endsWith('/versions')) return `{"apiKey":"${'k'.repeat(20)}"}`
  return '{}'
}

/** `*` where the route is of no credential. */
function nameIn(path: string, name: string): string {
  return path.includes('{name}') ? name : '*'
}

const forged = (claims: object): string => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', 'a key of their own').update(text).digest('base64url')}`
}

/** Everybody who has no business here, as the headers that they send and the query that they try. */
async function strangers(harness: Harness): Promise<Readonly<Record<string, readonly string[]>>> {
  const { operator, app, tokens, system } = harness
  const revoked = await tokens.create({ name: 'revoked', role: 'operator' })
  await tokens.revoke(revoked.id)
  const expired = await tokens.create({ name: 'expired', role: 'operator', expiresInSeconds: 1 })
  system.shiftMs += 1_500
  const claims = { iss: 'https://evil.example', sub: 'ops', aud: 'keyturn', exp: 4_102_444_800 }
  const bearer = (token: string): readonly string[] => [`Authorization: Bearer ${token}`]
  return {
    'without a token': [],
    'with an empty one': ['Authorization: Bearer '],
    'with rubbish': bearer('%00'),
    'with one that was never made': bearer(`kt_op_${'A'.repeat(43)}`),
    'with a revoked one': bearer(revoked.token),
    'with an expired one': bearer(expired.token),
    'with a good one, cut': bearer(operator.slice(0, -1)),
    'with a good one and more': bearer(`${operator}A`),
    'with a good one in other letters': bearer(operator.toUpperCase()),
    'with its name alone': bearer('ops'),
    'with the hash of one': bearer('0'.repeat(64)),
    'with a key that is handed out': bearer(`${canary}1`),
    'with a good one as Basic': [`Authorization: Basic ${btoa(`:${operator}`)}`],
    'with a good one as a cookie': [`Cookie: token=${operator}; session=${operator}`],
    'with a good one in headers of its own': [`X-Api-Key: ${operator}`, `X-Auth-Token: ${operator}`],
    'with a good one for a proxy': [`Proxy-Authorization: Bearer ${operator}`],
    'with two, the first one good': [...bearer(operator), ...bearer('nobody')],
    'with two, the second one good': [...bearer('nobody'), ...bearer(app)],
    'with two in one line': [`Authorization: Bearer nobody, Bearer ${operator}`],
    'with a JWT of another issuer': bearer(forged(claims)),
    'with a JWT that nobody signed': bearer(`${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(claims))}.`),
    'saying that a proxy knows it': ['X-Forwarded-User: ops', 'X-Remote-User: ops'],
  }
}

describe('no request without the grant', () => {
  it('of a stranger is answered, on any route', async () => {
    const harness = await startServer()
    for (const [who, headers] of Object.entries(await strangers(harness)))
      for (const [id, operation] of needing) {
        const answer = await ask(harness, operation, { name: 'openai', headers })
        expect([400, 401, 403], `${id} ${who}: ${answer.status}`).toContain(answer.status)
        expect(answer.text.includes(canary), `${id} ${who}`).toBe(false)
        // Only what is odd whoever sends it is told apart from a token that is not good.
        if (answer.status !== 401) expect(who).toMatch(/two|proxy knows/)
      }
    expect(harness.tokens.list().some(({ name }) => name === 'made-here')).toBe(false)
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it('that puts a good token into the URL is answered, on any route', async () => {
    const harness = await startServer()
    for (const [id, operation] of needing)
      for (const name of ['access_token', 'token', 'authorization', 'api_key']) {
        const query = `?${name}=${harness.operator}`
        const answer = await ask(harness, operation, { name: 'openai', headers: [], query })
        expect([id, answer.status]).toEqual([id, 401])
        expect(answer.text).not.toContain(harness.operator)
      }
  })

  it('of a token with one grant, on one credential or all, is answered beyond that grant, on any route', async () => {
    const harness = await startServer()
    let answered = 0
    for (const grant of allGrants)
      for (const on of ['openai', 'openai-*', '*']) {
        const { token } = await harness.tokens.create({
          name: `${grant}-only`,
          role: 'app',
          credentials: [on],
          grants: [grant],
        })
        const headers = [`Authorization: Bearer ${token}`]
        for (const [id, operation] of needing)
          for (const name of ['openai', 'openai-prod', 'openai-nope']) {
            // The fast lane and the application.
            for (const query of id === 'getCredential' ? ['', '?wait=0'] : ['']) {
              if (
                operation.mediaType === 'text/event-stream' &&
                isAllowed(operation.access, grant, { on, name })
              )
                continue
              const answer = await ask(harness, operation, { name, headers, query })
              const what = `${id} of ${name} with ${grant} on ${on}: ${answer.status}`
              const target = nameIn(operation.path, name)
              if (answer.status < 300) {
                answered += 1
                expect(isAllowed(operation.access, grant, { on, name: target }), what).toBe(true)
              }
              if (answer.text.includes(canary) || answer.body.includes('"token":')) {
                expect(secrets[id], what).toBe(grant)
                expect(covers(on, target), what).toBe(true)
              }
            }
          }
      }
    // Otherwise nothing would have been tried.
    expect(answered).toBeGreaterThan(60)
  })
})

function covers(on: string, name: string): boolean {
  if (on === '*') return true
  return on.endsWith('*') ? name !== '*' && name.startsWith(on.slice(0, -1)) : on === name
}

/** The oracle: said once more and in other words than in the checks. */
function isAllowed(
  access: Access,
  grant: Grant,
  { on, name }: { readonly on: string; readonly name: string },
): boolean {
  if (access === 'open') return true
  if (access === 'seen')
    return name === '*' || (covers(on, name) && ['read', 'operate', 'audit'].includes(grant))
  const grants: readonly Grant[] = typeof access === 'string' ? [access] : access
  // These two are of the service as a whole, whatever they are given on.
  return grants.includes(grant) && (grant === 'metrics' || grant === 'dashboard' || covers(on, name))
}
