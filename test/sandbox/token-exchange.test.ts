import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { expect, onTestFinished, test } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { audience, identityAt, issuer, signed, subject, type TestIdentity } from './identity.ts'
import { ask, open, START, sdk, virtualClock } from './support.ts'

interface Exchanged {
  readonly status: number
  readonly body: {
    readonly access_token?: string
    readonly expires_in?: number
    readonly token_type?: string
    readonly issued_token_type?: string
    readonly error?: string
    readonly error_description?: string
  }
}

async function post(sandbox: Sandbox, body: string, type = 'application/json'): Promise<Exchanged> {
  const response = await fetch(sandbox.tokenUrl, { method: 'POST', headers: { 'content-type': type }, body })
  return { status: response.status, body: (await response.json()) as Exchanged['body'] }
}

function fieldsOf(sandbox: Sandbox, { provider }: TestIdentity, token: string): Record<string, string> {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    identity_provider_id: provider,
    service_account_id: sandbox.serviceAccount,
  }
}

const exchange = (sandbox: Sandbox, identity: TestIdentity, token: string): Promise<Exchanged> =>
  post(sandbox, JSON.stringify(fieldsOf(sandbox, identity, token)))

const now = () => START

test('a good token of a mapped workload becomes a bearer that works until it expires', async () => {
  const clock = virtualClock()
  const sandbox = await open({ now: clock.now, knobs: { exchangeTokenSeconds: 60 } })
  const identity = identityAt(sandbox, clock.now)
  const { status, body } = await exchange(sandbox, identity, identity.token())
  expect(status).toBe(200)
  expect(body).toMatchObject({
    expires_in: 60,
    token_type: 'Bearer',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  })
  const key = body.access_token ?? ''
  // Within it those three characters may stand by chance.
  expect(key.startsWith('sk-')).toBe(false)
  expect((await ask(sandbox, '/models', { key })).status).toBe(200)
  const openai = sdk(sandbox, key)
  await openai.responses.create({ model: 'gpt-5-mini', input: 'Hello' })
  await openai.chat.completions.create({
    model: 'gpt-5-mini',
    messages: [{ role: 'user', content: 'Hello' }],
  })
  clock.advance(61_000)
  expect((await ask(sandbox, '/models', { key })).status).toBe(401)
})

test('the official SDK exchanges with it as with OpenAI', async () => {
  const sandbox = await startSandbox()
  onTestFinished(() => sandbox.close())
  const identity = identityAt(sandbox)
  const openai = new OpenAI({
    workloadIdentity: {
      identityProviderId: identity.provider,
      serviceAccountId: sandbox.serviceAccount,
      provider: { tokenType: 'jwt', getToken: async () => identity.token() },
    },
    baseURL: sandbox.baseUrl,
    // Whatever the environment of whoever runs the tests says.
    apiKey: null,
    organization: null,
    project: null,
    fetch: async (url, init) => {
      const isExchange = url === 'https://auth.openai.com/oauth/token'
      return isExchange ? fetch(sandbox.tokenUrl, init) : fetch(url, init)
    },
  })
  await openai.models.list()
  await openai.responses.create({ model: 'gpt-5-mini', input: 'Hello' })
  expect(sandbox.requests().filter((one) => one.path === '/oauth/token')).toHaveLength(1)
})

const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const seconds = START / 1_000

test.each([
  ['that is none', () => 'nonsense'],
  ['of three parts that are nothing', () => ['a1', 'b2', 'c3'].join('.')],
  ['signed by somebody else', (one: TestIdentity) => one.token({}, { signedBy: stranger })],
  ['that says it needs no signature', (one: TestIdentity) => signed({ alg: 'none' }, {}, one.privateKey)],
  ['of another issuer', (one: TestIdentity) => one.token({ iss: 'https://elsewhere.example.com' })],
  ['for another audience', (one: TestIdentity) => one.token({ aud: 'somebody' })],
  ['that has expired', (one: TestIdentity) => one.token({ exp: seconds - 31 })],
  ['without an expiry', (one: TestIdentity) => one.token({ exp: undefined })],
  ['that is not valid yet', (one: TestIdentity) => one.token({ nbf: seconds + 60 })],
  ['without a subject', (one: TestIdentity) => one.token({ sub: undefined })],
])('a subject token %s is 401 invalid_subject_token, and nothing of it is echoed', async (_what, make) => {
  const sandbox = await open()
  const identity = identityAt(sandbox, now)
  const token = make(identity)
  const { status, body } = await exchange(sandbox, identity, token)
  expect([status, body.error]).toEqual([401, 'invalid_subject_token'])
  expect(body.error_description).not.toContain(token)
})

