import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { handedOut, initialState, recordOf } from '../../src/core/credential.ts'
import { observeStore, type StoreReading } from '../../src/core/store-look.ts'
import type { VerdictKind } from '../../src/core/types.ts'
import { recordCheck, suspect } from '../../src/core/verification.ts'
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
import { kill, Watch } from './watch.ts'

const policy = policyOf()
const gap = policy.rejectionGapMs

const current = recordWith('a', { stage: 'current', promotedAt: startAt - dayMs, nextCheckAt: startAt })
const standby = recordWith('b', { stage: 'standby', nextCheckAt: startAt })
const previous = recordWith('c', { promotedAt: startAt - 2 * dayMs })

describe('two conclusive rejections', () => {
  it('withdraw a key only when they are at least the gap apart', () => {
    const watch = new Watch(stateOf([current, standby])).check('a', 'rejected')
    watch
      .wait(gap - 1)
      .check('a', 'rejected')
      .check('a', 'rejected')
    expect(handedOut(watch.state)?.version).toBe('a')
    expect(watch.record('a').rejections).toMatchObject({ count: 1, firstAt: startAt, lastAt: startAt })
    watch.wait(1).check('a', 'rejected')
    expect(handedOut(watch.state)?.version).toBe('b')
    expect(watch.record('a').withdrawnAt).toBe(watch.now)
  })

  it('are not brought about by a clock that was set back', () => {
    const watch = new Watch(stateOf([current])).check('a', 'rejected').wait(-hourMs).check('a', 'rejected')
    expect(watch.record('a').withdrawnAt).toBeUndefined()
  })

  it('make the second probe due right after the gap', () => {
    const watch = new Watch(stateOf([current])).check('a', 'rejected')
    expect(watch.record('a').nextCheckAt).toBe(startAt + gap)
  })

  it('are neither added to nor taken back by anything that is not the key’s own voice', () => {
    for (const kind of ['unknown', 'blocked', 'misconfigured'] as const) {
      const watch = new Watch(stateOf([current])).check('a', 'rejected').wait(hourMs).check('a', kind)
      expect(watch.record('a').rejections?.count, kind).toBe(1)
      expect(handedOut(watch.state)?.version, kind).toBe('a')
      watch.check('a', 'rejected')
      expect(watch.record('a').withdrawnAt, kind).toBe(watch.now)
    }
  })

  it('start anew after any authentic answer', () => {
    for (const kind of ['valid', 'restricted', 'throttled', 'exhausted'] as const) {
      const watch = new Watch(stateOf([current])).check('a', 'rejected').wait(hourMs).check('a', kind)
      expect(watch.record('a').rejections, kind).toBeUndefined()
      watch.wait(hourMs).check('a', 'rejected')
      expect(watch.record('a').withdrawnAt, kind).toBeUndefined()
    }
  })

  it('are all that withdraws: no other verdict ever does, however often it comes', () => {
    const others = fc.constantFrom<VerdictKind>(
      'valid',
      'restricted',
      'throttled',
      'exhausted',
      'blocked',
      'misconfigured',
      'unknown',
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(others, fc.integer({ min: -1_000, max: hourMs })), { maxLength: 40 }),
        (checks) => {
          const watch = new Watch(stateOf([current, standby]))
          for (const [kind, ms] of checks) watch.wait(ms).check('a', kind)
          expect(handedOut(watch.state)?.version).toBe('a')
          expect(watch.state.rotation).toBeUndefined()
        },
      ),
    )
  })

  it('withdraw a key in reserve too, so that it is never failed over to', () => {
    const watch = kill(new Watch(stateOf([current, standby, previous])), 'b')
    expect(watch.record('b').withdrawnAt).toBe(watch.now)
    expect(handedOut(watch.state)?.version).toBe('a')
    expect(watch.state.rotation).toBeUndefined()
    expect(handedOut(kill(watch).state)?.version).toBe('c')
  })
})

