import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { type JwtRule, noAccess } from '../../src/core/access.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import { azurePlace } from '../../src/hooks/azure-event-grid.ts'
import { googlePlace } from '../../src/hooks/google-pubsub.ts'
import { createJwtWay } from '../../src/server/auth/jwt.ts'
import { createKeySets } from '../../src/server/auth/key-sets.ts'
import { createPolicyHolder } from '../../src/server/auth/policy.ts'
import type { Hooks } from '../../src/server/hook-routes.ts'
import { createMemoryAudit } from '../audit/memory-audit.ts'
import { bearer, type Harness, type HarnessOptions, problemOf, startServer } from './harness.ts'

const googlePath = '/v1/hooks/google-pubsub'
const azurePath = '/v1/hooks/azure-event-grid'
const hooks: Hooks = {
  googlePubSub: [
    googlePlace('openai', 'openai', { project: 'acme' }),
    googlePlace('openai-prod', 'projects/acme/secrets/prod', {}),
  ],
  azureEventGrid: [azurePlace('openai', 'openai', 'https://acme.vault.azure.net')],
}
/** As the fake service says that its rotations began. */
const startedAt = Date.UTC(2026, 0, 2, 3, 4, 5)
const at = (shiftMs = 0): string => new Date(startedAt + 3_600_000 + shiftMs).toISOString()

