import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { Secret } from '../../src/core/secret.ts'
import { createOpenAIIssuer } from '../../src/issuers/openai.ts'
import {
  canary,
  issuerContext,
  mintingIssuer,
  patientMs,
  refusal,
  replying,
  sandbox,
  stub,
  stubbedIssuer,
} from './support.ts'

const value = ['sk', 'svcacct', canary].join('-')
const minted = (name: string) => ({
  object: 'organization.project.service_account.api_key',
  id: 'key_1',
  name,
  value,
  created_at: 1_763_640_000,
  expires_at: null,
})

describe('minting', () => {
  it('asks once, with marker, scopes and lifetime, on the stable account', async () => {
    const place = await stub(replying(200, minted('keyturn-1')))
    const issuer = stubbedIssuer(place)
    const outcome = await issuer.mint({
      marker: 'keyturn-1',
      scopes: ['api.responses.write'],
      expiresInSeconds: 900,
    })
    expect(outcome).toMatchObject({
      kind: 'minted',
      keyId: 'key_1',
      serviceAccount: 'svc_acct_1',
      createdAt: 1_763_640_000_000,
    })
    expect(place.seen).toHaveLength(1)
    expect(place.seen[0]).toMatchObject({
      method: 'POST',
      url: '/v1/organization/projects/proj_1/service_accounts/svc_acct_1/api_keys',
    })
    expect(JSON.parse(place.seen[0]?.body ?? '')).toEqual({
      name: 'keyturn-1',
      scopes: ['api.responses.write'],
      expires_in_seconds: 900,
    })
    expect(JSON.stringify(outcome)).not.toContain('canary')
  })

  it.each([400, 401, 403, 404, 405, 409, 422, 429])('is refused by a %i of the issuer', async (status) => {
    const place = await stub(replying(status, refusal('some_code'), { 'retry-after': '3' }))
    const outcome = await stubbedIssuer(place).mint({ marker: 'keyturn-1' })
    expect(outcome).toMatchObject({
      kind: 'refused',
      observation: { status, code: 'some_code', retryAfterMs: 3_000 },
    })
    expect(place.seen).toHaveLength(1)
  })

  it.each([
    ['408', replying(408, refusal(null))],
    ['500', replying(500, refusal(null))],
    ['503 with Retry-After', replying(503, refusal('server_is_overloaded'), { 'retry-after': '1' })],
    ["a proxy's 403", replying(403, '<html>no</html>')],
    ["a proxy's 429", replying(429, 'slow')],
    ['a 200 of somebody else', replying(200, '<html></html>')],
    ['a cut-off answer', replying(200, JSON.stringify(minted('keyturn-1')).slice(0, 60))],
    ['an answer without a value', replying(200, { ...minted('keyturn-1'), value: undefined })],
    ['an empty value', replying(200, { ...minted('keyturn-1'), value: '' })],
    ['a value that no header carries', replying(200, { ...minted('keyturn-1'), value: `${value}\n` })],
    ['an answer without an id', replying(200, { ...minted('keyturn-1'), id: null })],
    ['an id that is none', replying(200, { ...minted('keyturn-1'), id: '../x' })],
    ['an answer about another key', replying(200, minted('somebody-else'))],
    ['an answer without a request id', replying(200, minted('keyturn-1'), { 'x-request-id': '' })],
    ['an empty 204', replying(204, '')],
  ] as const)('is unknown after %s', async (_name, answer) => {
    const place = await stub(answer)
    const outcome = await stubbedIssuer(place).mint({ marker: 'keyturn-1' })
    expect(outcome.kind).toBe('unknown')
    expect(place.seen).toHaveLength(1)
    expect(JSON.stringify(outcome)).not.toContain('canary')
  })

  it.each(['reset', 'hang', 'server_error', 'proxy_page'] as const)(
    'is unknown when the answer is lost by %s after the key was made, and the list finds it',
    async (loseAnswersBy) => {
      const place = await sandbox({ knobs: { loseAnswers: { mint: 1 }, loseAnswersBy } })
      for (const mode of ['service_account_key', 'new_service_account'] as const) {
        place.set({ loseAnswers: { mint: 1 } })
        const hasty = mintingIssuer(place, { mode, timeoutMs: loseAnswersBy === 'hang' ? 300 : patientMs })
        const issuer = mintingIssuer(place, { mode })
        const marker = `keyturn-${mode}`
        expect((await hasty.mint({ marker })).kind).toBe('unknown')
        const listed = await issuer.list()
        const found = listed.kind === 'listed' ? listed.keys.filter((key) => key.name === marker) : []
        expect(found).toHaveLength(1)
        expect(await issuer.revoke(found[0]?.keyId ?? '')).toMatchObject({ kind: 'gone' })
        expect(place.isAlive(found[0]?.keyId ?? '')).toBe(false)
      }
    },
  )

  it('is refused where the organisation takes no key on an account, and works in the other mode', async () => {
    const place = await sandbox({ knobs: { refuseKeyOnExistingAccount: 400 } })
    expect((await mintingIssuer(place).mint({ marker: 'keyturn-1' })).kind).toBe('refused')
    const issuer = mintingIssuer(place, { mode: 'new_service_account' })
    const outcome = await issuer.mint({ marker: 'keyturn-1', scopes: ['api.model.read'] })
    if (outcome.kind !== 'minted') throw new Error('expected a key')
    expect(place.keys().find((key) => key.id === outcome.keyId)?.scopes).toEqual(['api.model.read'])
  })

  it('gives nobody a new account whose key could not be restricted', async () => {
    const place = await sandbox({ knobs: { refuseKeyUpdate: true } })
    const issuer = mintingIssuer(place, { mode: 'new_service_account' })
    const outcome = await issuer.mint({ marker: 'keyturn-1', scopes: ['api.model.read'] })
    expect(outcome.kind).toBe('unknown')
  })

  it('is not tried without a service account of the configured name, or with two', async () => {
    const place = await sandbox()
    place.createServiceAccount('twin')
    place.createServiceAccount('twin', place.createProject('elsewhere'))
    const mintOn = (serviceAccountName: string) => {
      const adminKey = async () => new Secret(place.adminKey())
      const { baseUrl, project: projectId } = place
      const options = { baseUrl, projectId, serviceAccountName, adminKey }
      return createOpenAIIssuer(options, issuerContext()).mint?.({ marker: 'keyturn-1' })
    }
    await expect(mintOn('nobody')).rejects.toMatchObject({ code: 'issuer_refused' })
    expect(await mintOn('twin')).toMatchObject({ kind: 'minted' })
    const twins = {
      object: 'list',
      has_more: false,
      data: [1, 2].map((id) => ({ id: `svc_${id}`, name: 'twin' })),
    }
    const stubbed = await stub(replying(200, twins))
    const adminKey = async () => new Secret(value)
    const two = { baseUrl: stubbed.baseUrl, projectId: 'proj_1', serviceAccountName: 'twin', adminKey }
    const tried = createOpenAIIssuer(two, issuerContext()).mint?.({ marker: 'keyturn-1' })
    await expect(tried).rejects.toMatchObject({ code: 'issuer_refused' })
    expect(stubbed.seen.map((request) => request.method)).toEqual(['GET'])
  })

  it('fails before anything is sent when the admin key cannot be read', async () => {
    const place = await stub(replying(200, minted('keyturn-1')))
    const unreachable = new KeyturnError('store_unreachable', 'no store', { retryable: true })
    const issuer = stubbedIssuer(place, { adminKey: () => Promise.reject(unreachable) })
    await expect(issuer.mint({ marker: 'keyturn-1' })).rejects.toBe(unreachable)
    expect(place.seen).toEqual([])
  })
})

