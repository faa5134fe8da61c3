import { describe, expect, it } from 'vitest'
import { eventOf } from '../../src/core/credential.ts'
import { isRepeatable } from '../../src/core/repeatable.ts'
import { recordWith, startAt, stateOf, verdictOf } from './fixtures.ts'

describe('a change that can be lost in a power cut', () => {
  const valid = verdictOf('valid')
  const record = recordWith('a', {
    stage: 'current',
    verdict: valid,
    verifiedAt: startAt,
    checkedAt: startAt,
  })
  const before = stateOf([record])
  const checked = {
    ...record,
    verdict: { ...valid },
    verifiedAt: startAt + 1,
    checkedAt: startAt + 1,
    nextCheckAt: 9,
  }

  it('is a check that came to the same, and a look that found what was there', () => {
    const state = { ...before, versions: [checked], storeReadAt: startAt, nextStoreReadAt: startAt + 5 }
    expect(isRepeatable(before, { state, events: [] })).toBe(true)
  })

  it('is none that tells anybody anything', () => {
    const event = eventOf(before, 'verdict', startAt, {})
    expect(isRepeatable(before, { state: { ...before, versions: [checked] }, events: [event] })).toBe(false)
  })

  it('is no first verification, no other verdict and no rejection', () => {
    const { verifiedAt: _never, ...unproven } = record
    const first = stateOf([unproven])
    expect(isRepeatable(first, { state: { ...first, versions: [checked] }, events: [] })).toBe(false)
    const others = [
      { ...checked, verdict: verdictOf('throttled') },
      { ...checked, rejections: { count: 1, firstAt: startAt, lastAt: startAt } },
      { ...checked, suspectUntil: startAt },
      { ...checked, stage: 'retired' as const },
    ]
    for (const other of others)
      expect(isRepeatable(before, { state: { ...before, versions: [other] }, events: [] })).toBe(false)
  })

  it('is none that changes the credential otherwise', () => {
    const changes = [
      { current: 'b' },
      { generation: 2 },
      { fence: 3 },
      { isAlignmentDue: true },
      { versions: [] },
    ]
    for (const change of changes)
      expect(isRepeatable(before, { state: { ...before, ...change }, events: [] })).toBe(false)
  })
})
