import { describe, expect, it } from 'vitest'
import {
  candidateOf,
  currentOf,
  handedOut,
  isLive,
  nextLive,
  openAttemptMs,
  recordOf,
  withRecord,
  withVersion,
} from '../../src/core/credential.ts'
import { newRetirement } from '../../src/core/retirement.ts'
import { applyRetirement } from '../../src/core/retiring.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import { takeOver } from '../../src/core/take-over.ts'
import { applyRotation, mayRotateByItself, startRotation } from '../../src/core/turning.ts'
import type { CredentialState, Policy, VersionRecord } from '../../src/core/types.ts'
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
import {
  byAda,
  checked,
  discarded,
  lost,
  minted,
  nothing,
  pendingLost,
  policy,
  Story,
  toDone,
  valid,
} from './story.ts'

describe('a promotion', () => {
  it('hands out the new key under a higher generation and lets the old one walk to its end', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current', nextCheckAt: startAt })]))
    story.rotate().on(checked, minted('key-b'), ...toDone)
    const { state } = story
    const fresh = currentOf(state)
    expect(fresh).toMatchObject({ stage: 'current', promotedAt: story.now, nextCheckAt: story.now })
    expect(state).toMatchObject({ generation: 1, storeCurrent: fresh?.version, isAlignmentDue: false })
    expect(recordOf(state, 'a')).toMatchObject({ stage: 'previous' })
    expect(recordOf(state, 'a')?.nextCheckAt).toBeUndefined()
    expect(state.retirements).toMatchObject([
      { version: 'a', keyId: 'key-a', phase: 'draining', isForced: false },
    ])
  })

  it('forces the end of a compromised key, which never comes back', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })]))
    story.rotate('emergency', true).on(checked, minted('key-b'), ...toDone)
    expect(recordOf(story.state, 'a')?.compromised).toBe(true)
    expect(story.state.retirements).toMatchObject([{ version: 'a', isForced: true, phase: 'retiring' }])
    expect(nextLive(story.state, story.now)).toBeUndefined()
  })

  it('revokes the key that was current when it was called compromised, whatever took over before the promotion', () => {
    const previous = recordWith('b', { stage: 'previous' })
    const story = new Story(stateOf([recordWith('a', { stage: 'current' }), previous]))
    story.rotate('emergency', true)
    const failedOver = takeOver(story.state, 'b', { ...byAda, isInStore: true }, changeContext(story.now))
    const later = new Story(failedOver.state).on(checked, minted('key-c'), ...toDone)
    expect(recordOf(later.state, 'a')?.compromised).toBe(true)
    expect(recordOf(later.state, 'b')?.compromised).toBeUndefined()
    expect(later.state.retirements.find((one) => one.version === 'a')).toMatchObject({
      isForced: true,
      phase: 'retiring',
    })
    expect(later.state.retirements.find((one) => one.version === 'b')).toMatchObject({
      isForced: false,
      phase: 'draining',
    })
  })

  it('tells that a compromised key which Keyturn did not make has to be deleted by hand', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current', origin: 'found' })]))
    story.rotate('emergency', true).on(checked, minted('key-b'), ...toDone)
    expect(story.alerts).toContain('revoke_by_hand')
  })

  it('is refused for a version that was never verified or is retired', () => {
    const records = [
      recordWith('a', { stage: 'current' }),
      recordWith('b', { stage: 'retired' }),
      recordWith('c', { stage: 'pending' }),
    ]
    const { verifiedAt: _never, ...unverified } = records[2] ?? recordWith('c')
    const state = stateOf([...records.slice(0, 2), unverified])
    expect(() => takeOver(state, 'c', byAda, changeContext(startAt))).toThrow(/only a verified version/)
    expect(() => takeOver(state, 'b', byAda, changeContext(startAt))).toThrow(
      /retired version never comes back/,
    )
    expect(() => takeOver(state, 'nobody', byAda, changeContext(startAt))).toThrow(/only a verified version/)
  })

  it('leaves a key that Keyturn did not make to its owner, and says so once', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current', origin: 'found' })]))
    story.rotate().on(checked, minted('key-b'), ...toDone)
    const kept = story.state.retirements
    expect(kept).toMatchObject([{ version: 'a', phase: 'kept' }])
    story.rotate().on(checked, minted('key-c'), ...toDone)
    expect(story.state.retirements[0]).toEqual(kept[0])
  })

  it('takes a draining key back into use, and lets it drain anew when it is replaced again', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })]))
    story.rotate().on(checked, minted('key-b'), ...toDone)
    const first = story.state.retirements[0]
    story.change((state, context) => takeOver(state, 'a', byAda, context))
    expect(story.state.retirements.find((one) => one.id === first?.id)?.phase).toBe('kept')
    story
      .wait(minuteMs)
      .rotate()
      .on(checked, minted('key-c'), ...toDone)
    const again = story.state.retirements.filter((one) => one.version === 'a')
    expect(again).toMatchObject([{ phase: 'draining', startedAt: story.now }])
  })

  it('ends an outage, and the alarm about a changed store, but not other trouble with it', () => {
    const trouble = { since: startAt, code: 'store_changed', summary: 'x', fix: 'y' }
    const outage = { since: startAt, summary: 'x', fix: 'y' }
    const records = [recordWith('a', { stage: 'current' }), recordWith('b', { stage: 'standby' })]
    const changed = takeOver(
      stateOf(records, { outage, storeTrouble: trouble }),
      'b',
      byAda,
      changeContext(startAt),
    )
    expect(changed.state.outage).toBeUndefined()
    expect(changed.state.storeTrouble).toBeUndefined()
    const denied = { ...trouble, code: 'store_denied' }
    const still = takeOver(stateOf(records, { storeTrouble: denied }), 'b', byAda, changeContext(startAt))
    expect(still.state.storeTrouble).toEqual(denied)
    const empty = stateOf(records, { storeTrouble: { ...trouble, code: 'store_absent' } })
    const filled = takeOver(empty, 'b', { ...byAda, isInStore: true }, changeContext(startAt))
    expect(filled.state.storeTrouble).toBeUndefined()
  })

  it('has to be written to the store where it was not there before, if the store can be written', () => {
    const records = [recordWith('a', { stage: 'current' }), recordWith('b', { stage: 'standby' })]
    const by = { ...byAda, isInStore: false }
    const written = takeOver(stateOf(records), 'b', by, changeContext(startAt))
    expect(written.state).toMatchObject({ isAlignmentDue: true, storeCurrent: 'a', current: 'b' })
    const readOnly = changeContext(startAt, policyOf({ storeWritable: false }))
    expect(takeOver(stateOf(records), 'b', by, readOnly).state.isAlignmentDue).toBe(false)
  })

  it('lets a running rotation compare with what is current now', () => {
    const records = [recordWith('a', { stage: 'current' }), recordWith('b', { stage: 'standby' })]
    const story = new Story(stateOf(records)).rotate()
    expect(story.state.rotation?.from).toBe('a')
    story.change((state, context) => takeOver(state, 'b', byAda, context))
    expect(story.state.rotation?.from).toBe('b')
  })
})