describe('a failover', () => {
  it('never takes what was adopted from a mirror and left before the store had it', () => {
    const left = { ...previous, isUnstored: true }
    const watch = kill(new Watch(stateOf([current, left])))
    expect(handedOut(watch.state)).toBeUndefined()
    expect(watch.told).toContain('outage')
  })

  it('takes the standby first, then what was current last, and raises the generation each time', () => {
    const watch = kill(new Watch(stateOf([current, standby, previous])))
    expect(watch.state).toMatchObject({ current: 'b', generation: 1, isAlignmentDue: true })
    expect(watch.told).toEqual(['verdict', 'promoted', 'key_rejected', 'rotation'])
    kill(watch.wait(gap), 'b')
    expect(watch.state).toMatchObject({ current: 'c', generation: 2 })
    expect(watch.state.outage).toBeUndefined()
  })

  it('starts a rotation, in a hurry only where nothing is left to hand out', () => {
    expect(kill(new Watch(stateOf([current, standby]))).state.rotation).toMatchObject({
      mode: 'normal',
      requestedBy: 'failover',
      from: 'b',
    })
    expect(kill(new Watch(stateOf([current]))).state.rotation).toMatchObject({
      mode: 'emergency',
      from: 'a',
    })
  })

  it('starts none where rotating cannot help', () => {
    const watch = new Watch(stateOf([current])).check('a', 'rejected').wait(gap)
    watch.check('a', 'rejected', { rotationCanHelp: false })
    expect(watch.record('a').withdrawnAt).toBe(watch.now)
    expect(watch.state.rotation).toBeUndefined()
  })

  it('starts none where nothing can be minted or stored', () => {
    for (const change of [{ canMint: false }, { storeWritable: false }] as const) {
      const watch = kill(new Watch(stateOf([current]), policyOf(change)))
      expect(watch.state.rotation).toBeUndefined()
      expect(watch.state.outage?.fix).not.toContain('keyturn rotate')
    }
    expect(kill(new Watch(stateOf([current]), policyOf({ canMint: false }))).state.outage?.fix).toBe(
      'Bring a working key: keyturn bring openai < key.txt',
    )
    // Whatever is read only is mended where it is kept; no command of ours could.
    const readOnly = kill(new Watch(stateOf([current]), policyOf({ storeWritable: false })))
    expect(readOnly.state.outage?.fix).toMatch(/^Put a working key where the store/)
    expect(readOnly.state.outage?.fix).not.toContain('keyturn bring')
  })

  it('starts a bounded number of rotations a day', () => {
    const automaticAt = [startAt - 3, startAt - 2, startAt - 1]
    const watch = kill(new Watch(stateOf([current], { automaticAt })))
    expect(watch.state.rotation).toBeUndefined()
    expect(watch.state.outage).toBeDefined()
    const later = kill(new Watch(stateOf([current], { automaticAt: automaticAt.map((at) => at - dayMs) })))
    expect(later.state.rotation?.phase).toBe('checking')
    expect(later.state.automaticAt).toEqual([later.now])
  })

  it('skips what is retired, withdrawn, compromised or expired', () => {
    const spoilt = [
      recordWith('r', { stage: 'retired' }),
      recordWith('w', { withdrawnAt: startAt }),
      recordWith('k', { compromised: true }),
      recordWith('e', { meta: { expiresAt: startAt } }),
    ]
    const watch = kill(new Watch(stateOf([current, ...spoilt])))
    expect(handedOut(watch.state)).toBeUndefined()
    expect(watch.state.outage).toBeDefined()
  })

  it('needs no writing where the store holds the next key already', () => {
    const watch = kill(
      new Watch(stateOf([current, standby], { storeCurrent: 'b', rotation: undefined as never })),
    )
    expect(watch.state.current).toBe('b')
    expect(watch.state.isAlignmentDue).toBe(false)
  })
})

