import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  effectOf,
  isRunning,
  newRotation,
  pendingOf,
  type RotationEvent,
  step,
} from '../../src/core/rotation.ts'
import {
  type Policy,
  type Rotation,
  type RotationMode,
  type RotationPhase,
  rotationPhases,
  type VersionId,
} from '../../src/core/types.ts'
import { namer, policyOf, randomOf, startAt, type Walked, walkRotation } from './fixtures.ts'
import {
  by,
  checkFailed,
  columns,
  emergency,
  everyKind,
  found,
  minted,
  proved,
  type Row,
  refused,
  table,
} from './rotation-table.ts'

type Found = Walked<Rotation>
type Variant = {
  readonly states: Readonly<Partial<Record<RotationPhase, Found>>>
  readonly policy: Policy
  /** `name@phase`: what this variant does otherwise. */
  readonly otherwise: Readonly<Record<string, string>>
}

function begin(
  policy: Policy,
  change: { readonly mode?: RotationMode; readonly from?: VersionId | undefined } = {},
): Found {
  const request = {
    id: 'r-1',
    credential: 'openai',
    mode: 'normal' as RotationMode,
    isCompromised: false,
    reason: 'due',
    requestedBy: 'schedule',
    from: 'v-old' as VersionId | undefined,
    ...change,
  }
  return { at: newRotation(request, { now: startAt, policy }), now: startAt }
}

const checked: RotationEvent = { kind: 'checked' }
const lost: RotationEvent = { kind: 'mint_unknown' }
const nothing: RotationEvent = { kind: 'reconciled', found: undefined }
const toProving = [checked, minted]
/** One confirmation is there and the settling time is over: the next good proof settles it. */
const settling = [...toProving, proved('valid'), 2_000]
const settled = [...settling, proved('valid')]

function statesOf(
  policy: Policy,
  lead: readonly (RotationEvent | number)[],
  options: { readonly mode?: RotationMode; readonly from?: VersionId | undefined } = {},
): Readonly<Partial<Record<RotationPhase, Found>>> {
  const walk = (...events: readonly (RotationEvent | number)[]): Found =>
    walkRotation(begin(policy, options), [...lead, ...events], policy)
  const promoting = [...settled.slice(lead.length === 0 ? 0 : 1), { kind: 'extended' } as const]
  const proving = settling.slice(lead.length === 0 ? 0 : 1)
  return {
    checking: begin(policy, options),
    minting: lead.length === 0 ? walk(checked) : walk(),
    reconciling: lead.length === 0 ? walk(checked, lost) : walk(lost),
    proving: walk(...proving),
    discarding: walk(...proving, { kind: 'pending_lost' }),
    extending: walk(...promoting.slice(0, -1)),
    promoting: walk(...promoting),
    confirming: walk(...promoting, { kind: 'promoted' }),
    inspecting: walk(...promoting, { kind: 'promote_lost' }),
    halted:
      lead.length === 0
        ? walkRotation(begin(policy, options), [checkFailed], policy)
        : walk(lost, { kind: 'deadline_passed' }),
    done: walk(...promoting, { kind: 'promoted' }, { kind: 'confirmed' }),
  }
}

function paused(states: Readonly<Partial<Record<RotationPhase, Found>>>, policy: Policy): Variant['states'] {
  const entries = Object.entries(states)
    .filter(([phase]) => phase !== 'done')
    .map(([phase, state]) => [phase, walkRotation(state, [{ kind: 'pause_asked', by }], policy)])
  return Object.fromEntries(entries)
}

const usual = policyOf({ provingCount: 2, provingSettleMs: 1_000 })
const byHand = policyOf({ provingCount: 2, provingSettleMs: 1_000, isManual: true, canMint: false })

function manualStates(): Variant['states'] {
  const walk = (...events: readonly (RotationEvent | number)[]): Found =>
    walkRotation(begin(byHand), [checked, ...events], byHand)
  const proving = [{ kind: 'brought', version: 'v-brought' } as const, proved('valid'), 2_000]
  const promoting = [...proving, proved('valid')]
  return {
    checking: begin(byHand),
    awaiting: walk(),
    proving: walk(...proving),
    discarding: walk(...proving, { kind: 'pending_lost' }),
    promoting: walk(...promoting),
    confirming: walk(...promoting, { kind: 'promoted' }),
    inspecting: walk(...promoting, { kind: 'promote_lost' }),
    halted: walkRotation(begin(byHand), [checkFailed], byHand),
    done: walk(...promoting, { kind: 'promoted' }, { kind: 'confirmed' }),
  }
}