describe('listing', () => {
  const page = (ids: readonly string[], more: boolean, extra: Record<string, unknown> = {}) => ({
    object: 'list',
    data: ids.map((id) => ({ id, name: id, redacted_value: 'r', owner: { type: 'user' } })),
    last_id: ids.at(-1) ?? null,
    has_more: more,
    ...extra,
  })

  it('reads every page, with every owner', async () => {
    const place = await sandbox()
    for (let index = 0; index < 230; index += 1) place.createServiceAccountKey({ name: `many-${index}` })
    const left = place.createUserKey({ name: 'left', ownerAccess: 'inactive' })
    const listed = await mintingIssuer(place).list()
    if (listed.kind !== 'listed') throw new Error('expected a list')
    expect(listed.keys.filter((key) => key.name.startsWith('many-'))).toHaveLength(230)
    expect(listed.keys.find((key) => key.keyId === left.id)).toMatchObject({
      owner: 'user',
      lastUsedAt: null,
    })
  })

  it('gives instants in milliseconds', async () => {
    const place = await stub(
      replying(200, {
        object: 'list',
        has_more: false,
        data: [
          {
            id: 'key_1',
            name: 'n',
            redacted_value: 'r',
            created_at: 10,
            expires_at: 20,
            last_used_at: 15,
            owner: { type: 'service_account', service_account: { id: 'svc_acct_1', name: 'app' } },
          },
          { id: 'key_2', name: 'm', redacted_value: 'r', created_at: 10 },
        ],
      }),
    )
    expect(await stubbedIssuer(place).list()).toEqual({
      kind: 'listed',
      keys: [
        {
          keyId: 'key_1',
          name: 'n',
          redacted: 'r',
          owner: 'service_account',
          serviceAccount: 'svc_acct_1',
          createdAt: 10_000,
          expiresAt: 20_000,
          lastUsedAt: 15_000,
        },
        { keyId: 'key_2', name: 'm', redacted: 'r', owner: 'unknown', createdAt: 10_000 },
      ],
    })
  })

  it.each([
    ['a page that fails', 500, refusal(null)],
    ['a page without has_more', 200, page(['b'], true, { has_more: undefined })],
    ['a page that is no list', 200, { object: 'thing' }],
    ['an entry without an id', 200, { object: 'list', data: [{}], has_more: false }],
    ['a cursor that stands still', 200, page(['a'], true)],
    ['an empty page that promises more', 200, page([], true)],
  ] as const)('fails as a whole at %s', async (_name, status, second) => {
    const place = await stub((request, response) => {
      const isFirst = !(request.url ?? '').includes('after=')
      replying(isFirst ? 200 : status, isFirst ? page(['a'], true) : second)(request, response)
    })
    expect((await stubbedIssuer(place).list()).kind).toBe('failed')
    expect(place.seen.length).toBeLessThanOrEqual(2)
  })

  it('ends where pages never do', async () => {
    let number = 0
    const place = await stub((request, response) => {
      number += 1
      replying(200, page([`key_${number}`], true))(request, response)
    })
    expect(await stubbedIssuer(place).list()).toEqual({
      kind: 'failed',
      observation: { kind: 'no_answer', failure: 'too_large' },
    })
    expect(place.seen).toHaveLength(100)
  })
})

