import { describe, expect, it } from 'vitest'
import { step } from '../../src/core/rotation.ts'
import type { RotationPhase } from '../../src/core/types.ts'
import { namer, policyOf, startAt, walkRotation } from './fixtures.ts'
import { table } from './rotation-table.ts'
import {
  by,
  checked,
  deadline,
  discarded,
  minted,
  nothing,
  policy,
  valid,
  walk,
  ways,
} from './rotation-ways.ts'

const mode = 'standby'
const asked = { kind: 'rotation_asked', by, reason: 'due' } as const
const emergency = { kind: 'emergency_asked', by, reason: 'leaked', isCompromised: false } as const
const own = ['checking', 'minting', 'reconciling', 'proving', 'discarding', 'extending'] as const
const toSpare = [checked, minted, valid, valid, valid]
const fresh = { marker: 'm-fresh', version: 'v-fresh' }

describe('the making of a spare', () => {
  it('proves it as any new key, lengthens its life, and ends without a promotion', () => {
    const { at } = walk([...toSpare, { kind: 'extended' }], { mode })
    expect(at).toMatchObject({ phase: 'done', outcome: 'standby', confirmations: 3 })
    expect(at.steps.map((one) => one.phase)).not.toContain('promoting')
    const unmanaged = policyOf({ expiryManaged: false })
    expect(walk(toSpare, { mode, policy: unmanaged }).at).toMatchObject({ phase: 'done', outcome: 'standby' })
  })

  it('halts in no phase, whatever happens', () => {
    for (const phase of own)
      for (const { name, event, afterMs = 0 } of table) {
        const { at, now } = walk(ways[phase] ?? [], { mode })
        expect(at.phase).toBe(phase)
        const told = typeof event === 'function' ? event(at) : event
        const after = step(at, told, { now: now + 1_000 + afterMs, policy, fresh })
        expect(after.phase, `${phase}, ${name}`).not.toBe('halted')
        expect(after.mode === 'standby' && after.phase === 'promoting', `${phase}, ${name}`).toBe(false)
      }
  })

  it('is given up with the reason where another would halt, and says that it is tried again', () => {
    const refused = { kind: 'check_failed', reason: 'denied', summary: 'No.', fix: 'Ask.' } as const
    const { at } = walk([refused], { mode })
    expect(at).toMatchObject({ phase: 'done', outcome: 'given_up' })
    expect(at.discard).toMatchObject({ reason: 'denied', fix: 'Ask. It is tried again by itself.' })
    expect(at.halt).toBeUndefined()
  })

  it('takes back what it has made before it is given up', () => {
    const { at } = walk([...toSpare, { kind: 'extend_refused' }], { mode })
    expect(at).toMatchObject({ phase: 'discarding', discard: { next: 'end', outcome: 'given_up' } })
    const late = walkRotation({ at, now: startAt + 60_000 }, [deadline, deadline], policy)
    expect(late.at).toMatchObject({ phase: 'discarding', discard: { reason: 'expiry_not_extended' } })
    expect(walkRotation(late, [discarded], policy).at).toMatchObject({ phase: 'done', outcome: 'given_up' })
  })

  it('ends after so many attempts as a rotation has', () => {
    const gone = [{ kind: 'mint_unknown' } as const, nothing]
    const { at } = walk([checked, ...gone, ...gone, ...gone], { mode })
    expect(at).toMatchObject({
      phase: 'done',
      outcome: 'given_up',
      discard: { reason: 'attempts_exhausted' },
    })
  })
})

describe('a rotation that is asked for while a spare is being made', () => {
  const rest: Readonly<Record<(typeof own)[number], RotationPhase>> = {
    checking: 'checking',
    minting: 'minting',
    reconciling: 'reconciling',
    proving: 'proving',
    discarding: 'discarding',
    extending: 'extending',
  }
  for (const phase of own) {
    it(`takes the walk over in ${phase}, and its key is promoted`, () => {
      for (const event of [asked, emergency]) {
        const before = walk([...(ways[phase] ?? []), { kind: 'pause_asked', by }], { mode })
        const { at } = walkRotation(before, [event], policy)
        expect(at).toMatchObject({ phase: rest[phase], paused: false, requestedBy: by })
        expect(at.mode).toBe(event === asked ? 'normal' : 'emergency')
      }
    })
  }

  it('promotes the key that was to be the spare', () => {
    const spare = walk([...toSpare], { mode })
    const { at } = walkRotation(spare, [asked, { kind: 'extended' }, { kind: 'promoted' }], policy)
    expect(at).toMatchObject({ phase: 'confirming', mode: 'normal', attempts: spare.at.attempts })
  })

  it('begins with another key where the walk was giving its own up, with all attempts before it', () => {
    const names = namer()
    const given = walk([...toSpare, { kind: 'extend_refused' }], { mode })
    const { at } = walkRotation(given, [asked, discarded], policy, names)
    expect(at).toMatchObject({ phase: 'minting', mode: 'normal', attempts: [{ outcome: 'gone' }, {}] })
    const often = walk([checked, { kind: 'mint_unknown' }, nothing, { kind: 'mint_unknown' }], { mode })
    expect(walkRotation(often, [asked], policy, names).at.attempts.map((one) => one.number)).toEqual([1, 2])
  })

  it('leaves a rotation of any other kind alone', () => {
    const { at, now } = walk(ways['proving'] ?? [])
    expect(step(at, asked, { now, policy, fresh })).toBe(at)
  })
})
