import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { authenticVerdicts, type Observation, type TransportFailure } from '../../src/core/types.ts'
import { classify, isConclusiveRejection, type VerdictContext } from '../../src/core/verdict.ts'
import { verdictRows } from '../../src/core/verdict-rows.ts'
import { anyContext, anyObservation } from './verdict-arbitraries.ts'

type Answer = Extract<Observation, { kind: 'answer' }>

const answer = (status: number, rest: Partial<Answer> = {}): Observation => ({
  kind: 'answer',
  status,
  isIssuers: true,
  requestId: 'req_1',
  ...rest,
})
const foreign = (status: number, rest: Partial<Answer> = {}) => answer(status, { isIssuers: false, ...rest })
const failure = (name: TransportFailure): Observation => ({ kind: 'no_answer', failure: name })
const quota = { type: 'insufficient_quota' }
const invalid = { type: 'invalid_request_error' }

/** What each row of the table is reached by; the rows themselves are listed in `expected`. */
const examples: readonly (readonly [
  observed: string,
  cause: string,
  observation: Observation,
  context?: VerdictContext,
])[] = [
  ['401 missing scopes without a code', 'scope_missing', answer(401, { ...invalid, hint: 'missing_scopes' })],
  ['401 missing_scope', 'scope_missing', answer(401, { ...invalid, code: 'missing_scope' })],
  ['403 missing scopes', 'scope_missing', answer(403, { ...invalid, hint: 'missing_scopes' })],
  [
    '401 invalid_api_key about missing scopes',
    'scope_missing',
    answer(401, { code: 'invalid_api_key', hint: 'missing_scopes' }),
  ],
  ['401 no key sent', 'authorization_stripped', answer(401, { hint: 'no_key_sent' })],
  [
    'no key sent, after the expiry',
    'authorization_stripped',
    answer(401, { hint: 'no_key_sent' }),
    { expiresAt: 1, now: 2 },
  ],
  ['a token of another issuer', 'token_of_wrong_kind', answer(401, { hint: 'invalid_issuer' })],
  ['another organisation', 'organization_mismatched', answer(401, { code: 'mismatched_organization' })],
  ['another project', 'project_mismatched', answer(401, { code: 'mismatched_project' })],
  ['another header', 'header_mismatched', answer(401, { code: 'mismatched_workspace' })],
  ['no such organisation', 'organization_unknown', answer(401, { code: 'invalid_organization' })],
  ['no such organisation, as a 400', 'organization_unknown', answer(400, { code: 'invalid_organization' })],
  ['no such project', 'project_unknown', answer(401, { code: 'invalid_project' })],
  ['an address not on the list', 'address_not_allowed', answer(401, { code: 'ip_not_authorized' })],
  [
    'an unsupported country',
    'region_not_supported',
    answer(403, { code: 'unsupported_country_region_territory', type: 'request_forbidden' }),
  ],
  ['a deactivated account', 'account_deactivated', answer(401, { code: 'account_deactivated' })],
  ['an owner who left', 'owner_without_organization', answer(401, { code: 'no_organization' })],
  ['an archived project', 'project_closed', answer(401, { code: 'not_authorized_invalid_project' })],
  ['no credit', 'credit_exhausted', answer(429, { ...quota, code: 'credit_balance_exhausted' })],
  [
    'the organisation at its limit',
    'organization_spend_limit',
    answer(429, { ...quota, code: 'organization_spend_limit_exceeded' }),
  ],
  [
    'the project at its limit',
    'project_spend_limit',
    answer(429, { ...quota, code: 'project_spend_limit_exceeded' }),
  ],
  [
    'the assigned limit',
    'organization_usage_limit',
    answer(429, { ...quota, code: 'organization_usage_limit_exceeded' }),
  ],
  ['billing not active', 'billing_inactive', answer(429, { code: 'billing_not_active' })],
  ['billing not active, older', 'billing_inactive', answer(429, { type: 'billing_not_active' })],
  ['the hard limit, as a 400', 'billing_hard_limit', answer(400, { code: 'billing_hard_limit_reached' })],
  ['another billing code', 'billing_problem', answer(402, { code: 'billing_card_declined' })],
  ['quota', 'quota_exhausted', answer(429, { ...quota, code: 'insufficient_quota' })],
  ['quota, older', 'quota_exhausted', answer(429, quota)],
  ['quota with a code not known', 'quota_exhausted', answer(429, { ...quota, code: 'quota_of_tomorrow' })],
  [
    'a request too large',
    'request_too_large',
    answer(429, { code: 'rate_limit_exceeded', type: 'tokens', hint: 'request_too_large' }),
  ],
  ['too quick a rise', 'slowed_down', answer(429, { code: 'slow_down', type: 'rate_limit_error' })],
  ['too quick a rise, as a 503', 'slowed_down', answer(503, { code: 'slow_down' })],
  ['requests per minute', 'rate_limited', answer(429, { code: 'rate_limit_exceeded', type: 'requests' })],
  ['tokens per minute', 'rate_limited', answer(429, { type: 'tokens' })],
  ['a model closed to the project', 'model_not_visible', answer(403, { code: 'model_not_found' })],
  ['no such model', 'model_not_visible', answer(404, { code: 'model_not_found' })],
  ['an unverified organisation', 'organization_unverified', answer(400, { hint: 'unverified_organization' })],
  ['the same as a 403', 'organization_unverified', answer(403, { hint: 'unverified_organization' })],
  [
    'any 401 after the expiry',
    'key_expired',
    answer(401, { code: 'code_of_tomorrow' }),
    { expiresAt: 10, now: 10 },
  ],
  [
    'invalid_api_key after the expiry',
    'key_expired',
    answer(401, { code: 'invalid_api_key' }),
    { expiresAt: 10, now: 11 },
  ],
  ['a code for expiry', 'key_expired', answer(401, { code: 'expired_api_key' })],
  ['invalid_api_key', 'key_rejected', answer(401, { ...invalid, code: 'invalid_api_key' })],
  ['200', 'valid', answer(200)],
  ['overloaded', 'issuer_overloaded', answer(503, { code: 'server_is_overloaded' })],
  ['a plain 503', 'issuer_overloaded', answer(503)],
  ['500', 'issuer_failing', answer(500, { type: 'server_error' })],
  ['408', 'issuer_failing', answer(408)],
  ['401 with another code', 'refusal_unclear', answer(401, { code: 'code_of_tomorrow' })],
  ['401 without a code', 'refusal_unclear', answer(401, { hint: 'incorrect_key' })],
  ['403 with another code', 'refusal_unclear', answer(403, { code: 'code_of_tomorrow' })],
  [
    '401 before the expiry',
    'refusal_unclear',
    answer(401, { code: 'code_of_tomorrow' }),
    { expiresAt: 10, now: 9 },
  ],
  ['429 with another code', 'throttling_unclear', answer(429, { code: 'code_of_tomorrow' })],
  ['404 of the address', 'endpoint_missing', answer(404)],
  ['405', 'endpoint_missing', answer(405)],
  ['400', 'request_refused', answer(400, { code: 'missing_required_parameter' })],
  ['a proxy that wants a login', 'proxy_wants_login', foreign(407)],
  ["somebody else's 404", 'address_wrong', foreign(404)],
  ["a gateway's 502", 'gateway_failing', foreign(502)],
  ["a firewall's 403", 'foreign_refusal', foreign(403)],
  ['a forged rejection', 'foreign_refusal', foreign(401, { code: 'invalid_api_key' })],
  ['a portal', 'foreign_answer', foreign(200)],
  ["a proxy's 429", 'foreign_answer', foreign(429, { code: 'rate_limit_exceeded' })],
  ['dns', 'dns_failed', failure('dns')],
  ['connect', 'connect_failed', failure('connect')],
  ['tls', 'tls_failed', failure('tls')],
  ['timeout', 'timed_out', failure('timeout')],
  ['reset', 'connection_broken', failure('reset')],
  ['redirect', 'redirected', failure('redirect')],
  ['too large', 'answer_too_large', failure('too_large')],
  ['aborted', 'probe_aborted', failure('aborted')],
  ['unsendable', 'key_malformed', failure('unsendable')],
  ['a status that does not exist', 'answer_unexpected', answer(199)],
]

