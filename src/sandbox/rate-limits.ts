// Counts requests and tokens per organisation in one-minute windows, as OpenAI's limits do: a second key of the same
// organisation does not help.

import { type ApiError, apiError, duration } from './errors.ts'
import type { Knobs } from './knobs.ts'

const WINDOW_MS = 60_000
/** What the headers tell when no limit is set. */
const UNLIMITED = { requests: 30_000, tokens: 150_000_000 }

export interface RateLimiter {
  /** Counts one inference request. The error is there when it is over the limit. */
  take(input: { organization: string; model: string; tokens: number; at: number; knobs: Knobs }): {
    headers: Record<string, string>
    error?: ApiError
  }
  /** Counts one admin request. */
  takeAdmin(input: { organization: string; at: number; knobs: Knobs }): ApiError | undefined
}

interface Window {
  start: number
  requests: number
  tokens: number
}

export function createRateLimiter(): RateLimiter {
  const windows = new Map<string, Window>()
  const windowOf = (name: string, at: number): Window => {
    const start = at - (at % WINDOW_MS)
    const known = windows.get(name)
    if (known?.start === start) return known
    const fresh = { start, requests: 0, tokens: 0 }
    windows.set(name, fresh)
    return fresh
  }
  return {
    take({ organization, model, tokens, at, knobs }) {
      const window = windowOf(organization, at)
      const used = () => ({
        requests: window.requests + knobs.usedRequests,
        tokens: window.tokens + knobs.usedTokens,
      })
      const retryMs = window.start + WINDOW_MS - at
      const requestLimit = knobs.requestsPerMinute
      const tokenLimit = knobs.tokensPerMinute
      const details = { organization, model, retryMs }
      const refused = (error: ApiError) => ({ headers: limitHeaders(knobs, used(), retryMs), error })
      if (tokenLimit !== null && tokens > tokenLimit)
        return refused(apiError('request_too_large', { ...details, limit: tokenLimit, requested: tokens }))
      if (requestLimit !== null && used().requests >= requestLimit)
        return refused(
          apiError('rate_limit_requests', { ...details, limit: requestLimit, used: used().requests }),
        )
      if (tokenLimit !== null && used().tokens + tokens > tokenLimit)
        return refused(
          apiError('rate_limit_tokens', {
            ...details,
            limit: tokenLimit,
            used: used().tokens,
            requested: tokens,
          }),
        )
      window.requests += 1
      window.tokens += tokens
      return { headers: limitHeaders(knobs, used(), retryMs) }
    },
    takeAdmin({ organization, at, knobs }) {
      const limit = knobs.adminRequestsPerMinute
      if (limit === null) return undefined
      const window = windowOf(`admin ${organization}`, at)
      if (window.requests >= limit) {
        const retryMs = window.start + WINDOW_MS - at
        return apiError('rate_limit_requests', { organization, limit, used: window.requests, retryMs })
      }
      window.requests += 1
      return undefined
    },
  }
}

function limitHeaders(
  knobs: Knobs,
  used: Pick<Window, 'requests' | 'tokens'>,
  resetMs: number,
): Record<string, string> {
  const requests = knobs.requestsPerMinute ?? UNLIMITED.requests
  const tokens = knobs.tokensPerMinute ?? UNLIMITED.tokens
  return {
    'x-ratelimit-limit-requests': String(requests),
    'x-ratelimit-limit-tokens': String(tokens),
    'x-ratelimit-remaining-requests': String(Math.max(0, requests - used.requests)),
    'x-ratelimit-remaining-tokens': String(Math.max(0, tokens - used.tokens)),
    'x-ratelimit-reset-requests': duration(resetMs),
    'x-ratelimit-reset-tokens': duration(resetMs),
  }
}
