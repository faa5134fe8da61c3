import { describe, expect, it } from 'vitest'
import { withinReach } from '../../src/core/clock.ts'
import { type Change, handedOut, nextLive, recordOf } from '../../src/core/credential.ts'
import { dueAt, plan, secretsToHandOut } from '../../src/core/duties.ts'
import { assertState, assertSuccession } from '../../src/core/invariants.ts'
import { mirrorGoal } from '../../src/core/mirrors.ts'
import { askForRotation, revokeVersion, rollBack } from '../../src/core/operations.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import { tendSpare } from '../../src/core/sparing.ts'
import { readySpares, spareDueAt } from '../../src/core/standby.ts'
import { applyRotation } from '../../src/core/turning.ts'
import type { CredentialState, Policy, RotationMode, VersionRecord } from '../../src/core/types.ts'
import { recordCheck } from '../../src/core/verification.ts'
import {
  changeContext,
  dayMs,
  hourMs,
  minuteMs,
  namer,
  policyOf,
  recordWith,
  startAt,
  stateOf,
  verdictOf,
} from './fixtures.ts'
import { checked, minted, valid } from './rotation-ways.ts'

const policy = policyOf({ standby: true, standbyMaxAgeMs: 90 * dayMs })
const now = startAt + dayMs

const on = (account: string): VersionRecord['meta'] => ({ keyId: `key-${account}`, serviceAccount: account })
const current = recordWith('a', { stage: 'current', promotedAt: startAt, meta: on('first') })
const spare = recordWith('s', { stage: 'standby', addedAt: startAt, meta: on('second') })
const previous = recordWith('p', { stage: 'previous', promotedAt: startAt - dayMs, meta: on('third') })

/** Changes, one after another, each state checked. */
class Story {
  state: CredentialState
  at = now
  readonly told: string[] = []
  private readonly names = namer()
  private readonly rules: Policy

  constructor(state: CredentialState, rules: Policy = policy) {
    this.state = state
    this.rules = rules
  }

  do(change: (state: CredentialState, context: ReturnType<typeof changeContext>) => Change): this {
    this.at += 1_000
    const { state, events } = change(this.state, changeContext(this.at, this.rules, this.names))
    assertState(state)
    assertSuccession(this.state, state)
    this.state = state
    for (const one of events) this.told.push(one.kind === 'alert' ? String(one.data['code']) : one.kind)
    return this
  }

  walk(...events: readonly RotationEvent[]): this {
    for (const event of events)
      this.do((state, context) => {
        const isMinted = event.kind === 'minted'
        const version = state.rotation?.attempts.at(-1)?.version ?? 'none'
        const added = { version, fingerprint: `f-${version}`, meta: on('second'), origin: 'minted' } as const
        return applyRotation(state, event, context, isMinted ? added : undefined)
      })
    return this
  }

  tend(): this {
    return this.do(tendSpare)
  }

  check(version: string, kind: Parameters<typeof verdictOf>[0]): this {
    const check = { verdict: verdictOf(kind), isOurs: true, belonging: undefined }
    return this.do((state, context) => recordCheck(state, version, check, context))
  }

  ask(mode: RotationMode, isCompromised = false): this {
    const request = { mode, isCompromised, reason: 'asked', requestedBy: 'ada' }
    return this.do((state, context) => askForRotation(state, request, context))
  }
}

const toSpare: readonly RotationEvent[] = [checked, minted, valid, valid, valid, { kind: 'extended' }]

