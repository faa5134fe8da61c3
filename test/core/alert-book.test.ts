import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AlertBook,
  bookLimits,
  credentialOf,
  emptyBook,
  type Firing,
  forgetOver,
  stepAlerts,
} from '../../src/core/alert-book.ts'
import { type AlertCode, alertCodes, alertRules, type Severity } from '../../src/core/alert-codes.ts'
import {
  type ChannelRule,
  claimDeliveries,
  type Delivery,
  type DeliveryOutcome,
  type DeliveryPolicy,
  isToldOfAll,
  settleDelivery,
} from '../../src/core/alert-deliveries.ts'
import { levelOf } from '../../src/core/alerts.ts'

const stepPolicy = { installation: 'inst1', groupMs: 5_000, clearMs: 60_000 }
const second = 1_000
const hour = 3_600_000

function channel(name: string, change: Partial<ChannelRule> = {}): ChannelRule {
  const severities = new Set<Severity>(['critical', 'warning', 'note'])
  return { name, severities, takes: () => true, isQuiet: () => false, ...change }
}

function policyOf(channels: readonly ChannelRule[], change: Partial<DeliveryPolicy> = {}): DeliveryPolicy {
  return { channels, remindMs: 24 * hour, perMinute: 10, ...change }
}

function firing(name: string, code: AlertCode, at: number, change: Partial<Firing> = {}): Firing {
  const { severity } = alertRules[code]
  const told = { summary: `${code} of ${name}`, fix: 'Mend it.' }
  const id = `${name}/${code}`
  const level = levelOf(severity, 0)
  return { id, code, credential: name, severity, level, ...told, since: at, seenAt: at, holdMs: 0, ...change }
}

const outage: DeliveryOutcome = { kind: 'failed', summary: 'status 503', isPermanent: false, isUnsure: false }
const timeout: DeliveryOutcome = { ...outage, summary: 'no answer in time', isUnsure: true }

/** The beat of the engine, with a receiver in its place. */
class Desk {
  book: AlertBook = emptyBook
  now = 1_000_000_000_000
  readonly policy: DeliveryPolicy
  readonly tried: Delivery[] = []
  readonly delivered: (Delivery & { readonly at: number })[] = []
  answer: (delivery: Delivery) => DeliveryOutcome = () => ({ kind: 'delivered' })
  readonly #alerts = new Map<string, Firing>()

  constructor(policy: DeliveryPolicy) {
    this.policy = policy
  }

  set(...alerts: readonly Firing[]): void {
    this.#alerts.clear()
    for (const one of alerts) this.#alerts.set(one.id, one)
  }

  beat(): void {
    this.book = stepAlerts(this.book, this.#alerts, this.now, stepPolicy)
    const { book, deliveries } = claimDeliveries(this.book, this.now, this.policy, () => true)
    this.book = book
    for (const delivery of deliveries) {
      this.tried.push(delivery)
      const outcome = this.answer(delivery)
      if (outcome.kind === 'delivered') this.delivered.push({ ...delivery, at: this.now })
      this.book = settleDelivery(this.book, delivery, outcome, this.now)
    }
    this.book = forgetOver(this.book, (one) => isToldOfAll(one, this.now, this.policy))
  }

  run(ms: number, everyMs = second): void {
    for (const until = this.now + ms; this.now < until; this.now += everyMs) this.beat()
  }

  kinds(): readonly string[] {
    return this.delivered.map(({ kind }) => kind)
  }
}

describe('the alert book', () => {
  it('tells of an alert once when it begins and once when it is over, and forgets it', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.set(firing('openai', 'drift', desk.now))
    desk.run(2 * hour, 10 * second)
    expect(desk.kinds()).toEqual(['opened'])
    desk.set()
    desk.run(2 * hour, 10 * second)
    expect(desk.kinds()).toEqual(['opened', 'resolved'])
    expect(desk.book.incidents).toEqual([])
  })

  it('makes one notice of 500 credentials with the same cause, and one of their end', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    const names = Array.from({ length: 500 }, (_none, index) => `app-${index}`)
    desk.set(...names.map((name, index) => firing(name, 'store_unusable', desk.now + (index % 4) * second)))
    desk.run(60 * second)
    expect(desk.delivered).toHaveLength(1)
    expect(desk.delivered[0]?.active).toHaveLength(500)
    desk.set()
    desk.run(120 * second)
    expect(desk.kinds()).toEqual(['opened', 'resolved'])
    expect(desk.delivered[1]?.resolved).toHaveLength(500)
  })