function rehearsalStates(): Variant['states'] {
  const options = { mode: 'rehearsal' } as const
  const walk = (...events: readonly (RotationEvent | number)[]): Found =>
    walkRotation(begin(usual, options), events, usual)
  return {
    checking: walk(),
    minting: walk(checked),
    reconciling: walk(checked, lost),
    proving: walk(...settling),
    extending: walk(...settled),
    discarding: walk(...settled, { kind: 'extended' }),
    // Only what could not be taken back is for a person to end.
    halted: walk(...settled, { kind: 'extended' }, { kind: 'deadline_passed' }),
    done: walk(...settled, { kind: 'extended' }, { kind: 'discarded' }),
  }
}

/** A first key is asked for one proof and no settling, so that its proving has none yet. */
function firstKeyStates(): Variant['states'] {
  const walk = (...events: readonly (RotationEvent | number)[]): Found =>
    walkRotation(begin(usual, { from: undefined }), events, usual)
  const promoting = [...toProving, proved('valid'), { kind: 'extended' } as const]
  return {
    checking: walk(),
    minting: walk(checked),
    reconciling: walk(checked, lost),
    proving: walk(...toProving),
    discarding: walk(...toProving, { kind: 'pending_lost' }),
    extending: walk(...promoting.slice(0, -1)),
    promoting: walk(...promoting),
    confirming: walk(...promoting, { kind: 'promoted' }),
    inspecting: walk(...promoting, { kind: 'promote_lost' }),
    halted: walk(checkFailed),
    done: walk(...promoting, { kind: 'promoted' }, { kind: 'confirmed' }),
  }
}

const authentic = ['proved valid', 'proved restricted', 'proved throttled', 'proved exhausted']
const everywhere = (name: string, to: string, phases: readonly RotationPhase[]): Record<string, string> =>
  Object.fromEntries(phases.map((phase) => [`${name}@${phase}`, to]))

const variants: Readonly<Record<string, Variant>> = {
  'an usual rotation': { states: statesOf(usual, []), policy: usual, otherwise: {} },
  'a first key': { states: firstKeyStates(), policy: usual, otherwise: {} },
  'an emergency': { states: statesOf(usual, [], { mode: 'emergency' }), policy: usual, otherwise: {} },
  'a rehearsal': {
    states: rehearsalStates(),
    policy: usual,
    otherwise: {
      'extended@extending': 'discarding',
      'discarded@discarding': 'done',
      // What stands in its way ends it.
      'check failed@checking': 'done',
      'mint refused@minting': 'done',
      'proved blocked@proving': 'discarding',
      'misconfigured@proving': 'discarding',
      'extend refused@extending': 'discarding',
      'deadline@checking': 'done',
      'deadline@minting': 'reconciling',
      'deadline@reconciling': 'done',
      'deadline@proving': 'discarding',
      'deadline@extending': 'discarding',
      ...Object.fromEntries(['resume', 'abort', 'emergency'].map((name) => [`${name}@halted`, 'discarding'])),
    },
  },
  'a key brought by hand': {
    states: manualStates(),
    policy: byHand,
    otherwise: {
      'checked@checking': 'awaiting',
      'discarded@discarding': 'halted',
      ...Object.fromEntries(authentic.map((name) => [`${name}@proving`, 'promoting'])),
    },
  },
  'a paused rotation': {
    states: paused(statesOf(usual, []), usual),
    policy: usual,
    otherwise: {
      ...everywhere('pause', '.', columns),
      ...everywhere(
        'resume',
        '=',
        columns.filter((phase) => phase !== 'halted' && phase !== 'done'),
      ),
    },
  },
  'a second attempt with the first still open': {
    states: statesOf(usual, [checked, lost, nothing]),
    policy: usual,
    otherwise: {
      'resume@halted': 'reconciling',
      'abort@halted': 'reconciling',
      'emergency@halted': 'reconciling',
    },
  },
}