describe('when a spare is made', () => {
  it('at once where there is none, and something proven is handed out', () => {
    expect(spareDueAt(stateOf([current]), policy)).toBe(0)
    expect(spareDueAt(stateOf([current]), policyOf())).toBeUndefined()
    const dead = { ...current, withdrawnAt: startAt }
    expect(spareDueAt(stateOf([dead]), policy)).toBeUndefined()
    expect(spareDueAt(stateOf([]), policy)).toBeUndefined()
  })

  it('before the one that is there ages or expires, and at once where it would share the fate of the current key', () => {
    expect(spareDueAt(stateOf([current, spare]), policy)).toBe(startAt + 90 * dayMs)
    const meta = { ...on('second'), createdAt: startAt, expiresAt: startAt + 8 * dayMs }
    expect(spareDueAt(stateOf([current, { ...spare, meta }]), policy)).toBe(startAt + 6 * dayMs)
    expect(spareDueAt(stateOf([current, { ...spare, meta: on('first') }]), policy)).toBe(0)
  })

  it('is a duty of the rotation’s lane, after whatever rotation is under way', () => {
    const { duties } = plan(stateOf([current]), policy, now, new Set())
    expect(duties).toContainEqual({ lane: 'rotate', kind: 'spare' })
    expect(dueAt(stateOf([current, spare], { nextStoreReadAt: startAt + 99 * dayMs }), policy)).toBe(
      startAt + 90 * dayMs,
    )
    const turning = new Story(stateOf([current])).ask('normal')
    expect(spareDueAt(turning.state, policy)).toBeUndefined()
  })

  it('after pauses that double up to six hours where it does not come about, told each time', () => {
    const story = new Story(stateOf([current]))
    const refused = { kind: 'check_failed', reason: 'denied', summary: 'No.', fix: 'Ask.' } as const
    const pauses: number[] = []
    for (let tries = 0; tries < 12; tries++) {
      story.tend()
      const begunAt = story.at
      story.walk(refused)
      const due = spareDueAt(story.state, policy) ?? 0
      pauses.push((due - begunAt) / minuteMs)
      story.at = due
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360])
    expect(story.told.filter((one) => one === 'standby_failed')).toHaveLength(12)
    expect(story.state.standby?.trouble).toMatchObject({ reason: 'denied', summary: 'No.' })
    expect(story.tend().walk(...toSpare).state.standby?.trouble).toBeUndefined()
  })

  it('again without a pause where the one before has lived its time', () => {
    const startedAt = [startAt, startAt + 1, startAt + 2]
    const story = new Story(stateOf([current, spare], { standby: { startedAt } }))
    story.at = startAt + 90 * dayMs
    expect(story.tend().state.standby?.startedAt).toEqual([story.at])
    expect(story.state.rotation).toMatchObject({ mode: 'standby', reason: 'the spare is 90 days old' })
  })

  it('and a clock that is set back makes no pause longer', () => {
    const ahead = stateOf([current], { standby: { startedAt: [now + hourMs] } })
    expect(withinReach(ahead, now, policy).standby?.startedAt).toEqual([now])
  })
})