/** Of which kind each cause is, and whether rotating can help: written twice on purpose. */
const expected: Readonly<Record<string, readonly string[]>> = {
  valid: ['request_too_large', 'model_not_visible', 'valid', 'key_foreign'],
  restricted: [
    'scope_missing',
    'organization_unverified',
    'declared_scope_missing',
    'declared_model_missing',
  ],
  throttled: ['slowed_down', 'rate_limited'],
  exhausted: [
    'credit_exhausted',
    'organization_spend_limit',
    'project_spend_limit',
    'organization_usage_limit',
    'billing_inactive',
    'billing_hard_limit',
    'billing_problem',
    'quota_exhausted',
  ],
  blocked: ['account_deactivated', 'owner_without_organization', 'project_closed'],
  misconfigured: [
    'token_of_wrong_kind',
    'organization_mismatched',
    'project_mismatched',
    'header_mismatched',
    'organization_unknown',
    'project_unknown',
    'address_not_allowed',
    'region_not_supported',
    'key_malformed',
  ],
  rejected: ['key_expired', 'key_rejected'],
}

describe('classify', () => {
  it.each(examples.map(([observed, cause, ...seen]) => [observed, cause, seen] as const))(
    '%s is %s',
    (_observed, cause, seen) => {
      const verdict = classify(...seen)
      expect(verdict.cause).toBe(cause)
      const kind = Object.keys(expected).find((name) => expected[name]?.includes(cause)) ?? 'unknown'
      expect(verdict.kind).toBe(kind)
      expect(verdict.rotationCanHelp).toBe(kind === 'rejected')
    },
  )

  it('has an example for every row that a single observation can reach', () => {
    const reached = new Set(examples.map(([, cause]) => cause))
    const rows = verdictRows.filter((row) => row.when.length > 0).map((row) => row.cause)
    expect(rows.filter((cause) => !reached.has(cause))).toEqual([])
  })

  it('has every cause once', () => {
    expect(new Set(verdictRows.map((row) => row.cause)).size).toBe(verdictRows.length)
  })

  it("prefers the issuer's clock for the expiry, so that a fast local clock kills nothing", () => {
    const observation = answer(401, { code: 'code_of_tomorrow', serverAt: 9 })
    expect(classify(observation, { expiresAt: 10, now: 1_000 }).kind).toBe('unknown')
  })

  it('names what is missing and what was sent', () => {
    const scopes = classify(answer(403, { hint: 'missing_scopes', missingScopes: ['api.model.read'] }))
    expect(scopes).toMatchObject({ missingScopes: ['api.model.read'] })
    expect(scopes.summary).toContain('api.model.read')
    const header = classify(answer(401, { code: 'mismatched_organization' }), { sentOrganization: 'org-1' })
    expect(header.summary).toContain('org-1')
  })

  it('carries what support asks for, and no code of somebody else', () => {
    const throttled = answer(429, { code: 'rate_limit_exceeded', retryAfterMs: 7_000 })
    expect(classify(throttled)).toMatchObject({
      status: 429,
      code: 'rate_limit_exceeded',
      requestId: 'req_1',
      retryAfterMs: 7_000,
    })
    expect(classify(foreign(403, { code: 'blocked' }))).not.toHaveProperty('code')
  })

  it('explains a rejection by the shape of the key', () => {
    const rejected = answer(401, { code: 'invalid_api_key' })
    const shapes = (['other_provider', 'placeholder', 'malformed', 'admin', 'project'] as const).map(
      (keyKind) => classify(rejected, { keyKind }).summary,
    )
    expect(new Set(shapes).size).toBe(5)
  })
})

