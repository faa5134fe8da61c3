import { createTask } from 'node-cron'
import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { assertValidCron, createCronBeat, createOccurrences } from '../../src/engine/cron.ts'

const occurrences = createOccurrences()
const at = (text: string) => Date.parse(text)

const expressions = [
  '0 3 1 1,4,7,10 *',
  '*/15 * * * *',
  '0 3 * * 1-5',
  '0 3 * * 7',
  '0 0 * * *',
  '30 1 * * *',
  '30 2 * * *',
  '15 0-3 * * *',
  '0 0 29 2 *',
  '0 12 L * *',
  '0 0 * * MON',
  '20 4 8-14 JAN,JUL *',
  '*/20 30 4 * * *',
]

const zones: readonly (readonly [timeZone: string, froms: readonly string[]])[] = [
  ['UTC', ['2026-03-28T12:00:00Z', '2026-12-31T23:59:59Z']],
  ['Europe/Berlin', ['2026-03-28T12:00:00Z', '2026-10-24T12:00:00Z', '2026-06-01T00:00:00Z']],
  ['America/New_York', ['2026-03-07T12:00:00Z', '2026-10-31T12:00:00Z']],
  ['America/Sao_Paulo', ['2018-11-03T12:00:00Z']],
  ['Asia/Kolkata', ['2026-03-28T12:00:00Z']],
  ['Australia/Lord_Howe', ['2026-04-04T00:00:00Z', '2026-10-03T00:00:00Z']],
]

/** The instants at which clocks change in these zones; within two hours of them the parsers may differ. */
const changes = [
  '2026-03-29T01:00:00Z',
  '2026-10-25T01:00:00Z',
  '2026-03-08T07:00:00Z',
  '2026-11-01T06:00:00Z',
  '2018-11-04T03:00:00Z',
  '2019-02-17T02:00:00Z',
  '2026-04-04T15:00:00Z',
  '2026-10-03T15:30:00Z',
].map(at)

const isAtChange = (instant: number) => changes.some((change) => Math.abs(instant - change) <= 2 * 3_600_000)

/**
 * node-cron answers for the running clock only; asked step by step whether it would fire, it
 * answers for any. All expressions above name full five minutes, or full twenty seconds.
 */
function nodeCronWithin(expression: string, timeZone: string, span: { from: number; to: number }): number[] {
  const task = createTask(expression, () => undefined, { timezone: timeZone })
  const stepMs = expression.split(' ').length === 6 ? 20_000 : 300_000
  const found: number[] = []
  for (let now = Math.ceil((span.from + 1) / stepMs) * stepMs; now <= span.to; now += stepMs)
    if (task.match(new Date(now))) found.push(now)
  void task.destroy()
  return found
}

function croner(expression: string, timeZone: string, span: { from: number; to: number }): number[] {
  const found: number[] = []
  let now = occurrences.next(expression, timeZone, span.from)
  while (now !== undefined && now <= span.to) {
    found.push(now)
    now = occurrences.next(expression, timeZone, now)
  }
  return found
}