test('what is not mapped is 400 invalid_grant: another subject, account, provider, or a mapping that is gone', async () => {
  const sandbox = await open()
  const identity = identityAt(sandbox, now)
  const fields = fieldsOf(sandbox, identity, identity.token())
  const refused = async (change: Record<string, string>) => {
    const { status, body } = await post(sandbox, JSON.stringify({ ...fields, ...change }))
    return [status, body.error]
  }
  const wanted = [400, 'invalid_grant']
  expect(await refused({ subject_token: identity.token({ sub: 'somebody else' }) })).toEqual(wanted)
  expect(await refused({ service_account_id: sandbox.createServiceAccount('unmapped') })).toEqual(wanted)
  expect(await refused({ service_account_id: 'svc_acct_none' })).toEqual(wanted)
  expect(await refused({ identity_provider_id: 'idp_none' })).toEqual(wanted)
  // Of another organisation, even where somebody mapped it.
  sandbox.mapIdentity({ provider: identity.provider, subject, serviceAccount: sandbox.other.serviceAccount })
  expect(await refused({ service_account_id: sandbox.other.serviceAccount })).toEqual(wanted)
  sandbox.unmapIdentity({ provider: identity.provider, subject })
  expect(await refused({})).toEqual(wanted)
})

test('a request that is not one is refused in the form of RFC 6749', async () => {
  const sandbox = await open()
  const identity = identityAt(sandbox, now)
  const fields = fieldsOf(sandbox, identity, identity.token())
  const refused = async (body: string, type?: string) => (await post(sandbox, body, type)).body.error
  const form = new URLSearchParams(fields).toString()
  expect(await refused(form, 'application/x-www-form-urlencoded')).toBe('invalid_request')
  expect(await refused('{')).toBe('invalid_request')
  expect(await refused('[]')).toBe('invalid_request')
  for (const name of Object.keys(fields)) {
    const { [name]: _left, ...rest } = fields
    expect(await refused(JSON.stringify(rest)), name).toBe('invalid_request')
  }
  expect(await refused(JSON.stringify({ ...fields, scope: 'all' }))).toBe('invalid_request')
  expect(await refused(JSON.stringify({ ...fields, subject_token_type: 'jwt' }))).toBe('invalid_request')
  expect(await refused(JSON.stringify({ ...fields, grant_type: 'password' }))).toBe('unsupported_grant_type')
  expect((await post(sandbox, JSON.stringify({ ...fields, client_id: 'mine' }))).status).toBe(200)
})

test.each([
  ['invalid_subject_token', 401],
  ['invalid_grant', 400],
  ['unauthorized_client', 403],
  ['access_denied', 403],
  ['temporarily_unavailable', 503],
] as const)('the knob exchangeRefusal declines with %s', async (exchangeRefusal, status) => {
  const sandbox = await open({ knobs: { exchangeRefusal } })
  const identity = identityAt(sandbox, now)
  expect(await exchange(sandbox, identity, identity.token())).toMatchObject({
    status,
    body: { error: exchangeRefusal },
  })
})

test('exchanged tokens are no keys to list or delete, and die with their service account', async () => {
  const sandbox = await open()
  const identity = identityAt(sandbox, now)
  const { body } = await exchange(sandbox, identity, identity.token())
  const key = body.access_token ?? ''
  const { admin } = sdk(sandbox, 'unused')
  const listed = await admin.organization.projects.apiKeys.list(sandbox.project)
  expect(listed.data).toEqual([])
  expect(sandbox.keys().map((one) => one.kind)).toContain('exchanged')
  await admin.organization.projects.serviceAccounts.delete(sandbox.serviceAccount, {
    project_id: sandbox.project,
  })
  expect((await ask(sandbox, '/models', { key })).status).toBe(401)
  expect((await exchange(sandbox, identity, identity.token())).body.error).toBe('invalid_grant')
})

test('providers and tokens survive a restart, and the state file holds no token', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-sandbox-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const stateFile = join(folder, 'state.json')
  const first = await startSandbox({ stateFile, now })
  const identity = identityAt(first, now)
  const { body } = await exchange(first, identity, identity.token())
  await first.close()
  expect(existsSync(stateFile)).toBe(true)
  expect(readFileSync(stateFile, 'utf8')).not.toContain(body.access_token)
  const second = await open({ stateFile, now })
  expect((await ask(second, '/models', { key: body.access_token ?? '' })).status).toBe(200)
  expect((await exchange(second, identity, identity.token())).status).toBe(200)
})

test('a provider whose key is none, and a mapping to nothing, are refused where they are made', async () => {
  const sandbox = await open()
  const options = { issuer, audience, publicKeys: ['no key'] }
  expect(() => sandbox.createIdentityProvider(options)).toThrow()
  expect(() => sandbox.mapIdentity({ provider: 'idp_none', subject })).toThrow(TypeError)
})