describe('an outage', () => {
  it('raises the generation, so that apps drop the key that is dead', () => {
    const watch = kill(new Watch({ ...stateOf([current]), generation: 7 }, policyOf({ canMint: false })))
    expect(handedOut(watch.state)).toBeUndefined()
    expect(watch.state.generation).toBe(8)
  })

  it('names what to do: nothing while a key is being minted, bringing one where none can be', () => {
    const minting = kill(new Watch(stateOf([current])))
    expect(minting.told).toEqual(['verdict', 'outage', 'key_rejected', 'rotation'])
    expect(minting.state.outage?.fix).toContain('is minting another key')
  })

  it('promises no key where the last rotation has ended, is halted or could not help', () => {
    const ended = kill(new Watch(stateOf([current])))
    const { rotation } = ended.state
    if (rotation === undefined) throw new Error('a rotation was started')
    for (const phase of ['done', 'halted'] as const) {
      const automaticAt = [startAt - 3, startAt - 2, startAt - 1]
      const state = stateOf([current], { rotation: { ...rotation, phase }, automaticAt })
      const watch = kill(new Watch(state))
      expect(watch.state.outage?.fix, phase).not.toContain('is minting')
    }
    const watch = new Watch(stateOf([current])).check('a', 'rejected').wait(gap)
    watch.check('a', 'rejected', { rotationCanHelp: false })
    expect(watch.state.outage?.fix).not.toContain('is minting')
  })

  it('does not end by itself: what was withdrawn never comes back, however valid it turns out', () => {
    const watch = kill(new Watch(stateOf([current]), policyOf({ canMint: false })))
    for (let round = 0; round < 5; round++) watch.wait(hourMs).check('a', 'valid').sees('a')
    expect(handedOut(watch.state)).toBeUndefined()
    expect(watch.state.outage).toBeDefined()
  })

  it('ends when somebody puts a working key of ours into the store', () => {
    const watch = kill(new Watch(stateOf([current]), policyOf({ canMint: false })))
    watch.sees('new')
    expect(handedOut(watch.state)).toBeUndefined()
    watch.check('new', 'valid')
    expect(handedOut(watch.state)?.version).toBe('new')
    expect(watch.state.outage).toBeUndefined()
  })
})

describe('a key past its expiry, with OpenAI away', () => {
  const expiresAt = startAt + hourMs
  const expiring = { ...current, meta: { ...current.meta, expiresAt } }

  it('makes room for one that lives, and is not withdrawn: nobody said that it is dead', () => {
    const watch = new Watch(stateOf([expiring, standby])).check('a', 'unknown')
    expect(watch.state.current).toBe('a')
    const { generation } = watch.state
    watch.wait(hourMs).check('a', 'unknown')
    expect(watch.state.current).toBe('b')
    expect(watch.state.generation).toBeGreaterThan(generation)
    expect(watch.record('a').withdrawnAt).toBeUndefined()
  })

  it('stays where nothing that lives is left, or OpenAI accepted it after that instant', () => {
    const alone = new Watch(stateOf([expiring])).wait(2 * hourMs).check('a', 'unknown')
    expect(alone.state.current).toBe('a')
    const expired = { ...standby, meta: { ...standby.meta, expiresAt } }
    expect(new Watch(stateOf([expiring, expired])).wait(2 * hourMs).check('a', 'unknown').state.current).toBe(
      'a',
    )
    const believed = new Watch(stateOf([expiring, standby])).wait(2 * hourMs).check('a', 'valid')
    expect(believed.wait(hourMs).check('a', 'unknown').state.current).toBe('a')
  })
})

