import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { FindingCode } from '../../../src/doctor/catalogue.ts'
import type { Facts } from '../../../src/doctor/facts.ts'
import type { Finding } from '../../../src/doctor/finding.ts'
import type { Knobs } from '../../../src/sandbox/index.ts'
import { projectOf } from '../context.ts'
import { codesOf, endsOf, factsOf, findingsOf, keyPlace, openSandbox, realDoctor } from './support.ts'

async function examined(
  knobs: Partial<Knobs>,
  more: Partial<Facts> = {},
  doctor = realDoctor(),
): Promise<readonly Finding[]> {
  const sandbox = await openSandbox(knobs)
  const key = sandbox.createServiceAccountKey().value
  const findings = await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl, more }), doctor)
  const told = JSON.stringify([findings, doctor.steps])
  expect(told).not.toContain(key.slice(12, 20))
  expect(told).not.toContain(key.slice(-4))
  return findings
}

describe('a healthy set-up', () => {
  it('has nothing to tell, and every step passes', async () => {
    const doctor = realDoctor()
    expect(await examined({}, {}, doctor)).toEqual([])
    expect(endsOf(doctor)).toEqual({
      dns: 'passed',
      connect: 'passed',
      http: 'passed',
      auth: 'passed',
      clock: 'passed',
      quota: 'passed',
    })
  })

  it('takes a key that may call models and may not list them', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey({ scopes: ['api.responses.write'] }).value
    expect(await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl }))).toEqual([])
  })

  it('takes models that the program names and the key sees', async () => {
    const models = [{ value: 'gpt-5-mini', place: keyPlace }]
    expect(await examined({}, { models })).toEqual([])
  })

  it('takes organisation and project that are those of the key', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey().value
    const more = {
      organization: { value: sandbox.organization, place: keyPlace },
      project: { value: sandbox.project, place: keyPlace },
    }
    expect(await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl, more }))).toEqual([])
  })
})