describe('revoking', () => {
  it.each([
    ['gone', 404, refusal(null, 'No such API key.')],
    ['refused', 404, refusal(null, 'Invalid URL (DELETE /v1/organization)')],
    ['refused', 400, refusal(null, 'API keys cannot be deleted for service accounts, please …')],
    ['refused', 403, refusal(null)],
    ['refused', 405, refusal(null)],
    ['refused', 401, refusal('missing_scope', 'You have insufficient permissions for this operation.')],
    ['unknown', 401, refusal('invalid_api_key')],
    ['unknown', 429, refusal('rate_limit_exceeded')],
    ['unknown', 500, refusal(null)],
    ['unknown', 404, '<html>not found</html>'],
    ['unknown', 200, { object: 'organization.project.api_key.deleted', id: 'key_1', deleted: false }],
    ['unknown', 200, { object: 'organization.project.api_key.deleted', id: 'key_2', deleted: true }],
    ['gone', 200, { object: 'organization.project.api_key.deleted', id: 'key_1', deleted: true }],
  ] as const)('is %s after a %i', async (kind, status, body) => {
    const place = await stub(replying(status, body))
    expect((await stubbedIssuer(place).revoke('key_1')).kind).toBe(kind)
    expect(place.seen).toHaveLength(1)
  })

  it('is confirmed after a lost answer, when it is asked again', async () => {
    const place = await sandbox({ knobs: { loseAnswers: { delete: 1 } } })
    const issuer = mintingIssuer(place)
    const key = place.createServiceAccountKey()
    expect((await issuer.revoke(key.id)).kind).toBe('unknown')
    expect(place.isAlive(key.id)).toBe(false)
    // OpenAI finds the call in its own logs by this.
    expect(await issuer.revoke(key.id)).toEqual({ kind: 'gone', requestId: expect.stringMatching(/^req_/) })
  })

  it('falls back to an expiry where keys of service accounts cannot be deleted', async () => {
    const place = await sandbox({ knobs: { refuseDeleteServiceAccountKey: true } })
    const issuer = mintingIssuer(place)
    const key = place.createServiceAccountKey()
    expect((await issuer.revoke(key.id)).kind).toBe('refused')
    expect((await issuer.setExpiry(key.id, 1)).kind).toBe('set')
  })

  it('never follows a path that is no id', async () => {
    const place = await stub(replying(200, {}))
    await expect(stubbedIssuer(place).revoke('../service_accounts/x')).rejects.toThrow()
    await expect(stubbedIssuer(place).setExpiry('key_1?x', 5)).rejects.toThrow()
    await expect(stubbedIssuer(place).setExpiry('key_1', 0)).rejects.toThrow()
    expect(place.seen).toEqual([])
  })
})

