import { describe, expect, it } from 'vitest'
import type { Facts } from '../../../src/doctor/facts.ts'
import { cheapest } from '../../../src/doctor/probe/limits.ts'
import { durationOf, rateLimitsOf } from '../../../src/doctor/probe/rate-limits.ts'
import { type DayOfCosts, spendOutlook } from '../../../src/doctor/probe/spend.ts'
import type { Knobs } from '../../../src/sandbox/index.ts'
import { createSystem } from '../../../src/system.ts'
import { codesOf, factsOf, findingsOf, openSandbox, realDoctor } from './support.ts'

const dayMs = 86_400_000
/** Midday of the 20th, so that a month lies before and after it. */
const now = Date.UTC(2026, 10, 20, 12)

const month = (perDay: number, count: number): readonly DayOfCosts[] =>
  Array.from({ length: count }, (_, back) => ({
    startAt: Date.UTC(2026, 10, 20) - back * dayMs,
    amountUsd: perDay,
  }))

describe('the outlook of a spend limit', () => {
  it('says when the limit is reached at the pace of the last seven whole days', () => {
    const outlook = spendOutlook({ limitCents: 10_000, days: month(4.5, 30), now })
    expect(outlook).toMatchObject({ spentUsd: 90, limitUsd: 100, share: 0.9, perDayUsd: 4.5 })
    expect((outlook.endsAt ?? 0) - now).toBe(Math.round((10 / 4.5) * dayMs))
  })

  it('counts this month alone as spent, and does not take today for a whole day', () => {
    const days = [...month(1, 20), { startAt: Date.UTC(2026, 9, 31), amountUsd: 1_000 }]
    expect(spendOutlook({ limitCents: 10_000, days, now })).toMatchObject({ spentUsd: 20, perDayUsd: 1 })
    const late = [{ startAt: Date.UTC(2026, 10, 20), amountUsd: 90 }]
    expect(spendOutlook({ limitCents: 10_000, days: late, now })).toMatchObject({
      share: 0.9,
      perDayUsd: 0,
      endsAt: undefined,
    })
  })

  it('takes the days there are where there is no whole week', () => {
    const days = month(2, 3)
    expect(spendOutlook({ limitCents: 10_000, days, now }).perDayUsd).toBe(2)
  })

  it('has no end within the month where the pace is slow, and is over where it is passed', () => {
    expect(spendOutlook({ limitCents: 100_000, days: month(1, 20), now }).endsAt).toBeUndefined()
    expect(spendOutlook({ limitCents: 1_000, days: month(1, 20), now })).toMatchObject({
      share: 2,
      endsAt: now,
    })
  })
})

describe('rate-limit headers', () => {
  it.each([
    ['174ms', 174],
    ['1s', 1_000],
    ['6m0s', 360_000],
    ['1h2m3.5s', 3_723_500],
    ['', undefined],
    ['soon', undefined],
    ['-1s', undefined],
  ])('%s lasts %s', (text, ms) => {
    expect(durationOf(text)).toBe(ms)
  })

  it('that make no sense are passed over', () => {
    const limits = (limit: string, remaining: string) =>
      rateLimitsOf({
        headers: { 'x-ratelimit-limit-requests': limit, 'x-ratelimit-remaining-requests': remaining },
      })
    expect(limits('500', '100')).toEqual([{ of: 'requests', limit: 500, remaining: 100 }])
    for (const [limit, remaining] of [
      ['-1', '0'],
      ['0', '0'],
      ['10', '11'],
      ['many', '1'],
    ] as const)
      expect(limits(limit, remaining)).toEqual([])
  })

  it('the cheapest model is the smallest of those that answer in text', () => {
    expect(cheapest(['gpt-5.2', 'gpt-5-nano', 'gpt-4o-mini', 'text-embedding-3-small'])).toBe('gpt-5-nano')
    expect(cheapest(['gpt-4o-mini-tts', 'gpt-image-1', 'gpt-4o'])).toBe('gpt-4o')
    expect(cheapest(['omni-moderation-latest'])).toBeUndefined()
  })
})