describe('every observation there could be', () => {
  it('has a verdict with sentences, and only the issuer rejects or vouches', () => {
    fc.assert(
      fc.property(anyObservation, anyContext, (observation, context) => {
        const verdict = classify(observation, context)
        const isIssuers = observation.kind === 'answer' && observation.isIssuers
        expect(verdict.summary).not.toBe('')
        expect(verdict.summary + verdict.fix).not.toMatch(/[{}]/)
        if (verdict.cause !== 'valid') expect(verdict.fix).not.toBe('')
        if (isConclusiveRejection(verdict)) expect([isIssuers, verdict.status]).toEqual([true, 401])
        if (authenticVerdicts.includes(verdict.kind)) expect(isIssuers).toBe(true)
        expect(verdict.rotationCanHelp).toBe(verdict.kind === 'rejected')
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('docs/verdicts.md', () => {
  const doc = readFileSync(new URL('../../docs/verdicts.md', import.meta.url), 'utf8')
  it.each(verdictRows.map((row) => [row.cause, row] as const))('has the row of %s', (_cause, row) => {
    const help = row.rotationCanHelp ? 'yes' : 'no'
    expect(doc).toContain(
      `| \`${row.cause}\` | ${row.kind} | ${row.observed} | ${row.summary} | ${row.fix} | ${help} |`,
    )
  })

  it('has no row that the code does not have', () => {
    const causes = [...doc.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1])
    expect(causes).toEqual(verdictRows.map((row) => row.cause))
  })
})
