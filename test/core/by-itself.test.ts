import { describe, expect, it } from 'vitest'
import { withinReach } from '../../src/core/clock.ts'
import { recordOf } from '../../src/core/credential.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import { expiryTrouble, expiryTurnAt, nextTurnAt } from '../../src/core/expiry.ts'
import { rollBack } from '../../src/core/operations.ts'
import { newRetirement, stepRetirement } from '../../src/core/retirement.ts'
import type { CredentialState, Rotation } from '../../src/core/types.ts'
import { recordCheck } from '../../src/core/verification.ts'
import {
  changeContext,
  dayMs,
  hourMs,
  minuteMs,
  policyOf,
  recordWith,
  startAt,
  stateOf,
  verdictOf,
} from './fixtures.ts'

const policy = policyOf()
const rejected = { verdict: verdictOf('rejected'), isOurs: false, belonging: undefined }
const valid = { verdict: verdictOf('valid'), isOurs: true, belonging: undefined }

function rotationAt(change: Partial<Rotation>): Rotation {
  return {
    id: 'r1',
    credential: 'openai',
    mode: 'normal',
    reason: 'due',
    requestedBy: 'schedule',
    startedAt: startAt,
    phase: 'checking',
    phaseAt: startAt,
    deadlineAt: startAt + hourMs,
    wakeAt: startAt,
    paused: false,
    isCompromised: false,
    from: 'a',
    attempts: [],
    confirmations: 0,
    retries: 0,
    steps: [],
    ...change,
  }
}

const halt = { from: 'checking', reason: 'x', summary: 'X.', fix: 'Mend.', at: startAt } as const

/** The current key is refused as often as it takes. */
function dies(state: CredentialState, now = startAt + hourMs): CredentialState {
  const once = recordCheck(state, 'a', rejected, changeContext(now, policy)).state
  return recordCheck(once, 'a', rejected, changeContext(now + policy.rejectionGapMs, policy)).state
}

describe('when the current key dies', () => {
  const current = recordWith('a', { stage: 'current' })

  it('a rotation that is halted is taken up again, as an emergency, at most so often a day', () => {
    const halted = rotationAt({ phase: 'halted', halt })
    const after = dies(stateOf([current], { rotation: halted }))
    expect(after.rotation).toMatchObject({
      id: 'r1',
      phase: 'checking',
      mode: 'emergency',
      requestedBy: 'failover',
    })
    expect(after.automaticAt).toHaveLength(1)
    const spent = [startAt, startAt + 1, startAt + 2]
    const left = dies(stateOf([current], { rotation: halted, automaticAt: spent }))
    expect(left.rotation?.phase).toBe('halted')
  })

  it('a rotation under way goes on in a hurry where no key is left, and as it was where one is', () => {
    const proving = rotationAt({ phase: 'checking' })
    expect(dies(stateOf([current], { rotation: proving })).rotation?.mode).toBe('emergency')
    const reserve = recordWith('b', { stage: 'previous', promotedAt: startAt })
    const after = dies(stateOf([reserve, current], { rotation: proving }))
    expect(after).toMatchObject({ current: 'b', rotation: { mode: 'normal' } })
  })

  it('a rotation that a person paused stays paused', () => {
    const after = dies(stateOf([current], { rotation: rotationAt({ paused: true }) }))
    expect(after.rotation).toMatchObject({ paused: true, mode: 'normal' })
  })

  it('one that waits for an operator is not waited for where a key can be minted', () => {
    expect(dies(stateOf([current], { rotation: rotationAt({ phase: 'awaiting' }) })).rotation?.phase).toBe(
      'checking',
    )
  })

  it('minting is tried again later while nothing is handed out, at most so often a day', () => {
    let state = dies(stateOf([current]))
    for (const round of [1, 2, 3, 4, 5]) {
      const now = startAt + hourMs + round * 5 * minuteMs
      const halted = { ...state, rotation: rotationAt({ phase: 'halted', halt }) }
      state = recordCheck(halted, 'a', rejected, changeContext(now, policy)).state
      expect(state.rotation?.phase).toBe(round <= 2 ? 'checking' : 'halted')
    }
    expect(state.automaticAt).toHaveLength(policy.automaticPerDayMax)
  })
})

describe('a key that expires', () => {
  const created = startAt - 90 * dayMs
  const expiring = (expiresAt: number): CredentialState =>
    stateOf([recordWith('a', { stage: 'current', meta: { createdAt: created, expiresAt } })], {
      nextRotationAt: startAt + 60 * dayMs,
    })

  it('is turned before that, with room for the overlap and for a person', () => {
    const expiresAt = startAt + 30 * dayMs
    expect(nextTurnAt(expiring(expiresAt), policy)).toBe(expiresAt - policy.overlapMs - 3 * dayMs)
  })

  it('follows its schedule where that comes first, and has none where nothing can be turned', () => {
    expect(nextTurnAt(expiring(startAt + 300 * dayMs), policy)).toBe(startAt + 60 * dayMs)
    expect(nextTurnAt(expiring(startAt + dayMs), policyOf({ storeWritable: false }))).toBeUndefined()
  })

  it('keeps a quarter of its life where that is short', () => {
    const state = stateOf([
      recordWith('a', { stage: 'current', meta: { createdAt: startAt, expiresAt: startAt + 4 * hourMs } }),
    ])
    expect(expiryTurnAt(state, policy)).toBe(startAt + 3 * hourMs)
  })

  it('is not turned again at once after a rotation that came to nothing', () => {
    const ended = rotationAt({ phase: 'done', outcome: 'aborted', endedAt: startAt + 29 * dayMs })
    const state = { ...expiring(startAt + 30 * dayMs), rotation: ended }
    expect(expiryTurnAt(state, policy)).toBe(startAt + 29 * dayMs + 6 * hourMs)
  })

  it('is a trouble when nothing has turned it by half of the time, and is told once', () => {
    const expiresAt = startAt + 10 * dayMs
    const state = expiring(expiresAt)
    const half = expiresAt - (policy.overlapMs + 3 * dayMs) / 2
    expect(expiryTrouble(state, policy, half - 1)).toBeUndefined()
    expect(expiryTrouble(state, policy, half)?.fix).toContain('keyturn status openai')
    const first = recordCheck(state, 'a', valid, changeContext(half, policy))
    expect(first.events.map((one) => one.data['code'])).toContain('key_expiring')
    const second = recordCheck(first.state, 'a', valid, changeContext(half + 1, policy))
    expect(second.events.map((one) => one.data['code'])).not.toContain('key_expiring')
    const readOnly = policyOf({ canMint: false, storeWritable: false })
    expect(expiryTrouble(state, readOnly, expiresAt - policy.overlapMs - 3 * dayMs)?.fix).toContain(
      'Put a new key',
    )
  })

  it('is looked at when it expires, so that no app gets it for an interval longer', () => {
    const now = startAt
    const { state } = recordCheck(expiring(now + 1_000), 'a', valid, changeContext(now, policy))
    expect(recordOf(state, 'a')?.nextCheckAt).toBe(now + 1_000)
  })
})

