import { isIP } from 'node:net'
import { KeyturnError } from '../core/errors.ts'
import type { CoarseClock } from './ticker.ts'

export interface RateLimits {
  /** Requests of one caller per second, over a longer time. */
  readonly requestsPerSecond: number
  /** How many it may send at once before that counts: all instances of an app come back together. */
  readonly burst: number
  /** Requests without a good token from one address per minute. */
  readonly failuresPerMinute: number
}

/** So many callers and addresses are remembered; the one that came first is forgotten for a new one. */
const rememberedMax = 20_000

/**
 * How often somebody may ask. It is looked at after the token: who has a good one is never held up by a neighbour on the
 * same address who has none, and on one machine all callers share an address.
 */
export interface Rates {
  /** False: the caller has had enough for now. */
  take(callerId: string): boolean
  /** The refusal of a request without a good token: `undefined` while the address may go on trying. */
  refuseFailure(address: string): KeyturnError | undefined
  /** Takes one back that was counted ahead and turned out to be none. */
  forgiveFailure(address: string): void
  refuseCaller(callerId: string): KeyturnError | undefined
}

export function createRates(options: {
  readonly limits: RateLimits
  readonly clock: Pick<CoarseClock, 'now'>
}): Rates {
  const { limits, clock } = options
  const callers = createBuckets({ perMs: limits.requestsPerSecond / 1_000, burst: limits.burst, clock })
  const failures = createBuckets({
    perMs: limits.failuresPerMinute / 60_000,
    burst: limits.failuresPerMinute,
    clock,
  })
  return {
    take: (callerId) => callers.take(callerId),
    refuseCaller: (callerId) =>
      callers.take(callerId)
        ? undefined
        : tooMany(
            'This caller asks too often.',
            callers.waitMs(callerId),
            'Keep the key and follow its events.',
          ),
    refuseFailure(address) {
      const key = placeOf(address)
      return failures.take(key)
        ? undefined
        : tooMany(
            'Too many requests without a good token came from this address.',
            failures.waitMs(key),
            'Send a token that is known, not revoked and not expired; requests with one are answered meanwhile.',
          )
    },
    forgiveFailure: (address) => failures.give(placeOf(address)),
  }
}

export const noRates: Rates = {
  take: () => true,
  refuseFailure: () => undefined,
  forgiveFailure: () => undefined,
  refuseCaller: () => undefined,
}

interface Bucket {
  /** What may still be asked, as of `at`. */
  left: number
  at: number
}

interface Buckets {
  take(key: string): boolean
  give(key: string): void
  waitMs(key: string): number
}

/** Token buckets, filled by the coarse clock: a request costs a lookup and no reading of the time. */
function createBuckets(options: {
  readonly perMs: number
  readonly burst: number
  readonly clock: Pick<CoarseClock, 'now'>
}): Buckets {
  const { perMs, burst, clock } = options
  const buckets = new Map<string, Bucket>()
  const bucketOf = (key: string): Bucket => {
    const found = buckets.get(key)
    if (found !== undefined) return found
    if (buckets.size >= rememberedMax) forgetOldest(buckets)
    const made = { left: burst, at: clock.now }
    buckets.set(key, made)
    return made
  }
  return {
    take(key) {
      const bucket = bucketOf(key)
      // A clock that was set back fills nothing, and takes nothing away.
      if (clock.now > bucket.at) bucket.left = Math.min(burst, bucket.left + (clock.now - bucket.at) * perMs)
      bucket.at = clock.now
      if (bucket.left < 1) return false
      bucket.left -= 1
      return true
    },
    give(key) {
      const bucket = bucketOf(key)
      bucket.left = Math.min(burst, bucket.left + 1)
    },
    waitMs: (key) => Math.max(0, (1 - (buckets.get(key)?.left ?? 1)) / perMs),
  }
}

function forgetOldest(buckets: Map<string, Bucket>): void {
  for (const key of buckets.keys()) {
    buckets.delete(key)
    return
  }
}

/** Whoever has one IPv6 address has all 2^64 of its network. */
function placeOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  const all = [
    ...groups,
    ...Array.from({ length: Math.max(0, missing) }, () => '0'),
    ...(tail?.split(':') ?? []),
  ]
  return `${all.slice(0, 4).join(':')}::/64`
}

function tooMany(message: string, retryAfterMs: number, fix: string): KeyturnError {
  return new KeyturnError('too_many_requests', message, { fix, retryable: true, retryAfterMs })
}
