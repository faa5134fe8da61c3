import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { explainExchange } from '../../src/core/exchange-failure.ts'
import type { ExchangeOutcome, Exchanger } from '../../src/core/ports.ts'
import type { SubjectTokenSource } from '../../src/issuers/subject-token.ts'
import { createWorkloadIdentity, type WorkloadIdentityOptions } from '../../src/issuers/workload-identity.ts'
import { identityAt, subject } from '../sandbox/identity.ts'
import { canary, issuerContext, patientMs, replying, sandbox, stub } from './support.ts'

const base: WorkloadIdentityOptions = {
  provider: 'idp_1',
  serviceAccount: 'svc_acct_1',
  subjectToken: { kind: 'env', variable: 'IDENTITY' },
  timeoutMs: patientMs,
}

function exchanger(
  options: Partial<WorkloadIdentityOptions>,
  env: Readonly<Record<string, string>> = { IDENTITY: canary },
): Exchanger & { readonly logged: unknown[] } {
  const context = issuerContext()
  const made = createWorkloadIdentity({ ...base, ...options }, { ...context, env })
  onTestFinished(() => made.close())
  return { ...made, logged: context.logged }
}

const tokenUrlOf = ({ baseUrl }: { readonly baseUrl: string }): string =>
  baseUrl.replace(/\/v1$/, '/oauth/token')

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keyturn-identity-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function failureOf(outcome: ExchangeOutcome) {
  if (outcome.kind === 'issued') throw new Error('the exchange did not fail')
  return explainExchange(outcome)
}

describe('against the sandbox', () => {
  it('exchanges the token of a file, and reads it anew each time, since it rotates', async () => {
    const place = await sandbox({ knobs: { exchangeTokenSeconds: 120 } })
    const identity = identityAt(place)
    const path = join(folder(), 'token')
    const made = exchanger({
      provider: identity.provider,
      serviceAccount: place.serviceAccount,
      subjectToken: { kind: 'file', path },
      tokenUrl: place.tokenUrl,
    })
    writeFileSync(path, `${identity.token()}\n`)
    const first = await made.exchange()
    expect(first).toMatchObject({ kind: 'issued', lifetimeMs: 120_000 })
    expect(first.kind === 'issued' && place.isAlive(first.token.reveal())).toBe(true)
    writeFileSync(path, identity.token({ iss: 'https://elsewhere.example.com' }))
    expect(await made.exchange()).toMatchObject({
      kind: 'answer',
      status: 401,
      code: 'invalid_subject_token',
    })
    writeFileSync(path, identity.token())
    expect((await made.exchange()).kind).toBe('issued')
  })

  it.each([
    ['invalid_subject_token', 'subject_token_refused', true],
    ['invalid_grant', 'mapping_unknown', true],
    ['unauthorized_client', 'service_account_refused', true],
    ['access_denied', 'service_account_refused', true],
    ['temporarily_unavailable', 'exchange_unavailable', false],
  ] as const)('%s is told as %s', async (exchangeRefusal, cause, isRefused) => {
    const place = await sandbox({ knobs: { exchangeRefusal } })
    const identity = identityAt(place)
    const made = exchanger(
      { provider: identity.provider, serviceAccount: place.serviceAccount, tokenUrl: place.tokenUrl },
      { IDENTITY: identity.token() },
    )
    expect(await failureOf(await made.exchange())).toMatchObject({ cause, isRefused })
  })

  it.each([
    [{ kind: 'server_error' }, 'exchange_unavailable'],
    [{ kind: 'proxy_page', status: 403 }, 'exchange_foreign'],
    [{ kind: 'proxy_page', status: 502 }, 'exchange_unavailable'],
    [{ kind: 'redirect' }, 'exchange_unreachable'],
    [{ kind: 'reset' }, 'exchange_unreachable'],
    [{ kind: 'truncated' }, 'exchange_unreachable'],
    [{ kind: 'not_json' }, 'exchange_malformed'],
    [{ kind: 'slow_down' }, 'exchange_throttled'],
  ] as const)('%j means %s, and is no refusal', async (fault, cause) => {
    const place = await sandbox({ knobs: { faults: [{ ...fault, match: { path: '/oauth/token' } }] } })
    const identity = identityAt(place)
    const made = exchanger(
      { provider: identity.provider, serviceAccount: place.serviceAccount, tokenUrl: place.tokenUrl },
      { IDENTITY: identity.token() },
    )
    expect(await failureOf(await made.exchange())).toMatchObject({ cause, isRefused: false })
  })

  it('a hung exchange ends within its time, or when it is closed', async () => {
    const place = await sandbox({ knobs: { hang: true } })
    const hung = exchanger({ tokenUrl: place.tokenUrl, timeoutMs: 100 })
    expect(await hung.exchange()).toEqual({ kind: 'no_answer', failure: 'timeout' })
    const closed = exchanger({ tokenUrl: place.tokenUrl, timeoutMs: 60_000 })
    const exchanging = closed.exchange()
    await closed.close()
    expect(await exchanging).toEqual({ kind: 'no_answer', failure: 'aborted' })
  })
})