describe('revoking with an account per key', () => {
  it('deletes the account that was made for the key, also where keys alone cannot be deleted', async () => {
    const place = await sandbox({ knobs: { refuseDeleteServiceAccountKey: true } })
    const issuer = mintingIssuer(place, { mode: 'new_service_account' })
    const outcome = await issuer.mint({ marker: 'keyturn-1' })
    if (outcome.kind !== 'minted') throw new Error('expected a key')
    expect(await issuer.revoke(outcome.keyId)).toMatchObject({ kind: 'gone' })
    expect(place.isAlive(outcome.keyId)).toBe(false)
  })

  it('never deletes an account that another key lives on', async () => {
    const place = await sandbox()
    const issuer = mintingIssuer(place, { mode: 'new_service_account' })
    const outcome = await issuer.mint({ marker: 'keyturn-1' })
    if (outcome.kind !== 'minted') throw new Error('expected a key')
    const { serviceAccount = '' } = outcome
    const other = place.createServiceAccountKey({ serviceAccount })
    expect(await issuer.revoke(outcome.keyId)).toMatchObject({ kind: 'gone' })
    expect(place.isAlive(other.id)).toBe(true)
  })

  it('never deletes an account that somebody else made', async () => {
    const place = await sandbox()
    const serviceAccount = place.createServiceAccount('the team')
    const key = place.createServiceAccountKey({ serviceAccount })
    const issuer = mintingIssuer(place, { mode: 'new_service_account' })
    expect(await issuer.revoke(key.id)).toMatchObject({ kind: 'gone' })
    expect(() => place.createServiceAccountKey({ serviceAccount })).not.toThrow()
  })

  it.each(['keyturn-production', 'keyturn-', 'keyturn-0123abcd-0123456789abcdef0123 (copy)'])(
    'never deletes an account that only looks like one of ours: %s',
    async (name) => {
      const place = await sandbox()
      const serviceAccount = place.createServiceAccount(name)
      const key = place.createServiceAccountKey({ serviceAccount })
      const adminKey = async () => new Secret(place.adminKey())
      const { baseUrl, project: projectId } = place
      const options = { baseUrl, projectId, adminKey, mode: 'new_service_account' } as const
      const issuer = createOpenAIIssuer(options, issuerContext())
      expect(await issuer.revoke?.(key.id)).toMatchObject({ kind: 'gone' })
      expect(place.isAlive(key.id)).toBe(false)
      expect(() => place.createServiceAccountKey({ serviceAccount })).not.toThrow()
    },
  )

  it('deletes nothing without a whole list', async () => {
    const place = await stub(replying(500, refusal(null)))
    const issuer = stubbedIssuer(place, { mode: 'new_service_account' })
    expect((await issuer.revoke('key_1')).kind).toBe('unknown')
    expect(place.seen.map((request) => request.method)).toEqual(['GET'])
  })
})