describe('a spare', () => {
  it('waits beside the current key, in no mirror, loaded and looked at', () => {
    const story = new Story(stateOf([current])).tend().walk(checked, minted)
    expect(mirrorGoal(story.state, undefined).staged).toEqual([])
    story.walk(valid, valid, valid, { kind: 'extended' })
    expect(story.state).toMatchObject({ current: 'a', generation: 0, rotation: { outcome: 'standby' } })
    const [ready] = readySpares(story.state, policy, story.at)
    expect(ready).toMatchObject({ stage: 'standby', nextCheckAt: story.at })
    expect(secretsToHandOut(story.state)).toEqual(['a', ready?.version])
  })

  it('replaces an older one, which is retired without an overlap and never before the new one is there', () => {
    const story = new Story(stateOf([current, spare]))
    story.at = startAt + 91 * dayMs
    story.tend().walk(...toSpare)
    expect(recordOf(story.state, 's')?.stage).toBe('standby')
    expect(spareDueAt(story.state, policy)).toBe(0)
    story.tend()
    expect(recordOf(story.state, 's')?.stage).toBe('previous')
    expect(story.state.retirements).toMatchObject([
      { version: 's', phase: 'draining', isForced: false, wasSpare: true, overlapUntil: story.at },
    ])
    expect(readySpares(story.state, policy, story.at)).toHaveLength(1)
  })

  it('is retired where the configuration wants none any more', () => {
    const story = new Story(stateOf([current, spare]), policyOf()).tend()
    expect(story.state.retirements).toMatchObject([{ version: 's', wasSpare: true }])
    expect(spareDueAt(story.state, policyOf())).toBeUndefined()
  })

  it('is withdrawn on two rejections and no sooner, told, retired and replaced', () => {
    const story = new Story(stateOf([current, spare])).check('s', 'rejected')
    expect(recordOf(story.state, 's')?.withdrawnAt).toBeUndefined()
    story.check('s', 'rejected')
    expect(recordOf(story.state, 's')?.withdrawnAt).toBe(story.at)
    expect(story.told).toEqual(['standby_rejected'])
    expect(story.tend().state.retirements).toMatchObject([{ version: 's' }])
    expect(story.tend().state.rotation).toMatchObject({ mode: 'standby', reason: 'there is no spare' })
  })

  it('that was made a moment ago is not believed dead while some edges may not know it', () => {
    const young = { ...spare, addedAt: now }
    const story = new Story(stateOf([current, young])).check('s', 'rejected').check('s', 'rejected')
    expect(recordOf(story.state, 's')).not.toHaveProperty('withdrawnAt')
  })

  it('can be revoked, and is not chosen from then on while others live', () => {
    const request = { version: 's', keyId: 'key-second', by: 'ada', reason: 'away', isEvenIfLast: false }
    const story = new Story(stateOf([current, spare, previous])).do((state, context) =>
      revokeVersion(state, request, context),
    )
    expect(story.state.retirements).toMatchObject([{ version: 's', isForced: true }])
    expect(nextLive(story.state, story.at)?.version).toBe('p')
  })

  it('can be gone back to', () => {
    const story = new Story(stateOf([current, spare])).do((state, context) =>
      rollBack(state, 's', { who: 'ada', why: 'tried' }, context),
    )
    expect(story.state).toMatchObject({ current: 's', generation: 1, isAlignmentDue: true })
  })

  it('never stands in the way of a rollback while it is being made', () => {
    const story = new Story(stateOf([current, previous])).tend().walk(checked)
    story.do((state, context) => rollBack(state, 'p', { who: 'ada', why: 'back' }, context))
    expect(story.state).toMatchObject({ current: 'p', rotation: { mode: 'standby', from: 'p' } })
  })
})

