import { expect, it } from 'vitest'
import { withinReach } from '../../src/core/clock.ts'
import { observeStore } from '../../src/core/store-look.ts'
import { startRotation } from '../../src/core/turning.ts'
import { recordCheck } from '../../src/core/verification.ts'
import { changeContext, policyOf, recordWith, startAt, stateOf, verdictOf } from './fixtures.ts'

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