describe('a retirement that cannot go on', () => {
  const fresh = newRetirement(
    { id: 'x', version: 'a', keyId: 'key_a', isForced: false, why: 'turned' },
    { now: startAt, policy },
  )

  it('alerts once when nobody can tell who uses the key and the limit has passed', () => {
    const unknown = { kind: 'evidence_unknown' } as const
    const before = stepRetirement(fresh, unknown, { now: fresh.limitAt - 1, policy })
    expect(before.isLimitAlerted).toBe(false)
    const after = stepRetirement(before, unknown, { now: fresh.limitAt, policy })
    expect(after).toMatchObject({ phase: 'draining', isLimitAlerted: true })
    expect(after.heldBy).toContain('nobody can tell')
    const again = stepRetirement(after, unknown, { now: fresh.limitAt + hourMs, policy })
    expect(again.steps).toEqual(after.steps)
  })

  it('alerts once when the key that stays cannot be proven for long', () => {
    const proving = { ...fresh, phase: 'proving_current' } as const
    const no = { kind: 'current_proved', verdict: verdictOf('blocked'), isOurs: false } as const
    const early = stepRetirement(proving, no, { now: startAt + 1, policy })
    expect(early).toMatchObject({ phase: 'proving_current' })
    expect(early.isHeldAlerted).toBeUndefined()
    const late = stepRetirement(early, no, { now: startAt + policy.phaseDeadlineMs, policy })
    expect(late).toMatchObject({ phase: 'proving_current', isHeldAlerted: true })
    const later = stepRetirement(late, no, { now: startAt + 2 * policy.phaseDeadlineMs, policy })
    expect(later.steps).toEqual(late.steps)
  })
})

it('a rollback on a store that cannot be written is refused', () => {
  const state = stateOf([recordWith('b', { stage: 'previous' }), recordWith('a', { stage: 'current' })])
  const by = { who: 'ada', why: 'x' }
  const readOnly = changeContext(startAt, policyOf({ storeWritable: false }))
  const refusal = (): unknown => rollBack(state, 'b', by, readOnly)
  expect(refusal).toThrow(KeyturnError)
  expect(refusal).toThrow(/cannot be written/)
})

describe('after the clock was set back', () => {
  const ahead = 5 * hourMs

  it('nothing is further away than the wait that belongs to it, and the overlap is not cut short', () => {
    const late = startAt + ahead
    const record = recordWith('a', {
      stage: 'current',
      checkedAt: late,
      nextCheckAt: late + minuteMs,
      suspectUntil: late,
      rejections: { count: 1, firstAt: late, lastAt: late },
    })
    const draining = newRetirement(
      { id: 'x', version: 'b', keyId: 'key_b', isForced: false, why: 'turned' },
      { now: late, policy },
    )
    const state = stateOf([recordWith('b', { stage: 'previous' }), record], {
      nextStoreReadAt: late,
      storeReadAt: late,
      rotation: rotationAt({ wakeAt: late, deadlineAt: late + hourMs, phase: 'proving' }),
      retirements: [draining],
      automaticAt: [late],
    })
    const after = withinReach(state, startAt, policy)
    expect(after.nextStoreReadAt).toBeLessThanOrEqual(startAt + 2 * policy.storePollMs)
    expect(recordOf(after, 'a')?.nextCheckAt).toBeLessThanOrEqual(startAt + 2 * policy.verifyEveryMs)
    expect(recordOf(after, 'a')).toMatchObject({
      checkedAt: startAt,
      rejections: { count: 1, lastAt: startAt },
    })
    expect(after.rotation?.wakeAt).toBeLessThanOrEqual(startAt + policy.retryMaxMs)
    expect(after.rotation?.deadlineAt).toBe(startAt + policy.phaseDeadlineMs)
    expect(after.retirements[0]).toMatchObject({ overlapUntil: startAt + policy.overlapMs })
    expect(after.retirements[0]?.wakeAt).toBeLessThanOrEqual(startAt + policy.overlapMs)
    expect(after.automaticAt).toEqual([startAt])
    expect(withinReach(after, startAt, policy)).toBe(after)
  })

  it('what is within reach is left alone', () => {
    const state = stateOf([recordWith('a', { stage: 'current', nextCheckAt: startAt + minuteMs })])
    expect(withinReach(state, startAt, policy)).toBe(state)
  })
})
