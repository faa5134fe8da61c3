import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAuthentic, type Observation } from '../../src/core/types.ts'
import { belongsTo, combine, verifyOutcome } from '../../src/core/verdict-outcome.ts'
import { anyBelonging, anyContext, anyExpectation, anyObservation } from './verdict-arbitraries.ts'

type Answer = Extract<Observation, { kind: 'answer' }>

const answer = (status: number, rest: Partial<Answer> = {}): Answer => ({
  kind: 'answer',
  status,
  isIssuers: true,
  requestId: 'req_1',
  ...rest,
})
const list = (rest: Partial<Answer> = {}) => answer(200, { probe: 'models', models: ['gpt-5'], ...rest })
const responses = (status: number, rest: Partial<Answer> = {}) =>
  answer(status, { probe: 'scope:api.responses.write', ...rest })
const noModelRead = answer(403, {
  probe: 'models',
  hint: 'missing_scopes',
  missingScopes: ['api.model.read'],
})
const needsResponses = { scopes: ['api.responses.write'] }
const rejection = { code: 'invalid_api_key' }

describe('several probes of one verification', () => {
  it('are valid when the declared scope was proven by a 400', () => {
    expect(combine([list(), responses(400)], needsResponses).kind).toBe('valid')
  })

  it('are restricted when the declared scope is refused, and say which', () => {
    const refused = responses(401, { hint: 'missing_scopes', missingScopes: ['api.responses.write'] })
    expect(combine([list(), refused], needsResponses)).toMatchObject({
      kind: 'restricted',
      cause: 'declared_scope_missing',
      missingScopes: ['api.responses.write'],
      rotationCanHelp: false,
    })
  })

  it('name the declared scope also where the issuer names another one, or none', () => {
    const refused = responses(401, { hint: 'missing_scopes', missingScopes: ['model.request'] })
    expect(combine([list(), refused], needsResponses).missingScopes).toEqual(['api.responses.write'])
    const silent = responses(401, { code: 'missing_scope' })
    expect(combine([list(), silent], needsResponses).missingScopes).toEqual(['api.responses.write'])
  })

  it('leave a scope untested when its probe saw nothing', () => {
    const lost: Observation = {
      kind: 'no_answer',
      failure: 'timeout',
      probe: 'scope:api.responses.write',
    }
    expect(combine([list(), lost], needsResponses).kind).toBe('valid')
    expect(combine([list(), responses(500)], needsResponses).kind).toBe('valid')
  })

  it('take a key that cannot list models for what it was made to be, once its scopes are proven', () => {
    expect(combine([noModelRead, responses(400)], needsResponses).kind).toBe('valid')
    expect(combine([noModelRead], needsResponses)).toMatchObject({
      kind: 'restricted',
      cause: 'scope_missing',
    })
    expect(combine([noModelRead], {}).cause).toBe('scope_missing')
    expect(combine([noModelRead], { scopes: ['api.model.read'] }).cause).toBe('declared_scope_missing')
  })

  it('are restricted when a declared model is nowhere to be seen', () => {
    const absent = answer(404, { code: 'model_not_found', probe: 'model:gpt-9' })
    expect(combine([list(), absent], { models: ['gpt-9'] })).toMatchObject({
      kind: 'restricted',
      cause: 'declared_model_missing',
    })
    expect(combine([list()], { models: ['gpt-9'] }).cause).toBe('declared_model_missing')
  })

  it('are valid when the model is in the list, or answers by its name, or was not told of', () => {
    expect(combine([list()], { models: ['gpt-5'] }).kind).toBe('valid')
    const found = answer(200, { models: ['ft:gpt-5'], probe: 'model:ft:gpt-5' })
    expect(combine([list(), found], { models: ['ft:gpt-5'] }).kind).toBe('valid')
    const lost: Observation = { kind: 'no_answer', failure: 'reset', probe: 'model:gpt-9' }
    expect(combine([list(), lost], { models: ['gpt-9'] }).kind).toBe('valid')
  })

  it('show exhausted quota that only an endpoint of models tells', () => {
    const exhausted = responses(429, { code: 'insufficient_quota' })
    expect(combine([list(), exhausted], needsResponses).kind).toBe('exhausted')
  })

  it('believe the edge that rejects rather than the one that still accepts', () => {
    expect(combine([list(), responses(401, rejection)], needsResponses).kind).toBe('rejected')
  })

  it('conclude nothing from no probe, and nothing better than the first probe did', () => {
    expect(combine([], {}).cause).toBe('not_probed')
    expect(combine([answer(401, rejection), list()], {}).kind).toBe('rejected')
    expect(combine([{ kind: 'no_answer', failure: 'timeout' }, list()], {}).kind).toBe('unknown')
  })
})

