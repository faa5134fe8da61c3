import { describe, expect, it } from 'vitest'
import { initialState } from '../../src/core/credential.ts'
import { assertState, assertSuccession } from '../../src/core/invariants.ts'
import { newRetirement } from '../../src/core/retirement.ts'
import { newRotation } from '../../src/core/rotation.ts'
import type { Attempt, CredentialState, Retirement, Rotation, VersionRecord } from '../../src/core/types.ts'
import { policyOf, startAt } from './fixtures.ts'

const policy = policyOf()

function recordWith(version: string, change: Partial<VersionRecord> = {}): VersionRecord {
  return {
    version,
    stage: 'current',
    origin: 'minted',
    fingerprint: `f-${version}`,
    meta: {},
    addedAt: startAt,
    verifiedAt: startAt,
    ...change,
  }
}

const sound: CredentialState = {
  ...initialState('openai', startAt),
  generation: 0,
  versions: [recordWith('a'), recordWith('old', { stage: 'retired' })],
  current: 'a',
}
const attempt: Attempt = { number: 1, marker: 'm', version: 'p', startedAt: startAt, outcome: 'open' }
const rotation = (change: Partial<Rotation>): Rotation => ({
  ...newRotation(
    {
      id: 'r',
      credential: 'openai',
      mode: 'normal',
      isCompromised: false,
      reason: 'x',
      requestedBy: 'y',
      from: 'a',
    },
    { now: startAt, policy },
  ),
  ...change,
})
const retirement = (version: string, change: Partial<Retirement>): Retirement => ({
  ...newRetirement({ id: 't', version, keyId: 'key', isForced: false, why: 'x' }, { now: startAt, policy }),
  ...change,
})

describe('a state that holds', () => {
  it('is one that is new, usual, rotating or retiring', () => {
    const states: readonly CredentialState[] = [
      initialState('openai', startAt),
      sound,
      { ...sound, rotation: rotation({ phase: 'minting', attempts: [attempt] }) },
      { ...sound, retirements: [retirement('old', { phase: 'dying' })] },
      { ...sound, retirements: [retirement('a', { phase: 'kept' })] },
      { ...sound, retirements: [retirement('forgotten', { phase: 'dead' })] },
    ]
    for (const state of states) expect(() => assertState(state)).not.toThrow()
  })

  const broken: readonly (readonly [string, CredentialState, RegExp])[] = [
    ['a version twice', { ...sound, versions: [recordWith('a'), recordWith('a')] }, /stands once/],
    ['two that are current', { ...sound, versions: [recordWith('a'), recordWith('b')] }, /at most one/],
    [
      'what is handed out in another stage',
      { ...sound, versions: [recordWith('a', { stage: 'previous' })] },
      /has stage current/,
    ],
    ['what is handed out not on record', { ...sound, current: 'nobody' }, /has stage current/],
    [
      'what is handed out never verified',
      { ...sound, versions: [{ ...recordWith('a'), verifiedAt: undefined as never }] },
      /was verified/,
    ],
    [
      'a retirement of what is handed out',
      { ...sound, retirements: [retirement('a', { phase: 'draining' })] },
      /not on its way to be revoked/,
    ],
    [
      'a delete before the version is terminal',
      {
        ...sound,
        versions: [recordWith('a'), recordWith('old', { stage: 'previous' })],
        retirements: [retirement('old', { phase: 'revoking' })],
      },
      /retired before anything is deleted/,
    ],
    [
      'two attempts with one marker',
      { ...sound, rotation: rotation({ attempts: [attempt, attempt] }) },
      /marker of its own/,
    ],
    [
      'minting without an intent',
      { ...sound, rotation: rotation({ phase: 'minting' }) },
      /intent is written/,
    ],
    [
      'promoting what was never verified',
      { ...sound, rotation: rotation({ phase: 'promoting', attempts: [{ ...attempt, outcome: 'staged' }] }) },
      /only a verified version/,
    ],
  ]
  for (const [name, state, claim] of broken) {
    it(`is not one with ${name}`, () => {
      expect(() => assertState(state)).toThrow(claim)
    })
  }
})

describe('a succession that holds', () => {
  it('is one that keeps or raises what may only rise', () => {
    const next = { ...sound, generation: 1, fence: sound.fence + 1, current: 'b' }
    expect(() => assertSuccession(sound, sound)).not.toThrow()
    expect(() => assertSuccession(sound, next)).not.toThrow()
    expect(() => assertSuccession(sound, { ...sound, versions: [recordWith('a')] })).not.toThrow()
  })

  const before: CredentialState = {
    ...sound,
    generation: 5,
    fence: 7,
    versions: [...sound.versions, recordWith('leaked', { stage: 'previous', compromised: true })],
  }
  const broken: readonly (readonly [string, Partial<CredentialState>, RegExp])[] = [
    ['lowers the generation', { generation: 4 }, /generation never falls/],
    ['lowers the fence', { fence: 6 }, /fence never falls/],
    ['hands out another key unnoticed', { current: 'b' }, /by its generation/],
    [
      'brings a retired version back',
      { versions: [recordWith('a'), recordWith('old', { stage: 'previous' })] },
      /retired is terminal/,
    ],
    [
      'forgets that a key is compromised',
      { versions: [recordWith('a'), recordWith('leaked', { stage: 'previous' })] },
      /compromised is for ever/,
    ],
  ]
  for (const [name, change, claim] of broken) {
    it(`is not one that ${name}`, () => {
      expect(() => assertSuccession(before, { ...before, ...change })).toThrow(claim)
    })
  }
})
