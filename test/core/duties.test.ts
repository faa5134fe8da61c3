import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { initialState, withRecord } from '../../src/core/credential.ts'
import { type Duty, dueAt, plan, secretsWanted } from '../../src/core/duties.ts'
import { newRetirement } from '../../src/core/retirement.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import { takeOver } from '../../src/core/take-over.ts'
import { applyRotation, startRotation } from '../../src/core/turning.ts'
import type { CredentialState, Policy, Retirement } from '../../src/core/types.ts'
import {
  changeContext,
  dayMs,
  hourMs,
  minuteMs,
  namer,
  policyOf,
  recordWith,
  startAt,
  verdictOf,
} from './fixtures.ts'

const policy = policyOf()
const free: ReadonlySet<string> = new Set()
const later = startAt + hourMs

function stateWith(change: Partial<CredentialState> = {}): CredentialState {
  return {
    ...initialState('openai', startAt),
    versions: [recordWith('a', { stage: 'current', nextCheckAt: later })],
    current: 'a',
    storeCurrent: 'a',
    storeReadAt: startAt,
    nextStoreReadAt: later,
    ...change,
  }
}

const names = namer()
const contextAt = (now: number, rules: Policy = policy): ReturnType<typeof changeContext> =>
  changeContext(now, rules, names)

function rotating(events: readonly RotationEvent[] = [], now = startAt, rules = policy): CredentialState {
  const request = {
    mode: 'normal',
    isCompromised: false,
    reason: 'x',
    requestedBy: 'ada',
    isAutomatic: false,
  } as const
  let state = startRotation(stateWith(), request, contextAt(now, rules)).state
  for (const event of events) state = applyRotation(state, event, contextAt(now, rules)).state
  return state
}

const retirement = (version: string, change: Partial<Retirement> = {}): Retirement => ({
  ...newRetirement(
    { id: `t-${version}`, version, keyId: `key-${version}`, isForced: false, why: 'x' },
    { now: startAt, policy },
  ),
  ...change,
})

const lanes = (duties: readonly Duty[]): readonly string[] => duties.map((one) => one.lane)
const kinds = (state: CredentialState, now: number, busy = free): readonly string[] =>
  plan(state, policy, now, busy).duties.map((one) => one.kind)

describe('a plan', () => {
  it('asks for nothing before anything is due, and says when that will be', () => {
    const state = stateWith({ nextStoreReadAt: later + 5 })
    expect(plan(state, policy, startAt, free)).toMatchObject({ duties: [], wakeAt: later })
    expect(plan(state, policy, later - 1, free).duties).toEqual([])
    expect(plan(state, policy, later, free)).toMatchObject({
      duties: [{ kind: 'verify' }],
      wakeAt: later + 5,
    })
  })

  it('asks for one duty per lane, the longest overdue first', () => {
    const state = stateWith({
      nextStoreReadAt: startAt + 3,
      nextRotationAt: startAt + 1,
      openAttempts: [
        { marker: 'm-2', version: 'v-2', until: later, nextAt: startAt + 5 },
        { marker: 'm-1', version: 'v-1', until: later, nextAt: startAt + 4 },
      ],
      retirements: [retirement('x', { wakeAt: startAt + 2 }), retirement('y', { wakeAt: startAt })],
    })
    const { duties } = plan(state, policy, startAt + minuteMs, free)
    expect(lanes(duties)).toEqual(['retire:t-y', 'rotate', 'retire:t-x', 'store', 'sweep'])
    expect(duties.find((one) => one.kind === 'sweep')).toMatchObject({ marker: 'm-1' })
  })

  it('leaves busy lanes alone, and is not woken for them', () => {
    const state = stateWith({ nextStoreReadAt: startAt })
    expect(plan(state, policy, later, new Set(['store', 'verify']))).toMatchObject({
      duties: [],
      wakeAt: Number.POSITIVE_INFINITY,
    })
    expect(kinds(state, later, new Set(['store']))).toEqual(['verify'])
    const sleeping = plan(stateWith({ nextStoreReadAt: later + 5 }), policy, startAt, new Set(['verify']))
    expect(sleeping.wakeAt).toBe(later + 5)
  })

  it('probes what decides a failover whatever the other lanes are doing', () => {
    const state = stateWith({ retirements: [retirement('x', { wakeAt: startAt })] })
    expect(kinds(state, later, new Set(['store', 'rotate', 'sweep', 'retire:t-x']))).toEqual(['verify'])
  })

  it('wakes at the earliest of all that is not due yet', () => {
    const state = stateWith({
      nextRotationAt: later + 1,
      openAttempts: [{ marker: 'm', version: 'v', until: later, nextAt: startAt + 7 }],
    })
    expect(plan(state, policy, startAt, free).wakeAt).toBe(startAt + 7)
    expect(dueAt(state, policy)).toBe(startAt + 7)
  })
})

