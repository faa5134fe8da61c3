import { describe, expect, it, onTestFinished } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import type { Observation } from '../../src/core/types.ts'
import { verifyOutcome } from '../../src/core/verdict-outcome.ts'
import type { IssuerContext } from '../../src/issuers/openai.ts'
import { adminScopes, createAdminKeyIssuer } from '../../src/issuers/openai-admin-keys.ts'
import { absentKey } from '../../src/issuers/openai-check.ts'
import { assertMints, canary, issuerContext, refusal, replying, type Stub, sandbox, stub } from './support.ts'

const expected = { scopes: adminScopes }
const list = { object: 'list', data: [], has_more: false }

function issuerAt(baseUrl: string, secret: string, context: IssuerContext = issuerContext()) {
  const issuer = createAdminKeyIssuer({ baseUrl, adminKey: async () => new Secret(secret) }, context)
  onTestFinished(() => issuer.close())
  assertMints(issuer)
  return issuer
}

function concluded(observations: readonly Observation[]) {
  const { verdict, lacksDeclared } = verifyOutcome(observations, { expected })
  return { kind: verdict.kind, missing: verdict.missingScopes, lacksDeclared }
}

/** Lists as OpenAI does, and answers the delete as told. */
function deleting(answer: ReturnType<typeof replying>): Promise<Stub> {
  return stub((request, response) =>
    request.method === 'DELETE' ? answer(request, response) : replying(200, list)(request, response),
  )
}

describe('proving an admin key', () => {
  it('shows that it may list and delete, and deletes nothing', async () => {
    const place = await sandbox()
    const before = place.keys().map((key) => key.id)
    const issuer = issuerAt(place.baseUrl, place.adminKey())
    const seen = await issuer.verify(new Secret(place.createAdminKey().value), expected)
    expect(concluded(seen)).toEqual({ kind: 'valid', missing: undefined, lacksDeclared: false })
    expect(seen.map((one) => one.probe)).toEqual(adminScopes.map((scope) => `scope:${scope}`))
    expect(before.every((id) => place.isAlive(id))).toBe(true)
  })

  it.each([
    [['api.management.read'], ['api.management.write']],
    [['api.responses.write'], ['api.management.read', 'api.management.write']],
  ])('names what it may not: %s', async (scopes, missing) => {
    const place = await sandbox()
    const issuer = issuerAt(place.baseUrl, place.adminKey())
    const seen = await issuer.verify(new Secret(place.createAdminKey({ scopes }).value), expected)
    expect(concluded(seen)).toEqual({ kind: 'restricted', missing, lacksDeclared: true })
  })

  it('is not taken in by the key of an app', async () => {
    const place = await sandbox()
    const issuer = issuerAt(place.baseUrl, place.adminKey())
    const seen = await issuer.verify(new Secret(place.createServiceAccountKey().value), expected)
    expect(concluded(seen)).toMatchObject({ kind: 'restricted', lacksDeclared: true })
  })

  it.each([
    ['404, there is none', replying(404, refusal(null, 'No admin key with this id.'))],
    ['404, in other words', replying(404, refusal('not_found', 'Not found.'))],
    ['gone, as if it had been there', replying(200, { object: 'x', id: absentKey, deleted: true })],
    ['400, no such id can be', replying(400, refusal('invalid_value', 'Not an id.'))],
  ])('takes for proof of the delete: %s', async (_what, answer) => {
    const place = await deleting(answer)
    const seen = await issuerAt(place.baseUrl, canary).verify(new Secret(canary), expected)
    expect(concluded(seen)).toMatchObject({ kind: 'valid', lacksDeclared: false })
  })

  it.each([
    ['a refusal for a reason that is not known', replying(403, refusal('some_policy', 'Not today.'))],
    ['an address that is not known', replying(404, refusal(null, 'Invalid URL (DELETE /v1/…)'))],
    ['an error of its own', replying(500, refusal(null, 'Sorry.'))],
    ['a page of somebody else', replying(404, '<html>')],
    ['a delete that worked, of nothing', replying(200, { object: 'something', deleted: true })],
  ])('concludes nothing from %s: such a key is never promoted', async (_what, answer) => {
    const place = await deleting(answer)
    const seen = await issuerAt(place.baseUrl, canary).verify(new Secret(canary), expected)
    expect(concluded(seen).kind).toBe('unknown')
  })

  it('believes the edge that no longer knows it', async () => {
    const place = await deleting(replying(401, refusal('invalid_api_key', 'Incorrect API key provided.')))
    const seen = await issuerAt(place.baseUrl, canary).verify(new Secret(canary), expected)
    expect(concluded(seen).kind).toBe('rejected')
  })

  it('asks under the organisation that it must belong to', async () => {
    const place = await sandbox()
    const issuer = issuerAt(place.baseUrl, place.adminKey())
    const foreign = place.createAdminKey({ organization: place.other.organization }).value
    const seen = await issuer.verify(new Secret(foreign), { ...expected, organization: place.organization })
    expect(concluded(seen).kind).toBe('misconfigured')
  })
})

