import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isTerminal,
  isWalking,
  type RetirementEvent,
  type RetirementEventKind,
  retirementEffectOf,
  stepRetirement,
} from '../../src/core/retirement.ts'
import { type Retirement, type RetirementPhase, retirementPhases } from '../../src/core/types.ts'
import { hourMs, minuteMs, policyOf, randomOf } from './fixtures.ts'
import {
  begin,
  currentProved,
  dead,
  evidenceOf,
  forced,
  open,
  policy,
  probed,
  states,
  takenBack,
} from './retirement-ways.ts'

/**
 * Every (phase x event) pair of the retirement. A dot says that nothing happens (the very same object comes back), `=`
 * that it changes but stays in its phase; everything else is the phase it goes to.
 */

const everyKind: Readonly<Record<RetirementEventKind, true>> = {
  evidence: true,
  evidence_unknown: true,
  retired: true,
  retire_failed: true,
  retire_refused: true,
  current_proved: true,
  current_unknown: true,
  current_absent: true,
  revoked: true,
  expiring: true,
  revoke_refused: true,
  revoke_unknown: true,
  still_held: true,
  death_probed: true,
  destroyed: true,
  destroy_failed: true,
  forced: true,
  taken_back: true,
}

const columns: readonly RetirementPhase[] = [
  'draining',
  'retiring',
  'proving_current',
  'revoking',
  'dying',
  'unproven',
  'destroying',
  'halted',
  'dead',
  'kept',
]

// biome-ignore format: a table is read by its columns
const table: readonly (readonly [string, RetirementEvent, string])[] = [
  //                                                          draining retiring        proving_current revoking dying      unproven   destroying halted   dead kept
  ['gate open', open,                                        'retiring .               .               .        .          .          .          .        .    .'],
  ['still held', evidenceOf({ holders: ['app-1'] }),         '=        .               .               .        .          .          .          .        .    .'],
  ['evidence unknown', { kind: 'evidence_unknown' },         '=        .               .               .        .          .          .          .        .    .'],
  ['retired', { kind: 'retired' },                           '.        proving_current .               .        .          .          .          .        .    .'],
  ['retire failed', { kind: 'retire_failed' },               '.        =               .               .        .          .          .          .        .    .'],
  ['retire refused', { kind: 'retire_refused' },             '.        halted          .               .        .          .          .          .        .    .'],
  ['current valid', currentProved('valid'),                  '.        .               revoking        .        .          .          .          .        .    .'],
  ['current exhausted', currentProved('exhausted'),          '.        .               revoking        .        .          .          .          .        .    .'],
  ['current foreign', currentProved('valid', false),         '.        .               =               .        .          .          .          .        .    .'],
  ['current rejected', currentProved('rejected'),            '.        .               =               .        .          .          .          .        .    .'],
  ['current blocked', currentProved('blocked'),              '.        .               =               .        .          .          .          .        .    .'],
  ['current answered nothing', currentProved('unknown'),     '.        .               =               .        .          .          .          .        .    .'],
  ['current unknown', { kind: 'current_unknown' },           '.        .               =               .        .          .          .          .        .    .'],
  ['current absent', { kind: 'current_absent' },             '.        .               =               .        .          .          .          .        .    .'],
  ['revoked', { kind: 'revoked' },                           '.        .               .               dying    .          .          .          .        .    .'],
  ['expiring', { kind: 'expiring' },                         '.        .               .               dying    .          .          .          .        .    .'],
  ['revoke refused', { kind: 'revoke_refused' },             '.        .               .               halted   .          .          .          .        .    .'],
  ['revoke unknown', { kind: 'revoke_unknown' },             '.        .               .               =        .          .          .          .        .    .'],
  ['still held', { kind: 'still_held', heldBy: 'a mirror' },  '.        .               .               =        .          .          .          .        .    .'],
  ['the last rejection', dead,                               '.        .               .               .        destroying destroying .          .        .    .'],
  ['gone, value unknown', probed('absent'),                  '.        .               .               .        destroying destroying .          .        .    .'],
  ['gone, no answer', probed('absent', 'unknown'),           '.        .               .               .        =          =          .          .        .    .'],
  ['gone, but alive', probed('absent', 'valid'),             '.        .               .               .        =          =          .          .        .    .'],
  ['listed, rejected', probed('present', 'rejected'),        '.        .               .               .        =          =          .          .        .    .'],
  ['list unknown, rejected', probed('unknown', 'rejected'),  '.        .               .               .        =          =          .          .        .    .'],
  ['destroyed', { kind: 'destroyed' },                       '.        .               .               .        .          .          dead       .        .    .'],
  ['destroy failed', { kind: 'destroy_failed' },             '.        .               .               .        .          .          =          .        .    .'],
  ['forced', forced,                                         'retiring .               .               .        .          .          .          revoking .    .'],
  ['taken back', takenBack,                                  'kept     .               .               .        .          .          .          .        .    .'],
]

