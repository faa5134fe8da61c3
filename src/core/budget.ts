/**
 * How many questions the issuer may be asked, as a bucket of tokens that fills evenly. Pure: every function takes the
 * bucket and the instant and returns the next one.
 *
 * urgent   decides whether a key is handed out or revoked: suspicion, failover, the proofs of a walk. It never waits; what
 *          it takes is missing to the others, down to a debt of one whole bucket.
 * close    a first check, a key that was just promoted, one of which nothing is known: may go into that debt too.
 * routine  comes round by itself, and leaves a quarter of the bucket to the others.
 *
 * The last two each have a small share that nobody else can take from them, so that neither is ever starved.
 */
export type Urgency = 'urgent' | 'close' | 'routine'

export interface Budget {
  readonly at: number
  readonly tokens: number
  /** Tokens that only this kind can take, for when all others are gone. */
  readonly own: { readonly close: number; readonly routine: number }
}

const minuteMs = 60_000
/** The bucket holds what comes in in ten seconds, and never so little that a handful of credentials would wait. */
const fillMs = 10_000
const tokensMin = 10
/** Of the rate, kept for each kind. */
const ownShare = { close: 0.2, routine: 0.1 } as const
const ownMax = 5
/** Of a full bucket: routine questions leave it to the others. */
const reserved = 0.25

export function fullBudget(perMinute: number, now: number): Budget {
  return { at: now, tokens: sizeOf(perMinute), own: { close: ownMax, routine: ownMax } }
}

/** With what has come in since. A clock that was set back brings nothing and takes nothing. */
export function refilled(budget: Budget, perMinute: number, now: number): Budget {
  const came = (Math.max(0, now - budget.at) / minuteMs) * perMinute
  return {
    at: now,
    tokens: Math.min(sizeOf(perMinute), budget.tokens + came),
    own: {
      close: Math.min(ownMax, budget.own.close + came * ownShare.close),
      routine: Math.min(ownMax, budget.own.routine + came * ownShare.routine),
    },
  }
}

/** Whether one more question of this kind may be asked; of a bucket that was refilled to now. */
export function mayAsk(budget: Budget, perMinute: number, urgency: Urgency): boolean {
  if (urgency === 'urgent') return true
  return budget.tokens >= lowest(perMinute, urgency) + 1 || budget.own[urgency] >= 1
}

export function spent(budget: Budget, perMinute: number, asked: Asked): Budget {
  const { urgency, count } = asked
  const floor = lowest(perMinute, urgency)
  const isFromOwn = urgency !== 'urgent' && budget.tokens < floor + 1
  const own = isFromOwn ? { ...budget.own, [urgency]: budget.own[urgency] - count } : budget.own
  // What its own share paid for was set aside before, and what is urgent is not owed beyond one bucket.
  const tokens = isFromOwn ? budget.tokens : Math.max(-sizeOf(perMinute), budget.tokens - count)
  return { ...budget, tokens, own }
}

export interface Asked {
  readonly urgency: Urgency
  readonly count: number
}

/** When the next one of this kind may be asked, if nobody asks meanwhile. */
export function mayAskAt(budget: Budget, perMinute: number, urgency: Exclude<Urgency, 'urgent'>): number {
  const perMs = perMinute / minuteMs
  const fromAll = (lowest(perMinute, urgency) + 1 - budget.tokens) / perMs
  const fromOwn = (1 - budget.own[urgency]) / (perMs * ownShare[urgency])
  return budget.at + Math.max(0, Math.ceil(Math.min(fromAll, fromOwn)))
}

function lowest(perMinute: number, urgency: Urgency): number {
  return urgency === 'routine' ? sizeOf(perMinute) * reserved : -sizeOf(perMinute)
}

function sizeOf(perMinute: number): number {
  return Math.max(tokensMin, (perMinute * fillMs) / minuteMs)
}
