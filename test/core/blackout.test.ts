import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type BlackoutWindow, blackoutsOf, heldUntil } from '../../src/core/blackout.ts'
import { dueAt, plan } from '../../src/core/duties.ts'
import { expiryTurnAt, nextTurnAt } from '../../src/core/expiry.ts'
import { askForRotation } from '../../src/core/operations.ts'
import { newRetirement, stepRetirement } from '../../src/core/retirement.ts'
import { startRotation } from '../../src/core/turning.ts'
import type { CredentialState, Policy } from '../../src/core/types.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import { changeContext, dayMs, hourMs, minuteMs, policyOf, recordWith, startAt, stateOf } from './fixtures.ts'
import { toPromoting, walk } from './rotation-ways.ts'

const occurrences = createOccurrences()
const at = (text: string): number => Date.parse(text)

/** From `startAt` on for two days, and nothing else. */
const until = startAt + 2 * dayMs
const once: BlackoutWindow = { fromAt: startAt, untilAt: until }
const policyIn = (windows: readonly BlackoutWindow[], change: Partial<Policy> = {}): Policy =>
  policyOf({ ...change, blackoutAt: blackoutsOf(windows, occurrences) })
const policy = policyIn([once])

function current(expiresAt?: number): CredentialState {
  const meta = {
    keyId: 'key-1',
    createdAt: startAt - 20 * dayMs,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
  return stateOf([recordWith('v1', { stage: 'current', meta })])
}

describe('windows', () => {
  it('begin by the clock of their zone, also over a change of the clock, and end after their time', () => {
    const weekend = { expression: '0 17 * * 5', timeZone: 'Europe/Berlin', forMs: 63 * hourMs }
    const blackoutAt = blackoutsOf([weekend], occurrences)
    // Clocks went back on Sunday, 25 October 2026: 63 hours from five in the afternoon are seven in the morning.
    const autumn = { from: at('2026-10-23T15:00:00Z'), until: at('2026-10-26T06:00:00Z') }
    expect(blackoutAt(at('2026-10-24T12:00:00Z'))).toEqual(autumn)
    expect(blackoutAt(autumn.from)).toEqual(autumn)
    expect(blackoutAt(autumn.from - 1)).toBeUndefined()
    expect(blackoutAt(autumn.until - 1)).toEqual(autumn)
    expect(blackoutAt(autumn.until)).toBeUndefined()
  })

  it('that touch or overlap are one', () => {
    const nights = { expression: '0 20 * * *', timeZone: 'UTC', forMs: 10 * hourMs }
    const day = { fromAt: at('2026-12-20T06:00:00Z'), untilAt: at('2026-12-20T21:00:00Z') }
    const blackoutAt = blackoutsOf([day, nights], occurrences)
    const whole = { from: at('2026-12-19T20:00:00Z'), until: at('2026-12-21T06:00:00Z') }
    for (const instant of ['2026-12-19T23:00:00Z', '2026-12-20T12:00:00Z', '2026-12-21T05:59:59Z'])
      expect(blackoutAt(at(instant))).toEqual(whole)
  })

  const windows = fc.array(
    fc.oneof(
      fc.record({
        expression: fc.constantFrom('0 */3 * * *', '20 */2 * * *', '15 4 * * *', '0 17 * * 5'),
        timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York'),
        forMs: fc.integer({ min: 1, max: 70 }).map((minutes) => minutes * minuteMs),
      }),
      fc
        .tuple(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 1, max: 900 }))
        .map(([from, length]) => ({
          fromAt: startAt + from * minuteMs,
          untilAt: startAt + (from + length) * minuteMs,
        })),
    ),
    { maxLength: 4 },
  )

  it('are the same whatever was asked before; the answer holds for all of its time and not a moment longer', () => {
    fc.assert(
      fc.property(
        windows,
        fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 20 }),
        (drawn, minutes) => {
          const asked = blackoutsOf(drawn, occurrences)
          for (const minute of minutes) {
            const instant = startAt + minute * minuteMs
            const found = asked(instant)
            expect(found).toEqual(blackoutsOf(drawn, occurrences)(instant))
            expect(found !== undefined).toBe(drawn.some((one) => isOn(one, instant)))
            if (found === undefined) continue
            expect(found.from).toBeLessThanOrEqual(instant)
            expect(found.until).toBeGreaterThan(instant)
            expect(drawn.some((one) => isOn(one, found.until))).toBe(false)
            expect(drawn.some((one) => isOn(one, found.from - 1))).toBe(false)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})

/** Asked the other way round: any beginning within the length before the instant. */
function isOn(window: BlackoutWindow, instant: number): boolean {
  if ('fromAt' in window) return window.fromAt <= instant && instant < window.untilAt
  const from = occurrences.next(window.expression, window.timeZone, instant - window.forMs)
  return from !== undefined && from <= instant
}

describe('what nobody asked for now', () => {
  it('a rotation that falls into a blackout comes after it, as far from its end as it would have been from its hour', () => {
    const due = { ...current(), nextRotationAt: startAt + hourMs, lastScheduledAt: startAt + hourMs - 5_000 }
    expect(nextTurnAt(due, policy)).toBe(until + 5_000)
    expect(plan(due, policy, startAt + hourMs, new Set()).duties.map(({ kind }) => kind)).not.toContain(
      'start',
    )
    expect(plan(due, policy, until + 5_000, new Set()).duties.map(({ kind }) => kind)).toContain('start')
  })

  it('one that was missed is not caught up in one, and nothing goes round meanwhile', () => {
    const missed = { ...current(), nextRotationAt: startAt - hourMs, lastScheduledAt: startAt - hourMs }
    const quiet = { ...missed, nextStoreReadAt: until + dayMs }
    expect(nextTurnAt(quiet, policy, startAt + minuteMs)).toBe(until)
    expect(dueAt(quiet, policy, startAt + minuteMs)).toBe(until)
  })

  it('a promotion waits with its whole deadline, and one that a person asked for does not', () => {
    const scheduled = startedBy('schedule')
    const now = startAt + hourMs
    expect(plan(scheduled, policy, now, new Set()).duties).toContainEqual({ lane: 'rotate', kind: 'hold' })
    const asked = plan(startedBy('ada'), policy, now, new Set()).duties
    expect(asked.find(({ lane }) => lane === 'rotate')?.kind).toBe('rotate')
    const held = walk([...toPromoting, { kind: 'held', until }])
    expect(held.at).toMatchObject({
      phase: 'promoting',
      wakeAt: until,
      deadlineAt: until + policy.phaseDeadlineMs,
    })
    const waiting = { ...scheduled, rotation: held.at }
    expect(plan(waiting, policy, now, new Set()).duties.map(({ lane }) => lane)).not.toContain('rotate')
    const over = plan(waiting, policy, until, new Set()).duties.find(({ lane }) => lane === 'rotate')
    expect(over).toMatchObject({ kind: 'rotate', effect: { kind: 'promote' } })
  })

  it('an old key is not retired in one, unless it was said at once', () => {
    const quick = { ...policy, overlapMs: 0 }
    const context = { now: startAt + minuteMs, policy: quick }
    const request = { id: 't', version: 'v0', keyId: 'key-0', why: 'turned' }
    const evidence = {
      kind: 'evidence',
      evidence: {
        holders: [],
        lastUsedAt: null,
        ownProbeAt: undefined,
        isListed: true,
        sharedWith: undefined,
        stores: [],
      },
    } as const
    const calm = stepRetirement(newRetirement({ ...request, isForced: false }, context), evidence, context)
    expect(calm).toMatchObject({ phase: 'draining', wakeAt: until })
    expect(calm.heldBy).toContain('blackout')
    const after = stepRetirement(calm, evidence, { now: until, policy: quick })
    expect(after.phase).toBe('retiring')
    expect(after.heldBy).toBeUndefined()
    const forced = stepRetirement(newRetirement({ ...request, isForced: true }, context), evidence, context)
    expect(forced.phase).toBe('retiring')
  })

  it('is held back by nothing where no key is handed out', () => {
    expect(heldUntil(stateOf([]), policy, startAt)).toBeUndefined()
    const dead = stateOf([recordWith('v1', { stage: 'current', withdrawnAt: startAt })])
    expect(heldUntil(dead, policy, startAt)).toBeUndefined()
  })
})

function startedBy(requestedBy: string): CredentialState {
  const state = { ...current(), nextStoreReadAt: until + dayMs }
  const request = {
    mode: 'normal',
    isCompromised: false,
    reason: 'due',
    requestedBy,
    isAutomatic: false,
  } as const
  const started = startRotation(state, request, changeContext(startAt, policy)).state
  const { at: walked } = walk(toPromoting)
  return { ...started, rotation: { ...walked, requestedBy, wakeAt: startAt + minuteMs } }
}

describe('a key that expires', () => {
  const margin = (state: CredentialState): number => {
    const { expiresAt = 0 } = state.versions[0]?.meta ?? {}
    return expiresAt - (expiryTurnAt(state, policyOf()) ?? 0)
  }

  it('in a blackout or soon after it is turned before it begins', () => {
    for (const expiresAt of [startAt + dayMs, until - 1, until + hourMs]) {
      // Due within the blackout only where the margin is short.
      const short = policyIn([{ fromAt: expiresAt - 4 * dayMs, untilAt: expiresAt - hourMs }])
      const turnAt = expiryTurnAt(current(expiresAt), short) ?? 0
      expect(turnAt).toBeLessThan(expiresAt - 4 * dayMs)
      expect(heldUntil(current(expiresAt), short, expiresAt - 2 * dayMs)).toBeUndefined()
    }
  })

  it('with enough time left after it is turned then', () => {
    const expiresAt = until + 3 * dayMs
    const state = current(expiresAt)
    const whole = margin(state)
    const soon = policyIn([{ fromAt: expiresAt - whole - hourMs, untilAt: expiresAt - whole + hourMs }])
    expect(nextTurnAt(state, soon)).toBe(expiresAt - whole + hourMs)
  })

  it('and failed to be turned is not tried again at once for it', () => {
    const expiresAt = startAt + dayMs
    const ended = walk([]).at
    const failed = {
      ...ended,
      from: 'v1',
      phase: 'done',
      outcome: 'aborted',
      endedAt: startAt + hourMs,
    } as const
    const state: CredentialState = { ...current(expiresAt), rotation: failed }
    expect(nextTurnAt(state, policy, startAt + hourMs)).toBe(startAt + 7 * hourMs)
  })
})

describe('an operator', () => {
  const request = { isCompromised: false, reason: 'now', requestedBy: 'ada' } as const
  const context = changeContext(startAt + hourMs, policy)

  it('is told of the blackout and when it is over, and can insist', () => {
    expect(() => askForRotation(current(), { ...request, mode: 'normal' }, context)).toThrow(
      expect.objectContaining({ code: 'blackout', fix: expect.stringContaining('--in-blackout') }),
    )
    const insisted = askForRotation(current(), { ...request, mode: 'normal', isInBlackout: true }, context)
    expect(insisted.state.rotation?.phase).toBe('checking')
  })

  it('has emergencies and rehearsals all the same', () => {
    for (const mode of ['emergency', 'rehearsal'] as const)
      expect(askForRotation(current(), { ...request, mode }, context).state.rotation?.mode).toBe(mode)
  })
})
