import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { initialState } from '../../src/core/credential.ts'
import {
  keepFor,
  nextGeneration,
  refreshAt,
  retryDelayMs,
  tokenChecked,
  tokenLost,
  tokenTaken,
} from '../../src/core/federation.ts'
import { assertState, assertSuccession } from '../../src/core/invariants.ts'
import type { CredentialState, VersionRecord } from '../../src/core/types.ts'
import { startAt, verdictOf } from './fixtures.ts'

const tenure = fc.record({ takenAt: fc.nat(), lifeMs: fc.integer({ min: 1, max: 86_400_000 }) })
const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('when', () => {
  it('a token is refreshed after 45 percent of its life at the earliest, and before its end', () => {
    fc.assert(
      fc.property(tenure, fc.integer({ min: 1_000, max: 43_200_000 }), fraction, (one, bufferMs, chance) => {
        const { takenAt, lifeMs } = one
        const at = refreshAt({ takenAt, expiresAt: takenAt + lifeMs }, bufferMs, chance)
        expect(at).toBeGreaterThanOrEqual(takenAt + Math.floor(lifeMs * 0.45))
        expect(at).toBeLessThanOrEqual(takenAt + lifeMs)
      }),
    )
  })

  it('a client that hears at any moment keeps a token until its expiry at most, but for a last second', () => {
    fc.assert(
      fc.property(
        tenure,
        fraction,
        fc.integer({ min: 60_000, max: 8_640_000_000 }),
        (one, share, staleAfterMs) => {
          const { takenAt, lifeMs } = one
          const expiresAt = takenAt + lifeMs
          const now = takenAt + Math.floor(lifeMs * share)
          const kept = keepFor({ takenAt, expiresAt }, now, staleAfterMs)
          expect(kept.untilAt).toBeGreaterThan(now)
          // Told until then, so that is the latest moment at which anybody hears it.
          expect(kept.untilAt + kept.staleAfterMs).toBeLessThanOrEqual(expiresAt + 1_000)
          expect(kept.staleAfterMs).toBeLessThanOrEqual(staleAfterMs)
          expect(kept.staleAfterMs).toBeGreaterThanOrEqual(1_000)
        },
      ),
    )
  })

  it('a failed exchange is tried again: after a growing pause, half of it by chance', () => {
    const policy = { retryBaseMs: 500, retryMaxMs: 60_000 }
    expect(retryDelayMs(policy, 0, 0)).toBe(250)
    expect(retryDelayMs(policy, 3, 0.5)).toBe(3_000)
    expect(retryDelayMs(policy, 40, 0.999)).toBeLessThanOrEqual(60_000)
  })

  it('the generation begins at the clock, and rises where the clock does not', () => {
    expect(nextGeneration(7, startAt)).toBe(startAt)
    expect(nextGeneration(startAt + 5, startAt)).toBe(startAt + 6)
  })
})

const recordOf = (version: string, change: Partial<VersionRecord> = {}): VersionRecord => ({
  version,
  stage: 'current',
  origin: 'exchanged',
  fingerprint: '0123456789ab',
  meta: { expiresAt: startAt + 3_600_000 },
  addedAt: startAt,
  verifiedAt: startAt,
  promotedAt: startAt,
  verdict: verdictOf('valid'),
  ...change,
})

const belonging = { organization: 'org-ours' }

function taken(state: CredentialState, version: string, now: number, change: Partial<VersionRecord> = {}) {
  const token = { record: recordOf(version, change), generation: now, belonging, by: 'schedule', why: 'due' }
  const next = tokenTaken(state, token, now)
  assertState(next.state)
  assertSuccession(state, next.state)
  return next
}

describe('what is written down', () => {
  const empty = initialState('openai', startAt)

  it('each token that is handed out, with the one before as previous until its expiry, and whom it answered for', () => {
    const first = taken(empty, 'one', startAt).state
    expect(first).toMatchObject({ current: 'one', belonging, generation: startAt })
    const second = taken(first, 'two', startAt + 1_000)
    expect(second.events).toMatchObject([{ kind: 'promoted', data: { version: 'two', by: 'schedule' } }])
    expect(second.state.versions.map((one) => [one.version, one.stage])).toEqual([
      ['one', 'previous'],
      ['two', 'current'],
    ])
    const third = taken(second.state, 'three', startAt + 2 * 3_600_000).state
    expect(third.versions.map((one) => one.stage)).toEqual(['retired', 'retired', 'current'])
  })

  it('twenty of them at most', () => {
    let state = empty
    for (let number = 0; number < 50; number++) state = taken(state, `v${number}`, startAt + number).state
    expect(state.versions).toHaveLength(20)
    expect(state.current).toBe('v49')
  })

  it('a stored key of the time before is left as it is, and can be handed out again by its store', () => {
    const stored = recordOf('stored', { origin: 'found', meta: {} })
    const before = { ...empty, versions: [stored], current: 'stored', generation: 4 }
    const after = taken(before, 'one', startAt).state
    expect(after.versions[0]).toMatchObject({ version: 'stored', stage: 'previous' })
  })

  it('a check, told only where the verdict is another', () => {
    const state = taken(empty, 'one', startAt).state
    const record = recordOf('one', { verdict: verdictOf('exhausted'), checkedAt: startAt + 1 })
    expect(tokenChecked(state, { record, isNews: false }, startAt + 1).events).toEqual([])
    expect(tokenChecked(state, { record, isNews: true }, startAt + 1).events).toMatchObject([
      { kind: 'verdict', data: { verdict: 'exhausted' } },
    ])
    expect(tokenChecked(state, { record: recordOf('gone'), isNews: true }, startAt).state).toBe(state)
  })

  it('that none is left; another replica’s token that is current by now stays', () => {
    const state = taken(empty, 'one', startAt).state
    const told = { isRejected: true, generation: startAt + 5, summary: 'It is dead.', fix: 'Wait.' }
    const lost = tokenLost(state, { ...told, version: 'one' }, startAt + 5)
    assertState(lost.state)
    assertSuccession(state, lost.state)
    expect(lost.state.current).toBeUndefined()
    expect(lost.state).toMatchObject({ outage: { summary: 'It is dead.' }, generation: startAt + 5 })
    expect(lost.state.versions[0]).toMatchObject({ stage: 'retired', withdrawnAt: startAt + 5 })
    expect(lost.events).toMatchObject([{ kind: 'outage' }])
    const both = taken(state, 'theirs', startAt + 1).state
    const mine = tokenLost(both, { ...told, version: 'one' }, startAt + 5).state
    assertState(mine)
    expect(mine.current).toBe('theirs')
  })
})
