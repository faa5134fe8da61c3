import { describe, expect, it } from 'vitest'
import { effectOf, type RotationEvent, step } from '../../src/core/rotation.ts'
import { dayMs, policyOf, verdictOf, walkRotation } from './fixtures.ts'
import {
  abort,
  checked,
  deadline,
  discarded,
  emergency,
  lost,
  minted,
  nothing,
  openOf,
  pause,
  policy,
  promoted,
  proved,
  resume,
  toExtending,
  toInspecting,
  toPromoting,
  valid,
  walk,
} from './rotation-ways.ts'

describe('the way that goes well', () => {
  it('walks from the check to a promotion that was read back, with an effect for every phase on the way', () => {
    const effects: string[] = []
    let state = walk([])
    const events: readonly RotationEvent[] = [...toPromoting, promoted, { kind: 'confirmed' }]
    for (const event of events) {
      effects.push(effectOf(state.at)?.kind ?? 'none')
      state = walkRotation(state, [event], policy)
    }
    expect(effects).toEqual(['check', 'mint', 'prove', 'prove', 'prove', 'extend', 'promote', 'confirm'])
    expect(state.at).toMatchObject({ phase: 'done', outcome: 'promoted', endedAt: state.now })
    expect(effectOf(state.at)).toBeUndefined()
    expect(state.at.attempts).toHaveLength(1)
    expect(state.at.attempts[0]).toMatchObject({ number: 1, outcome: 'staged', keyId: 'key-1' })
  })

  it('names in its effects the versions and keys they are about', () => {
    const pending = walk([checked, minted]).at.attempts[0]
    expect(effectOf(walk([checked, minted]).at)).toEqual({ kind: 'prove', version: pending?.version })
    expect(effectOf(walk(toExtending).at)).toEqual({
      kind: 'extend',
      version: pending?.version,
      keyId: 'key-1',
    })
    expect(effectOf(walk(toPromoting).at)).toEqual({ kind: 'promote', from: 'v-old', to: pending?.version })
    expect(effectOf(walk([...toPromoting, promoted]).at)).toEqual({ kind: 'confirm', to: pending?.version })
    expect(effectOf(walk(toInspecting).at)).toEqual({ kind: 'inspect', from: 'v-old', to: pending?.version })
    expect(effectOf(walk([checked, minted, { kind: 'pending_lost' }]).at)).toEqual({
      kind: 'discard',
      version: pending?.version,
      keyId: 'key-1',
    })
  })

  it('proves as often and as long as the policy says, and no longer', () => {
    const twice = walk([checked, minted, valid, valid])
    expect(twice.at).toMatchObject({ phase: 'proving', confirmations: 2 })
    const soon = policyOf({ provingSettleMs: 10_000 })
    expect(walk([checked, minted, valid, valid, valid, valid], { policy: soon }).at.phase).toBe('proving')
    expect(walk([checked, minted, valid, valid, valid, 10_000, valid], { policy: soon }).at.phase).toBe(
      'extending',
    )
  })

  it('promotes at once where the expiry is not managed', () => {
    expect(walk(toExtending, { policy: policyOf({ expiryManaged: false }) }).at.phase).toBe('promoting')
  })

  it('asks for one proof only where nothing is handed out', () => {
    const { at, now } = walk([checked, minted], { mode: 'emergency' })
    const fresh = { marker: 'm-2', version: 'v-2' }
    expect(step(at, valid, { now, policy, fresh, isOutage: true }).phase).toBe('extending')
    expect(step(at, valid, { now, policy, fresh, isOutage: false }).phase).toBe('proving')
    expect(walk([checked, minted, valid], { from: undefined }).at.phase).toBe('extending')
    expect(walk([checked, minted, valid]).at.phase).toBe('proving')
  })

  it('never promotes in a rehearsal: the new key is proven and taken back', () => {
    const rehearsed = walk([...toExtending, { kind: 'extended' }], { mode: 'rehearsal' })
    expect(rehearsed.at).toMatchObject({
      phase: 'discarding',
      discard: { next: 'end', outcome: 'rehearsed' },
    })
    const ended = walkRotation(rehearsed, [discarded], policy)
    expect(ended.at).toMatchObject({ phase: 'done', outcome: 'rehearsed' })
    expect(ended.at.attempts[0]?.outcome).toBe('gone')
  })
})