describe('keys that did not make it', () => {
  it('are retired as soon as they are gone, also when another attempt succeeds', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    story.on(checked, minted('key-b'), pendingLost, discarded)
    const [gone] = story.state.rotation?.attempts ?? []
    expect(recordOf(story.state, gone?.version)).toMatchObject({ stage: 'retired', retiredAt: story.now })
    story.on(minted('key-c'), ...toDone)
    expect(story.state.versions.filter((one) => one.stage === 'pending')).toEqual([])
  })

  it('are retired also when the rotation halts, is resumed and starts over', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    story.on(checked, minted('key-b'), { ...valid, isOurs: false }, discarded)
    expect(story.state.rotation?.phase).toBe('halted')
    expect(story.alerts).toEqual(['rotation_halted'])
    story.on({ kind: 'resume_asked', by: 'ada' }, checked, minted('key-c'), ...toDone)
    expect(story.state.rotation?.outcome).toBe('promoted')
    expect(story.state.versions.map((one) => one.stage).toSorted()).toEqual([
      'current',
      'previous',
      'retired',
    ])
  })
})

describe('attempts whose answer was never seen', () => {
  it('are looked for 24 hours from the attempt on, however old the rotation is', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    story.wait(3 * dayMs).on(checked)
    const attempt = story.state.rotation?.attempts[0]
    story.on(lost, { kind: 'abort_asked', by: 'ada' }, nothing)
    expect(story.state.rotation?.outcome).toBe('aborted')
    expect(story.state.openAttempts).toEqual([
      {
        marker: attempt?.marker,
        rotation: story.state.rotation?.id,
        version: attempt?.version,
        until: (attempt?.startedAt ?? 0) + openAttemptMs,
        nextAt: story.now,
      },
    ])
  })

  it('are looked for also while the rotation is halted, and a resumed one starts over', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    story.on(checked, lost, { kind: 'deadline_passed' })
    expect(story.state.rotation).toMatchObject({ phase: 'halted', attempts: [] })
    expect(story.state.openAttempts).toHaveLength(1)
    story.on({ kind: 'resume_asked', by: 'ada' })
    expect(story.state.rotation?.phase).toBe('checking')
    expect(story.state.openAttempts).toHaveLength(1)
  })

  it('do not stand in the way of a resume or an emergency when all of them are used up', () => {
    for (const kind of ['resume_asked', 'emergency_asked'] as const) {
      const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
      story.on(checked, lost, nothing, lost, nothing, lost, nothing)
      expect(story.state.rotation?.halt?.reason).toBe('attempts_exhausted')
      expect(story.state.openAttempts).toHaveLength(3)
      const asked: RotationEvent =
        kind === 'resume_asked'
          ? { kind, by: 'ada' }
          : { kind, by: 'ada', reason: 'leaked', isCompromised: false }
      story.on(asked, checked)
      expect(story.state.rotation?.phase).toBe('minting')
    }
  })

  it('stay with a rotation that is promoted, and are handed on at its end', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    story.on(checked, lost, nothing, minted('key-b'), ...toDone)
    expect(story.state.rotation?.outcome).toBe('promoted')
    expect(story.state.openAttempts).toHaveLength(1)
  })
})