  it('makes a handful of notices of a thousand keys that are found to be dead one after another, and lets none wait longer than the storm lasts', () => {
    const desk = new Desk(policyOf([channel('ops')], { perMinute: 600 }))
    const from = desk.now
    const begins = (index: number): number => from + index * 300
    const all = Array.from({ length: 1_000 }, (_none, index) =>
      firing(`app-${index}`, 'key_rejected', begins(index)),
    )
    for (let round = 0; round < 700; round += 1) {
      desk.set(...all.filter(({ since }) => since <= desk.now))
      desk.run(second)
    }
    expect(desk.delivered.flatMap(({ active }) => active)).toHaveLength(1_000)
    expect(desk.delivered.length).toBeLessThanOrEqual(8)
    expect(desk.delivered[0]?.at).toBe(from + 5 * second)
    for (const { at, active } of desk.delivered)
      for (const { alert } of active) {
        const since = all.find(({ id }) => id === alert)?.since ?? 0
        expect(at - since).toBeLessThanOrEqual(Math.max(5 * second, at - from))
      }
    const opened = desk.delivered.length
    for (let index = 0; index < 1_000; index += 3) {
      desk.set(...all.slice(index))
      desk.run(second)
    }
    desk.set()
    desk.run(10 * 60 * second)
    expect(desk.book.incidents).toEqual([])
    expect(desk.delivered.length - opened).toBeLessThanOrEqual(2 * opened)
  })

  it('says nothing of what does not last, and makes one alert of what comes and goes', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.set(firing('openai', 'issuer_unreachable', desk.now, { holdMs: 600_000 }))
    desk.run(590 * second)
    desk.set()
    desk.run(600 * second)
    expect(desk.delivered).toEqual([])
    for (let round = 0; round < 20; round++) {
      desk.set(firing('openai', 'key_rejected', desk.now - 10 * second))
      desk.run(10 * second)
      desk.set()
      desk.run(30 * second)
    }
    expect(desk.kinds()).toEqual(['opened'])
    desk.run(90 * second)
    expect(desk.kinds()).toEqual(['opened', 'resolved'])
  })

  it('tells of the end of one credential while others go on, and then of theirs', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    const [one, other] = [firing('one', 'drift', desk.now), firing('other', 'drift', desk.now)]
    desk.set(one, other)
    desk.run(20 * second)
    desk.set(other)
    desk.run(120 * second)
    expect(desk.delivered.at(-1)).toMatchObject({ kind: 'resolved', isOver: false })
    expect(desk.delivered.at(-1)?.resolved.map(credentialOf)).toEqual(['one'])
    desk.set()
    desk.run(120 * second)
    expect(desk.delivered.at(-1)).toMatchObject({ kind: 'resolved', isOver: true })
    expect(desk.delivered.at(-1)?.resolved.map(credentialOf)).toEqual(['other'])
  })

  it('tells of what began and ended while the receiver was away in one notice that says so', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.answer = () => outage
    desk.set(firing('openai', 'no_verified_key', desk.now))
    desk.run(60 * second)
    desk.set()
    desk.run(180 * second)
    expect(desk.tried.length).toBeGreaterThan(2)
    desk.answer = () => ({ kind: 'delivered' })
    desk.run(600 * second)
    expect(desk.kinds()).toEqual(['passed'])
    expect(desk.book.incidents).toEqual([])
  })

  it('tells of the end where the beginning may have arrived', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.answer = () => timeout
    desk.set(firing('openai', 'no_verified_key', desk.now))
    desk.run(30 * second)
    expect(new Set(desk.tried.map(({ id }) => id)).size).toBe(1)
    desk.set()
    desk.run(180 * second)
    desk.answer = () => ({ kind: 'delivered' })
    desk.run(600 * second)
    expect(desk.kinds()).toEqual(['resolved'])
  })

  it('tells a channel of critical alerts only when one has become critical, and then of its end', () => {
    const critical = channel('pager', { severities: new Set<Severity>(['critical']) })
    const desk = new Desk(policyOf([channel('ops'), critical]))
    const at = desk.now
    desk.set(firing('openai', 'key_expiring', at))
    desk.run(60 * second)
    desk.set(firing('openai', 'key_expiring', at, { severity: 'critical', level: levelOf('critical', 2) }))
    desk.run(60 * second)
    desk.set()
    desk.run(120 * second)
    const told = (name: string) =>
      desk.delivered.filter((one) => one.channel === name).map(({ kind }) => kind)
    expect(told('ops')).toEqual(['opened', 'worsened', 'resolved'])
    expect(told('pager')).toEqual(['opened', 'resolved'])
  })

  it('leaves people in peace in quiet times, except for what is critical', () => {
    const until = 1_000_000_000_000 + 8 * hour
    const desk = new Desk(policyOf([channel('ops', { isQuiet: (at) => at < until })]))
    desk.set(firing('openai', 'drift', desk.now), firing('openai', 'key_rejected', desk.now))
    desk.run(7 * hour, 10 * second)
    expect(desk.delivered.map(({ incident }) => incident.code)).toEqual(['key_rejected'])
    desk.run(2 * hour, 10 * second)
    expect(desk.delivered.map(({ incident }) => incident.code)).toEqual(['key_rejected', 'drift'])
  })

  it('reminds of what goes on, and never of a note', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.set(firing('openai', 'drift', desk.now), firing('openai', 'rotation_due_soon', desk.now))
    desk.run(49 * hour, 60 * second)
    expect(desk.delivered.map(({ incident, kind }) => `${incident.code} ${kind}`).toSorted()).toEqual([
      'drift opened',
      'drift reminded',
      'drift reminded',
      'rotation_due_soon opened',
    ])
  })

  it('waits as long as the receiver asks for, and offers what it refused for good again after an hour', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.answer = () => ({ ...outage, retryAfterMs: 120_000 })
    desk.set(firing('openai', 'drift', desk.now))
    desk.run(120 * second)
    expect(desk.tried).toHaveLength(1)
    desk.answer = () => ({ ...outage, isPermanent: true })
    desk.run(hour, 10 * second)
    expect(desk.tried).toHaveLength(2)
    desk.answer = () => ({ kind: 'delivered' })
    desk.run(hour, 10 * second)
    expect(desk.kinds()).toEqual(['opened'])
  })
})

