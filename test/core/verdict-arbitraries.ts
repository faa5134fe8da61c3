import * as fc from 'fast-check'
import type { Observation } from '../../src/core/types.ts'
import type { VerdictContext } from '../../src/core/verdict.ts'
import { verdictRows } from '../../src/core/verdict-rows.ts'

const whens = verdictRows.flatMap((row) => row.when)
const codes = [...new Set(whens.flatMap((when) => [...(when.codes ?? []), ...(when.codePrefixes ?? [])]))]
const types = [...new Set(whens.flatMap((when) => when.types ?? []))]
const failures = whens.flatMap((when) => (when.failure === undefined ? [] : [when.failure]))
const hints = [
  'missing_scopes',
  'no_key_sent',
  'incorrect_key',
  'invalid_issuer',
  'unverified_organization',
  'request_too_large',
] as const

const word = fc.stringMatching(/^[a-z_]{1,20}$/)
const probe = fc.constantFrom('models', 'scope:api.responses.write', 'scope:api.model.read', 'model:gpt-5')
const organization = fc.constantFrom('org-a', 'org-b', 'user-c')
const project = fc.constantFrom('proj_a', 'proj_b')

/** Every way in which an observation can be put together, weighted towards the words that mean something. */
export const anyObservation: fc.Arbitrary<Observation> = fc.oneof(
  fc
    .record(
      {
        kind: fc.constant('answer' as const),
        status: fc.oneof(
          fc.constantFrom(200, 400, 401, 403, 404, 407, 408, 429, 500, 502, 503),
          fc.integer({ min: 0, max: 999 }),
        ),
        isIssuers: fc.boolean(),
        code: fc.oneof(fc.constantFrom(...codes), word),
        type: fc.oneof(fc.constantFrom(...types), word),
        hint: fc.constantFrom(...hints),
        missingScopes: fc.array(fc.constantFrom('api.responses.write', 'api.model.read'), { maxLength: 2 }),
        requestId: word,
        organization,
        project,
        serverAt: fc.integer({ min: 0, max: 20 }),
        retryAfterMs: fc.nat(),
        models: fc.array(fc.constantFrom('gpt-5', 'gpt-5-mini'), { maxLength: 2 }),
        probe,
      },
      { requiredKeys: ['kind', 'status', 'isIssuers'] },
    )
    .map((answer): Observation => answer),
  fc
    .record(
      { kind: fc.constant('no_answer' as const), failure: fc.constantFrom(...failures), probe },
      { requiredKeys: ['kind', 'failure'] },
    )
    .map((failure): Observation => failure),
)

export const anyContext: fc.Arbitrary<VerdictContext> = fc.record(
  {
    sentOrganization: organization,
    sentProject: project,
    expiresAt: fc.integer({ min: 0, max: 20 }),
    now: fc.integer({ min: 0, max: 20 }),
    keyKind: fc.constantFrom('project', 'other_provider', 'placeholder', 'malformed', 'admin'),
  },
  { requiredKeys: [] },
)

export const anyBelonging = fc.record({ organization, project }, { requiredKeys: [] })

export const anyExpectation = fc.record(
  {
    organization,
    project,
    scopes: fc.subarray(['api.responses.write', 'api.model.read']),
    models: fc.subarray(['gpt-5', 'gpt-5-mini']),
  },
  { requiredKeys: [] },
)