describe('what is sent and taken', () => {
  it('is JSON as the official SDK sends it, in one request', async () => {
    const place = await stub(replying(200, { access_token: 'abc', token_type: 'Bearer' }))
    const outcome = await exchanger({
      tokenUrl: tokenUrlOf(place),
      clientId: 'mine',
      tokenType: 'id',
    }).exchange()
    expect(outcome).toMatchObject({ kind: 'issued', lifetimeMs: 3_600_000 })
    expect(place.seen).toHaveLength(1)
    expect(JSON.parse(place.seen[0]?.body ?? '')).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: canary,
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      identity_provider_id: 'idp_1',
      service_account_id: 'svc_acct_1',
      client_id: 'mine',
    })
  })

  it.each([
    ['no token', { token_type: 'Bearer' }],
    ['a token that no header can carry', { access_token: 'a b' }],
    ['another type of token', { access_token: 'abc', token_type: 'mac' }],
    ['a life of nothing', { access_token: 'abc', expires_in: 0 }],
    ['a life that is none', { access_token: 'abc', expires_in: 'soon' }],
    ['a list', []],
  ])('%s is not taken', async (_what, body) => {
    const place = await stub(replying(200, body))
    const outcome = await exchanger({ tokenUrl: tokenUrlOf(place) }).exchange()
    expect(await failureOf(outcome)).toMatchObject({ cause: 'exchange_malformed' })
  })

  it('an answer that never ends is cut off', async () => {
    const place = await stub((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('x'.repeat(300_000))
    })
    const outcome = await exchanger({ tokenUrl: tokenUrlOf(place) }).exchange()
    expect(outcome).toEqual({ kind: 'no_answer', failure: 'too_large' })
  })

  it('no text of the other side and no token gets out, whatever it answers', async () => {
    const place = await stub(
      replying(400, { error: `bad ${canary}`, error_description: `You sent ${canary}` }),
    )
    const made = exchanger({ tokenUrl: tokenUrlOf(place) })
    const outcome = await made.exchange()
    const seen = JSON.stringify([outcome, await failureOf(outcome), made.logged])
    expect(seen).not.toContain(canary)
    const issued = await stub(replying(200, { access_token: canary }))
    const token = await exchanger({ tokenUrl: tokenUrlOf(issued) }).exchange()
    expect(JSON.stringify(token)).not.toContain(canary)
  })

  it('plain HTTP is for this machine only', () => {
    expect(() => exchanger({ tokenUrl: 'http://auth.example.com/oauth/token' })).toThrow(/https/)
  })
})

