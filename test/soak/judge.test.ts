import { describe, expect, it } from 'vitest'
import { type Facts, type Failure, judge } from './judge.ts'

const refused: Failure = {
  app: 'app-1',
  caller: 'options',
  startedAt: 1_000,
  endedAt: 9_000,
  status: 401,
  code: 'invalid_api_key',
  requestId: 'req_1',
  isWarm: true,
  what: 'refused',
}
const facts: Facts = {
  record: { keyId: 'key_1', faults: [] },
  isActivating: false,
  death: { at: 1_500, by: 'somebody' },
  otherSince: 0,
  troubledUntil: 0,
  upMs: (from, to) => to - from,
}
const noKey = (code: string): Failure => ({ ...refused, status: undefined, code: undefined, noKey: code })

describe('a failed request is held against Keyturn', () => {
  it.each<[string, Failure, Facts]>([
    ['refused with a key that nobody else has ended', refused, { ...facts, death: undefined }],
    [
      'refused where a new key is not known yet, though another one works',
      refused,
      { ...facts, death: undefined, isActivating: true },
    ],
    ['refused before somebody ended the key', refused, { ...facts, death: { at: 9_001, by: 'somebody' } }],
    ['refused though another key was alive and the service there', refused, facts],
    ['also where an operator named the key', refused, { ...facts, death: { at: 1_500, by: 'compromised' } }],
    ['refused for its organisation', { ...refused, code: 'mismatched_organization' }, facts],
    ['OpenAI has no such request', refused, { ...facts, record: undefined }],
    ['no answer, and nothing was wrong at OpenAI', { ...refused, status: undefined }, facts],
    [
      'a bare caller with a key that was turned by plan',
      { ...refused, caller: 'bare' },
      { ...facts, death: undefined },
    ],
    [
      'an app that had a key is given none while the service is away',
      noKey('service_unreachable'),
      { ...facts, upMs: () => 0 },
    ],
    ['a first key is not given though the service is there', { ...noKey('timeout'), isWarm: false }, facts],
    ['told that no key is left while another is alive', noKey('no_verified_key'), facts],
  ])('%s', (_name, failure, known) => {
    expect(judge(failure, known).isOurs).toBe(true)
  })
})

describe('a failed request is not held against Keyturn', () => {
  it.each<[string, Failure, Facts]>([
    ['the only key was ended by somebody', refused, { ...facts, otherSince: undefined }],
    [
      'a key is not known everywhere yet, and there was no other to hand out',
      refused,
      { ...facts, death: undefined, isActivating: true, otherSince: undefined },
    ],
    ['the service was away when a key was ended', refused, { ...facts, upMs: () => 2_000 }],
    ['a bare caller with a key that somebody ended', { ...refused, caller: 'bare' }, facts],
    ['OpenAI did not say that the key is dead', refused, { ...facts, troubledUntil: 8_000 }],
    ['another key came a moment ago', refused, { ...facts, otherSince: 8_000 }],
    ['too many requests', { ...refused, status: 429, code: 'rate_limit_exceeded' }, facts],
    ['OpenAI is broken', { ...refused, status: 500, code: undefined }, facts],
    [
      'no answer because of a fault',
      { ...refused, status: undefined },
      { ...facts, record: { keyId: 'key_1', faults: ['reset'] } },
    ],
    [
      'a first key while the service is away',
      { ...noKey('service_unreachable'), isWarm: false },
      { ...facts, upMs: () => 1_000 },
    ],
    [
      'told that no key is left, and there is none',
      noKey('no_verified_key'),
      { ...facts, otherSince: undefined },
    ],
  ])('%s', (_name, failure, known) => {
    expect(judge(failure, known).isOurs).toBe(false)
  })
})
