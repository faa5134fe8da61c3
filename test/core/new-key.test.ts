import { describe, expect, it } from 'vitest'
import { handedOut } from '../../src/core/credential.ts'
import { dayMs, policyOf, recordWith, startAt, stateOf } from './fixtures.ts'
import { kill, Watch } from './watch.ts'

const policy = policyOf()
const gap = policy.rejectionGapMs
const current = recordWith('a', { stage: 'current', promotedAt: startAt - dayMs, nextCheckAt: startAt })
const previous = recordWith('c', { promotedAt: startAt - 2 * dayMs })

describe('a key that was minted a moment ago', () => {
  const fresh = recordWith('new', { stage: 'current', promotedAt: startAt, addedAt: startAt })
  const { activationGraceMs } = policy
  const refused = (watch: Watch): Watch => watch.check('new', 'rejected').wait(gap).check('new', 'rejected')

  it('is withdrawn only when it was refused for three seconds without a break, where there is no other', () => {
    const watch = new Watch(stateOf([fresh]))
    for (let waitedMs = 0; waitedMs < 3_000; waitedMs += gap) {
      watch.check('new', 'rejected')
      expect(handedOut(watch.state)?.version).toBe('new')
      expect(watch.record('new').nextCheckAt).toBe(watch.now + gap)
      watch.wait(gap)
    }
    watch.check('new', 'rejected')
    expect(handedOut(watch.state)).toBeUndefined()
  })

  it('is not called rejected before that is believed', () => {
    const watch = new Watch(stateOf([fresh])).check('new', 'rejected')
    expect(watch.record('new').verdict).toMatchObject({ kind: 'unknown', cause: 'activation_lag' })
    for (let waitedMs = 0; waitedMs < 3_000; waitedMs += gap) watch.wait(gap).check('new', 'rejected')
    expect(watch.record('new').verdict?.kind).toBe('rejected')
  })

  it('outlasts edges that do not know it yet, as long as one of them does', () => {
    const watch = new Watch(stateOf([fresh]))
    for (let probe = 0; probe < activationGraceMs / gap; probe++)
      watch.check('new', probe % 3 === 0 ? 'valid' : 'rejected').wait(gap)
    expect(handedOut(watch.state)?.version).toBe('new')
    expect(refused(watch.wait(gap)).record('new').withdrawnAt).toBeDefined()
  })

  it('gives way at once where it was proven in full and another one lives', () => {
    const watch = refused(new Watch(stateOf([fresh, previous])))
    expect(handedOut(watch.state)?.version).toBe('c')
  })

  it('does not give way to the key that an emergency has just replaced', () => {
    const turned = kill(new Watch(stateOf([current])))
    const { rotation } = turned.state
    if (rotation === undefined) throw new Error('an emergency was started')
    const attempt = { number: 1, marker: 'm', version: 'new', startedAt: startAt, outcome: 'staged' } as const
    const done = { ...rotation, phase: 'done', outcome: 'promoted', attempts: [attempt] } as const
    const watch = refused(new Watch(stateOf([fresh, previous], { rotation: done })))
    expect(handedOut(watch.state)?.version).toBe('new')
  })

  it('is judged like any other when Keyturn found it: nobody knows how old it is', () => {
    const watch = refused(new Watch(stateOf([{ ...fresh, origin: 'found' }]), policyOf({ canMint: false })))
    expect(handedOut(watch.state)).toBeUndefined()
  })
})