describe('what is verified', () => {
  it('is the current one, a candidate and the standbys; never one that drains', () => {
    const state = stateWith({
      storeCurrent: 'found',
      versions: [
        recordWith('a', { stage: 'current', nextCheckAt: startAt + 3 }),
        recordWith('old', { stage: 'previous', nextCheckAt: startAt }),
        recordWith('gone', { stage: 'retired', nextCheckAt: startAt }),
        recordWith('reserve', { stage: 'standby', nextCheckAt: startAt + 2 }),
        recordWith('found', { stage: 'pending', nextCheckAt: startAt + 1 }),
      ],
    })
    const order: string[] = []
    let left = state
    for (let round = 0; round < 5; round++) {
      const duty = plan(left, policy, startAt + minuteMs, free).duties.find((one) => one.kind === 'verify')
      if (duty?.kind !== 'verify') break
      order.push(duty.version)
      left = withRecord(left, duty.version, { nextCheckAt: later })
    }
    expect(order).toEqual(['found', 'reserve', 'a'])
  })
})

describe('the lane of the rotation', () => {
  it('starts one when it is due and possible, and never while another runs', () => {
    const due = stateWith({ nextRotationAt: startAt })
    expect(kinds(due, startAt)).toEqual(['start'])
    expect(plan(due, policyOf({ canMint: false }), startAt, free).duties).toEqual([])
    expect(plan(due, policyOf({ canMint: false, isManual: true }), startAt, free).duties).toHaveLength(1)
    expect(plan(due, policyOf({ storeWritable: false }), startAt, free).duties).toEqual([])
    expect(kinds({ ...rotating(), nextRotationAt: startAt }, startAt)).toEqual(['rotate'])
  })

  it('performs the effect when it is to be woken, not before', () => {
    const state = rotating([{ kind: 'check_unknown' }])
    expect(plan(state, policy, startAt, free)).toMatchObject({
      duties: [],
      wakeAt: startAt + policy.retryBaseMs,
    })
    expect(kinds(state, startAt + policy.retryBaseMs)).toEqual(['rotate'])
  })

  it('waits for a person while paused, halted or awaiting a key', () => {
    const paused = rotating([{ kind: 'pause_asked', by: 'ada' }])
    const halted = rotating([{ kind: 'deadline_passed' }])
    for (const state of [paused, halted])
      expect(plan(state, policy, startAt + 30 * dayMs, new Set(['store', 'verify'])).duties).toEqual([])
    const manual = policyOf({ isManual: true, canMint: false })
    const awaiting = rotating([{ kind: 'checked' }], startAt, manual)
    expect(plan(awaiting, manual, startAt + 365 * dayMs, new Set(['store', 'verify'])).duties).toEqual([])
  })

  it('comes to the deadline in every phase that keeps failing, after a bounded number of tries', () => {
    const failures: readonly (readonly [readonly RotationEvent[], RotationEvent])[] = [
      [[], { kind: 'check_unknown' }],
      [[{ kind: 'checked' }, { kind: 'mint_unknown' }], { kind: 'reconcile_failed' }],
      [[{ kind: 'checked' }], { kind: 'mint_refused', verdict: verdictOf('throttled') }],
    ]
    for (const [way, failure] of failures) {
      let state = rotating(way)
      let now = startAt
      let tries = 0
      for (; state.rotation?.phase !== 'halted' && tries < 200; tries++) {
        const busy = new Set(['store', 'verify', 'sweep'])
        const { duties, wakeAt } = plan(state, policy, now, busy)
        const event: RotationEvent = duties[0]?.kind === 'deadline' ? { kind: 'deadline_passed' } : failure
        if (duties.length === 0) now = wakeAt
        else state = applyRotation(state, event, contextAt(now)).state
      }
      expect(state.rotation?.halt?.reason).toBe('deadline_passed')
      expect(now).toBeLessThanOrEqual(startAt + policy.phaseDeadlineMs + policy.retryMaxMs)
      expect(tries).toBeLessThan(60)
    }
  })

  it('tries once more after a long sleep before it gives up', () => {
    const state = rotating()
    expect(kinds(state, startAt + dayMs, new Set(['store', 'verify']))).toEqual(['rotate'])
    const tried = applyRotation(state, { kind: 'check_unknown' }, contextAt(startAt + dayMs)).state
    expect(kinds(tried, startAt + dayMs, new Set(['store', 'verify']))).toEqual(['deadline'])
  })

  it('promotes only when a takeover is written to the store', () => {
    const proved: RotationEvent = {
      kind: 'proved',
      verdict: verdictOf('valid'),
      isOurs: true,
      lacksDeclared: false,
    }
    const quick = policyOf({ provingCount: 1, provingSettleMs: 0, expiryManaged: false })
    let state = rotating([{ kind: 'checked' }], startAt, quick)
    const version = state.rotation?.attempts[0]?.version ?? ''
    const added = { version, fingerprint: 'f', meta: { keyId: 'k' }, origin: 'minted' } as const
    state = applyRotation(state, { kind: 'minted', keyId: 'k' }, contextAt(startAt, quick), added).state
    state = applyRotation(state, proved, contextAt(startAt, quick)).state
    expect(state.rotation?.phase).toBe('promoting')
    expect(kinds(state, startAt)).toEqual(['rotate'])
    expect(kinds({ ...state, isAlignmentDue: true }, startAt)).toEqual(['align'])
  })
})

