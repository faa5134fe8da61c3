import { expect, it } from 'vitest'
import type { RotationSummary } from '../../../src/api/types.ts'
import { phaseList } from '../../../src/server/dashboard/phases.ts'

const at = '2026-11-26T03:04:05.000Z'

function rotation(facts: Partial<RotationSummary>, passed: readonly string[] = []): RotationSummary {
  return {
    id: 'r1',
    credential: 'openai',
    mode: 'normal',
    reason: '',
    requestedBy: 'anna',
    phase: 'done',
    isPaused: false,
    outcome: null,
    from: null,
    to: null,
    startedAt: at,
    phaseAt: at,
    deadlineAt: null,
    endedAt: at,
    halt: null,
    failure: null,
    permissions: [],
    residue: [],
    steps: passed.map((phase) => ({ at, phase, note: '' })),
    retirement: null,
    ...facts,
  }
}

const said = (one: RotationSummary): readonly string[] =>
  [
    ...phaseList(one)
      .toString()
      .matchAll(/<li class="(\w+)"><span[^>]*>.<\/span> ([^<]*) <span[^>]*>([^<]*)</g),
  ].map(([, kind, words, more]) => `${kind}: ${words} ${more}`)

it('a rotation that promoted its key did all of it', () => {
  expect(said(rotation({ outcome: 'promoted' }))).toHaveLength(5)
  expect(said(rotation({ outcome: 'promoted' })).every((line) => line.startsWith('done: '))).toBe(true)
})

it('a rehearsal does not say that it handed anything out', () => {
  const lines = said(rotation({ mode: 'rehearsal', outcome: 'rehearsed' }))
  expect(lines).toContain('done: Revoke it again (done)')
  expect(lines.join()).not.toContain('Hand it out')
  expect(said(rotation({ mode: 'standby', outcome: 'standby' })).join()).not.toContain('Hand it out')
})

it('one that ended early shows how far it came', () => {
  const passed = ['checking', 'minting', 'proving', 'discarding', 'done']
  expect(said(rotation({ outcome: 'aborted' }, passed))).toEqual([
    'done: Check what is allowed (done)',
    'done: Make the new key (done)',
    'halted: Prove it (ended here: aborted)',
    'ahead: Hand it out (not done)',
    'ahead: Done (not done)',
  ])
  const failed = said(rotation({ mode: 'rehearsal', outcome: 'rehearsal_failed' }, passed))
  expect(failed[2]).toBe('halted: Prove it (ended here: rehearsal failed)')
})

it('one that runs shows where it is, and one that halted where it stands', () => {
  expect(said(rotation({ phase: 'promoting', endedAt: null }))[3]).toBe('here: Hand it out (now: promoting)')
  const halt = { from: 'minting', reason: 'x', summary: '', fix: '', at }
  expect(said(rotation({ phase: 'halted', halt, endedAt: null }))).toEqual([
    'done: Check what is allowed (done)',
    'halted: Make the new key (halted)',
    'ahead: Prove it (to come)',
    'ahead: Hand it out (to come)',
    'ahead: Done (to come)',
  ])
})