describe('what is live', () => {
  const now = startAt + hourMs

  it('is verified, neither retired, withdrawn, compromised nor expired', () => {
    const { verifiedAt: _never, ...unverified } = recordWith('x')
    expect(isLive(recordWith('x'), now)).toBe(true)
    expect(isLive(unverified, now)).toBe(false)
    expect(isLive(recordWith('x', { stage: 'retired' }), now)).toBe(false)
    expect(isLive(recordWith('x', { withdrawnAt: startAt }), now)).toBe(false)
    expect(isLive(recordWith('x', { compromised: true }), now)).toBe(false)
    expect(isLive(recordWith('x', { meta: { expiresAt: now } }), now)).toBe(false)
    expect(isLive(recordWith('x', { meta: { expiresAt: now + 1 } }), now)).toBe(true)
  })

  it('takes over in this order: a standby, then what was current last; never current or pending ones', () => {
    const records = [
      recordWith('current', { stage: 'current' }),
      recordWith('pending', { stage: 'pending' }),
      recordWith('older', { promotedAt: 1 }),
      recordWith('newer', { promotedAt: 2 }),
      recordWith('standby', { stage: 'standby' }),
    ]
    expect(nextLive(stateOf(records), now)?.version).toBe('standby')
    expect(nextLive(stateOf(records.slice(0, 4)), now)?.version).toBe('newer')
    expect(nextLive(stateOf(records.slice(0, 2)), now)).toBeUndefined()
  })

  it('is handed out only when verified, not withdrawn and not compromised', () => {
    const handed = (change: Partial<VersionRecord>): string | undefined =>
      handedOut(stateOf([recordWith('a', { stage: 'current', ...change })]))?.version
    expect(handed({})).toBe('a')
    expect(handed({ withdrawnAt: startAt })).toBeUndefined()
    expect(handed({ compromised: true })).toBeUndefined()
  })
})

