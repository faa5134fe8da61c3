import { describe, expect, it } from 'vitest'
import { overlapOf } from '../../src/core/overlap.ts'
import { newRetirement } from '../../src/core/retirement.ts'
import { policyOf, startAt } from './fixtures.ts'

const stores = [
  { kind: 'aws-secrets-manager', propagationMs: 5_000 },
  { kind: 'google-secret-manager', propagationMs: 10_800_000 },
]

describe('the overlap', () => {
  it('is as configured where that is long enough for everybody', () => {
    const consumers = [{ name: 'batch', keepsForMs: 3_600_000 }]
    expect(overlapOf({ configuredMs: 86_400_000, stores, consumers })).toEqual({ overlapMs: 86_400_000 })
  })

  it('is as long as the slowest store takes to tell its readers', () => {
    expect(overlapOf({ configuredMs: 60_000, stores, consumers: [] })).toEqual({
      overlapMs: 10_800_000,
      because: 'readers of google-secret-manager',
    })
  })

  it('is as long as the consumer without a lease keeps a key who keeps it longest', () => {
    const consumers = [
      { name: 'nightly batch', keepsForMs: 172_800_000 },
      { name: 'hourly report', keepsForMs: 3_600_000 },
    ]
    expect(overlapOf({ configuredMs: 86_400_000, stores, consumers })).toEqual({
      overlapMs: 172_800_000,
      because: 'nightly batch',
    })
  })

  it('is told in the first step of a retirement, with whom it is for', () => {
    const policy = policyOf({ overlapMs: 172_800_000, overlapBecause: 'nightly batch' })
    const request = { id: 'one', version: 'old', keyId: 'key_1', isForced: false, why: 'replaced' }
    const drained = newRetirement(request, { now: startAt, policy })
    expect(drained.overlapUntil).toBe(startAt + 172_800_000)
    expect(drained.steps[0]?.note).toBe(
      `replaced; it lives on until ${new Date(startAt + 172_800_000).toISOString()} for nightly batch`,
    )
    const forced = newRetirement({ ...request, isForced: true }, { now: startAt, policy })
    expect(forced.steps[0]?.note).toBe('replaced')
  })
})