describe('what somebody else puts into the store', () => {
  it('is checked at once and adopted when it works and is ours', () => {
    const watch = new Watch(stateOf([current])).sees('new')
    expect(watch.record('new')).toMatchObject({ stage: 'pending', origin: 'found', nextCheckAt: startAt })
    expect(watch.state.current).toBe('a')
    watch.check('new', 'valid')
    expect(watch.state).toMatchObject({ current: 'new', generation: 1, isAlignmentDue: false })
    expect(watch.record('a').stage).toBe('previous')
  })

  it('is recorded as what a version is, and nothing else', () => {
    const watch = new Watch(stateOf([current])).sees('new')
    expect(Object.keys(watch.record('new')).toSorted()).toEqual(
      ['addedAt', 'fingerprint', 'meta', 'nextCheckAt', 'origin', 'stage', 'version'].toSorted(),
    )
  })

  it('is never handed out when it is foreign or dead: that raises an alarm, once', () => {
    for (const [kind, isOurs] of [
      ['valid', false],
      ['rejected', true],
      ['misconfigured', false],
    ] as const) {
      const watch = new Watch(stateOf([current])).sees('new')
      for (let round = 0; round < 4; round++) watch.check('new', kind, { isOurs }).wait(minuteMs).sees('new')
      expect(handedOut(watch.state)?.version).toBe('a')
      expect(watch.state.storeTrouble?.code).toBe('store_changed')
      expect(watch.told.filter((one) => one === 'store_changed')).toHaveLength(1)
    }
  })

  it('is waited for while nothing can be concluded about it', () => {
    const watch = new Watch(stateOf([current])).sees('new').check('new', 'unknown', { isOurs: false })
    expect(watch.state.storeTrouble).toBeUndefined()
    expect(watch.state.current).toBe('a')
    expect(watch.record('new').nextCheckAt).toBeGreaterThan(startAt)
  })

  it('is not believed under a name that is known with another value', () => {
    const watch = new Watch(stateOf([current])).sees('a', 'f-other')
    expect(watch.state.storeTrouble).toMatchObject({ code: 'store_changed' })
    expect(watch.told).toEqual(['store_changed'])
    watch.sees('a')
    expect(watch.state.storeTrouble).toBeUndefined()
  })

  it('raises an alarm when it is retired, withdrawn or compromised', () => {
    for (const change of [{ stage: 'retired' }, { withdrawnAt: 1 }, { compromised: true }] as const) {
      const watch = new Watch(stateOf([current, recordWith('x', change)])).sees('x').check('x', 'valid')
      expect(handedOut(watch.state)?.version).toBe('a')
      expect(watch.told).toContain('store_changed')
    }
  })

  it('raises no alarm about what we left ourselves where the store cannot be written', () => {
    const watch = kill(new Watch(stateOf([current, previous]), policyOf({ storeWritable: false })))
    expect(handedOut(watch.state)?.version).toBe('c')
    watch.told.length = 0
    watch.wait(minuteMs).sees('a').wait(minuteMs).sees('a')
    expect(watch.told).toEqual([])
    expect(watch.state.storeTrouble).toBeUndefined()
  })

  it('ends the alarm when the right key is back', () => {
    const watch = new Watch(stateOf([current])).sees('new').check('new', 'rejected')
    expect(watch.state.storeTrouble).toBeDefined()
    expect(watch.sees('a').state.storeTrouble).toBeUndefined()
  })
})