describe('minting', () => {
  it('tries again with the same marker when throttled, and no sooner than was asked for', () => {
    const before = walk([checked])
    const after = walkRotation(
      before,
      [{ kind: 'mint_refused', verdict: verdictOf('throttled', { retryAfterMs: 20_000 }) }],
      policy,
    )
    expect(after.at.wakeAt).toBe(after.now + 20_000)
    expect(after.at.attempts).toEqual(before.at.attempts.map((one) => ({ ...one, isUnmade: true })))
    const begun = walkRotation(after, [{ kind: 'mint_begun' }], policy)
    expect(begun.at.phase).toBe('minting')
    expect(begun.at.attempts).toEqual(before.at.attempts.map((one) => ({ ...one, isUnmade: false })))
  })

  it('is taken up where it was turned away, and looks for a key only once it may have been made', () => {
    const away = walk([checked, { kind: 'mint_refused', verdict: verdictOf('throttled') }])
    expect(walkRotation(away, [{ kind: 'resumed' }], policy).at).toEqual(away.at)
    const begun = walkRotation(away, [{ kind: 'mint_begun' }, { kind: 'resumed' }], policy)
    expect(begun.at.phase).toBe('reconciling')
  })

  it('waits at most the longest pause, whatever the other side asks for', () => {
    const far = verdictOf('throttled', { retryAfterMs: dayMs })
    const after = walk([checked, { kind: 'mint_refused', verdict: far }])
    expect(after.at.wakeAt).toBe(after.now + policy.retryMaxMs)
  })

  it('doubles its pauses up to the longest and begins anew in the next phase', () => {
    const unknown: RotationEvent = { kind: 'check_unknown' }
    const pauses = [1, 2, 3, 7, 40].map((count) => {
      const state = walk(Array.from({ length: count }, () => unknown))
      return state.at.wakeAt - state.now
    })
    expect(pauses).toEqual([1_000, 2_000, 4_000, 60_000, 60_000])
    expect(walk([unknown, unknown, checked]).at.retries).toBe(0)
  })

  it('halts with the issuer’s reason when refused, and leaves no attempt open', () => {
    const refused = walk([checked, { kind: 'mint_refused', verdict: verdictOf('blocked') }])
    expect(refused.at.halt).toMatchObject({
      from: 'minting',
      reason: 'minting_refused',
      fix: 'Mend blocked. Then run: keyturn resume openai',
    })
    expect(refused.at.attempts[0]?.outcome).toBe('refused')
  })

  it('keeps an attempt open whose key was not found, and mints with another marker and version', () => {
    const second = walk([checked, lost, nothing])
    expect(second.at.phase).toBe('minting')
    expect(second.at.attempts.map((one) => [one.number, one.outcome])).toEqual([
      [1, 'open'],
      [2, 'open'],
    ])
    const [one, two] = second.at.attempts
    expect(one?.marker).not.toBe(two?.marker)
    expect(one?.version).not.toBe(two?.version)
  })

  it('waits a moment before it looks for a key that may land late, and remembers its id where it knows it', () => {
    const unknown = walk([checked, { kind: 'mint_unknown', keyId: 'key-9' }])
    expect(unknown.at.wakeAt).toBe(unknown.now + policy.retryBaseMs)
    expect(unknown.at.attempts[0]).toMatchObject({ outcome: 'open', keyId: 'key-9' })
  })

  it('goes on with a key that was found in the store, also with one of an earlier attempt', () => {
    const looking = walk([checked, lost, nothing, lost])
    const [first, second] = looking.at.attempts
    const found = { version: first?.version ?? '', keyId: 'key-late' }
    const proving = walkRotation(looking, [{ kind: 'reconciled', found }], policy)
    expect(proving.at.phase).toBe('proving')
    expect(effectOf(proving.at)).toEqual({ kind: 'prove', version: first?.version })
    expect(proving.at.attempts).toContainEqual({ ...first, outcome: 'staged', keyId: 'key-late' })
    expect(proving.at.attempts).toContainEqual(second)
  })

  it('throws when a key was found that belongs to no attempt: that is a fault of the caller', () => {
    const looking = walk([checked, lost])
    const stranger: RotationEvent = { kind: 'reconciled', found: { version: 'v-other', keyId: 'key-x' } }
    expect(() => walkRotation(looking, [stranger], policy)).toThrow(/belongs to an attempt/)
  })

  it('halts when all attempts are used up, with what the last one died of', () => {
    const dead = [minted, { kind: 'pending_lost' } as const, discarded]
    const halted = walk([checked, ...dead, ...dead, ...dead])
    expect(halted.at.halt).toMatchObject({ reason: 'attempts_exhausted', from: 'discarding' })
    expect(halted.at.halt?.summary).toContain('vanished from the store')
    expect(halted.at.attempts.map((one) => one.outcome)).toEqual(['gone', 'gone', 'gone'])
    const resumed = walkRotation(halted, [resume, checked], policy)
    expect(resumed.at.phase).toBe('minting')
  })
})