describe('a failover', () => {
  const dies = (story: Story, version = 'a'): Story =>
    story.check(version, 'rejected').check(version, 'rejected')

  it('takes the spare before any older key, in the very commit', () => {
    const story = dies(new Story(stateOf([previous, spare, current])))
    expect(story.state).toMatchObject({ current: 's', isAlignmentDue: true })
    expect(story.state.rotation).toMatchObject({ mode: 'normal', requestedBy: 'failover' })
    expect(story.told.slice(-4)).toContain('promoted')
  })

  it('takes none that was refused when it was asked last, where another is left, and never a withdrawn one', () => {
    const doubtful = new Story(stateOf([previous, spare, current])).check('s', 'rejected')
    expect(dies(doubtful).state.current).toBe('p')
    const shutOut = { ...spare, verdict: verdictOf('blocked') }
    expect(dies(new Story(stateOf([previous, shutOut, current]))).state.current).toBe('p')
    expect(dies(new Story(stateOf([shutOut, current]))).state.current).toBe('s')
    for (const spoilt of [{ withdrawnAt: now }, { compromised: true }, { stage: 'retired' }] as const)
      expect(handedOut(dies(new Story(stateOf([{ ...spare, ...spoilt }, current]))).state)).toBeUndefined()
  })

  it('does not flap between keys that are refused now and then', () => {
    const story = new Story(stateOf([previous, spare, current]))
    const seen: (string | undefined)[] = ['a']
    for (let turn = 0; turn < 40; turn++)
      for (const version of ['a', 's', 'p']) {
        // Now refused twice, now accepted: as two edges would answer that disagree.
        const kind = turn % 4 < 2 ? 'rejected' : 'valid'
        story.check(version, kind)
        if (seen.at(-1) !== story.state.current) seen.push(story.state.current)
      }
    expect(seen).toEqual(['a', 's', 'p'])
    expect(handedOut(story.state)).toBeUndefined()
  })

  it('takes the making of a spare over, counted, and leaves it alone where the day’s turns are used up', () => {
    const story = dies(new Story(stateOf([previous, current])).tend().walk(checked, minted))
    expect(story.state).toMatchObject({ current: 'p', rotation: { mode: 'normal', requestedBy: 'failover' } })
    expect(story.state.automaticAt).toHaveLength(1)
    const spent = [now, now + 1, now + 2]
    const left = dies(new Story(stateOf([current], { automaticAt: spent })).tend().walk(checked, minted))
    expect(left.state.rotation?.mode).toBe('standby')
    expect(handedOut(left.state)).toBeUndefined()
    left.walk(valid, valid, valid, { kind: 'extended' })
    expect(handedOut(left.state)).toBeDefined()
    expect(left.state.outage).toBeUndefined()
  })
})

describe('a key that is in the wrong hands', () => {
  it('is replaced by the spare and on its way to be revoked in the very commit, and another spare follows', () => {
    const story = new Story(stateOf([previous, spare, current])).ask('emergency', true)
    expect(story.state).toMatchObject({ current: 's', isAlignmentDue: true })
    expect(story.state.rotation).toMatchObject({ phase: 'done', outcome: 'promoted', from: 'a' })
    expect(story.state.retirements.find((one) => one.version === 'a')).toMatchObject({
      phase: 'retiring',
      isForced: true,
    })
    expect(recordOf(story.state, 'a')).toMatchObject({ stage: 'retired', compromised: true })
    expect(spareDueAt(story.state, policy)).toBe(0)
  })

  it('is replaced by a new one where the spare is of the same account, or in doubt, or there is none', () => {
    const doubtful = new Story(stateOf([spare, current])).check('s', 'rejected').state
    const same = stateOf([{ ...spare, meta: on('first') }, current])
    for (const state of [same, doubtful, stateOf([current])]) {
      const story = new Story(state).ask('emergency', true)
      expect(story.state).toMatchObject({ current: 'a', rotation: { phase: 'checking', compromised: 'a' } })
    }
  })

  it('is replaced by the spare also while a rotation is under way, which goes on in a hurry', () => {
    const turning = new Story(stateOf([spare, current])).ask('normal').walk(checked, minted)
    turning.ask('emergency', true)
    expect(turning.state).toMatchObject({
      current: 's',
      rotation: { mode: 'emergency', phase: 'proving', compromised: 'a', from: 's' },
    })
    const aged = stateOf([{ ...spare, addedAt: startAt - 99 * dayMs }, current])
    const sparing = new Story(aged).tend().walk(checked, minted).ask('emergency', true)
    expect(sparing.state).toMatchObject({ current: 's', rotation: { mode: 'emergency', phase: 'proving' } })
  })
})

describe('what a person asks for while a spare is being made', () => {
  it('is never refused but for a rehearsal', () => {
    const story = new Story(stateOf([current])).tend().walk(checked, minted)
    const { id } = story.state.rotation ?? {}
    expect(() => new Story(story.state).ask('rehearsal')).toThrow(/spare of openai is being made/)
    for (const mode of ['normal', 'emergency'] as const)
      expect(new Story(story.state).ask(mode).state.rotation).toMatchObject({ id, mode, requestedBy: 'ada' })
  })
})
