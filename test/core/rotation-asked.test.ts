import { describe, expect, it } from 'vitest'
import { effectOf, type RotationEvent } from '../../src/core/rotation.ts'
import type { RotationMode } from '../../src/core/types.ts'
import { minuteMs, walkRotation } from './fixtures.ts'
import {
  abort,
  by,
  checked,
  deadline,
  discarded,
  emergency,
  leak,
  lost,
  minted,
  nothing,
  openOf,
  pause,
  policy,
  proved,
  resume,
  toExtending,
  toInspecting,
  valid,
  walk,
  ways,
} from './rotation-ways.ts'

describe('a deadline in every phase', () => {
  const after: Readonly<Record<string, string>> = {
    checking: 'checking',
    minting: 'reconciling',
    reconciling: 'reconciling',
    proving: 'proving',
    discarding: 'discarding',
    extending: 'proving',
    promoting: 'inspecting',
    confirming: 'inspecting',
    inspecting: 'inspecting',
  }
  for (const [phase, way] of Object.entries(ways)) {
    it(`halts ${phase}, says where and what to do, and is taken up again in ${after[phase]}`, () => {
      const before = walk(way)
      const halted = walkRotation(before, [deadline], policy)
      expect(halted.at.halt).toMatchObject({ from: phase, reason: 'deadline_passed', at: halted.now })
      expect(halted.at.halt?.summary).toContain(phase)
      expect(halted.at.halt?.fix).not.toBe('')
      const resumed = walkRotation(halted, [resume], policy)
      expect(resumed.at.phase).toBe(after[phase])
      expect(resumed.at.halt).toBeUndefined()
      expect(resumed.at.deadlineAt).toBe(resumed.now + policy.phaseDeadlineMs)
      expect(openOf(resumed.at)).toBe(openOf(before.at))
    })
  }
})

describe('a crash in every phase', () => {
  for (const [phase, way] of Object.entries(ways)) {
    it(`${phase}: ${phase === 'minting' ? 'looks for a key first' : 'goes on where it was'}`, () => {
      const before = walk(way)
      const after = walkRotation(before, [{ kind: 'resumed' }], policy)
      if (phase !== 'minting') {
        expect(after.at).toBe(before.at)
        return
      }
      expect(effectOf(after.at)).toEqual({ kind: 'reconcile', attempts: before.at.attempts })
    })
  }
})

describe('an abort in every phase', () => {
  for (const [phase, way] of Object.entries(ways)) {
    it(phase, () => {
      const before = walk(way)
      const after = walkRotation(before, [abort], policy)
      if (['promoting', 'confirming', 'inspecting'].includes(phase)) {
        expect(after.at).toBe(before.at)
        return
      }
      const ended = walkRotation(after, [nothing, discarded], policy)
      expect(ended.at).toMatchObject({ phase: 'done', outcome: 'aborted' })
      // What was staged was taken back, and what nobody ever saw stays open for the sweep.
      expect(ended.at.attempts.some((one) => one.outcome === 'staged')).toBe(false)
      expect(openOf(ended.at)).toBe(openOf(before.at))
    })
  }

  it('takes back a key that turns up while it aborts', () => {
    const aborting = walk([checked, lost, abort])
    const version = aborting.at.attempts[0]?.version ?? ''
    const found = walkRotation(
      aborting,
      [{ kind: 'reconciled', found: { version, keyId: 'key-late' } }],
      policy,
    )
    expect(effectOf(found.at)).toEqual({ kind: 'discard', version, keyId: 'key-late' })
    expect(walkRotation(found, [discarded], policy).at.outcome).toBe('aborted')
  })

  it('overrules what a discard was for, and lets a paused rotation go', () => {
    const after = walk([checked, minted, { kind: 'pending_lost' }, pause, abort])
    expect(after.at).toMatchObject({ paused: false, discard: { next: 'end', outcome: 'aborted' } })
  })

  it('is forgotten when the rotation is resumed after its halt', () => {
    const halted = walk([checked, lost, abort, deadline])
    const again = walkRotation(halted, [emergency, nothing], policy)
    expect(again.at).toMatchObject({ phase: 'minting' })
    expect(again.at.discard).toBeUndefined()
  })
})