describe('proving', () => {
  it('does not believe a rejection within the activation grace, and starts counting again', () => {
    const unsure = walk([checked, minted, valid, proved('rejected')])
    expect(unsure.at).toMatchObject({ phase: 'proving', confirmations: 0 })
    expect(unsure.at.provingSince).toBeUndefined()
    expect(unsure.at.wakeAt).toBe(unsure.now + policy.retryBaseMs)
    expect(walkRotation(unsure, [valid, valid, valid], policy).at.phase).toBe('extending')
  })

  it('believes it beyond the grace: the key goes, and another is minted', () => {
    const dead = walk([checked, minted, policy.activationGraceMs, proved('rejected')])
    expect(dead.at.discard).toMatchObject({ next: 'mint', reason: 'key_rejected' })
    const next = walkRotation(dead, [discarded], policy)
    expect(next.at.phase).toBe('minting')
    expect(next.at.discard).toBeUndefined()
    expect(next.at.attempts.map((one) => one.outcome)).toEqual(['gone', 'open'])
  })

  it('settles anew for every key: what the last one proved counts for nothing', () => {
    const again = walk([checked, minted, valid, valid, { kind: 'pending_lost' }, discarded, minted])
    expect(again.at).toMatchObject({ phase: 'proving', confirmations: 0 })
    expect(again.at.provingSince).toBeUndefined()
  })

  it('neither adds nor takes away by an answer that says nothing', () => {
    const state = walk([checked, minted, valid, proved('unknown'), proved('unknown')])
    expect(state.at).toMatchObject({ phase: 'proving', confirmations: 1, retries: 2 })
    expect(walkRotation(state, [valid, valid], policy).at.phase).toBe('extending')
  })

  it('never promotes a foreign key or one that lacks what was declared, however genuine', () => {
    for (const [event, reason] of [
      [proved('valid', { isOurs: false }), 'foreign_key'],
      [proved('restricted', { lacksDeclared: true }), 'scope_missing'],
    ] as const) {
      const going = walk([checked, minted, event])
      expect(going.at.discard).toMatchObject({ next: 'halt', reason })
      const halted = walkRotation(going, [discarded], policy)
      expect(halted.at.halt).toMatchObject({ reason, from: 'discarding' })
      expect(halted.at.attempts[0]?.outcome).toBe('gone')
    }
  })

  it('halts where minting another key would not help, and keeps the pending one for later', () => {
    for (const kind of ['blocked', 'misconfigured'] as const) {
      const halted = walk([checked, minted, proved(kind)])
      expect(halted.at.halt?.reason).toBe(`proving_${kind}`)
      const resumed = walkRotation(halted, [resume], policy)
      expect(resumed.at).toMatchObject({ phase: 'proving', confirmations: 0 })
      expect(resumed.at.attempts).toEqual(halted.at.attempts)
    }
  })
})