describe('a candidate', () => {
  const current = recordWith('a', { stage: 'current' })
  const other = recordWith('b', { stage: 'pending' })

  it('is what the store calls current and the service does not', () => {
    expect(candidateOf(stateOf([current, other]))).toBeUndefined()
    expect(candidateOf(stateOf([current, other], { storeCurrent: 'b' }))?.version).toBe('b')
  })

  it('is nothing that is retired, withdrawn or compromised, and nothing while a takeover is written', () => {
    for (const change of [{ stage: 'retired' }, { withdrawnAt: 1 }, { compromised: true }] as const) {
      const state = stateOf([current, { ...other, ...change }], { storeCurrent: 'b' })
      expect(candidateOf(state)).toBeUndefined()
    }
    expect(
      candidateOf(stateOf([current, other], { storeCurrent: 'b', isAlignmentDue: true })),
    ).toBeUndefined()
  })

  it('is never the key that a rotation is promoting', () => {
    const story = new Story(stateOf([current])).rotate().on(checked, minted('key-b'))
    const pending = story.state.rotation?.attempts[0]?.version ?? ''
    expect(candidateOf({ ...story.state, storeCurrent: pending })).toBeUndefined()
    story.on(valid, { kind: 'extended' })
    const foreign = withVersion(
      story.state,
      { version: 'x', fingerprint: 'f', meta: {}, origin: 'found' },
      startAt,
    )
    expect(candidateOf({ ...foreign, storeCurrent: 'x' })).toBeUndefined()
  })
})

describe('rotations', () => {
  it('run one at a time', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    expect(() => story.rotate()).toThrow(/one rotation of a credential at a time/)
    story.on({ kind: 'abort_asked', by: 'ada' }).rotate()
    expect(story.state.rotation?.phase).toBe('checking')
  })

  it('start by themselves at most so often a day, and only where that is possible', () => {
    const state = stateOf([recordWith('a', { stage: 'current' })])
    const now = startAt + 2 * dayMs
    const may = (automaticAt: readonly number[], rules: Policy = policy): boolean =>
      mayRotateByItself({ ...state, automaticAt }, { now, policy: rules })
    expect(may([])).toBe(true)
    expect(may([now - 1, now - 2])).toBe(true)
    expect(may([now - 1, now - 2, now - 3])).toBe(false)
    expect(may([now - 1, now - 2, now - dayMs])).toBe(true)
    expect(may([], policyOf({ canMint: false }))).toBe(false)
    expect(may([], policyOf({ storeWritable: false }))).toBe(false)
    const running = new Story(state).rotate().state
    expect(mayRotateByItself(running, { now, policy })).toBe(false)
  })

  it('count as automatic only when nobody asked for them, and forget what is older than a day', () => {
    const state = stateOf([recordWith('a', { stage: 'current' })], {
      automaticAt: [startAt - dayMs, startAt - 1],
    })
    const request = { mode: 'normal', isCompromised: false, reason: 'x', requestedBy: 'y' } as const
    const asked = startRotation(state, { ...request, isAutomatic: false }, changeContext(startAt))
    expect(asked.state.automaticAt).toEqual([startAt - 1])
    const alone = startRotation(state, { ...request, isAutomatic: true }, changeContext(startAt))
    expect(alone.state.automaticAt).toEqual([startAt - 1, startAt])
  })

  it('compare with the planted key when somebody asks for one after an alarm, and only then', () => {
    const storeTrouble = { since: startAt, code: 'store_changed', summary: 'x', fix: 'y' }
    const state = stateOf([recordWith('a', { stage: 'current' })], {
      storeCurrent: 'planted',
      storeTrouble,
    })
    const request = { mode: 'normal', isCompromised: false, reason: 'x', requestedBy: 'y' } as const
    const from = (isAutomatic: boolean): string | undefined =>
      startRotation(state, { ...request, isAutomatic }, changeContext(startAt)).state.rotation?.from
    expect(from(false)).toBe('planted')
    expect(from(true)).toBe('a')
  })

  it('tell of every phase, and change nothing where nothing happened', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate()
    const context = story.context()
    const told = applyRotation(story.state, checked, context)
    expect(told.events).toMatchObject([{ kind: 'rotation', data: { phase: 'minting' } }])
    const idle = applyRotation(story.state, discarded, context)
    expect(idle.state).toBe(story.state)
    expect(idle.events).toEqual([])
  })
})