interface World extends Harness {
  readonly hook: string
  push(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
}

async function world(options: HarnessOptions = {}): Promise<World> {
  const harness = await startServer({ hooks, ...options })
  harness.service.tellsRotations = true
  const { token: hook } = await harness.tokens.create({
    name: 'cloud',
    role: 'app',
    credentials: ['openai'],
    grants: ['hook'],
  })
  const push: World['push'] = (path, body, headers) =>
    harness.send('POST', path, body, { ...bearer(hook), ...headers })
  return { ...harness, hook, push }
}

/** As Secret Manager's documentation shows it, wrapped as Pub/Sub pushes it. */
function pubSub(change: Readonly<Record<string, string>> = {}, publishTime = at()): unknown {
  return {
    message: {
      attributes: {
        dataFormat: 'JSON_API_V1',
        eventType: 'SECRET_ROTATE',
        secretId: 'projects/acme/secrets/openai',
        timestamp: publishTime,
        ...change,
      },
      data: Buffer.from('{"name":"projects/123456789/secrets/openai"}').toString('base64'),
      messageId: '136969346945',
      message_id: '136969346945',
      publishTime,
      publish_time: publishTime,
    },
    subscription: 'projects/acme/subscriptions/keyturn',
    deliveryAttempt: 1,
  }
}

const vault = {
  Id: 'https://acme.vault.azure.net/secrets/openai/a1b2',
  VaultName: 'acme',
  ObjectType: 'Secret',
  ObjectName: 'openai',
  Version: 'a1b2',
  NBF: null,
  EXP: 1_790_000_000,
}

function eventGrid(eventType: string, data: object = vault): Readonly<Record<string, unknown>> {
  const topic = '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme'
  return { id: 'e-1', topic, subject: 'openai', eventType, data, dataVersion: '1', eventTime: at() }
}

function cloudEvent(type: string): Readonly<Record<string, unknown>> {
  return {
    specversion: '1.0',
    id: 'e-1',
    source: '/vaults/acme',
    type,
    subject: 'openai',
    time: at(),
    data: vault,
  }
}

const near = 'Microsoft.KeyVault.SecretNearExpiry'
const cloudEventType = { 'content-type': 'application/cloudevents+json; charset=utf-8' }

describe('a cloud that says that a secret is due', () => {
  it.each<[string, string, unknown, Record<string, string>]>([
    ['Pub/Sub', googlePath, pubSub(), {}],
    [
      'Pub/Sub, by the number of the project',
      googlePath,
      pubSub({ secretId: 'projects/123/secrets/openai' }),
      {},
    ],
    ['Event Grid', azurePath, [eventGrid(near)], { 'aeg-event-type': 'Notification' }],
    ['Event Grid, of what has expired', azurePath, [eventGrid('Microsoft.KeyVault.SecretExpired')], {}],
    [
      'Event Grid, in capitals',
      azurePath,
      [eventGrid(near, { ...vault, VaultName: 'ACME', ObjectName: 'OpenAI' })],
      {},
    ],
    ['Event Grid, as a CloudEvent', azurePath, cloudEvent(near), cloudEventType],
    [
      'Event Grid, as a batch of them',
      azurePath,
      [cloudEvent(near)],
      { 'content-type': 'application/cloudevents-batch+json; charset=utf-8' },
    ],
  ])('%s begins a rotation, and gets an empty answer', async (_who, path, body, headers) => {
    const made = await world()
    const answer = await made.push(path, body, headers)
    expect([answer.status, await answer.text()]).toEqual([204, ''])
    expect(made.service.rotationsStarted).toHaveLength(1)
    expect(made.service.rotationsStarted[0]).toMatchObject({ mode: 'normal' })
  })

  it('says it once, however often and late it is sent', async () => {
    const made = await world()
    for (const publishTime of [at(), at(), at(-3_600_000), at(-86_400_000)])
      expect((await made.push(googlePath, pubSub({}, publishTime))).status).toBe(204)
    expect(made.service.rotationsStarted).toHaveLength(1)
  })

  it('says it once also where no rotation came last that would show it', async () => {
    const made = await world()
    await made.service.rotate('openai', { mode: 'rehearsal' }, { name: 'ann' })
    // The key became current when the rehearsal began: an hour before the time of the others.
    expect((await made.push(googlePath, pubSub({}, at(-3_540_000)))).status).toBe(204)
    expect(made.service.rotationsStarted).toHaveLength(1)
    expect((await made.push(googlePath, pubSub())).status).toBe(204)
    expect(made.service.rotationsStarted).toHaveLength(2)
  })

  it('says of a new key that lives for a month that it is about to end, and no other is made for that', async () => {
    const made = await world()
    const day = 86_400
    const ends = (seconds: number): object => ({ ...vault, EXP: startedAt / 1_000 + seconds })
    made.service.keyEndsAt = new Date(startedAt + 30 * day * 1_000).toISOString()
    expect((await made.push(azurePath, [eventGrid(near, ends(30 * day))])).status).toBe(204)
    expect(made.service.rotationsStarted).toEqual([])
    expect((await made.push(azurePath, [eventGrid(near, ends(7_000))])).status).toBe(204)
    expect(made.service.rotationsStarted).toHaveLength(1)
  })

  const others: readonly [string, string, unknown][] = [
    ['another event of the topic', googlePath, pubSub({ eventType: 'SECRET_VERSION_ADD' })],
    ['a secret that nobody configured', googlePath, pubSub({ secretId: 'projects/acme/secrets/theirs' })],
    ['a secret of this name elsewhere', googlePath, pubSub({ secretId: 'projects/other/secrets/openai' })],
    [
      'a secret of this name in one region alone',
      googlePath,
      pubSub({ secretId: 'projects/acme/locations/europe-west3/secrets/openai' }),
    ],
    ['one that this caller may not turn', googlePath, pubSub({ secretId: 'projects/acme/secrets/prod' })],
    ['another event of the vault', azurePath, [eventGrid('Microsoft.KeyVault.SecretNewVersionCreated')]],
    ['a certificate', azurePath, [eventGrid(near, { ...vault, ObjectType: 'Certificate' })]],
    ['another vault', azurePath, [eventGrid(near, { ...vault, VaultName: 'theirs' })]],
  ]
  it('gets the same answer for whatever else it sends, and nothing begins', async () => {
    const made = await world()
    for (const [what, path, body] of others) {
      const answer = await made.push(path, body)
      expect([what, answer.status, await answer.text()]).toEqual([what, 204, ''])
    }
    expect(made.service.rotationsStarted).toEqual([])
  })

  const malformed: readonly [string, string, unknown][] = [
    ['no message', googlePath, { data: 'x' }],
    ['a message without a time', googlePath, { message: { messageId: '1', attributes: {} } }],
    ['a secret that is no name', googlePath, pubSub({ secretId: '../../etc' })],
    ['no events', azurePath, []],
    ['an event of nothing', azurePath, [{ id: 'e-1' }]],
    ['too many events', azurePath, Array.from({ length: 101 }, () => eventGrid(near))],
  ]
  it('is refused with what no cloud sends', async () => {
    const made = await world()
    for (const [what, path, body] of malformed) {
      const answer = await made.push(path, body)
      expect([what, answer.status, (await problemOf(answer)).code]).toEqual([what, 400, 'bad_request'])
    }
    expect(made.service.rotationsStarted).toEqual([])
  })

  it('is asked to send again what passes by itself, and not what only a person can mend', async () => {
    const made = await world()
    const failures: readonly [KeyturnError, number][] = [
      [new KeyturnError('ledger_unreachable', 'Away.', { retryable: true }), 503],
      [new KeyturnError('blackout', 'Until Monday.'), 409],
      [new KeyturnError('stopping', 'The ledger is closed.'), 503],
      [new KeyturnError('rotation_halted', 'Halted.'), 204],
      [new KeyturnError('issuer_cannot_mint', 'No admin key.'), 204],
    ]
    for (const [failure, status] of failures) {
      made.service.failNextRotation = failure
      expect((await made.push(googlePath, pubSub())).status).toBe(status)
    }
  })

  it('is in the audit with what came of it', async () => {
    const audit = createMemoryAudit()
    const made = await world({ audit })
    await made.push(googlePath, pubSub())
    await made.push(googlePath, pubSub({ secretId: 'projects/acme/secrets/theirs' }))
    const rows = audit.rows.filter(({ action }) => action === 'receivePubSub')
    expect(rows.map(({ outcome }) => outcome)).toEqual(['asked', 'done', 'asked', 'done'])
    expect(JSON.stringify(rows[1])).toContain('started: openai')
  })
})

describe('whoever else asks', () => {
  it.each([googlePath, azurePath])('is let in to %s with the grant alone', async (path) => {
    const made = await world()
    const body = path === googlePath ? pubSub() : [eventGrid(near)]
    const statuses = []
    for (const headers of [{ authorization: '' }, bearer(made.app), bearer(`${made.hook}x`)])
      statuses.push((await made.push(path, body, headers)).status)
    expect(statuses).toEqual([401, 403, 401])
    expect(made.service.rotationsStarted).toEqual([])
  })

  it('may do nothing else with it, and sees nothing', async () => {
    const made = await world()
    const paths = [
      '/v1/credentials/openai',
      '/v1/credentials/openai/events',
      '/v1/credentials/openai/rotations',
    ]
    for (const path of paths) expect((await made.get(path, bearer(made.hook))).status).toBeGreaterThan(400)
    const start = await made.push('/v1/credentials/openai/rotations', {})
    expect(start.status).toBe(403)
    expect(await (await made.get('/v1/credentials', bearer(made.hook))).json()).toMatchObject({ items: [] })
  })

  it.each([
    ['POST', googlePath],
    ['POST', azurePath],
    ['OPTIONS', azurePath],
  ])('finds no %s %s where it is not configured', async (method, path) => {
    const made = await world({ hooks: {} })
    const answer = await made.send(method, path, undefined, bearer(made.hook))
    expect([answer.status, (await problemOf(answer)).code]).toEqual([404, 'not_found'])
  })
})

describe('the handshake of Event Grid', () => {
  const validation = [
    {
      ...eventGrid('Microsoft.EventGrid.SubscriptionValidationEvent', {
        validationCode: '512d38b6-c7b8-40c8-89fe-f46f9e9622b6',
        validationUrl: 'https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/x/validate',
      }),
    },
  ]

  it('sends the code back to who may send', async () => {
    const made = await world()
    const headers = { 'aeg-event-type': 'SubscriptionValidation' }
    const answer = await made.push(azurePath, validation, headers)
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { validationResponse: '512d38b6-c7b8-40c8-89fe-f46f9e9622b6' },
    ])
    expect((await made.push(azurePath, validation, { authorization: '' })).status).toBe(401)
  })