describe('a receiver that asks to be left in peace', () => {
  it('is left in peace whatever else there is to tell, and other channels are not', () => {
    const desk = new Desk(policyOf([channel('ops'), channel('chat')]))
    desk.answer = (one) =>
      one.channel === 'ops' ? { ...outage, retryAfterMs: 120_000 } : { kind: 'delivered' }
    desk.set(firing('openai', 'drift', desk.now))
    desk.run(10 * second)
    desk.set(firing('openai', 'drift', desk.now), firing('openai', 'key_rejected', desk.now))
    desk.run(100 * second)
    expect(desk.tried.filter((one) => one.channel === 'ops')).toHaveLength(1)
    expect(desk.delivered.map(({ incident }) => incident.code)).toEqual(['drift', 'key_rejected'])
    desk.answer = () => ({ kind: 'delivered' })
    desk.run(60 * second)
    expect(desk.delivered).toHaveLength(4)
  })

  it('is asked again within the hour, also where it asks for a year or the clock was set back', () => {
    const desk = new Desk(policyOf([channel('ops')]))
    desk.answer = () => ({ ...outage, retryAfterMs: 365 * 24 * hour })
    desk.set(firing('openai', 'drift', desk.now))
    desk.run(10 * second)
    desk.answer = () => ({ kind: 'delivered' })
    desk.now -= 24 * hour
    desk.run(10 * second)
    expect(desk.delivered).toHaveLength(1)
  })
})