function expected(variant: Variant, row: Row, phase: RotationPhase): string {
  const cell = row.cells.split(/\s+/)[columns.indexOf(phase)]
  return variant.otherwise[`${row.name}@${phase}`] ?? cell ?? 'missing'
}

describe('the table of the rotation', () => {
  it('has every phase as a column and every event kind as a row', () => {
    expect([...columns].toSorted()).toEqual([...rotationPhases].toSorted())
    const kinds = new Set(
      table.map((row) => (typeof row.event === 'function' ? 'reconciled' : row.event.kind)),
    )
    expect([...kinds].toSorted()).toEqual(Object.keys(everyKind).toSorted())
    for (const row of table) expect(row.cells.split(/\s+/), row.name).toHaveLength(columns.length)
  })

  it('is walked in every phase by one variant or another', () => {
    const seen = new Set(Object.values(variants).flatMap((variant) => Object.keys(variant.states)))
    expect([...seen].toSorted()).toEqual([...rotationPhases].toSorted())
    for (const variant of Object.values(variants)) {
      for (const [phase, state] of Object.entries(variant.states)) expect(state.at.phase).toBe(phase)
      const keys = Object.keys(variant.otherwise)
      const known = new Set(table.flatMap((row) => columns.map((phase) => `${row.name}@${phase}`)))
      expect(keys.filter((key) => !known.has(key))).toEqual([])
    }
  })

  for (const [title, variant] of Object.entries(variants)) {
    describe(title, () => {
      for (const row of table) {
        it(row.name, () => {
          for (const [phase, { at, now }] of Object.entries(variant.states)) {
            const later = now + (row.afterMs ?? 1_000)
            const event = typeof row.event === 'function' ? row.event(at) : row.event
            const fresh = { marker: 'marker-fresh', version: 'v-fresh' }
            const frozen = structuredClone(at)
            const after = step(at, event, { now: later, policy: variant.policy, fresh })
            const cell = expected(variant, row, phase as RotationPhase)
            expect(at, `${phase}: the state given is left as it was`).toEqual(frozen)
            if (cell === '.') {
              expect(after, `${phase} + ${row.name}`).toBe(at)
              continue
            }
            expect(after, `${phase} + ${row.name}`).not.toBe(at)
            expect(after.phase, `${phase} + ${row.name}`).toBe(cell === '=' ? phase : cell)
            soundAfter(at, after, later, variant.policy)
          }
        })
      }
    })
  }
})

/** What holds after every step, whatever it was. */
function soundAfter(before: Rotation, after: Rotation, now: number, policy: Policy): void {
  if (after.phase !== before.phase) {
    expect(after.phaseAt).toBe(now)
    expect(after.retries).toBe(0)
    expect(after.wakeAt).toBeGreaterThanOrEqual(now)
    expect(after.wakeAt).toBeLessThanOrEqual(now + policy.retryMaxMs)
    expect(after.steps.at(-1)).toMatchObject({ at: now, phase: after.phase })
  }
  expect(after.halt !== undefined).toBe(after.phase === 'halted')
  expect(after.outcome !== undefined).toBe(after.phase === 'done')
  expect(after.endedAt !== undefined).toBe(after.phase === 'done')
  expect(
    after.discard === undefined || ['discarding', 'reconciling', 'halted', 'done'].includes(after.phase),
  ).toBe(true)
  const effect = effectOf(after)
  expect(effect === undefined).toBe(['awaiting', 'halted', 'done'].includes(after.phase))
  expect(after.attempts.length).toBeLessThanOrEqual(policy.attemptsMax)
  keepsAttempts(before, after)
}

/** An attempt that may have left a key behind is never forgotten. */
function keepsAttempts(before: Rotation, after: Rotation): void {
  for (const one of before.attempts) {
    const later = after.attempts.find((other) => other.marker === one.marker)
    if (one.outcome === 'open' || (one.outcome === 'staged' && after.outcome !== 'promoted'))
      expect(later, `attempt ${one.marker} is still known`).toBeDefined()
    if (one.outcome === 'staged') expect(['staged', 'gone']).toContain(later?.outcome)
  }
  const staged = after.attempts.filter((one) => one.outcome === 'staged')
  expect(staged.length).toBeLessThanOrEqual(1)
  expect(staged[0]).toBe(pendingOf(after))
}