describe('a row of the table', () => {
  const rows: readonly (readonly [string, Partial<Knobs>, FindingCode])[] = [
    ['T09 account deactivated', { account: 'account_deactivated' }, 'account_blocked'],
    ['T09 owner left', { account: 'no_organization' }, 'account_blocked'],
    ['T14', { network: 'ip_not_authorized' }, 'address_not_allowed'],
    ['T15', { network: 'unsupported_country' }, 'region_unsupported'],
    ['T16', { throttle: 'requests' }, 'rate_limited'],
    ['T17', { billing: 'credit_balance_exhausted', billingOnModels: true }, 'quota_exhausted'],
    [
      'T17 spend limit',
      { billing: 'project_spend_limit_exceeded', billingOnModels: true },
      'quota_exhausted',
    ],
    ['T18', { billing: 'billing_not_active', billingOnModels: true }, 'billing_inactive'],
    ['T18 hard limit', { billing: 'billing_hard_limit_reached', billingOnModels: true }, 'billing_inactive'],
    ['T19 without a proxy', { stripAuthorization: true }, 'authorization_stripped'],
    ['T20 login page', { proxyPage: 200 }, 'foreign_answer'],
    ['T20 gateway', { proxyPage: 502 }, 'foreign_answer'],
    ['T20 redirect', { redirectTo: 'https://login.example.com/?a=b' }, 'foreign_answer'],
    ['T21 reset', { faults: [{ kind: 'reset' }] }, 'connect_failed'],
    ['T22', { errorStatus: 500 }, 'openai_failing'],
    ['T22 overloaded', { errorStatus: 503 }, 'openai_failing'],
    ['T23 behind', { dateSkewMs: 180_000 }, 'clock_skewed'],
    ['T23 ahead', { dateSkewMs: -90_000 }, 'clock_skewed'],
  ]
  it.each(rows)('%s is found, and nothing else', async (_row, knobs, code) => {
    expect(codesOf(await examined(knobs))).toEqual([code])
  })

  it('T05: a key that nobody knows', async () => {
    const sandbox = await openSandbox()
    const { id, value: key } = sandbox.createServiceAccountKey()
    sandbox.deleteKey(id)
    const [finding, ...others] = await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl }))
    expect(others).toEqual([])
    expect(finding).toMatchObject({ code: 'key_unknown', place: keyPlace })
    expect(finding?.requestId).toMatch(/^req_/)
    expect(finding?.seen).toContain('HTTP 401, code invalid_api_key')
  })

  it('T10 and T11: organisation and project of somebody else, with those of the key', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey().value
    const place = { kind: 'variable', name: 'OPENAI_ORG_ID' } as const
    const setting = (value: string) => ({ value, place })
    const ask = (more: Partial<Facts>) => findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl, more }))
    for (const value of [sandbox.other.organization, 'org-nowhere'])
      expect(await ask({ organization: setting(value) })).toMatchObject([
        { code: 'organization_wrong', fix: `export OPENAI_ORG_ID=${sandbox.organization}`, place },
      ])
    expect(await ask({ project: setting(sandbox.other.project) })).toMatchObject([
      { code: 'project_wrong', fix: `export OPENAI_PROJECT_ID=${sandbox.project}`, place },
    ])
    expect(await ask({ organization: setting('My Company') })).toMatchObject([{ code: 'organization_wrong' }])
  })

  it('T12: a key that may call no model', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey({ scopes: ['api.model.read'] }).value
    const [finding, ...others] = await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl }))
    expect(others).toEqual([])
    expect(finding).toMatchObject({ code: 'scope_missing', place: keyPlace })
    expect(finding?.seen).toContain('api.responses.write')
    expect(finding?.fix).toContain('https://platform.openai.com/api-keys')
  })

  it('T12: a key that may not call what the source calls', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey({ scopes: ['api.model.read', 'api.responses.write'] }).value
    const facts = factsOf({ key, baseUrl: sandbox.baseUrl })
    const chat = projectOf({ 'app.py': 'client.chat.completions.create(model="gpt-5-mini")' })
    expect(await findingsOf(facts, realDoctor({ files: chat }))).toMatchObject([
      { code: 'scope_missing', seen: 'The key is refused: model.request.' },
    ])
    const responses = projectOf({ 'app.py': 'client.responses.create(model="gpt-5-mini")' })
    expect(await findingsOf(facts, realDoctor({ files: responses }))).toEqual([])
  })

  it('T13 and T40: models that are closed, misspelt and gone, each at its place', async () => {
    const place = (line: number) => ({ kind: 'file', path: 'app.py', line }) as const
    const models = [
      { value: 'gpt-4o', place: place(1) },
      { value: 'gpt-5-mni', place: place(2) },
      { value: 'text-davinci-003', place: place(3) },
      { value: 'gpt-3.5-turbo-0301', place: place(4) },
      { value: 'gpt-5', place: place(5) },
      { value: 'gpt-4o', place: place(6) },
    ]
    expect(await examined({ forbiddenModels: ['gpt-4o'] }, { models })).toMatchObject([
      { code: 'model_denied', place: place(1), cause: "The key's project is not allowed the model." },
      { code: 'model_denied', place: place(2), fix: 'Write gpt-5-mini in place of gpt-5-mni' },
      { code: 'model_retired', place: place(3) },
      { code: 'model_retired', place: place(4) },
    ])
  })

  it('T40: models that work today and end soon, with the day; not those that end later or are not named', async () => {
    const place = (line: number) => ({ kind: 'file', path: 'app.py', line }) as const
    const models = ['gpt-4o', 'gpt-6-luna', 'gpt-4.1', 'gpt-4o'].map((value, index) => ({
      value,
      place: place(index + 1),
    }))
    const dayIn = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
    const day = dayIn(10)
    const modelShutdowns = { 'gpt-4o': day, 'gpt-4.1': dayIn(100), 'gpt-5': dayIn(1) }
    const findings = await examined({ modelShutdowns }, { models })
    expect(findings).toMatchObject([{ code: 'model_retiring', severity: 'warning', place: place(1) }])
    expect(findings[0]?.cause).toMatch(new RegExp(`^OpenAI shuts gpt-4o down on ${day}, in (?:9|10) days:`))
  })

  it('T13: the model that was asked for', async () => {
    const doctor = realDoctor({ options: { model: 'gpt-9' } })
    expect(await examined({}, {}, doctor)).toMatchObject([{ code: 'model_denied' }])
  })

  it('T16: with the figures and when to come back', async () => {
    const [finding] = await examined({
      requestsPerMinute: 5,
      usedRequests: 5,
      rateLimitHeadersOnModels: true,
    })
    expect(finding).toMatchObject({ code: 'rate_limited', severity: 'warning' })
    expect(finding?.seen).toMatch(/Retry after \d+ s\. 0 of 5 requests left, full again in \d+ s/)
  })

  it('T23: how far off the clock is, and which way', async () => {
    const [behind] = await examined({ dateSkewMs: 180_000 })
    expect(behind?.seen).toMatch(/^The clock of this machine is 1[78]\d s behind that of the answer\.$/)
    const [ahead] = await examined({ dateSkewMs: -180_000 })
    expect(ahead?.seen).toMatch(/^The clock of this machine is 18\d s ahead of that of the answer\.$/)
    expect(await examined({ dateSkewMs: 50_000 })).toEqual([])
  })

  it('T24: a base URL without its /v1, and what is wrong besides', async () => {
    const sandbox = await openSandbox()
    const { id, value: key } = sandbox.createServiceAccountKey()
    sandbox.deleteKey(id)
    for (const baseUrl of [sandbox.url, `${sandbox.url}/`, `${sandbox.baseUrl}/chat/completions`])
      expect(await findingsOf(factsOf({ key, baseUrl }))).toMatchObject([
        { code: 'base_url_wrong', fix: `export OPENAI_BASE_URL=${sandbox.baseUrl}` },
        { code: 'key_unknown' },
      ])
  })

  it('T24: a page where no path of the server is the API', async () => {
    const server = createServer((_request, response) => response.writeHead(404).end('<title>none</title>'))
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const fixAt = async (path: string) => {
      const baseUrl = `http://127.0.0.1:${port}${path}`
      return (await findingsOf(factsOf({ baseUrl })))[0]?.fix
    }
    expect(await fixAt('/v1')).toBe('export OPENAI_BASE_URL=https://api.openai.com/v1')
    expect(await fixAt('')).toBe('export OPENAI_BASE_URL=https://api.openai.com/v1')
    expect(await fixAt('/api')).toBe(`export OPENAI_BASE_URL=http://127.0.0.1:${port}/v1`)
  })
})