describe('keys that people bring', () => {
  const manual = policyOf({ isManual: true, canMint: false })
  const brought: RotationEvent = { kind: 'brought', version: 'v-brought' }

  it('waits for them without a deadline, however often it is paused, resumed or made urgent', () => {
    for (const events of [[checked], [checked, pause, resume], [checked, emergency]]) {
      const waiting = walk(events, { policy: manual })
      expect(waiting.at.phase).toBe('awaiting')
      expect(effectOf(waiting.at)).toBeUndefined()
      expect(waiting.at.deadlineAt - waiting.now).toBeGreaterThan(365 * dayMs)
    }
  })

  it('proves and promotes what was brought, without lengthening a life that is not ours to lengthen', () => {
    const proving = walk([checked, brought], { policy: manual })
    expect(effectOf(proving.at)).toEqual({ kind: 'prove', version: 'v-brought' })
    expect(walkRotation(proving, [valid, valid, valid], manual).at.phase).toBe('promoting')
  })

  it('halts on a brought key that is dead: only a person can bring another', () => {
    const dead = walk([checked, brought, policy.activationGraceMs, proved('rejected'), discarded], {
      policy: manual,
    })
    expect(dead.at.halt?.reason).toBe('key_rejected')
    expect(walkRotation(dead, [resume, checked], manual).at.phase).toBe('awaiting')
  })

  it('halts when the brought one vanishes, also where keys can be minted, and waits for another', () => {
    for (const vanish of [{ kind: 'pending_lost' } as const, { kind: 'promote_gone' } as const]) {
      const way = vanish.kind === 'promote_gone' ? [valid, valid, valid] : []
      const waiting = walk([checked], { policy: manual })
      const halted = walkRotation(waiting, [brought, ...way, vanish, discarded], policy)
      expect(halted.at.halt?.reason).toBe('pending_lost')
      expect(walkRotation(halted, [resume, checked], manual).at.phase).toBe('awaiting')
    }
  })

  it('waits for another key, and never mints, in an emergency', () => {
    const again = walk([checked, brought, { kind: 'pending_lost' }, emergency, discarded], { policy: manual })
    expect(again.at.phase).toBe('awaiting')
    expect(openOf(again.at)).toBe(0)
  })
})

describe('promoting', () => {
  it('ends as superseded when a person’s working key was adopted, and takes its own back first', () => {
    const adopted = walk([...toInspecting, { kind: 'inspected', finding: 'adopted' }])
    expect(adopted.at).toMatchObject({ phase: 'discarding', discard: { next: 'end', outcome: 'superseded' } })
    expect(walkRotation(adopted, [discarded], policy).at).toMatchObject({
      phase: 'done',
      outcome: 'superseded',
    })
  })

  it('reads back when it turns out that it was ours, and promotes again when nothing was changed', () => {
    expect(walk([...toInspecting, { kind: 'inspected', finding: 'ours' }]).at.phase).toBe('confirming')
    const again = walk([...toInspecting, { kind: 'inspected', finding: 'unchanged' }])
    expect(again.at.phase).toBe('promoting')
    expect(effectOf(again.at)).toMatchObject({ kind: 'promote', from: 'v-old' })
  })

  it('halts on a foreign key in the store, and can then be resumed or aborted as its fix says', () => {
    const halted = walk([...toInspecting, { kind: 'inspected', finding: 'foreign' }])
    expect(halted.at.halt).toMatchObject({ reason: 'store_changed', from: 'inspecting' })
    expect(halted.at.halt?.fix).toContain('resume or abort')
    expect(walkRotation(halted, [resume], policy).at.phase).toBe('inspecting')
    const aborted = walkRotation(halted, [abort, discarded], policy)
    expect(aborted.at).toMatchObject({ phase: 'done', outcome: 'aborted' })
  })

  it('does not go in circles for ever between a store that says yes and one that says no', () => {
    let state = walk(toPromoting)
    const firstDeadlineAt = state.at.deadlineAt
    for (let round = 0; round < 20; round++) {
      state = walkRotation(
        state,
        [promoted, { kind: 'confirm_lost' }, { kind: 'inspected', finding: 'unchanged' }],
        policy,
      )
      expect(state.at.wakeAt).toBeGreaterThan(state.now)
      expect(state.at.deadlineAt).toBe(firstDeadlineAt)
    }
    expect(walkRotation(state, [deadline], policy).at.halt?.reason).toBe('deadline_passed')
  })
})

it('keeps a bounded story however long it takes', () => {
  let state = walk([])
  for (let round = 0; round < 100; round++) state = walkRotation(state, [pause, resume], policy)
  expect(state.at.steps).toHaveLength(60)
  expect(state.at.steps.at(-1)?.note).toBe('resumed by ada')
})

it('changes nothing of a rotation that has ended', () => {
  const done = walk([...toPromoting, promoted, { kind: 'confirmed' }])
  for (const event of [abort, emergency, resume, pause, deadline, minted]) {
    const fresh = { marker: 'm', version: 'v' }
    expect(step(done.at, event, { now: done.now, policy, fresh })).toBe(done.at)
  }
})

it('stays ended when it was paused meanwhile', () => {
  const done = walk([...toPromoting, promoted, pause, { kind: 'confirmed' }])
  expect(done.at.outcome).toBe('promoted')
  expect(walkRotation(done, [resume], policy).at).toBe(done.at)
})