describe('an emergency in every phase', () => {
  const urgent = { mode: 'emergency', isCompromised: true, reason: 'leaked', requestedBy: by, paused: false }

  for (const [phase, way] of Object.entries(ways)) {
    it(`makes ${phase} urgent, also when it is paused, and gives it a fresh deadline`, () => {
      for (const events of [[...way], [...way, pause]]) {
        const after = walkRotation(walk(events), [10 * minuteMs, emergency], policy)
        expect(after.at).toMatchObject({ ...urgent, phase, wakeAt: after.now })
        expect(after.at.deadlineAt).toBe(after.now + policy.phaseDeadlineMs)
      }
    })

    it(`takes a rotation up that halted in ${phase}`, () => {
      const after = walkRotation(walk(way), [deadline, emergency], policy)
      expect(after.at).toMatchObject(urgent)
      expect(after.at.halt).toBeUndefined()
      expect(after.at.wakeAt).toBe(after.now)
      expect(effectOf(after.at)).toBeDefined()
    })
  }

  it('turns every discard into one that is followed by another key', () => {
    const discarding: readonly (readonly [readonly RotationEvent[], RotationMode])[] = [
      [[checked, minted, abort], 'normal'],
      [[...toExtending, { kind: 'extended' }], 'rehearsal'],
      [[checked, minted, proved('valid', { isOurs: false })], 'normal'],
      [[...toInspecting, { kind: 'inspected', finding: 'adopted' }], 'normal'],
      [[checked, minted, { kind: 'pending_lost' }], 'normal'],
    ]
    for (const [way, mode] of discarding) {
      for (const detour of [[], [deadline]]) {
        const hastened = walk([...way, ...detour, emergency], { mode })
        expect(hastened.at.phase).toBe('discarding')
        const after = walkRotation(hastened, [discarded], policy)
        expect(after.at).toMatchObject({ ...urgent, phase: 'minting' })
        expect(after.at.attempts.map((one) => one.outcome)).toEqual(['gone', 'open'])
      }
    }
  })

  it('goes on minting when it comes while an abort looks for keys', () => {
    const after = walk([checked, lost, abort, emergency, nothing])
    expect(after.at).toMatchObject({ ...urgent, phase: 'minting' })
  })

  it('promotes what a rehearsal minted', () => {
    const after = walk([checked, minted, valid, emergency, valid, valid], { mode: 'rehearsal' })
    expect(after.at.phase).toBe('extending')
  })

  it('never takes back that a key is compromised', () => {
    const calm: RotationEvent = { kind: 'emergency_asked', ...leak, isCompromised: false }
    expect(walk([emergency, calm]).at.isCompromised).toBe(true)
    expect(walk([calm]).at.isCompromised).toBe(false)
  })
})

describe('pausing', () => {
  it('stops the clock of the phase: resumed, it has its whole deadline again', () => {
    const before = walk([checked, minted, pause, 3 * policy.phaseDeadlineMs])
    const after = walkRotation(before, [resume], policy)
    expect(after.at).toMatchObject({ phase: 'proving', paused: false, wakeAt: after.now })
    expect(after.at.deadlineAt).toBe(after.now + policy.phaseDeadlineMs)
  })

  it('lets a call that was under way tell what came of it', () => {
    const after = walk([checked, pause, minted])
    expect(after.at).toMatchObject({ phase: 'proving', paused: true })
  })
})

describe('resuming with a staged key and an earlier attempt still open', () => {
  it('goes on with the staged key and forgets neither of them', () => {
    const halted = walk([checked, lost, nothing, minted, deadline])
    expect(halted.at.attempts.map((one) => one.outcome)).toEqual(['open', 'staged'])
    for (const event of [resume, emergency]) {
      const after = walkRotation(halted, [event], policy)
      expect(after.at.phase).toBe('proving')
      expect(after.at.attempts).toEqual(halted.at.attempts)
    }
    const aborted = walkRotation(halted, [abort, discarded], policy)
    expect(aborted.at.attempts.map((one) => one.outcome)).toEqual(['open', 'gone'])
  })
})
