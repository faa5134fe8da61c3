import { describe, expect, it } from 'vitest'
import {
  type Evidence,
  isTerminal,
  isWalking,
  type RetirementEvent,
  retirementEffectOf,
  stepRetirement,
} from '../../src/core/retirement.ts'
import { type Retirement, retirementPhases } from '../../src/core/types.ts'
import { minuteMs, policyOf, startAt, type Walked, walkRetirement } from './fixtures.ts'
import {
  begin,
  by,
  currentProved,
  dead,
  evidenceOf,
  forced,
  open,
  overlap,
  policy,
  probed,
  states,
  takenBack,
  toDestroying,
  toDying,
  toProving,
  toRetiring,
  toRevoking,
  toUnproven,
  walk,
} from './retirement-ways.ts'

describe('the way that goes well', () => {
  it('gathers, retires, proves what stays, revokes, proves dead and destroys, in this order', () => {
    const way: readonly (RetirementEvent | number)[] = [...toDestroying, { kind: 'destroyed' }]
    const effects: string[] = []
    let state = begin()
    for (const one of way) {
      if (typeof one !== 'number') effects.push(retirementEffectOf(state.at)?.kind ?? 'none')
      state = walkRetirement(state, [one], policy)
    }
    expect(effects).toEqual([
      'gather',
      'retire',
      'prove_current',
      'revoke',
      'probe_death',
      'probe_death',
      'probe_death',
      'destroy',
    ])
    expect(state.at).toMatchObject({ phase: 'dead', endedAt: state.now })
    expect(state.at.steps.map((one) => one.note).join('; ')).toContain('refused 3 times')
  })

  it('names the version and the key in what it wants done', () => {
    expect(retirementEffectOf(states.draining.at)).toEqual({
      kind: 'gather',
      version: 'v-old',
      keyId: 'key-old',
    })
    expect(retirementEffectOf(states.retiring.at)).toEqual({ kind: 'retire', version: 'v-old' })
    expect(retirementEffectOf(states.revoking.at)).toEqual({
      kind: 'revoke',
      version: 'v-old',
      keyId: 'key-old',
    })
    expect(retirementEffectOf(states.unproven.at)).toEqual({
      kind: 'probe_death',
      version: 'v-old',
      keyId: 'key-old',
    })
    expect(retirementEffectOf(states.destroying.at)).toEqual({ kind: 'destroy', version: 'v-old' })
  })

  it('is kept, with a word on what to do, where Keyturn cannot revoke', () => {
    for (const kept of [begin({ keyId: undefined }), begin({ policy: policyOf({ canMint: false }) })]) {
      expect(kept.at).toMatchObject({ phase: 'kept', endedAt: startAt })
      expect(isTerminal(kept.at)).toBe(false)
      expect(kept.at.steps.at(-1)?.note).toContain('delete it by hand')
    }
  })
})

