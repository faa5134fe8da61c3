import { describe, expect, it } from 'vitest'
import { endingOf, progressLines, renderProgress } from '../../src/cli/progress.ts'
import { rotationPhases } from '../../src/core/types.ts'
import { instant, retirementAt, rotationAt, start } from './samples.ts'

const at = (seconds: number) => ({ now: start + seconds * 1_000 })
const halt = {
  from: 'proving',
  reason: 'blocked',
  summary: 'The account is shut.',
  fix: 'Ask billing.',
  at: instant(25),
}

describe('the progress of a rotation', () => {
  it('ticks off what is over, shows the running phase with its time, and what is to come', () => {
    expect(renderProgress(rotationAt('promoting'), at(45))).toEqual([
      'openai  normal rotation r, asked for by ops, phase 5 of 12, 45s',
      '  ✓ checking         10s',
      '  ✓ minting          10s',
      '  ✓ proving          10s',
      '  ✓ extending        10s',
      '  > promoting        5s, 14m 15s left, it becomes current',
      '  . confirming',
    ])
  })

  it('does not tick off what is to come again, nor count ten years down', () => {
    const once = rotationAt('proving')
    const steps = once.steps.map((step) => (step.phase === 'minting' ? { ...step, phase: 'awaiting' } : step))
    const back = [
      ...steps,
      { at: new Date(start + 50_000).toISOString(), phase: 'discarding', note: '' },
      { at: new Date(start + 60_000).toISOString(), phase: 'awaiting', note: '' },
    ]
    const rotation = {
      ...once,
      phase: 'awaiting',
      phaseAt: new Date(start + 60_000).toISOString(),
      deadlineAt: new Date(start + 3_650 * 86_400_000).toISOString(),
      steps: back,
    }
    const lines = renderProgress(rotation, { now: start + 61_000 })
    expect(lines).toContainEqual(expect.stringMatching(/> awaiting +1s, waiting for the key that you bring/))
    expect(lines).toContainEqual(expect.stringMatching(/\. proving +again/))
    expect(lines.join('\n')).not.toMatch(/✓ proving/)
  })

  it('goes on with the retirement of the old key', () => {
    const lines = renderProgress(
      rotationAt('done', { retirement: retirementAt('draining', { heldBy: 'still in use by web (pod-1)' }) }),
      at(90),
    )
    expect(lines.slice(7)).toEqual([
      'old key  ba9876543210 is being retired',
      '  > draining         30s, 30s left, held: still in use by web (pod-1), both keys live until nobody uses the old one',
      '  . retiring',
      '  . proving current',
      '  . revoking',
      '  . dying',
      '  . destroying',
    ])
  })

  it('shows detours only where they were taken', () => {
    const rotation = rotationAt('reconciling', {
      phase: 'reconciling',
      phaseAt: instant(30),
      steps: [
        { at: instant(0), phase: 'checking', note: '' },
        { at: instant(10), phase: 'minting', note: '' },
        { at: instant(30), phase: 'reconciling', note: 'the answer was lost' },
      ],
    })
    expect(renderProgress(rotation, at(31)).slice(1, 5)).toEqual([
      '  ✓ checking         10s',
      '  ✓ minting          20s',
      '  > reconciling      1s, 14m 29s left, looking for a key whose answer was lost',
      '  . proving',
    ])
  })

  it('waits for a key that is brought, without minting one', () => {
    const lines = renderProgress(
      rotationAt('awaiting', { phase: 'awaiting', steps: [{ at: instant(0), phase: 'awaiting', note: '' }] }),
      at(5),
    )
    expect(lines.join('\n')).toContain('> awaiting')
    expect(lines.join('\n')).not.toContain('minting')
  })

  it('says where it halted, why, and what to do', () => {
    const lines = renderProgress(rotationAt('proving', { phase: 'halted', halt }), at(30))
    expect(lines).toContain('  x proving          halted')
    expect(lines.slice(-2)).toEqual(['    The account is shut.', '    fix: Ask billing.'])
  })

  it('says that it is paused', () => {
    expect(renderProgress(rotationAt('minting', { isPaused: true }), at(12))[2]).toBe(
      '  > minting          2s, paused, a new key is made',
    )
  })

  it('renders every phase there is without a missing time', () => {
    for (const phase of rotationPhases) {
      const text = renderProgress(rotationAt(phase, { phase }), at(100)).join('\n')
      expect(text, phase).not.toMatch(/NaN|undefined/)
    }
  })

  it('is one line for each step elsewhere', () => {
    const rotation = rotationAt('minting', { retirement: retirementAt('draining') })
    expect(progressLines(rotation).map(({ text }) => text)).toEqual([
      '2026-11-21T12:00:00.000Z  1 of 12   checking        checking began',
      '2026-11-21T12:00:10.000Z  2 of 12   minting         minting began',
      '2026-11-21T12:01:00.000Z  7 of 12   draining        both keys live (overlap until 2026-11-21T12:02:00.000Z)',
    ])
  })
})

describe('how it ends', () => {
  it.each([
    ['running', rotationAt('proving')],
    ['running', rotationAt('done', { retirement: retirementAt('dying') })],
    ['done', rotationAt('done', { retirement: retirementAt('dead') })],
    ['done', rotationAt('done', { retirement: retirementAt('kept') })],
    ['done', rotationAt('done', { from: null })],
    ['done', rotationAt('done', { outcome: 'rehearsed' })],
    ['needs_human', rotationAt('proving', { phase: 'halted', halt })],
    ['needs_human', rotationAt('proving', { phase: 'halted' })],
    ['needs_human', rotationAt('done', { retirement: retirementAt('halted', { halt }) })],
    ['needs_human', rotationAt('done', { retirement: retirementAt('unproven') })],
    ['failed', rotationAt('done', { outcome: 'aborted' })],
    ['failed', rotationAt('done', { outcome: 'superseded' })],
  ])('%s: case %#', (kind, rotation) => {
    expect(endingOf(rotation).kind).toBe(kind)
  })
})
