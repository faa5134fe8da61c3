import { describe, expect, test } from 'vitest'
import {
  apiError,
  type BillingState,
  type Knobs,
  type TaxonomyName,
  taxonomyNames,
} from '../../src/sandbox/index.ts'
import { type Answer, ask, chatBody, open, responseBody, virtualClock } from './support.ts'

function expectRefusal(
  answer: Answer,
  wanted: { status: number; code: string | null; type: string; message: RegExp },
): void {
  const { error } = answer.json
  expect({ status: answer.status, code: error?.code, type: error?.type }).toEqual({
    status: wanted.status,
    code: wanted.code,
    type: wanted.type,
  })
  expect(error?.message).toMatch(wanted.message)
  expect(Object.keys(answer.json)).toEqual(['error'])
  expect(Object.keys(error ?? {}).sort()).toEqual(['code', 'message', 'param', 'type'])
  expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
  expect(answer.headers.get('openai-version')).toBe('2020-10-01')
  expect(answer.headers.get('date')).not.toBeNull()
}

const INVALID = 'invalid_request_error'

describe('the key', () => {
  test('a key that never was: 401 that echoes its first eight and last four characters', async () => {
    const sandbox = await open()
    const secret = ['sk', 'proj', `${'x'.repeat(40)}SJh4`].join('-')
    const answer = await ask(sandbox, '/models', { key: secret })
    expectRefusal(answer, {
      status: 401,
      code: 'invalid_api_key',
      type: INVALID,
      message: /^Incorrect API key provided: sk-proj-\*{40}SJh4\. You can find your API key/,
    })
    expect(answer.headers.has('openai-organization')).toBe(false)
  })

  test('a deleted key is refused like one that never was', async () => {
    const sandbox = await open()
    const key = sandbox.createServiceAccountKey()
    expect((await ask(sandbox, '/models', { key: key.value })).status).toBe(200)
    sandbox.deleteKey(key.id)
    expect((await ask(sandbox, '/models', { key: key.value })).json.error?.code).toBe('invalid_api_key')
  })

  test('no key, or one that a proxy took off: told to provide one, without a code', async () => {
    const sandbox = await open({ knobs: { stripAuthorization: true } })
    const wanted = { status: 401, code: null, type: INVALID, message: /^You didn't provide an API key/ }
    expectRefusal(await ask(sandbox, '/models'), wanted)
    const { value } = sandbox.createServiceAccountKey()
    expectRefusal(await ask(sandbox, '/models', { key: value }), wanted)
  })

  test('a web token of another issuer', async () => {
    const sandbox = await open()
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const key = [part({ alg: 'none' }), part({ sub: 'x' }), 'signature'].join('.')
    expectRefusal(await ask(sandbox, '/models', { key }), {
      status: 401,
      code: null,
      type: INVALID,
      message: /not from a valid issuer/,
    })
  })

  test.each(['invalid_api_key', 'expired_api_key'] as const)('an expired key answers %s', async (code) => {
    const clock = virtualClock()
    const sandbox = await open({ now: clock.now, knobs: { expiredKeyError: code } })
    const { value } = sandbox.createServiceAccountKey({ expiresInSeconds: 60 })
    clock.advance(59_999)
    expect((await ask(sandbox, '/models', { key: value })).status).toBe(200)
    clock.advance(1)
    const answer = await ask(sandbox, '/models', { key: value })
    expect([answer.status, answer.json.error?.code]).toEqual([401, code])
    expect(sandbox.isAlive(value)).toBe(false)
  })
})

describe('scopes', () => {
  test('GET /v1/models without api.model.read is 403, every other endpoint 401', async () => {
    const sandbox = await open()
    const { value } = sandbox.createServiceAccountKey({ scopes: ['api.files.read'] })
    expectRefusal(await ask(sandbox, '/models', { key: value }), {
      status: 403,
      code: null,
      type: INVALID,
      message: /^You have insufficient permissions for this operation\. Missing scopes: api\.model\.read\./,
    })
    expectRefusal(await ask(sandbox, '/responses', { key: value, body: responseBody }), {
      status: 401,
      code: null,
      type: INVALID,
      message: /Missing scopes: api\.responses\.write\./,
    })
    expectRefusal(await ask(sandbox, '/chat/completions', { key: value, body: chatBody }), {
      status: 401,
      code: null,
      type: INVALID,
      message: /Missing scopes: model\.request\./,
    })
  })

  test('the code can be missing_scope', async () => {
    const sandbox = await open({ knobs: { scopeErrorCode: 'missing_scope' } })
    const { value } = sandbox.createServiceAccountKey({ scopes: ['api.files.read'] })
    for (const [path, body] of [['/models'], ['/responses', responseBody]] as const)
      expect((await ask(sandbox, path, { key: value, body })).json.error?.code).toBe('missing_scope')
  })

  test('no scopes are all, api.all.read is reading, and a named scope is enough', async () => {
    const sandbox = await open()
    const statuses = async (scopes: string[]) => {
      const { value } = sandbox.createServiceAccountKey({ scopes })
      const models = await ask(sandbox, '/models', { key: value })
      const responses = await ask(sandbox, '/responses', { key: value, body: responseBody })
      return [models.status, responses.status]
    }
    expect(await statuses([])).toEqual([200, 200])
    expect(await statuses(['api.all.read'])).toEqual([200, 401])
    expect(await statuses(['api.responses.write'])).toEqual([403, 200])
    expect(await statuses(['api.model.read'])).toEqual([200, 401])
  })

  test('an ordinary key cannot administrate and an administrator key cannot infer', async () => {
    const sandbox = await open()
    const { value } = sandbox.createServiceAccountKey()
    expect((await ask(sandbox, '/organization/projects', { key: value })).status).toBe(403)
    const admin = sandbox.adminKey()
    expect((await ask(sandbox, '/models', { key: admin })).status).toBe(403)
    expect((await ask(sandbox, '/responses', { key: admin, body: responseBody })).status).toBe(401)
    expect((await ask(sandbox, '/organization/projects', { key: admin })).status).toBe(200)
  })
})

describe('organisation and project headers', () => {
  test('each disagreement has its own code', async () => {
    const sandbox = await open()
    const { value } = sandbox.createServiceAccountKey()
    const under = async (headers: Record<string, string>) => {
      const answer = await ask(sandbox, '/models', { key: value, headers })
      return [answer.status, answer.json.error?.code]
    }
    expect(await under({ 'openai-organization': 'org-none' })).toEqual([401, 'invalid_organization'])
    expect(await under({ 'openai-organization': sandbox.other.organization })).toEqual([
      401,
      'mismatched_organization',
    ])
    expect(await under({ 'openai-project': sandbox.other.project })).toEqual([401, 'mismatched_project'])
    expect(
      await under({ 'openai-organization': sandbox.organization, 'openai-project': sandbox.project }),
    ).toEqual([200, undefined])
  })
})

describe('the account and the network', () => {
  const rows: [Partial<Knobs>, number, string, RegExp][] = [
    [{ account: 'account_deactivated' }, 401, 'account_deactivated', /has been deactivated/],
    [{ account: 'account_deactivated_older' }, 401, 'account_deactivated', /^This key is associated with/],
    [{ account: 'no_organization' }, 401, 'no_organization', /^You must be a member of an organization/],
    [{ network: 'ip_not_authorized' }, 401, 'ip_not_authorized', /^Your IP is not authorized/],
  ]
  test.each(rows)('%j', async (knobs, status, code, message) => {
    const sandbox = await open({ knobs })
    const { value } = sandbox.createServiceAccountKey()
    expectRefusal(await ask(sandbox, '/models', { key: value }), { status, code, type: INVALID, message })
  })

  test('the country is refused before any key is read', async () => {
    const sandbox = await open({ knobs: { network: 'unsupported_country' } })
    expectRefusal(await ask(sandbox, '/models'), {
      status: 403,
      code: 'unsupported_country_region_territory',
      type: 'request_forbidden',
      message: /^Country, region, or territory not supported$/,
    })
  })

  test('a person who left has no organisation', async () => {
    const sandbox = await open()
    const { value } = sandbox.createUserKey({ ownerAccess: 'inactive' })
    expect((await ask(sandbox, '/models', { key: value })).json.error?.code).toBe('no_organization')
  })
})

describe('models', () => {
  test('unknown, retired, forbidden and unverified ones', async () => {
    const sandbox = await open({
      knobs: { forbiddenModels: ['gpt-4o'], unverifiedModels: ['gpt-5'] },
    })
    const { value: key } = sandbox.createServiceAccountKey()
    const asking = (model: string) => ask(sandbox, '/responses', { key, body: { ...responseBody, model } })
    const gone = { status: 404, code: 'model_not_found', type: INVALID }
    expectRefusal(await asking('gpt-0'), { ...gone, message: /^The model `gpt-0` does not exist or/ })
    expectRefusal(await asking('text-davinci-003'), { ...gone, message: /has been deprecated/ })
    expectRefusal(await asking('gpt-4o'), {
      ...gone,
      status: 403,
      message: /^Project `proj_\w+` does not have access to model `gpt-4o`$/,
    })
    expectRefusal(await asking('gpt-5'), {
      status: 400,
      code: 'unsupported_value',
      type: INVALID,
      message: /^Your organization must be verified to use the model.*up to 15 minutes/,
    })
    expectRefusal(await ask(sandbox, '/models/gpt-0', { key }), { ...gone, message: /does not exist/ })
    expect((await ask(sandbox, '/models/gpt-4o', { key })).status).toBe(403)
  })
})

describe('limits', () => {
  test('requests are counted per organisation and minute, and the headers tell', async () => {
    const clock = virtualClock()
    const sandbox = await open({ now: clock.now, knobs: { requestsPerMinute: 2 } })
    const first = sandbox.createServiceAccountKey().value
    const second = sandbox.createServiceAccountKey().value
    const asking = (key: string) => ask(sandbox, '/responses', { key, body: responseBody })
    const one = await asking(first)
    expect(one.headers.get('x-ratelimit-limit-requests')).toBe('2')
    expect(one.headers.get('x-ratelimit-remaining-requests')).toBe('1')
    expect(one.headers.get('x-ratelimit-reset-requests')).toBe('1m0s')
    expect((await asking(first)).status).toBe(200)
    const refused = await asking(second)
    expectRefusal(refused, {
      status: 429,
      code: 'rate_limit_exceeded',
      type: 'requests',
      message:
        /^Rate limit reached for gpt-5-mini in organization org-\w+ on requests per min \(RPM\): Limit 2/,
    })
    expect(refused.headers.get('retry-after')).toBe('60')
    clock.advance(60_000)
    expect((await asking(second)).status).toBe(200)
  })

  test('tokens are counted, and a request that can never fit is told so', async () => {
    const sandbox = await open({ knobs: { tokensPerMinute: 100 } })
    const { value: key } = sandbox.createServiceAccountKey()
    const asking = (max: number) =>
      ask(sandbox, '/responses', { key, body: { ...responseBody, max_output_tokens: max } })
    expectRefusal(await asking(1_000), {
      status: 429,
      code: 'rate_limit_exceeded',
      type: 'tokens',
      message: /^Request too large for gpt-5-mini/,
    })
    expect((await asking(80)).status).toBe(200)
    expectRefusal(await asking(80), {
      status: 429,
      code: 'rate_limit_exceeded',
      type: 'tokens',
      message: /tokens per min \(TPM\): Limit 100, Used 82, Requested 82/,
    })
  })

  test.each([
    [true, 'rate_limit_exceeded', 'requests'],
    ['tokens', 'rate_limit_exceeded', 'tokens'],
    ['slow_down', 'slow_down', 'rate_limit_error'],
  ] as const)('throttle %s', async (throttle, code, type) => {
    const sandbox = await open({ knobs: { throttle } })
    const { value: key } = sandbox.createServiceAccountKey()
    const answer = await ask(sandbox, '/models', { key })
    expectRefusal(answer, { status: 429, code, type, message: /./ })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  })

  test('the administration has its own limit', async () => {
    const sandbox = await open({ knobs: { adminRequestsPerMinute: 1 } })
    const key = sandbox.adminKey()
    expect((await ask(sandbox, '/organization/projects', { key })).status).toBe(200)
    const refused = await ask(sandbox, '/organization/projects', { key })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60'])
  })
})

describe('billing', () => {
  const rows: [BillingState, number, string | null, string][] = [
    ['credit_balance_exhausted', 429, 'credit_balance_exhausted', 'insufficient_quota'],
    ['organization_spend_limit_exceeded', 429, 'organization_spend_limit_exceeded', 'insufficient_quota'],
    ['project_spend_limit_exceeded', 429, 'project_spend_limit_exceeded', 'insufficient_quota'],
    ['organization_usage_limit_exceeded', 429, 'organization_usage_limit_exceeded', 'insufficient_quota'],
    ['insufficient_quota', 429, 'insufficient_quota', 'insufficient_quota'],
    ['insufficient_quota_older', 429, null, 'insufficient_quota'],
    ['billing_not_active', 429, 'billing_not_active', 'billing_not_active'],
    ['billing_not_active_older', 429, null, 'billing_not_active'],
    ['billing_hard_limit_reached', 400, 'billing_hard_limit_reached', INVALID],
  ]
  test.each(rows)('%s stops inference and not the list of models', async (billing, status, code, type) => {
    const sandbox = await open({ knobs: { billing } })
    const { value: key } = sandbox.createServiceAccountKey()
    const answer = await ask(sandbox, '/responses', { key, body: responseBody })
    expectRefusal(answer, { status, code, type, message: /./ })
    expect(answer.headers.has('retry-after')).toBe(false)
    expect((await ask(sandbox, '/models', { key })).status).toBe(200)
    sandbox.set({ billingOnModels: true })
    expect((await ask(sandbox, '/models', { key })).status).toBe(status)
  })

  test('a project over its limit does not stop another one', async () => {
    const sandbox = await open()
    const project = sandbox.createProject('Paid')
    sandbox.createServiceAccount('app', project)
    const broke = sandbox.createServiceAccountKey().value
    const paid = sandbox.createServiceAccountKey({ project }).value
    sandbox.set({ billing: 'project_spend_limit_exceeded', billingProject: sandbox.project })
    expect((await ask(sandbox, '/responses', { key: broke, body: responseBody })).status).toBe(429)
    expect((await ask(sandbox, '/responses', { key: paid, body: responseBody })).status).toBe(200)
  })
})

test.each([
  [500, null, 'server_error'],
  [503, 'server_is_overloaded', 'service_unavailable_error'],
] as const)('everything answers %s', async (errorStatus, code, type) => {
  const sandbox = await open({ knobs: { errorStatus } })
  expectRefusal(await ask(sandbox, '/models'), { status: errorStatus, code, type, message: /./ })
  expect((await ask(sandbox, '/organization/projects')).status).toBe(errorStatus)
})

test.each(taxonomyNames)('%s can be forced for chosen requests', async (kind: TaxonomyName) => {
  const sandbox = await open({ knobs: { faults: [{ kind, times: 1, match: { path: '/models$' } }] } })
  const { value: key } = sandbox.createServiceAccountKey()
  const wanted = apiError(kind)
  const answer = await ask(sandbox, '/models', { key })
  expectRefusal(answer, { ...wanted, message: /./ })
  expect((await ask(sandbox, '/models', { key })).status).toBe(200)
})