describe('retirements', () => {
  const draining = (): Story =>
    new Story(stateOf([recordWith('a', { stage: 'current' })]))
      .rotate()
      .on(checked, minted('key-b'), ...toDone)
  const gate = {
    kind: 'evidence',
    evidence: {
      holders: [] as readonly string[],
      lastUsedAt: null,
      ownProbeAt: undefined,
      isListed: true,
      sharedWith: undefined,
      stores: [],
    },
  } as const

  it('make a version terminal in the same commit that opens the way to its delete', () => {
    const story = draining().wait(hourMs)
    const id = story.state.retirements[0]?.id ?? ''
    const change = applyRetirement(story.state, id, gate, story.context())
    expect(recordOf(change.state, 'a')).toMatchObject({ stage: 'retired', retiredAt: story.now })
    expect(change.events.map((one) => one.kind)).toEqual(['retirement', 'revoking'])
    expect(() => takeOver(change.state, 'a', byAda, story.context())).toThrow(/never comes back/)
  })

  it('alert once when the limit has passed, naming who holds the key', () => {
    const story = draining().wait(hourMs + policy.drainLimitMs)
    const id = story.state.retirements[0]?.id ?? ''
    const held = { ...gate, evidence: { ...gate.evidence, holders: ['app-1'] } }
    const first = applyRetirement(story.state, id, held, story.context())
    expect(first.events).toMatchObject([{ kind: 'alert', data: { code: 'key_still_used', version: 'a' } }])
    expect(String(first.events[0]?.data['heldBy'])).toContain('app-1')
    expect(applyRetirement(first.state, id, held, story.context()).events).toEqual([])
  })

  it('alert when they halt and when a key cannot be proven dead', () => {
    const story = draining().wait(hourMs)
    const id = story.state.retirements[0]?.id ?? ''
    const apply = (event: Parameters<typeof applyRetirement>[2]): Story =>
      story.change((state, context) => applyRetirement(state, id, event, context))
    apply(gate)
    apply({ kind: 'retired' })
    apply({ kind: 'current_proved', verdict: verdictOf('valid'), isOurs: true })
    apply({ kind: 'revoke_refused' })
    expect(story.alerts).toEqual(['retirement_halted'])
    apply({ kind: 'forced', by: 'ada' })
    apply({ kind: 'revoked' })
    story.wait(policy.deadLimitMs)
    apply({ kind: 'death_probed', listed: 'present', verdict: verdictOf('valid') })
    expect(story.alerts).toEqual(['retirement_halted', 'key_not_dead'])
  })

  it('know only their own', () => {
    const story = draining()
    const change = applyRetirement(story.state, 'nobody', gate, story.context())
    expect(change).toEqual({ state: story.state, events: [] })
  })

  it('are forgotten when they have ended, but never while they walk', () => {
    const walking = draining().state.retirements[0]
    const ended = Array.from({ length: 60 }, (_, index) => ({
      id: `t-${index}`,
      version: `old-${index}`,
      startedAt: startAt,
      phase: 'dead' as const,
      phaseAt: startAt,
      wakeAt: startAt,
      overlapUntil: startAt,
      limitAt: startAt,
      isForced: false,
      isExpiring: false,
      isLimitAlerted: false,
      rejections: 0,
      retries: 0,
      endedAt: startAt,
      steps: [],
    }))
    const story = draining()
    story.state = { ...story.state, retirements: [...(walking === undefined ? [] : [walking]), ...ended] }
    story.rotate().on(checked, minted('key-c'), ...toDone)
    expect(story.state.retirements.length).toBeLessThanOrEqual(42)
    expect(story.state.retirements.some((one) => one.id === walking?.id)).toBe(true)
  })
})

