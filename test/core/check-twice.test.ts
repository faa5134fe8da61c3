import { expect, it } from 'vitest'
import { withinReach } from '../../src/core/clock.ts'
import { stepRetirement } from '../../src/core/retirement.ts'
import { step } from '../../src/core/rotation.ts'
import { observeStore } from '../../src/core/store-look.ts'
import { startRotation } from '../../src/core/turning.ts'
import { recordCheck } from '../../src/core/verification.ts'
import { changeContext, policyOf, recordWith, startAt, stateOf, verdictOf } from './fixtures.ts'
import { toRevoking, walk as walkToDying } from './retirement-ways.ts'
import { checked, minted, proved, walk as walkToProving } from './rotation-ways.ts'

/** A ledger whose answer was lost is given the same change again, later: found by simulation. */
it('one refusal that the ledger took twice withdraws nothing', () => {
  const state = stateOf([recordWith('a', { stage: 'current', promotedAt: startAt - 3_600_000 })])
  const check = { verdict: verdictOf('rejected'), isOurs: false, belonging: undefined, at: startAt }
  const once = recordCheck(state, 'a', check, changeContext(startAt)).state
  const twice = recordCheck(once, 'a', check, changeContext(startAt + 5_000)).state
  expect(twice.versions[0]).toMatchObject({ rejections: { count: 1, firstAt: startAt, lastAt: startAt } })
  expect(twice.versions[0]?.withdrawnAt).toBeUndefined()
  const again = recordCheck(twice, 'a', { ...check, at: startAt + 400 }, changeContext(startAt + 5_300)).state
  expect(again.versions[0]?.withdrawnAt).toBe(startAt + 5_300)
})

it('a key that a rotation staged meanwhile is not taken for an old one of a lost ledger', () => {
  const context = changeContext(startAt)
  const request = {
    mode: 'normal',
    isCompromised: false,
    reason: 'asked',
    requestedBy: 'ada',
    isAutomatic: false,
  } as const
  const { state } = startRotation(stateOf([]), request, context)
  const attempt = { number: 1, marker: 'm', version: 'staged', startedAt: startAt, outcome: 'open' } as const
  const rotating =
    state.rotation === undefined ? state : { ...state, rotation: { ...state.rotation, attempts: [attempt] } }
  const other = { version: 'staged', fingerprint: 'f-staged', meta: {}, origin: 'found' } as const
  const old = { ...other, version: 'old', fingerprint: 'f-old' }
  const reading = { kind: 'read', version: 'x', fingerprint: 'f-x', meta: {}, others: [other, old] } as const
  const looked = observeStore(rotating, reading, context).state
  expect(looked.versions.map((one) => one.version)).toEqual(['old', 'x'])
})

it('a mirror that got its key in a future that was taken back got it now', () => {
  const ahead = startAt + 3_600_000
  const mirror = { id: 'aws/openai', current: 'a', currentAt: ahead, nextAt: startAt, retries: 0, holds: [] }
  const state = { ...stateOf([recordWith('a', { stage: 'current' })]), mirrors: [mirror] }
  expect(withinReach(state, startAt, policyOf()).mirrors?.[0]?.currentAt).toBe(startAt)
})

it('one refusal of a dying key that the ledger took twice is one proof of its death', () => {
  const { at: dying, now } = walkToDying([...toRevoking, { kind: 'revoked' }])
  const { policy } = changeContext(now)
  const refused = { kind: 'death_probed', listed: 'absent', verdict: verdictOf('rejected'), at: now } as const
  const once = stepRetirement(dying, refused, { now: now + 1_000, policy })
  const twice = stepRetirement(once, refused, { now: now + policy.deadSpanMs, policy })
  expect(once).toMatchObject({ rejections: 1, rejectedSince: now })
  expect(twice).toBe(once)
  const again = { ...refused, at: now + 60_000 }
  expect(stepRetirement(twice, again, { now: now + 61_000, policy }).rejections).toBe(2)
})

it('one proof of a new key that the ledger took twice is one proof', () => {
  const { at: proving, now } = walkToProving([checked, minted])
  const { policy } = changeContext(now)
  const fresh = { marker: 'm-2', version: 'v-2' }
  const valid = proved('valid', { at: now })
  const once = step(proving, valid, { now: now + 100, policy, fresh })
  const twice = step(once, valid, { now: now + policy.provingSettleMs, policy, fresh })
  expect(once).toMatchObject({ phase: 'proving', confirmations: 1, provingSince: now })
  expect(twice).toBe(once)
  const again = proved('valid', { at: now + 1_000 })
  expect(step(twice, again, { now: now + 1_100, policy, fresh }).confirmations).toBe(2)
})