describe('the table of the retirement', () => {
  it('has every phase as a column and every event kind as a row', () => {
    expect([...columns].toSorted()).toEqual([...retirementPhases].toSorted())
    const kinds = new Set(table.map(([, event]) => event.kind))
    expect([...kinds].toSorted()).toEqual(Object.keys(everyKind).toSorted())
    for (const [name, , cells] of table) expect(cells.split(/\s+/), name).toHaveLength(columns.length)
    for (const phase of retirementPhases) expect(states[phase].at.phase).toBe(phase)
  })

  for (const [name, event, cells] of table) {
    it(name, () => {
      for (const [index, cell] of cells.split(/\s+/).entries()) {
        const phase = columns[index] ?? 'dead'
        const { at, now } = states[phase]
        const frozen = structuredClone(at)
        const after = stepRetirement(at, event, { now: now + 1_000, policy })
        expect(at, `${phase}: the state given is left as it was`).toEqual(frozen)
        if (cell === '.') {
          expect(after, `${phase} + ${name}`).toBe(at)
          continue
        }
        expect(after, `${phase} + ${name}`).not.toBe(at)
        expect(after.phase, `${phase} + ${name}`).toBe(cell === '=' ? phase : cell)
        soundAfter(at, after, now + 1_000)
      }
    })
  }
})

function soundAfter(before: Retirement, after: Retirement, now: number): void {
  const hasEnded = after.phase === 'dead' || after.phase === 'kept'
  expect(isWalking(after)).toBe(!hasEnded)
  expect(after.endedAt !== undefined).toBe(hasEnded)
  expect(after.halt !== undefined).toBe(after.phase === 'halted')
  expect(isTerminal(after)).toBe(after.phase !== 'draining' && after.phase !== 'kept')
  expect(retirementEffectOf(after) === undefined).toBe(hasEnded || after.phase === 'halted')
  expect(after.wakeAt).toBeGreaterThanOrEqual(now)
  if (after.phase !== before.phase) expect(after.steps.at(-1)).toMatchObject({ at: now, phase: after.phase })
}

describe('a property of every retirement', () => {
  const events = table.map(([, event]) => event)

  it('survives any events in any order, with clocks that jump', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          count: fc.integer({ min: 1, max: 200 }),
          isForced: fc.boolean(),
          afterLimit: fc.constantFrom('wait' as const, 'revoke' as const),
        }),
        ({ seed, count, isForced, afterLimit }) => {
          const rules = policyOf({ afterLimit, overlapMs: 10 * minuteMs, drainLimitMs: hourMs })
          const random = randomOf(seed)
          let { at, now } = begin({ isForced, policy: rules })
          for (let index = 0; index < count; index++) {
            const event = events[Math.floor(random() * events.length)] ?? open
            now += Math.floor((random() - 0.2) * 5 * minuteMs)
            const after = stepRetirement(at, event, { now, policy: rules })
            if (after !== at) checkRandom(at, after, { event, now })
            at = after
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  function checkRandom(
    before: Retirement,
    after: Retirement,
    on: { readonly event: RetirementEvent; readonly now: number },
  ): void {
    expect(isWalking(before), 'what has ended never changes').toBe(true)
    expect(after.steps.length).toBeLessThanOrEqual(40)
    expect(retirementEffectOf(after) === undefined).toBe(
      after.endedAt !== undefined || after.phase === 'halted',
    )
    if (isTerminal(before)) expect(isTerminal(after), 'nothing leads back').toBe(true)
    if (before.isForced) expect(after.isForced).toBe(true)
    if (before.isLimitAlerted) expect(after.isLimitAlerted).toBe(true)
    const hasOpened = before.phase === 'draining' && after.phase === 'retiring'
    if (hasOpened && !after.isForced) expect(on.now).toBeGreaterThanOrEqual(before.overlapUntil)
    if (after.phase === 'revoking' && before.phase !== 'revoking')
      expect(['current_proved', 'current_absent', 'forced']).toContain(on.event.kind)
    if (after.phase === 'destroying' && before.phase !== 'destroying')
      expect(on.now - (after.rejectedSince ?? on.now)).toBeGreaterThanOrEqual(policy.deadSpanMs)
  }
})
