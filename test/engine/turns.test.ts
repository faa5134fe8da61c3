import { describe, expect, it } from 'vitest'
import { regularCheckAt } from '../../src/core/schedule.ts'
import type { CredentialState, VersionRecord } from '../../src/core/types.ts'
import { createPace } from '../../src/engine/pace.ts'
import type { CredentialSetup } from '../../src/engine/setup.ts'
import { createTurns, type Turns } from '../../src/engine/turns.ts'
import { dayMs, minuteMs, policyOf, recordWith, stateOf, verdictOf } from '../core/fixtures.ts'
import { VirtualTime } from './virtual-time.ts'
import { World } from './world.ts'

const policy = policyOf({
  verifyEveryMs: 5 * minuteMs,
  verifyCloselyForMs: 10 * minuteMs,
  storePollMs: 9 * dayMs,
})

/** Credentials whose checks take no time, claimed as fast as their turns come. */
class Fleet {
  readonly time = new VirtualTime()
  readonly states = new Map<string, CredentialState>()
  readonly setups: ReadonlyMap<string, CredentialSetup>
  readonly checkedAt = new Map<string, number[]>()
  readonly turns: Turns

  constructor(options: {
    readonly count: number
    readonly perMinute?: number
    readonly isSpread?: boolean
    readonly record?: (index: number, now: number) => Partial<VersionRecord>
  }) {
    const { count, perMinute, isSpread = true, record } = options
    const names = Array.from({ length: count }, (_, index) => `app-${index}`)
    const world = new World({ names: ['app-0'] })
    const one = world.setup('app-0', { policy })
    this.setups = new Map(names.map((name) => [name, { ...one, name, ref: name }]))
    const now = this.time.now()
    for (const [index, name] of names.entries()) {
      const known = recordWith(`v-${name}`, {
        stage: 'current',
        verdict: verdictOf('valid'),
        verifiedAt: now - dayMs,
        checkedAt: now - dayMs,
        promotedAt: now - 9 * dayMs,
        nextCheckAt: now - dayMs,
        ...record?.(index, now),
      })
      const state = stateOf([known])
      this.states.set(name, { ...state, name, nextStoreReadAt: now + 9 * dayMs })
    }
    const pace = createPace(this.time, perMinute)
    this.turns = createTurns(this.setups, (name) => this.state(name), { system: this.time, pace, isSpread })
    for (const state of this.states.values()) this.turns.note(state)
  }

  state(name: string): CredentialState {
    const state = this.states.get(name)
    if (state === undefined) throw new Error(`there is no ${name}`)
    return state
  }

  change(name: string, change: Partial<VersionRecord>): void {
    const state = this.state(name)
    const next = { ...state, versions: state.versions.map((one) => ({ ...one, ...change })) }
    this.states.set(name, next)
    this.turns.note(next)
  }

  /** Whoever has its turn is checked, and comes again at its place. */
  check(limit = 64): readonly string[] {
    const names = this.turns.next(limit, () => true)
    const now = this.time.now()
    for (const name of names) {
      this.checkedAt.set(name, [...(this.checkedAt.get(name) ?? []), now])
      const nextCheckAt = regularCheckAt({ now, policy, fraction: this.time.fraction(), seed: name })
      this.change(name, { checkedAt: now, verifiedAt: now, nextCheckAt })
    }
    return names
  }

  async run(minutes: number, stepMs = 1_000): Promise<readonly number[]> {
    const counts = Array.from({ length: minutes }, () => 0)
    for (let at = 0; at < minutes * minuteMs; at += stepMs) {
      for (let round = 0; round < 20; round += 1) {
        const found = this.check()
        counts[Math.floor(at / minuteMs)] = (counts[Math.floor(at / minuteMs)] ?? 0) + found.length
        if (found.length === 0) break
      }
      await this.time.advance(stepMs)
    }
    return counts
  }
}