  it('tells Event Grid, and nobody else, that it may ask', async () => {
    const made = await world()
    const ask = (origin: string) =>
      fetch(made.url + azurePath, { method: 'OPTIONS', headers: { 'webhook-request-origin': origin } })
    const answer = await ask('eventgrid.azure.net')
    expect([answer.status, answer.headers.get('webhook-allowed-origin')]).toEqual([
      200,
      'eventgrid.azure.net',
    ])
    expect(answer.headers.get('webhook-allowed-rate')).toBe('120')
    for (const origin of ['evil.example', 'eventgrid.azure.net.evil.example', 'xeventgrid.azure.net'])
      expect((await ask(origin)).status).toBe(400)
  })
})

describe('an OIDC token of Pub/Sub', () => {
  const issuer = 'https://accounts.google.com'
  const audience = 'https://keyturn.acme.example/v1/hooks/google-pubsub'
  const email = 'keyturn-push@acme.iam.gserviceaccount.com'
  const rule: JwtRule = {
    name: 'pubsub',
    issuer,
    audience: [audience],
    algorithms: ['RS256'],
    claims: [
      { claim: 'email', patterns: [email] },
      { claim: 'email_verified', patterns: ['true'] },
    ],
    nameClaim: 'email',
    lifetimeMaxMs: 3_600_000,
    grants: [{ credentials: ['openai'], may: ['hook'] }],
  }

  /** A service that takes tokens of this issuer; `isAway` while its keys cannot be had. */
  async function issued() {
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'g1', alg: 'RS256' }] })
    const log = () => undefined
    const state = { isAway: false, now: startedAt }
    const getText = async (url: string) => {
      if (state.isAway) throw new Error('away')
      return url.endsWith('/openid-configuration')
        ? JSON.stringify({ issuer, jwks_uri: 'https://www.googleapis.com/oauth2/v3/certs' })
        : keys
    }
    const system = { now: () => state.now }
    const policy = createPolicyHolder({ ...noAccess, jwt: [rule] })
    const keySets = createKeySets({ getText, readFile: async () => keys, system, log })
    const way = createJwtWay({ policy, keys: keySets, system, log })
    const made = await world({
      authenticator: {
        authenticate: async ({ authorization = '', socket }) => way.authenticate(authorization, { socket }),
        isLive: () => true,
        onChange: () => () => undefined,
      },
    })
    const sign = (claims: object, key = privateKey) =>
      new SignJWT({ email, email_verified: true, azp: '1122', ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'g1', typ: 'JWT' })
        .setIssuer(issuer)
        .setSubject('112233445566778899')
        .setIssuedAt(startedAt / 1_000)
        .setExpirationTime(startedAt / 1_000 + 3_600)
        .sign(key)
    return { made, sign, state }
  }

  it('lets in the service account of the subscription for this audience, and no other', async () => {
    const { made, sign } = await issued()
    const forged = await generateKeyPair('RS256')
    const tried: readonly [Promise<string>, number][] = [
      [sign({ aud: audience }), 204],
      [sign({ aud: 'https://keyturn.acme.example' }), 401],
      [sign({ aud: audience, email: 'else@acme.iam.gserviceaccount.com' }), 401],
      [sign({ aud: audience, email_verified: false }), 401],
      [sign({ aud: audience }, forged.privateKey), 401],
    ]
    for (const [token, status] of tried)
      expect((await made.push(googlePath, pubSub(), bearer(await token))).status).toBe(status)
    expect(made.service.rotationsStarted).toHaveLength(1)
  })

  // Event Grid drops an event for good that is answered 400, 401, 403 or 413, and sends again what is answered 503.
  it.each<[string, unknown]>([
    [googlePath, pubSub()],
    [azurePath, [eventGrid(near)]],
  ])('is asked for again by %s while the keys of the issuer cannot be had', async (path, body) => {
    const { made, sign, state } = await issued()
    const token = bearer(await sign({ aud: audience }))
    state.isAway = true
    const answer = await made.push(path, body, token)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect((await problemOf(answer)).code).toBe('caller_unverifiable')
    expect(made.service.rotationsStarted).toEqual([])
    state.isAway = false
    state.now += 5_000
    expect((await made.push(path, body, token)).status).toBe(204)
    expect(made.service.rotationsStarted).toHaveLength(1)
  })
})