describe('where the identity token comes from', () => {
  const tokenUrl = 'http://127.0.0.1:9/oauth/token'

  async function problemOf(
    subjectToken: SubjectTokenSource,
    env: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const outcome = await exchanger({ subjectToken, tokenUrl }, env).exchange()
    const { cause, summary, fix } = await failureOf(outcome)
    expect(cause).toBe('subject_token_missing')
    return `${summary} ${fix}`
  }

  it('a file that is not there, is empty, or holds something else is named, with what to do', async () => {
    const path = join(folder(), 'token')
    expect(await problemOf({ kind: 'file', path })).toMatch(
      /token is not there.*projected serviceAccountToken/,
    )
    writeFileSync(path, '\n')
    expect(await problemOf({ kind: 'file', path })).toMatch(/holds no identity token/)
    writeFileSync(path, `two ${canary}`)
    const told = await problemOf({ kind: 'file', path })
    expect(told).toMatch(/something that is no token/)
    expect(told).not.toContain(canary)
    expect(await problemOf({ kind: 'file', path: folder() })).toMatch(/cannot be read/)
  })

  it('a variable that is not set is named', async () => {
    expect(await problemOf({ kind: 'env', variable: 'IDENTITY' })).toMatch(/variable IDENTITY holds no/)
  })

  it('Azure: asks the metadata service as it is documented, for the identity that is named', async () => {
    const metadata = await stub((request, response) => {
      if (request.headers['metadata'] !== 'true') replying(400, {})(request, response)
      else replying(200, { access_token: canary })(request, response)
    })
    const openai = await stub(replying(200, { access_token: 'abc' }))
    const { origin } = new URL(metadata.baseUrl)
    const azure = { kind: 'azure', resource: 'api://keyturn', clientId: 'c1', endpoint: origin } as const
    const outcome = await exchanger({ subjectToken: azure, tokenUrl: tokenUrlOf(openai) }).exchange()
    expect(outcome.kind).toBe('issued')
    const asked = new URL(metadata.seen[0]?.url ?? '', origin)
    expect(asked.pathname).toBe('/metadata/identity/oauth2/token')
    expect(Object.fromEntries(asked.searchParams)).toEqual({
      'api-version': '2018-02-01',
      resource: 'api://keyturn',
      client_id: 'c1',
    })
    expect(JSON.parse(openai.seen[0]?.body ?? '')).toMatchObject({
      subject_token: canary,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    })
  })

  it('Google: asks the metadata server for an identity token of the audience', async () => {
    const metadata = await stub((request, response) => {
      const isRight = request.headers['metadata-flavor'] === 'Google'
      replying(isRight ? 200 : 403, canary, { 'metadata-flavor': 'Google' })(request, response)
    })
    const openai = await stub(replying(200, { access_token: 'abc' }))
    const { origin } = new URL(metadata.baseUrl)
    const google = { kind: 'google', audience: 'https://api.openai.com/v1', endpoint: origin } as const
    const outcome = await exchanger({ subjectToken: google, tokenUrl: tokenUrlOf(openai) }).exchange()
    expect(outcome.kind).toBe('issued')
    const asked = new URL(metadata.seen[0]?.url ?? '', origin)
    expect(asked.searchParams.get('audience')).toBe('https://api.openai.com/v1')
    expect(JSON.parse(openai.seen[0]?.body ?? '')).toMatchObject({
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    })
  })

  it('a metadata service that is away, refuses, or is somebody else is told with what to do', async () => {
    const endpoint = 'http://127.0.0.1:9'
    const azure = { kind: 'azure', resource: 'r' } as const
    const google = { kind: 'google', audience: 'a' } as const
    expect(await problemOf({ ...azure, endpoint })).toMatch(/cannot be reached \(connect\).*managed identity/)
    expect(await problemOf({ ...google, endpoint })).toMatch(
      /cannot be reached \(connect\).*Workload Identity/,
    )
    const refusing = new URL((await stub(replying(400, { error: canary }))).baseUrl).origin
    expect(await problemOf({ ...azure, endpoint: refusing })).toMatch(/answered 400 and gave no/)
    const page = new URL((await stub(replying(200, canary))).baseUrl).origin
    expect(await problemOf({ ...google, endpoint: page })).toMatch(/is not it/)
    expect(await problemOf({ ...azure, endpoint: page })).toMatch(/holds no identity token/)
    expect(subject).not.toBe('')
  })
})