describe('belonging', () => {
  it.each([
    ['the same id', { organization: 'org-a' }, {}, { organization: 'org-a' }, 'yes'],
    ['another id', { organization: 'org-b' }, {}, { organization: 'org-a' }, 'no'],
    [
      'another id, though our header was sent',
      { organization: 'org-b' },
      { organization: 'org-a' },
      { organization: 'org-a' },
      'no',
    ],
    [
      'a short name, our id sent and accepted',
      { organization: 'user-x' },
      { organization: 'org-a' },
      { organization: 'org-a' },
      'yes',
    ],
    [
      'a short name against an id, nothing sent',
      { organization: 'user-x' },
      {},
      { organization: 'org-a' },
      'untold',
    ],
    ['another short name', { organization: 'user-y' }, {}, { organization: 'user-x' }, 'no'],
    ['nothing told', {}, {}, { organization: 'org-a' }, 'untold'],
    [
      'nothing told, our id sent and accepted',
      {},
      { organization: 'org-a' },
      { organization: 'org-a' },
      'yes',
    ],
    [
      'another project',
      { organization: 'org-a', project: 'proj_b' },
      {},
      { organization: 'org-a', project: 'proj_a' },
      'no',
    ],
    [
      'the project not told',
      { organization: 'org-a' },
      {},
      { organization: 'org-a', project: 'proj_a' },
      'yes',
    ],
    ['the project alone', { project: 'proj_a' }, {}, { project: 'proj_a' }, 'yes'],
    ['nobody expected', { organization: 'org-a' }, {}, {}, 'untold'],
  ] as const)('%s', (_name, told, sent, wanted, belongs) => {
    expect(belongsTo([list(told)], wanted, sent)).toBe(belongs)
  })

  it('is not told by a refusal that says nothing about the key', () => {
    const refused = answer(401, { code: 'mismatched_organization', organization: 'org-a' })
    expect(belongsTo([refused], { organization: 'org-a' }, { organization: 'org-a' })).toBe('untold')
    const portal = list({ isIssuers: false, organization: 'org-a' })
    expect(belongsTo([portal], { organization: 'org-a' })).toBe('untold')
  })
})

describe('the outcome of a verification', () => {
  it('keeps whom the first key answered for when nobody is configured', () => {
    const outcome = verifyOutcome([list({ organization: 'org-a', project: 'proj_a' })], { expected: {} })
    expect(outcome).toMatchObject({
      isOurs: true,
      belonging: { organization: 'org-a', project: 'proj_a' },
      verdict: { kind: 'valid' },
    })
  })

  it('disowns a working key of another organisation, by the cause as well', () => {
    const known = { organization: 'org-a' }
    const outcome = verifyOutcome([list({ organization: 'org-b' })], { expected: {}, known })
    expect(outcome).toMatchObject({ isOurs: false, belongs: 'no', verdict: { cause: 'key_foreign' } })
    expect(outcome.verdict.summary).toContain('org-a')
    expect(outcome).not.toHaveProperty('belonging')
  })

  it('prefers what is configured to what was first seen', () => {
    const context = { expected: { organization: 'org-b' }, known: { organization: 'org-a' } }
    expect(verifyOutcome([list({ organization: 'org-b' })], context).isOurs).toBe(true)
    expect(verifyOutcome([list({ organization: 'org-a' })], context).isOurs).toBe(false)
  })

  it('neither verifies nor withdraws when the answer no longer tells whose the key is', () => {
    const outcome = verifyOutcome([list()], { expected: {}, known: { organization: 'org-a' } })
    expect(outcome).toMatchObject({
      isOurs: false,
      verdict: { kind: 'unknown', cause: 'belonging_untold' },
    })
  })

  it('accepts a key of an issuer that never tells, where there is nothing to compare with', () => {
    const outcome = verifyOutcome([list()], { expected: {} })
    expect(outcome).toMatchObject({ isOurs: true, verdict: { kind: 'valid' } })
    expect(outcome).not.toHaveProperty('belonging')
  })

  it('says that a key of ours lacks what was declared', () => {
    const refused = responses(401, { hint: 'missing_scopes' })
    const outcome = verifyOutcome([list({ organization: 'org-a' }), refused], { expected: needsResponses })
    expect(outcome).toMatchObject({ isOurs: true, lacksDeclared: true })
    expect(verifyOutcome([noModelRead], { expected: {} }).lacksDeclared).toBe(false)
  })

  it('names the organisation that was sent and refused', () => {
    const refused = answer(401, { code: 'mismatched_organization' })
    const outcome = verifyOutcome([refused], { expected: { organization: 'org-a' } })
    expect(outcome.verdict).toMatchObject({ kind: 'misconfigured' })
    expect(outcome.verdict.summary).toContain('org-a')
  })

  it('holds for whatever was observed', () => {
    const observations = fc.array(anyObservation, { maxLength: 4 })
    fc.assert(
      fc.property(
        observations,
        anyExpectation,
        anyBelonging,
        anyContext,
        (seen, expected, known, context) => {
          const { verdict, isOurs, lacksDeclared } = verifyOutcome(seen, { ...context, expected, known })
          expect(verdict.summary).not.toBe('')
          if (verdict.cause !== 'valid') expect(verdict.fix).not.toBe('')
          if (isOurs) expect(isAuthentic(verdict.kind)).toBe(true)
          if (lacksDeclared) expect(isOurs).toBe(true)
          const [first] = seen
          const isVouchedFor = first?.kind === 'answer' && first.isIssuers
          if (isOurs || verdict.kind === 'rejected') expect(isVouchedFor).toBe(true)
          const foreign = seen.some(
            (one) =>
              one.kind === 'answer' &&
              one.isIssuers &&
              one.status === 200 &&
              one.code === undefined &&
              one.type === undefined &&
              one.hint === undefined &&
              one.organization === 'org-b',
          )
          if (foreign && expected.organization === 'org-a') expect(isOurs).toBe(false)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