describe('setting an expiry', () => {
  const at = (seconds: number | null) => ({
    object: 'organization.project.api_key',
    id: 'key_1',
    expires_at: seconds,
  })
  const date = 'Fri, 20 Nov 2026 12:00:00 GMT'
  const noon = Date.UTC(2026, 10, 20, 12) / 1_000

  it.each([
    ['set', 200, at(noon + 60)],
    ['unknown', 200, at(noon + 3_600)],
    ['unknown', 200, at(null)],
    ['unknown', 200, { ...at(noon + 60), id: 'key_2' }],
    ['unknown', 500, refusal(null)],
    ['unknown', 429, refusal('rate_limit_exceeded')],
    ['refused', 400, refusal(null, 'Expired API keys cannot be updated.')],
    ['refused', 404, refusal(null)],
  ] as const)('is %s after a %i', async (kind, status, body) => {
    const place = await stub(replying(status, body, { date }))
    expect((await stubbedIssuer(place).setExpiry('key_1', 60)).kind).toBe(kind)
  })
})

describe('the check before a rotation', () => {
  const missing = async (options: Parameters<typeof mintingIssuer>[1], place = sandbox()) => {
    const findings = await mintingIssuer(await place, options).check()
    return findings.filter((finding) => finding.state === 'missing')
  }

  it('finds an admin key that is dead', async () => {
    const found = await missing({ adminKey: async () => new Secret(value) })
    expect(found).toHaveLength(4)
    expect(found[0]?.fix).toContain('admin key')
    expect(JSON.stringify(found)).not.toContain('canary')
  })

  it('finds an admin key that may read and not write', async () => {
    const place = await sandbox()
    const reader = place.createAdminKey({ scopes: ['api.management.read'] })
    const findings = await mintingIssuer(place, { adminKey: async () => new Secret(reader.value) }).check()
    expect(findings.filter((finding) => finding.state !== 'granted')).toMatchObject([
      { permission: 'api.management.write', state: 'missing' },
    ])
    expect(findings.at(-1)?.fix).toContain('api.management.write')
  })

  it('finds an ordinary key in the place of the admin key', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey().value)
    const findings = await mintingIssuer(place, { adminKey: async () => key }).check()
    expect(findings.every((finding) => finding.state === 'missing')).toBe(true)
  })

  it('finds a project that is not there, and the Default project', async () => {
    expect((await missing({ projectId: 'proj_nobody' }))[0]).toMatchObject({
      resource: 'project proj_nobody',
    })
    const place = await sandbox()
    const issuer = mintingIssuer(place, { projectId: place.defaultProject })
    expect((await issuer.check())[0]).toMatchObject({ state: 'missing' })
    expect((await issuer.check())[0]?.fix).toContain('Default project')
  })

  it('finds a service account that is not there, or has no role', async () => {
    expect(await missing({ serviceAccountId: 'svc_acct_nobody' })).toMatchObject([
      { resource: 'service account svc_acct_nobody' },
    ])
    const place = await stub(replying(200, { object: 'x', id: 'svc_acct_1', role: 'none' }))
    const findings = await stubbedIssuer(place).check()
    expect(findings.find((finding) => finding.resource.startsWith('service'))).toMatchObject({
      state: 'missing',
      fix: expect.stringContaining('Member') as string,
    })
  })

  it('changes nothing', async () => {
    const place = await sandbox()
    const before = place.keys().length
    await mintingIssuer(place).check()
    const kept = place.keys().filter((key) => key.kind !== 'admin').length
    expect(kept).toBeLessThanOrEqual(before)
    const writes = place.requests().filter((request) => request.method !== 'GET')
    expect(writes.map((request) => request.status)).toEqual([404])
  })
})

describe('what may be logged', () => {
  it('never holds the admin key or a new one', async () => {
    const place = await stub(replying(200, minted('keyturn-1')))
    const context = issuerContext()
    const issuer = stubbedIssuer(place, {}, context)
    await issuer.mint({ marker: 'keyturn-1' })
    await issuer.list()
    await issuer.revoke('key_1')
    expect(JSON.stringify(context.logged)).not.toContain('canary')
  })
})
