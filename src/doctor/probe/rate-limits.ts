import type { RawAnswer } from '../network.ts'

export interface RateLimit {
  readonly of: 'requests' | 'tokens'
  readonly limit: number
  readonly remaining: number
  readonly resetMs?: number
}

/** A limit is near from here on. */
export const nearShare = 0.8

/** The documented headers; what does not make sense (Azure sends -1 and 0) is passed over. */
export function rateLimitsOf({ headers }: Pick<RawAnswer, 'headers'>): readonly RateLimit[] {
  return (['requests', 'tokens'] as const).flatMap((of) => {
    const limit = wholeOf(headers[`x-ratelimit-limit-${of}`])
    const remaining = wholeOf(headers[`x-ratelimit-remaining-${of}`])
    if (limit === undefined || remaining === undefined || limit < 1 || remaining > limit) return []
    const resetMs = durationOf(headers[`x-ratelimit-reset-${of}`])
    return [{ of, limit, remaining, ...(resetMs === undefined ? {} : { resetMs }) }]
  })
}

export const usedShare = ({ limit, remaining }: RateLimit) => (limit - remaining) / limit

/** `12 of 500 requests left, full again in 34 s`. */
export function rateLimitInWords({ of, limit, remaining, resetMs }: RateLimit): string {
  const reset = resetMs === undefined ? '' : `, full again in ${Math.ceil(resetMs / 1_000)} s`
  return `${remaining} of ${limit} ${of} left${reset}`
}

function wholeOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** OpenAI's own way to write a duration: `174ms`, `1s`, `6m0s`, `1h2m3.5s`. */
export function durationOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[smhd])){1,5}$/.test(text)) return undefined
  let ms = 0
  for (const [, count, unit] of text.matchAll(/([\d.]+)(ms|[smhd])/g))
    ms += Number(count) * (units[unit ?? ''] ?? 0)
  return Math.round(ms)
}
