import { describe, expect, it } from 'vitest'
import { assertState } from '../../src/core/invariants.ts'
import { newRetirement } from '../../src/core/retirement.ts'
import type { CredentialState, VersionRecord } from '../../src/core/types.ts'
import { tend } from '../../src/core/untended.ts'
import { changeContext, hourMs, recordWith, startAt, stateOf } from './fixtures.ts'

const now = startAt + hourMs
const context = changeContext(now)
const current = recordWith('v9', { stage: 'current' })
const key = { version: 'v1', fingerprint: 'f-v1', keyId: 'key-v1', meta: { marker: 'marker-1' } }

function tended(state: CredentialState): CredentialState | undefined {
  const change = tend(state, key, context)
  if (change !== undefined) assertState(change.state)
  return change?.state
}

const found = (change: Partial<VersionRecord> = {}): VersionRecord =>
  recordWith('v1', { origin: 'found', meta: { marker: 'marker-1' }, ...change })

describe('an old key of ours that nobody ends', () => {
  it('is taken up where the ledger does not know it: it drains for a whole overlap', () => {
    const after = tended(stateOf([current]))
    expect(after?.versions.at(-1)).toMatchObject({ version: 'v1', stage: 'previous', origin: 'minted' })
    expect(after?.retirements).toMatchObject([
      { version: 'v1', keyId: 'key-v1', phase: 'draining', overlapUntil: now + hourMs },
    ])
    expect(after?.current).toBe('v9')
  })

  it('walks in place of being left to its owner', () => {
    const kept = newRetirement(
      { id: 'r1', version: 'v1', keyId: undefined, isForced: false, why: 'lost' },
      context,
    )
    expect(kept.phase).toBe('kept')
    const after = tended(stateOf([found(), current], { retirements: [kept] }))
    expect(after?.versions[0]).toMatchObject({ origin: 'minted', meta: { keyId: 'key-v1' } })
    expect(after?.retirements).toMatchObject([{ version: 'v1', phase: 'draining' }])
  })

  it('is only known as ours while it is handed out', () => {
    const after = tended(stateOf([found({ stage: 'current' })]))
    expect(after?.versions[0]).toMatchObject({ stage: 'current', origin: 'minted' })
    expect(after?.retirements).toEqual([])
  })

  it('drains where another key became current before it was proven', () => {
    const after = tended(stateOf([recordWith('v1', { stage: 'pending' }), current]))
    expect(after?.versions[0]).toMatchObject({ stage: 'previous' })
    expect(after?.retirements).toMatchObject([{ phase: 'draining' }])
  })
})

describe('a key is left as it is', () => {
  const open = { marker: 'marker-1', version: 'v1', until: now + hourMs, nextAt: now }
  const left: readonly (readonly [string, CredentialState])[] = [
    ['where it is ours and walks already', stateOf([recordWith('v1'), current])],
    ['where the ledger knows nothing yet, and is to be rebuilt', stateOf([])],
    ['where it is retired', stateOf([found({ stage: 'retired' }), current])],
    ['where it is what is handed out, under another id', stateOf([{ ...current, fingerprint: 'f-v1' }])],
    ['where its id is that of another key', stateOf([found({ fingerprint: 'f-other' }), current])],
    ['while it is found out whether it may be current', stateOf([current], { storeCurrent: 'v1' })],
    [
      'while its attempt is still looked after',
      stateOf([recordWith('v1', { stage: 'pending' }), current], { openAttempts: [open] }),
    ],
  ]
  it.each(left)('%s', (_where, state) => {
    expect(tended(state)).toBeUndefined()
  })
})