describe('a key that is none', () => {
  it.each(['', ' ', '"quoted"', 'sk-your-key-here', 'line\nbreak', 'Bearer abc'])(
    'is not sent, and the layers are probed all the same: %j',
    async (key) => {
      const sandbox = await openSandbox()
      const doctor = realDoctor()
      expect(await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl }), doctor)).toEqual([])
      expect(endsOf(doctor)).toEqual({ dns: 'passed', connect: 'passed', http: 'passed', clock: 'passed' })
      expect(sandbox.requests().map(({ status }) => status)).toEqual([401])
    },
  )

  it('shows a dead network where there is no key at all, and only that', async () => {
    const sandbox = await openSandbox({ dateSkewMs: 300_000 })
    expect(await findingsOf(factsOf({ baseUrl: sandbox.baseUrl }))).toEqual([])
    await sandbox.close()
    expect(codesOf(await findingsOf(factsOf({ baseUrl: sandbox.baseUrl })))).toEqual(['connect_failed'])
  })

  it('of several keys sends the one that is used', async () => {
    const sandbox = await openSandbox()
    const used = sandbox.createServiceAccountKey()
    const other = sandbox.createServiceAccountKey()
    const facts = factsOf({ key: used.value, baseUrl: sandbox.baseUrl })
    const { key } = factsOf({ key: other.value })
    await findingsOf({ ...facts, keys: [...facts.keys, ...(key === undefined ? [] : [key])] })
    const sent = new Set(sandbox.requests().map(({ keyId }) => keyId))
    expect(sent).toEqual(new Set([null, used.id]))
  })
})