describe('the gate', () => {
  it('stays shut until the overlap is over, whatever the evidence says', () => {
    const early = walk([overlap - 2_000, open])
    expect(early.at).toMatchObject({ phase: 'draining', wakeAt: startAt + overlap })
    expect(walkRetirement(early, [1_000, open], policy).at.phase).toBe('retiring')
  })

  const shut: readonly (readonly [string, (now: number) => Partial<Evidence>, RegExp])[] = [
    ['an app that has not moved on', () => ({ holders: ['app-1'] }), /still in use by app-1$/],
    [
      'many such apps, of which it names five',
      () => ({ holders: ['a', 'b', 'c', 'd', 'e', 'f'] }),
      /a, b, c, d, e and others$/,
    ],
    ['a credential that holds the same key', () => ({ sharedWith: 'other' }), /credential other holds/],
    ['a use just now', (now) => ({ lastUsedAt: now - 5_000 }), /used 5 seconds ago/],
    ['a use in the future of our clock', (now) => ({ lastUsedAt: now + 9_000 }), /used 0 seconds ago/],
    [
      'a use at the edge of the quiet time',
      (now) => ({ lastUsedAt: now - policy.quietMs + 1 }),
      /600 seconds/,
    ],
    [
      'a use well after our own probe',
      (now) => ({ lastUsedAt: now - 5_000, ownProbeAt: now - 60_000 }),
      /used 5 seconds ago/,
    ],
    [
      'a use well before our own probe, which cannot have been the probe',
      (now) => ({ lastUsedAt: now - 60_000, ownProbeAt: now - 5_000 }),
      /used 60 seconds ago/,
    ],
  ]
  for (const [name, change, heldBy] of shut) {
    it(`is kept shut by ${name}`, () => {
      const { at, now } = walk([overlap])
      const waiting = stepRetirement(at, evidenceOf(change(now + 1_000)), { now: now + 1_000, policy })
      expect(waiting.phase).toBe('draining')
      expect(waiting.heldBy).toMatch(heldBy)
      expect(waiting.wakeAt).toBeGreaterThan(now + 1_000)
      expect(waiting.wakeAt).toBeLessThanOrEqual(now + 1_000 + policy.retryMaxMs)
      const opened = stepRetirement(waiting, open, { now: now + 60_000, policy })
      expect(opened.phase).toBe('retiring')
      expect(opened.heldBy).toBeUndefined()
    })
  }

  const opens: readonly (readonly [string, (now: number) => Partial<Evidence>])[] = [
    ['never used', () => ({ lastUsedAt: null })],
    ['the issuer does not tell', () => ({ lastUsedAt: undefined })],
    ['quiet for long enough', (now) => ({ lastUsedAt: now - policy.quietMs })],
    ['the last use was our own probe', (now) => ({ lastUsedAt: now - 30_000, ownProbeAt: now - 30_900 })],
    [
      'the issuer stamped our probe in whole seconds',
      (now) => ({ lastUsedAt: now - 30_900, ownProbeAt: now - 30_000 }),
    ],
  ]
  for (const [name, change] of opens) {
    it(`opens: ${name}`, () => {
      const { at, now } = walk([overlap])
      const after = stepRetirement(at, evidenceOf(change(now)), { now, policy })
      expect(after.phase).toBe('retiring')
    })
  }

  it('notes once who holds it, and again only when that changes', () => {
    const held = evidenceOf({ holders: ['app-1'] })
    const notes = (state: Walked<Retirement>): number => state.at.steps.length
    const once = walk([overlap, held])
    expect(notes(walkRetirement(once, [held, held], policy))).toBe(notes(once))
    expect(notes(walkRetirement(once, [evidenceOf({ holders: ['app-2'] })], policy))).toBe(notes(once) + 1)
  })

  it('tells once when the limit has passed, and goes on waiting', () => {
    const held = evidenceOf({ holders: ['app-1'] })
    const before = walk([overlap, held])
    expect(before.at.isLimitAlerted).toBe(false)
    const late = walkRetirement(before, [policy.drainLimitMs, held], policy)
    expect(late.at).toMatchObject({ phase: 'draining', isLimitAlerted: true })
    const later = walkRetirement(late, [held, held], policy)
    expect(later.at.steps).toEqual(late.at.steps)
    expect(walkRetirement(later, [open], policy).at.phase).toBe('retiring')
  })

  it('revokes after the limit where the policy says so, and not a moment earlier', () => {
    const harsh = policyOf({ afterLimit: 'revoke' })
    const held = evidenceOf({ holders: ['app-1'] })
    const before = walk([overlap + policy.drainLimitMs - 2_000, held], { policy: harsh })
    expect(before.at.phase).toBe('draining')
    const after = walkRetirement(before, [1_000, held], harsh)
    expect(after.at.phase).toBe('retiring')
    expect(after.at.steps.at(-1)?.note).toContain('app-1')
  })

  it('pauses longer and longer while the evidence cannot be gathered', () => {
    const unknown: RetirementEvent = { kind: 'evidence_unknown' }
    const pauses = [1, 2, 3, 9].map((count) => {
      const state = walk([overlap, ...Array.from({ length: count }, () => unknown)])
      return state.at.wakeAt - state.now
    })
    expect(pauses).toEqual([1_000, 2_000, 4_000, 60_000])
  })
})

describe('a forced retirement', () => {
  it('waits for no overlap and no app', () => {
    const held = evidenceOf({ holders: ['app-1'], sharedWith: 'other', lastUsedAt: startAt })
    expect(begin({ isForced: true }).at.wakeAt).toBe(startAt)
    expect(walk([held], { isForced: true }).at.phase).toBe('retiring')
  })

  it('does not wait for evidence that changes nothing', () => {
    expect(walk([{ kind: 'evidence_unknown' }], { isForced: true }).at.phase).toBe('retiring')
  })

  it('is what draining becomes when a person says so, at any time', () => {
    const at = walk([forced]).at
    expect(at).toMatchObject({ phase: 'retiring', isForced: true })
    expect(at.steps.at(-1)?.note).toContain(by)
  })

  it('revokes although nothing is handed out any more, which others wait for', () => {
    const absent: RetirementEvent = { kind: 'current_absent' }
    expect(walk([forced, { kind: 'retired' }, absent]).at.phase).toBe('revoking')
    const waiting = walk([...toProving, absent])
    expect(waiting.at.phase).toBe('proving_current')
    expect(waiting.at.wakeAt).toBeGreaterThan(waiting.now)
  })

  it('still proves what stays before anything is deleted', () => {
    const proving = walk([forced, { kind: 'retired' }, currentProved('rejected')])
    expect(proving.at.phase).toBe('proving_current')
    expect(proving.at.heldBy).toContain('could not be proven')
  })

  it('takes a halted one up where it halted', () => {
    const refused = walkRetirement(states.halted, [forced], policy)
    expect(refused.at).toMatchObject({ phase: 'revoking', isForced: true })
    expect(refused.at.halt).toBeUndefined()
    const changed = walk([...toRetiring, { kind: 'retire_refused' }])
    expect(changed.at.halt).toMatchObject({ from: 'retiring', reason: 'store_changed' })
    expect(walkRetirement(changed, [forced], policy).at.phase).toBe('retiring')
  })
})