describe('the lane of the store', () => {
  it('writes a takeover before it looks again, at once', () => {
    const records = [
      recordWith('a', { stage: 'current', nextCheckAt: later }),
      recordWith('b', { stage: 'standby' }),
    ]
    const state = takeOver(
      stateWith({ versions: records }),
      'b',
      { who: 'x', why: 'y', isInStore: false },
      contextAt(startAt),
    ).state
    const { duties } = plan(state, policy, startAt, new Set(['verify']))
    expect(duties).toMatchObject([{ kind: 'align', to: 'b' }])
  })

  it('does not ask the store to retire what it still calls current', () => {
    const retiring = retirement('x', { phase: 'retiring', wakeAt: startAt })
    const state = stateWith({ retirements: [retiring], versions: [recordWith('x', { stage: 'retired' })] })
    expect(kinds(state, startAt)).toEqual(['retire'])
    expect(kinds({ ...state, isAlignmentDue: true }, startAt)).not.toContain('retire')
  })
})

describe('the lanes of retirements', () => {
  it('are one each, so that none waits for another, and end with them', () => {
    const state = stateWith({
      retirements: [
        retirement('x', { wakeAt: startAt }),
        retirement('y', { wakeAt: startAt }),
        retirement('z', { wakeAt: startAt, phase: 'dead', endedAt: startAt }),
        retirement('h', { wakeAt: startAt, phase: 'halted' }),
      ],
    })
    expect(lanes(plan(state, policy, startAt, free).duties)).toEqual(['retire:t-x', 'retire:t-y'])
  })
})

it('dueAt is the earliest wish of all, whatever the state', () => {
  const at = fc.integer({ min: startAt - dayMs, max: startAt + dayMs })
  fc.assert(
    fc.property(
      fc.record({
        check: fc.option(at, { nil: undefined }),
        look: at,
        rotation: fc.option(at, { nil: undefined }),
        sweeps: fc.array(at, { maxLength: 3 }),
        wakes: fc.array(at, { maxLength: 3 }),
      }),
      at,
      ({ check, look, rotation, sweeps, wakes }, now) => {
        const state = stateWith({
          versions: [
            recordWith('a', { stage: 'current', ...(check === undefined ? {} : { nextCheckAt: check }) }),
          ],
          nextStoreReadAt: look,
          ...(rotation === undefined ? {} : { nextRotationAt: rotation }),
          openAttempts: sweeps.map((nextAt, index) => ({
            marker: `m-${index}`,
            version: `v-${index}`,
            until: later,
            nextAt,
          })),
          retirements: wakes.map((wakeAt, index) => retirement(`r-${index}`, { wakeAt })),
        })
        const wishes = [look, ...sweeps, ...wakes, ...[check, rotation].filter((one) => one !== undefined)]
        expect(dueAt(state, policy)).toBe(Math.min(...wishes))
        const { duties, wakeAt } = plan(state, policy, now, free)
        expect(duties.length > 0).toBe(wishes.some((one) => one <= now))
        expect(wakeAt).toBe(Math.min(Number.POSITIVE_INFINITY, ...wishes.filter((one) => one > now)))
      },
    ),
  )
})

it('wants the secrets of what is handed out and of all that could take over', () => {
  const state = stateWith({
    versions: [
      recordWith('old', { stage: 'previous' }),
      recordWith('a', { stage: 'current' }),
      recordWith('reserve', { stage: 'standby' }),
      recordWith('gone', { stage: 'retired' }),
      recordWith('new', { stage: 'pending' }),
    ],
  })
  expect(secretsWanted(state)).toEqual(['a', 'old', 'reserve'])
  expect(secretsWanted(initialState('openai', startAt))).toEqual([])
})