describe('regular checks that are all late, as after a night or an outage', () => {
  it.each([500, 2_000])('of %i credentials leave no minute above twice the mean', async (count) => {
    const fleet = new Fleet({ count })
    const minutes = await fleet.run(20)
    const mean = count / 5
    expect(Math.max(...minutes)).toBeLessThanOrEqual(2 * mean)
    expect(fleet.checkedAt.size).toBe(count)
    // And none is left behind: each is checked in every interval.
    for (const times of fleet.checkedAt.values()) expect(times.length).toBeGreaterThanOrEqual(3)
  })

  it('of a few are made up for at once', () => {
    const fleet = new Fleet({ count: 5 })
    expect(fleet.check()).toHaveLength(5)
  })

  it('are all made up for where one process does what is due and ends', () => {
    const fleet = new Fleet({ count: 64, isSpread: false })
    expect(fleet.check()).toHaveLength(64)
  })
})

describe('a rate that is used up', () => {
  const due = (_index: number, now: number) => ({ nextCheckAt: now })

  it('lets what is urgent pass those that wait', async () => {
    const fleet = new Fleet({ count: 200, perMinute: 60, record: due })
    await fleet.run(1)
    while (fleet.check().length > 0);
    fleet.change('app-150', { suspectUntil: fleet.time.now() + minuteMs, nextCheckAt: fleet.time.now() })
    expect(fleet.check()).toEqual(['app-150'])
  })

  it('serves those that wait in the order of their coming, and none waits for ever', async () => {
    const fleet = new Fleet({ count: 200, perMinute: 60, record: due })
    await fleet.run(5)
    const first = new Map([...fleet.checkedAt].map(([name, times]) => [name, times[0] ?? 0]))
    expect(first.size).toBe(200)
  })

  it('starves no regular check, although closely watched keys want more than there is', async () => {
    const fleet = new Fleet({
      count: 300,
      perMinute: 60,
      record: (index, now) => ({ nextCheckAt: now, ...(index < 200 ? { promotedAt: now + dayMs } : {}) }),
    })
    for (let minute = 0; minute < 20; minute += 1) {
      // The close ones want to be asked again at once.
      for (let index = 0; index < 200; index += 1)
        fleet.change(`app-${index}`, { nextCheckAt: fleet.time.now() })
      await fleet.run(1)
    }
    const counts = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => fleet.checkedAt.get(`app-${from + index}`)?.length ?? 0)
    const sum = (all: readonly number[]) => all.reduce((total, one) => total + one, 0)
    expect(sum(counts(200, 300))).toBeGreaterThan(60)
    expect(sum(counts(0, 200))).toBeGreaterThan(sum(counts(200, 300)) * 2)
  })

  it('is that of one organisation: another one’s checks do not wait for it', async () => {
    const fleet = new Fleet({ count: 100, perMinute: 60, record: due })
    const other = fleet.setups.get('app-99')
    if (other !== undefined) Object.assign(other, { expected: { organization: 'org-other' } })
    await fleet.run(1)
    expect(fleet.checkedAt.has('app-99')).toBe(true)
    expect(fleet.checkedAt.size).toBeLessThan(100)
  })

  it('gets back what was taken for one that somebody else had claimed', () => {
    const fleet = new Fleet({ count: 10, perMinute: 60, record: due })
    for (let turn = 0; turn < 5; turn += 1) {
      fleet.turns.missed(fleet.turns.next(64, () => true))
      fleet.time.jump(1_000)
    }
    expect(fleet.turns.next(64, () => true).length).toBeGreaterThanOrEqual(5)
  })
})

describe('whoever is due', () => {
  it('is told in the order of the instants, never twice, and when to look again', async () => {
    const fleet = new Fleet({
      count: 4,
      record: (index, now) => ({ nextCheckAt: now + (4 - index) * 1_000 }),
    })
    expect(fleet.turns.next(64, () => true)).toEqual([])
    expect(fleet.turns.nextAt()).toBe(fleet.time.now() + 1_000)
    await fleet.time.advance(2_000)
    expect(fleet.turns.next(64, () => true)).toEqual(['app-3', 'app-2'])
    expect(fleet.turns.next(64, () => true)).toEqual([])
    expect(fleet.turns.nextAt()).toBe(fleet.time.now() + 1_000)
  })

  it('is left out while somebody is at it, until it is noted again', async () => {
    const fleet = new Fleet({ count: 1, record: (_index, now) => ({ nextCheckAt: now }) })
    expect(fleet.turns.next(64, () => false)).toEqual([])
    expect(fleet.turns.next(64, () => true)).toEqual([])
    fleet.turns.note(fleet.state('app-0'))
    expect(fleet.turns.next(64, () => true)).toEqual(['app-0'])
  })
})