describe('occurrences', () => {
  it.each(zones)(
    'agree with node-cron in %s, apart from the hour in which clocks change',
    (timeZone, froms) => {
      for (const expression of expressions)
        for (const from of froms) {
          const hours = expression.split(' ').length === 6 ? 17 : 40
          const span = { from: at(from), to: at(from) + hours * 3_600_000 }
          const apart = (instants: readonly number[]) =>
            instants
              .filter((instant) => !isAtChange(instant))
              .map((instant) => new Date(instant).toISOString())
          expect(apart(croner(expression, timeZone, span)), `${expression} from ${from}`).toEqual(
            apart(nodeCronWithin(expression, timeZone, span)),
          )
        }
    },
  )

  it.each([
    ['UTC', '2026-11-21T00:00:00Z', '2027-01-01T03:00:00.000Z', '2027-04-01T03:00:00.000Z'],
    ['Europe/Berlin', '2027-01-02T00:00:00Z', '2027-04-01T01:00:00.000Z', '2027-07-01T01:00:00.000Z'],
    ['America/New_York', '2026-11-21T00:00:00Z', '2027-01-01T08:00:00.000Z', '2027-04-01T07:00:00.000Z'],
  ])('of the quarterly default in %s are those node-cron fires at', (timeZone, from, ...expected) => {
    const task = createTask('0 3 1 1,4,7,10 *', () => undefined, { timezone: timeZone })
    let now = at(from)
    for (const one of expected) {
      now = occurrences.next('0 3 1 1,4,7,10 *', timeZone, now) ?? 0
      expect(new Date(now).toISOString()).toBe(one)
      expect(task.match(new Date(now))).toBe(true)
    }
    void task.destroy()
  })

  it.each([
    [
      'what falls into a missing hour comes at its end, once',
      '30 2 * * *',
      '2026-03-28T12:00:00Z',
      ['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z'],
    ],
    [
      'a time of day that exists twice counts the first time',
      '30 2 * * *',
      '2026-10-24T12:00:00Z',
      ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z'],
    ],
    [
      'every hour means both of a doubled hour',
      '0 * * * *',
      '2026-10-24T23:30:00Z',
      ['2026-10-25T00:00:00.000Z', '2026-10-25T01:00:00.000Z'],
    ],
  ] as const)('where clocks change in Berlin: %s', (_what, expression, from, expected) => {
    const first = occurrences.next(expression, 'Europe/Berlin', at(from)) ?? 0
    const second = occurrences.next(expression, 'Europe/Berlin', first) ?? 0
    expect([first, second].map((instant) => new Date(instant).toISOString())).toEqual(expected)
  })

  it('are strictly after the instant, also at an occurrence, and within a second', () => {
    const noon = at('2026-11-21T12:00:00Z')
    expect(occurrences.next('0 12 * * *', 'UTC', noon - 1)).toBe(noon)
    expect(occurrences.next('0 12 * * *', 'UTC', noon)).toBe(noon + 86_400_000)
    expect(occurrences.next('0 12 * * *', 'UTC', noon + 1)).toBe(noon + 86_400_000)
    expect(occurrences.next('0 0 30 2 *', 'UTC', noon)).toBeUndefined()
  })

  it('refuse what cannot be read', () => {
    expect(() => occurrences.next('61 * * * *', 'UTC', 0)).toThrow(KeyturnError)
  })
})

describe('a schedule in the configuration', () => {
  it.each([...expressions, '0 0 1 * ?'].map((expression) => ({ expression, timeZone: 'Europe/Berlin' })))(
    'may be "$expression" in $timeZone',
    ({ expression, timeZone }) => expect(() => assertValidCron(expression, timeZone)).not.toThrow(),
  )

  it.each([
    ['61 * * * *', 'UTC', 'the minute'],
    ['* 24 * * *', 'UTC', 'the hour'],
    ['* * 32 * *', 'UTC', 'the day of month'],
    ['* * * 13 *', 'UTC', 'the month'],
    ['* * * * 8', 'UTC', 'the day of week'],
    ['99 * * * * *', 'UTC', 'the second'],
    ['0 3 1 January *', 'UTC', 'the month'],
    ['a * * * *', 'UTC', 'the minute'],
    ['5-1 * * * *', 'UTC', 'the minute'],
    ['*/0 * * * *', 'UTC', 'the minute'],
    ['* * * *', 'UTC', '4 fields'],
    ['', 'UTC', '0 fields'],
    ['@daily', 'UTC', '1 fields'],
    ['* * * * * * *', 'UTC', '7 fields'],
    ['0 0 30 2 *', 'UTC', 'never comes'],
    ['0 0 1 * 1', 'UTC', 'both the day of month and the day of week'],
    ['0 3 1 * *', 'Mars/Olympus', 'time zone "Mars/Olympus"'],
    ['0 3 1 * *', '', 'time zone ""'],
  ])('may not be "%s" in "%s", because of %s', (expression, timeZone, words) => {
    let thrown: unknown
    try {
      assertValidCron(expression, timeZone)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'config_invalid', fix: expect.stringMatching(/\S/) })
    expect(String(thrown)).toContain(words)
  })
})

describe('the beat', () => {
  const quiet = () => undefined

  it('beats on the second until it is stopped', async () => {
    const beat = createCronBeat(quiet)
    let count = 0
    await new Promise<void>((resolve) => {
      beat.start(() => {
        count += 1
        resolve()
      })
    })
    beat.stop()
    beat.stop()
    expect(count).toBe(1)
  })

  it('does not beat when it is stopped before it came to start', async () => {
    const beat = createCronBeat(quiet)
    let isBeating = false
    beat.start(() => {
      isBeating = true
    })
    beat.stop()
    const other = createCronBeat(quiet)
    await new Promise<void>((resolve) => other.start(resolve))
    other.stop()
    expect(isBeating).toBe(false)
  })

  it('leaves no task behind once stopped', async () => {
    const { getTasks } = await import('node-cron')
    const before = getTasks().size
    const beat = createCronBeat(quiet)
    await new Promise<void>((resolve) => beat.start(resolve))
    expect(getTasks().size).toBe(before + 1)
    beat.stop()
    expect(getTasks().size).toBe(before)
  })
})
