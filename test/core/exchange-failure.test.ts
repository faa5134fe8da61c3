import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { explainExchange, explainUnproven } from '../../src/core/exchange-failure.ts'
import type { TransportFailure } from '../../src/core/types.ts'
import { verdictOf } from './fixtures.ts'

const answer = { kind: 'answer', status: 400, isOAuth: true } as const

const documentation = readFileSync(new URL('../../docs/workload-identity.md', import.meta.url), 'utf8')

describe('what a failed exchange means', () => {
  it.each([
    [{ ...answer, code: 'invalid_subject_token', status: 401 }, 'subject_token_refused', true],
    [{ ...answer, code: 'invalid_grant' }, 'mapping_unknown', true],
    [{ ...answer, code: 'invalid_target' }, 'mapping_unknown', true],
    [{ ...answer, code: 'unauthorized_client' }, 'service_account_refused', true],
    [{ ...answer, code: 'some_new_code', status: 403 }, 'service_account_refused', true],
    [{ ...answer, code: 'invalid_client', status: 401 }, 'client_unknown', true],
    [{ ...answer, code: 'invalid_request' }, 'exchange_misunderstood', true],
    [{ ...answer, code: 'some_new_code' }, 'exchange_refused', true],
    [{ ...answer, code: 'temporarily_unavailable', status: 503 }, 'exchange_unavailable', false],
    [{ ...answer, code: 'some_new_code', status: 500 }, 'exchange_unavailable', false],
    [{ ...answer, isOAuth: false, status: 429 }, 'exchange_throttled', false],
    [{ ...answer, isOAuth: false, status: 502 }, 'exchange_unavailable', false],
    // A page of somebody else's, whatever its status, is never a refusal.
    [{ ...answer, isOAuth: false, status: 403 }, 'exchange_foreign', false],
    [{ ...answer, isOAuth: false, status: 401 }, 'exchange_foreign', false],
    [{ ...answer, isOAuth: false, status: 200 }, 'exchange_malformed', false],
  ] as const)('%j: %s', (outcome, cause, isRefused) => {
    expect(explainExchange(outcome)).toMatchObject({ cause, isRefused })
  })

  it.each<TransportFailure>([
    'dns',
    'connect',
    'tls',
    'timeout',
    'reset',
    'redirect',
    'too_large',
    'aborted',
    'unsendable',
  ])('no answer (%s) has a cause and a fix, and is no refusal', (failure) => {
    const told = explainExchange({ kind: 'no_answer', failure })
    expect(told).toMatchObject({ cause: 'exchange_unreachable', isRefused: false })
    expect(told.summary.length).toBeGreaterThan(10)
    expect(told.fix.length).toBeGreaterThan(10)
  })

  it.each([
    'subject_token_missing',
    'subject_token_refused',
    'mapping_unknown',
    'service_account_refused',
    'client_unknown',
    'exchange_misunderstood',
    'exchange_refused',
    'exchange_throttled',
    'exchange_unreachable',
    'exchange_unavailable',
    'exchange_foreign',
    'exchange_malformed',
    'token_rejected',
  ])('docs/workload-identity.md has a line for %s', (cause) => {
    expect(documentation).toContain(`\`${cause}\``)
  })

  it('hands on how long to wait', () => {
    const told = explainExchange({ ...answer, isOAuth: false, status: 429, retryAfterMs: 5_000 })
    expect(told.retryAfterMs).toBe(5_000)
  })

  it('a token that could not be proven is told by its verdict', () => {
    expect(explainUnproven(verdictOf('rejected'))).toMatchObject({ cause: 'token_rejected', isRefused: true })
    expect(explainUnproven(verdictOf('unknown'))).toMatchObject({ isRefused: false, fix: 'Mend unknown.' })
  })
})