describe('a property of every rotation', () => {
  const events: readonly RotationEvent[] = table.flatMap((row) =>
    typeof row.event === 'function' ? [] : [row.event],
  )
  const mode = fc.constantFrom<RotationMode>('normal', 'emergency', 'rehearsal')

  it('survives any events in any order, with clocks that jump, and keeps every attempt and every bound', () => {
    fc.assert(
      fc.property(
        fc.record({
          mode,
          isFirst: fc.boolean(),
          isManual: fc.boolean(),
          seed: fc.integer(),
          count: fc.integer({ min: 1, max: 120 }),
        }),
        ({ mode, isFirst, isManual, seed, count }) => {
          const random = randomOf(seed)
          const policy = policyOf({ provingCount: 2, isManual, canMint: !isManual })
          const names = namer()
          let { at, now } = begin(policy, { mode, from: isFirst ? undefined : 'v-old' })
          for (let index = 0; index < count; index++) {
            const drawn = events[Math.floor(random() * events.length)]
            const fitting = random() < 0.6 ? fittingEvent(at, random) : drawn
            const event = random() < 0.1 ? found(at) : fitting
            if (event === undefined) continue
            if (at.phase === 'reconciling' && event.kind === 'reconciled' && event.found?.version === 'none')
              continue
            now += Math.floor((random() - 0.2) * 20_000)
            const after = step(at, event, {
              now,
              policy,
              fresh: { marker: names.marker(), version: names.uuid() },
            })
            if (after !== at) checkRandom(at, after, policy)
            at = after
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  function checkRandom(before: Rotation, after: Rotation, policy: Policy): void {
    keepsAttempts(before, after)
    expect(after.halt !== undefined).toBe(after.phase === 'halted')
    expect(after.outcome !== undefined).toBe(after.phase === 'done')
    expect(effectOf(after) === undefined).toBe(['awaiting', 'halted', 'done'].includes(after.phase))
    expect(after.steps.length).toBeLessThanOrEqual(60)
    expect(after.attempts.length).toBeLessThanOrEqual(policy.attemptsMax)
    expect(after.deadlineAt).toBeGreaterThan(after.phaseAt)
    if (before.phase === 'done') expect(after).toBe(before)
    expect(isRunning(after)).toBe(after.phase !== 'done')
    if (after.outcome === 'promoted') expect(after.mode).not.toBe('rehearsal')
    JSON.parse(JSON.stringify(after))
  }
})

/** An event that the phase really waits for, so that random walks get somewhere. */
function fittingEvent(rotation: Rotation, random: () => number): RotationEvent | undefined {
  const choices: Readonly<Record<RotationPhase, readonly RotationEvent[]>> = {
    checking: [checked, { kind: 'check_unknown' }],
    minting: [minted, lost, { kind: 'resumed' }, refused('throttled', 5_000)],
    reconciling: [nothing, found(rotation), { kind: 'reconcile_failed' }],
    awaiting: [{ kind: 'brought', version: `b-${Math.floor(random() * 1e9)}` }],
    proving: [
      proved('valid'),
      proved('valid'),
      proved('unknown'),
      proved('rejected'),
      { kind: 'pending_lost' },
    ],
    discarding: [{ kind: 'discarded' }, { kind: 'discard_failed' }, emergency],
    extending: [{ kind: 'extended' }, { kind: 'extend_unknown' }],
    promoting: [{ kind: 'promoted' }, { kind: 'promote_lost' }, { kind: 'promote_gone' }],
    confirming: [{ kind: 'confirmed' }, { kind: 'confirm_lost' }],
    inspecting: (['ours', 'unchanged', 'adopted', 'foreign'] as const).map((finding) => ({
      kind: 'inspected',
      finding,
    })),
    halted: [{ kind: 'resume_asked', by }, emergency, { kind: 'abort_asked', by }],
    done: [],
  }
  const list = choices[rotation.phase]
  return list[Math.floor(random() * list.length)]
}