describe('before the delete', () => {
  it('waits as long as what stays is not proven, says so, and goes on when it is', () => {
    const waiting = walk([...toProving, currentProved('blocked')])
    expect(waiting.at.heldBy).toContain('It is blocked.')
    expect(waiting.at.wakeAt).toBe(waiting.now + policy.retryBaseMs)
    const going = walkRetirement(waiting, [currentProved('throttled')], policy)
    expect(going.at.phase).toBe('revoking')
    expect(going.at.heldBy).toBeUndefined()
  })

  it('can be taken back only while it drains', () => {
    expect(walk([takenBack]).at).toMatchObject({ phase: 'kept' })
    for (const phase of retirementPhases.slice(1)) {
      const { at, now } = states[phase]
      expect(stepRetirement(at, takenBack, { now, policy })).toBe(at)
    }
  })
})

describe('proving dead', () => {
  it('takes enough rejections and enough time, both', () => {
    const many = walk([...toDying, dead, dead, dead, dead, dead])
    expect(many.at).toMatchObject({ phase: 'dying', rejections: 5 })
    const few = walk([...toDying, dead, policy.deadSpanMs, dead])
    expect(few.at).toMatchObject({ phase: 'dying', rejections: 2 })
    expect(walkRetirement(few, [dead], policy).at.phase).toBe('destroying')
  })

  it('spreads its probes over the span', () => {
    const first = walk([...toDying, dead])
    expect(first.at.wakeAt - first.now).toBe(policy.deadSpanMs / (policy.deadProbes - 1))
  })

  it('begins anew when the key answers, and neither adds nor resets by silence', () => {
    const twice = walk([...toDying, dead, minuteMs, dead])
    const alive = walkRetirement(twice, [probed('absent', 'valid')], policy)
    expect(alive.at.rejections).toBe(0)
    expect(alive.at.rejectedSince).toBeUndefined()
    const again = walkRetirement(alive, [minuteMs, dead, dead, dead], policy)
    expect(again.at).toMatchObject({ phase: 'dying', rejections: 3 })
    const silent = walkRetirement(twice, [probed('absent', 'unknown'), probed('unknown', 'rejected')], policy)
    expect(silent.at).toMatchObject({ rejections: 2, rejectedSince: twice.at.rejectedSince })
    expect(walkRetirement(silent, [minuteMs, dead], policy).at.phase).toBe('destroying')
  })

  it('believes a rejection of a listed key only where an expiry was all that could be set', () => {
    const listed = probed('present', 'rejected')
    const deleted = walk([...toDying, listed, minuteMs, listed, minuteMs, listed])
    expect(deleted.at).toMatchObject({ phase: 'dying', rejections: 0 })
    const expiring = walk([...toRevoking, { kind: 'expiring' }, listed, minuteMs, listed, minuteMs, listed])
    expect(expiring.at).toMatchObject({ phase: 'destroying', isExpiring: true })
  })

  it('never takes a listed key for dead without having asked it', () => {
    const asked = probed('present')
    const state = walk([...toRevoking, { kind: 'expiring' }, asked, minuteMs, asked, minuteMs, asked])
    expect(state.at).toMatchObject({ phase: 'dying', rejections: 0 })
  })

  it('tells when it takes too long, goes on probing, and may still end well', () => {
    const late = walk(toUnproven)
    expect(late.at.phase).toBe('unproven')
    expect(isWalking(late.at)).toBe(true)
    expect(late.at.wakeAt).toBeGreaterThan(late.now)
    expect(retirementEffectOf(late.at)?.kind).toBe('probe_death')
    const proven = walkRetirement(late, [dead, minuteMs, dead, minuteMs, dead], policy)
    expect(proven.at.phase).toBe('destroying')
  })

  it('keeps the rejections it has when it becomes unproven', () => {
    const late = walk([...toDying, policy.deadLimitMs - minuteMs, dead, 2 * minuteMs, dead])
    expect(late.at).toMatchObject({ phase: 'unproven', rejections: 2 })
    expect(walkRetirement(late, [dead], policy).at.phase).toBe('destroying')
  })

  it('does not call it late when the last proof arrives after the limit', () => {
    const state = walk([...toDying, dead, minuteMs, dead, policy.deadLimitMs, dead])
    expect(state.at.phase).toBe('destroying')
  })
})