async function examined(
  knobs: Partial<Knobs>,
  given: { readonly isBillable?: boolean; readonly withAdmin?: boolean; readonly more?: Partial<Facts> } = {},
) {
  // Between two questions no month of the budget ends.
  const clock = () => now
  const sandbox = await openSandbox(knobs, clock)
  const key = sandbox.createServiceAccountKey().value
  const admin = sandbox.adminKey()
  const doctor = realDoctor({
    system: { ...createSystem(), now: clock },
    options: { isBillable: given.isBillable ?? false },
    env: given.withAdmin === true ? { OPENAI_ADMIN_KEY: admin } : {},
  })
  const facts = factsOf({
    key,
    baseUrl: sandbox.baseUrl,
    ...(given.more === undefined ? {} : { more: given.more }),
  })
  const findings = await findingsOf(facts, doctor)
  expect(JSON.stringify([findings, doctor.steps])).not.toContain(admin.slice(12, 30))
  return { findings, sandbox }
}

describe('T36: the rate limit', () => {
  const near = { requestsPerMinute: 100, usedRequests: 85 }

  it('is near at 80%, as the headers of a free call say where they are there', async () => {
    const { findings } = await examined({ ...near, rateLimitHeadersOnModels: true })
    expect(findings).toMatchObject([{ code: 'rate_limit_near', severity: 'warning' }])
    expect(findings[0]?.seen).toMatch(/^\d+ of 100 requests left, full again in \d+ s: 8\d% are used\.$/)
    const low = await examined({ ...near, usedRequests: 40, rateLimitHeadersOnModels: true })
    expect(low.findings).toEqual([])
  })

  it('shows nowhere but in a call of a model where the free call has no such headers', async () => {
    expect((await examined(near)).findings).toEqual([])
    const { findings, sandbox } = await examined(near, { isBillable: true })
    expect(codesOf(findings)).toEqual(['rate_limit_near'])
    expect(
      sandbox.requests().filter(({ method, status }) => method === 'POST' && status === 200),
    ).toHaveLength(1)
  })

  it('of tokens as well', async () => {
    const { findings } = await examined({ tokensPerMinute: 1_000, usedTokens: 900 }, { isBillable: true })
    expect(findings[0]?.seen).toContain('of 1000 tokens left')
  })
})

describe('a call of a model', () => {
  it.each([
    ['insufficient_quota', 'quota_exhausted'],
    ['organization_spend_limit_exceeded', 'quota_exhausted'],
    ['billing_not_active', 'billing_inactive'],
  ] as const)('shows %s, which the list of models does not', async (billing, code) => {
    expect((await examined({ billing })).findings).toEqual([])
    const { findings } = await examined({ billing }, { isBillable: true })
    expect(findings).toMatchObject([{ code, seen: expect.stringContaining('POST ') }])
  })

  it('is nothing to tell where all is well', async () => {
    expect((await examined({}, { isBillable: true })).findings).toEqual([])
  })
})

describe('T36: the spend limit', () => {
  /** Ten cents a day, whatever day of the month it is: more than 80% of the limit are spent today. */
  const days = (today: number) => [...Array.from({ length: 10 }, () => 0), today]

  it('is near at 80%, for the organisation and for the project', async () => {
    const { findings } = await examined(
      { spendLimitAmount: 10_000, dailyCosts: days(85) },
      { withAdmin: true },
    )
    expect(codesOf(findings)).toEqual(['spend_limit_near', 'spend_limit_near'])
    expect(findings[0]?.seen).toContain(
      "$85.00 of the organisation's monthly limit of $100.00 are spent (85%)",
    )
    expect(findings[1]?.seen).toContain("the project's monthly limit")
  })

  it('is nothing to tell below, or where there is none, or where nobody may see it', async () => {
    const low = { spendLimitAmount: 10_000, dailyCosts: days(50) }
    expect((await examined(low, { withAdmin: true })).findings).toEqual([])
    expect((await examined({ dailyCosts: days(85) }, { withAdmin: true })).findings).toEqual([])
    const high = { spendLimitAmount: 10_000, dailyCosts: days(85) }
    expect((await examined(high)).findings).toEqual([])
  })

  it('that is being enforced is exhausted, though the list of models does not see it', async () => {
    const knobs = { spendLimitAmount: 10_000, billing: 'organization_spend_limit_exceeded' } as const
    const { findings } = await examined(knobs, { withAdmin: true })
    expect(findings).toMatchObject([{ code: 'quota_exhausted', seen: expect.stringContaining('$100.00') }])
  })
})