describe('the first key', () => {
  it('is adopted with whom it belongs to', () => {
    const watch = new Watch(initialState('openai', startAt)).sees('first')
    const check = { verdict: verdictOf('valid'), isOurs: true, belonging: { organization: 'org-1' } }
    const adopted = recordCheck(watch.state, 'first', check, changeContext(startAt))
    expect(adopted.state).toMatchObject({
      current: 'first',
      belonging: { organization: 'org-1' },
      // Above all that a lost ledger can have given out.
      generation: Math.floor(startAt / 1_000) + 1,
    })
    const second = recordCheck(
      observeStore(
        adopted.state,
        { kind: 'read', version: 'second', fingerprint: 'f', meta: {} },
        changeContext(startAt),
      ).state,
      'second',
      { ...check, belonging: { organization: 'org-2' } },
      changeContext(startAt),
    )
    expect(second.state.belonging).toEqual({ organization: 'org-1' })
  })

  it('is not handed out when it does not work or is foreign, and that is told once', () => {
    for (const [kind, isOurs] of [
      ['rejected', true],
      ['valid', false],
      ['blocked', true],
    ] as const) {
      const watch = new Watch(initialState('openai', startAt)).sees('first')
      watch.check('first', kind, { isOurs }).wait(minuteMs).check('first', kind, { isOurs })
      expect(handedOut(watch.state)).toBeUndefined()
      expect(watch.state.outage?.since).toBe(startAt)
      expect(watch.told.filter((one) => one === 'outage')).toEqual(['outage'])
    }
  })

  it('is replaced by itself when it is dead, once every edge must know it, and not where another key cannot help', () => {
    const watch = new Watch(initialState('openai', startAt)).sees('first')
    watch.check('first', 'rejected').wait(policy.rejectionGapMs).check('first', 'rejected')
    expect(watch.state.rotation).toBeUndefined()
    expect(recordOf(watch.state, 'first')?.nextCheckAt).toBe(startAt + policy.activationGraceMs)
    watch.wait(policy.activationGraceMs).check('first', 'rejected')
    expect(watch.state.rotation).toMatchObject({ phase: 'checking', mode: 'emergency', from: 'first' })
    expect(watch.state.automaticAt).toHaveLength(1)

    for (const kind of ['blocked', 'misconfigured', 'unknown'] as const) {
      const other = new Watch(initialState('openai', startAt)).sees('first').check('first', kind)
      expect(other.wait(minuteMs).check('first', kind).state.rotation).toBeUndefined()
    }
  })

  it('is minted where the store is empty and that is possible', () => {
    const watch = new Watch(initialState('openai', startAt)).look({ kind: 'absent' })
    expect(watch.state.rotation).toMatchObject({ phase: 'checking', requestedBy: 'start', mode: 'normal' })
    expect(watch.state.rotation?.from).toBeUndefined()
  })

  it('is asked for where it is not', () => {
    const watch = new Watch(initialState('openai', startAt), policyOf({ canMint: false })).look({
      kind: 'absent',
    })
    expect(watch.state.rotation).toBeUndefined()
    expect(watch.state.storeTrouble).toMatchObject({ code: 'store_absent', since: startAt })
    expect(watch.state.storeTrouble?.fix).toContain('keyturn bring')
  })
})

describe('a store in trouble', () => {
  const failed: StoreReading = { kind: 'failed', code: 'store_denied', summary: 'Denied.', fix: 'Grant.' }

  it('never withdraws anything, is told once per kind of trouble, and is looked at again sooner', () => {
    const watch = new Watch(stateOf([current])).look(failed).wait(minuteMs).look(failed)
    expect(handedOut(watch.state)?.version).toBe('a')
    expect(watch.told).toEqual(['store_denied'])
    expect(watch.state.storeTrouble).toMatchObject({ code: 'store_denied', since: startAt })
    expect(watch.state.nextStoreReadAt - watch.now).toBe(policy.retryBaseMs * 10)
    watch.look({ ...failed, code: 'store_unreachable' })
    expect(watch.told).toEqual(['store_denied', 'store_unreachable'])
    watch.sees('a')
    expect(watch.state.storeTrouble).toBeUndefined()
  })

  it('that has become empty is told once, and the key goes on being handed out', () => {
    const watch = new Watch(stateOf([current]))
      .look({ kind: 'absent' })
      .wait(minuteMs)
      .look({ kind: 'absent' })
    expect(handedOut(watch.state)?.version).toBe('a')
    expect(watch.state.rotation).toBeUndefined()
    expect(watch.told).toEqual(['store_absent'])
    expect(watch.state.storeTrouble?.since).toBe(startAt)
  })

  it('is looked at regularly, a tenth more or less', () => {
    const at = (fraction: number): number => {
      const reading = { kind: 'read', version: 'a', fingerprint: 'f-a', meta: {} } as const
      const context = { ...changeContext(startAt), fraction }
      return observeStore(stateOf([current]), reading, context).state.nextStoreReadAt - startAt
    }
    expect([at(0), at(0.5), at(1)]).toEqual([54_000, 60_000, 66_000])
  })
})