describe('making and ending admin keys', () => {
  it('gives them their expiry when they are made', async () => {
    const place = await sandbox()
    const minted = await issuerAt(place.baseUrl, place.adminKey()).mint({
      marker: 'keyturn-1',
      expiresInSeconds: 3_600,
    })
    if (minted.kind !== 'minted') throw new Error('expected a key')
    expect(minted.expiresAt).toBe(minted.createdAt + 3_600_000)
    expect(place.keys().find((key) => key.id === minted.keyId)).toMatchObject({
      kind: 'admin',
      name: 'keyturn-1',
    })
  })

  it('lists all of them, over all pages, with whom they belong to and when they were used', async () => {
    const place = await sandbox()
    const issuer = issuerAt(place.baseUrl, place.adminKey())
    for (let made = 0; made < 120; made++) place.createAdminKey({ name: `k${made}` })
    const listed = await issuer.list()
    const all = listed.kind === 'listed' ? listed.keys : []
    expect(all).toHaveLength(121)
    expect(new Set(all.map((key) => key.owner))).toEqual(new Set(['user']))
    // The one that asks is in use; the others never were.
    expect(all.filter((key) => key.lastUsedAt !== null)).toHaveLength(1)
  })

  it('never deletes the one it speaks with', async () => {
    const place = await sandbox()
    const context = issuerContext()
    const own = place.createAdminKey()
    const issuer = issuerAt(place.baseUrl, own.value, context)
    expect((await issuer.revoke(own.id)).kind).toBe('refused')
    expect(place.isAlive(own.id)).toBe(true)
    expect(JSON.stringify(context.logged)).not.toContain(own.value.slice(10, 30))
  })

  it('is refused what the key in use may not do, and says so', async () => {
    const place = await sandbox()
    const other = place.createAdminKey()
    const reader = place.createAdminKey({ scopes: ['api.management.read'] }).value
    const issuer = issuerAt(place.baseUrl, reader)
    expect((await issuer.mint({ marker: 'keyturn-1' })).kind).toBe('refused')
    expect((await issuer.revoke(other.id)).kind).toBe('refused')
    const missing = (await issuer.check()).filter((one) => one.state === 'missing')
    expect(missing.map((one) => one.permission)).toEqual(['api.management.write'])
    expect(place.isAlive(other.id)).toBe(true)
  })

  it('knows nothing of a key that was made where the answer was lost', async () => {
    const place = await sandbox({ knobs: { loseAnswers: { mint: 1 } } })
    const issuer = issuerAt(place.baseUrl, place.adminKey())
    expect((await issuer.mint({ marker: 'keyturn-1' })).kind).toBe('unknown')
    const listed = await issuer.list()
    expect(listed.kind === 'listed' && listed.keys.some((key) => key.name === 'keyturn-1')).toBe(true)
  })
})