describe('versions', () => {
  it('that have ended, or that nobody can use, are forgotten in the end; those in use never', () => {
    const kept = [
      recordWith('current', { stage: 'current' }),
      recordWith('standby', { stage: 'standby' }),
      recordWith('seen', { stage: 'pending', origin: 'found' }),
    ]
    const story = new Story(stateOf(kept.slice(0, 1))).rotate()
    story.on(checked, minted('key-new'))
    const pending = story.state.versions.at(-1)
    const dying = { id: 't', version: 'dying', keyId: 'key', isForced: true, why: 'x' }
    const walking = newRetirement(dying, { now: startAt, policy })
    const needed = [...kept, recordWith('dying', { stage: 'retired' }), pending ?? recordWith('none')]
    let state: CredentialState = {
      ...story.state,
      versions: needed,
      storeCurrent: 'seen',
      retirements: [walking],
    }
    for (let index = 0; index < 80; index++) {
      const stage = (['retired', 'previous', 'pending'] as const)[index % 3] ?? 'retired'
      const added = { version: `old-${index}`, fingerprint: 'f', meta: {}, origin: 'found' } as const
      state = withVersion(state, added, startAt + index)
      state = {
        ...state,
        versions: state.versions.map((one) => (one.version === added.version ? { ...one, stage } : one)),
      }
    }
    expect(state.versions.length).toBeLessThanOrEqual(30)
    expect(state.versions.slice(0, 5)).toEqual(needed)
    expect(state.versions.at(-1)?.version).toBe('old-79')
  })

  it('are known once: seen again, only what is known about them changes', () => {
    const state = stateOf([recordWith('a', { stage: 'current' })])
    const again = withVersion(
      state,
      { version: 'a', fingerprint: 'other', meta: { expiresAt: 5 }, origin: 'found' },
      startAt + 1,
    )
    expect(again.versions).toMatchObject([
      { version: 'a', stage: 'current', origin: 'minted', fingerprint: 'f-a', meta: { expiresAt: 5 } },
    ])
  })

  const planted = { version: 'again', fingerprint: 'f-stolen', meta: {}, origin: 'found' } as const
  const stolen = recordWith('stolen', { compromised: true })

  it('of a key in the wrong hands are as spoilt as it is, also where it never was more than pending', () => {
    const state = stateOf([recordWith('current', { stage: 'current' }), { ...stolen, stage: 'pending' }])
    const after = { ...withVersion(state, planted, startAt), storeCurrent: 'again' }
    expect(recordOf(after, 'again')?.compromised).toBe(true)
    expect(candidateOf(after)).toBeUndefined()
  })

  it('of a key in the wrong hands stay known for it, however many dead ones somebody puts into a store', () => {
    let state = stateOf([stolen, recordWith('current', { stage: 'current' })])
    for (let index = 0; index < 400; index++) {
      const dead = { version: `dead-${index}`, fingerprint: `f-${index}`, meta: {}, origin: 'found' } as const
      state = withRecord(withVersion(state, dead, startAt), dead.version, { withdrawnAt: startAt })
    }
    expect(recordOf(state, 'stolen')).toBeUndefined()
    expect(state.outcasts?.length).toBeLessThanOrEqual(200)
    expect(recordOf(withVersion(state, planted, startAt), 'again')?.compromised).toBe(true)
  })
})