describe('an app’s report', () => {
  it('makes us look at once, and withdraws nothing', () => {
    const checked = { ...current, checkedAt: startAt - minuteMs, nextCheckAt: startAt + minuteMs }
    const state = suspect(stateOf([checked]), 'a', startAt)
    expect(recordOf(state, 'a')).toMatchObject({ nextCheckAt: startAt, suspectUntil: startAt + minuteMs })
    expect(handedOut(state)?.version).toBe('a')
  })

  it('brings at most one probe a second, however many come, and never puts one off', () => {
    const checked = { ...current, checkedAt: startAt - 200, nextCheckAt: startAt + minuteMs }
    let state = stateOf([checked])
    for (let count = 0; count < 50; count++) state = suspect(state, 'a', startAt + count)
    expect(recordOf(state, 'a')?.nextCheckAt).toBe(startAt + 800)
    const sooner = suspect(stateOf([{ ...checked, nextCheckAt: startAt + 100 }]), 'a', startAt)
    expect(recordOf(sooner, 'a')?.nextCheckAt).toBe(startAt + 100)
  })

  it('does not take back the second probe that a rejection has made due', () => {
    const watch = new Watch(stateOf([current])).check('a', 'rejected')
    const state = suspect(watch.state, 'a', startAt)
    expect(recordOf(state, 'a')?.nextCheckAt).toBe(startAt + gap)
  })

  it('about another version, or none that is known, changes nothing', () => {
    const state = stateOf([current, standby])
    expect(suspect(state, 'b', startAt)).toBe(state)
    expect(suspect(state, 'nobody', startAt)).toBe(state)
  })

  it('keeps us looking every second for a minute, then no longer', () => {
    const watch = new Watch(suspect(stateOf([current]), 'a', startAt))
    watch.check('a', 'valid')
    expect(watch.record('a').nextCheckAt).toBe(startAt + 1_000)
    watch.wait(minuteMs).check('a', 'valid')
    expect((watch.record('a').nextCheckAt ?? 0) - watch.now).toBeGreaterThan(minuteMs)
  })
})

describe('the next check', () => {
  it('comes soon while nothing is known, and no later than the regular one whatever the other side asks for', () => {
    const watch = new Watch(stateOf([current])).check('a', 'unknown')
    expect(watch.record('a').nextCheckAt).toBe(startAt + policy.verifyCloselyEveryMs)
    watch.check('a', 'unknown', { retryAfterMs: 45_000 })
    expect(watch.record('a').nextCheckAt).toBe(startAt + 45_000)
    watch.check('a', 'unknown', { retryAfterMs: dayMs })
    expect(watch.record('a').nextCheckAt).toBe(startAt + policy.verifyEveryMs)
  })

  it('does not come for a key that drains: probing it would look like use', () => {
    for (const kind of ['valid', 'unknown', 'throttled'] as const) {
      const watch = new Watch(stateOf([current, previous])).check('c', kind)
      expect(watch.record('c').nextCheckAt).toBeUndefined()
    }
  })

  it('is what a check of a retired or unknown version changes nothing about', () => {
    const state = stateOf([current, recordWith('r', { stage: 'retired' })])
    const check = { verdict: verdictOf('valid'), isOurs: true, belonging: undefined }
    expect(recordCheck(state, 'r', check, changeContext(startAt)).state).toBe(state)
    expect(recordCheck(state, 'nobody', check, changeContext(startAt)).state).toBe(state)
  })
})

it('tells of a verdict when it changes, and only about what is handed out', () => {
  const watch = new Watch(stateOf([current, standby])).check('a', 'valid').check('a', 'valid')
  expect(watch.told).toEqual(['verdict'])
  watch.check('b', 'exhausted')
  expect(watch.told).toEqual(['verdict'])
  watch.check('a', 'exhausted')
  expect(watch.told).toEqual(['verdict', 'verdict'])
})

it('says when a key last proved ours, and keeps that through answers that prove nothing', () => {
  const watch = new Watch(stateOf([current])).check('a', 'throttled')
  expect(watch.record('a').verifiedAt).toBe(startAt)
  watch.wait(hourMs).check('a', 'unknown', { isOurs: false }).check('a', 'valid', { isOurs: false })
  expect(watch.record('a')).toMatchObject({ verifiedAt: startAt, checkedAt: watch.now })
})
