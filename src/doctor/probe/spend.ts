const dayMs = 86_400_000
/** Whole days before today: what a program that runs now spends. */
const paceDays = 7

export interface DayOfCosts {
  /** Its first instant. */
  readonly startAt: number
  /** In US dollars, as the costs endpoint has them. */
  readonly amountUsd: number
}

export interface Outlook {
  readonly spentUsd: number
  readonly limitUsd: number
  /** 0 to 1, and above where the limit was passed. */
  readonly share: number
  /** The mean of the last seven whole days; fewer where there are no more. */
  readonly perDayUsd: number
  /** At that pace; undefined: not before the month ends and the limit begins anew. */
  readonly endsAt: number | undefined
}

/**
 * How far a monthly limit is used up, and when it will be at the pace of the last week. ASSUMPTION: OpenAI's month is the
 * calendar month in UTC, as its days of costs are; the reference says no more than `month`.
 */
export function spendOutlook(known: {
  /** As the spend-limit endpoints have it. */
  readonly limitCents: number
  readonly days: readonly DayOfCosts[]
  readonly now: number
}): Outlook {
  const { limitCents, days, now } = known
  const limitUsd = limitCents / 100
  const sum = (some: readonly DayOfCosts[]) => some.reduce((total, { amountUsd }) => total + amountUsd, 0)
  const spentUsd = sum(days.filter(({ startAt }) => startAt >= monthStart(now)))
  const today = now - (now % dayMs)
  const week = days.filter(({ startAt }) => startAt >= today - paceDays * dayMs && startAt < today)
  const first = Math.min(...week.map(({ startAt }) => startAt))
  const count = week.length === 0 ? 0 : Math.round((today - first) / dayMs)
  const perDayUsd = count === 0 ? 0 : sum(week) / count
  const leftUsd = Math.max(0, limitUsd - spentUsd)
  const endsAt = perDayUsd > 0 ? Math.round(now + (leftUsd / perDayUsd) * dayMs) : undefined
  return {
    spentUsd,
    limitUsd,
    share: limitUsd > 0 ? spentUsd / limitUsd : 1,
    perDayUsd,
    endsAt: endsAt !== undefined && endsAt < nextMonthStart(now) ? endsAt : undefined,
  }
}

/** The first day that is asked for: of this month, or of the week before. */
export function costsFrom(now: number): number {
  return Math.min(monthStart(now), now - (now % dayMs) - paceDays * dayMs)
}

function monthStart(now: number): number {
  const date = new Date(now)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth())
}

function nextMonthStart(now: number): number {
  const date = new Date(now)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)
}