describe('the bounds of the book', () => {
  it('holds no more than the ledger takes, however much fires under the longest names, and tells of the rest when there is room', () => {
    const names = Array.from({ length: bookLimits.channelsMax }, (_none, index) =>
      `${index}`.padStart(63, 'c'),
    )
    const desk = new Desk(
      policyOf(
        names.map((name) => channel(name)),
        { perMinute: 600 },
      ),
    )
    desk.answer = () => ({ ...outage, summary: 'x'.repeat(600) })
    const long = (index: number) => `${index}`.padStart(63, 'n')
    const alerts = alertCodes.flatMap((code) =>
      Array.from({ length: 90 }, (_none, index) =>
        firing(long(index), code, desk.now, { summary: 's'.repeat(900), fix: 'f'.repeat(900) }),
      ),
    )
    desk.set(...alerts)
    desk.run(120 * second, 10 * second)
    const tracked = () => desk.book.incidents.flatMap(({ members }) => members).length
    expect(tracked()).toBe(bookLimits.membersTotalMax)
    desk.set(...alerts.slice(-1))
    desk.run(240 * second, 10 * second)
    expect(JSON.stringify(desk.book).length).toBeLessThan(1_000_000)
    desk.set(...alerts)
    desk.answer = () => ({ kind: 'delivered' })
    desk.run(2 * hour, 10 * second)
    expect(tracked()).toBe(bookLimits.membersTotalMax)
    expect(desk.delivered.some(({ incident }) => incident.others > 0)).toBe(true)
    expect(JSON.stringify(desk.book).length).toBeLessThan(1_000_000)
  })
})

const codes: readonly AlertCode[] = ['drift', 'no_verified_key', 'key_expiring', 'rotation_due_soon']
const ids = ['a', 'b', 'c'].flatMap((name) => codes.map((code) => ({ name, code })))

const stepOf = fc.record({
  fires: fc.subarray(ids),
  ms: fc.constantFrom(second, 5 * second, 61 * second, 10 * 60 * second, 25 * hour),
  worse: fc.nat(3),
  answers: fc.constantFrom<'up' | 'down' | 'timeout'>('up', 'up', 'down', 'timeout'),
})

describe('whatever fires when', () => {
  it('each alert that a channel was told of is told to be over once, before it is told of again; rates and bounds hold', () => {
    fc.assert(
      fc.property(fc.array(stepOf, { minLength: 1, maxLength: 40 }), (steps) => {
        const perMinute = 3
        const desk = new Desk(policyOf([channel('ops'), channel('chat')], { perMinute }))
        const since = new Map<string, number>()
        for (const { fires, ms, worse, answers } of steps) {
          desk.answer = () =>
            answers === 'up' ? { kind: 'delivered' } : answers === 'down' ? outage : timeout
          const now = desk.now
          const alerts = fires.map(({ name, code }) => {
            const at = since.get(`${name}/${code}`) ?? now
            since.set(`${name}/${code}`, at)
            return firing(name, code, at, { level: levelOf(alertRules[code].severity, worse) })
          })
          for (const id of since.keys()) if (!alerts.some((one) => one.id === id)) since.delete(id)
          desk.set(...alerts)
          desk.run(Math.min(ms, 30 * second))
          desk.now += Math.max(0, ms - 30 * second)
          expect(desk.book.incidents.length).toBeLessThanOrEqual(bookLimits.incidentsMax)
        }
        desk.set()
        desk.answer = () => ({ kind: 'delivered' })
        desk.run(2 * hour, 10 * second)
        expect(desk.book.incidents).toEqual([])
        for (const name of ['ops', 'chat']) {
          const mine = desk.delivered.filter((one) => one.channel === name)
          const open = new Set<string>()
          const ended = new Set<string>()
          for (const { kind, active, resolved, incident } of mine) {
            for (const { alert } of active) {
              const isNew = kind === 'opened'
              expect(open.has(alert), `${kind} ${alert}`).toBe(!isNew)
              open.add(alert)
            }
            for (const { alert } of resolved) {
              open.delete(alert)
              const end = `${incident.id} ${alert}`
              expect(ended.has(end), `the end of ${end} is told once`).toBe(false)
              ended.add(end)
            }
          }
          expect([...open]).toEqual([])
          expect(new Set(mine.map(({ id }) => id)).size, 'no notice was taken twice').toBe(mine.length)
          const times = desk.tried.filter((one) => one.channel === name)
          expect(times.length).toBeGreaterThanOrEqual(mine.length)
          for (const { at } of mine) {
            const within = mine.filter((one) => one.at > at - 60_000 && one.at <= at)
            expect(within.length).toBeLessThanOrEqual(perMinute)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
