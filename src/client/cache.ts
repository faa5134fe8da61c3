/**
 * What a client knows, and what it believes next. Pure: time and order arrive as values.
 *
 * The guard: an answer of a lower generation than the one that is served is out of order (a slow answer, a replica
 * that lags) and is not taken. A service restored from a backup starts lower for good, though, and must not be ignored
 * for ever. So a lower answer is believed when either
 * - several came in a row, each to a question asked after the one before was answered, over a minute or more, with no
 *   answer of the served generation between them; or
 * - the issuer refused the key that is served: then there is nothing to protect.
 * The same generation with another key can only come from a restored service, and is treated like a lower one.
 */
import type { Handed } from './credential.ts'
import { limits } from './limits.ts'
import type { OpenAICredential } from './types.ts'

/** One moment on both clocks. */
export interface Moment {
  readonly wall: number
  readonly steady: number
}

/**
 * How much time passed, by whichever clock saw more: the wall clock can be set back, the steady one stands still
 * while a laptop sleeps or a virtual machine is frozen. Too long an age only causes a question to Keyturn.
 */
export function elapsedMs(from: Moment, to: Moment): number {
  return Math.max(to.wall - from.wall, to.steady - from.steady)
}

export interface Cache {
  readonly held: Held | undefined
  /** Keys handed out, newest first, the served one among them. */
  readonly history: readonly OpenAICredential[]
  readonly doubt: { readonly count: number; readonly since: Moment; readonly order: number } | undefined
}

export interface Held extends Handed {
  readonly etag: string | undefined
  readonly heardAt: Moment
  /** The position of its arrival among all questions and answers. */
  readonly order: number
}

export interface Answer extends Handed {
  readonly etag: string | undefined
}

export interface Circumstances {
  /** The positions of the question and of the answer. */
  readonly asked: number
  readonly answered: number
  readonly at: Moment
  /** The issuer refused the key that is served. */
  readonly isHeldRefused?: boolean
}

export type Outcome = 'taken' | 'confirmed' | 'doubted' | 'late'

export const emptyCache: Cache = { held: undefined, history: [], doubt: undefined }

export function receive(cache: Cache, answer: Answer, on: Circumstances): { cache: Cache; outcome: Outcome } {
  const { held } = cache
  if (held === undefined) return { cache: take(cache, answer, on), outcome: 'taken' }
  const isSameKey = answer.credential.apiKey === held.credential.apiKey
  const ahead = answer.credential.generation - held.credential.generation
  const isOrdered = on.asked > held.order
  if (ahead > 0) return { cache: take(cache, answer, on), outcome: 'taken' }
  if (ahead === 0 && isSameKey) {
    if (!isOrdered) return { cache, outcome: 'late' }
    return { cache: take(cache, answer, on), outcome: 'confirmed' }
  }
  if (!isOrdered) return { cache, outcome: 'late' }
  if (on.isHeldRefused === true) return { cache: take(cache, answer, on), outcome: 'taken' }
  return doubted(cache, answer, on)
}

/** The service said that nothing has changed since the answer with this tag. */
export function confirm(cache: Cache, etag: string | undefined, at: Moment): Cache {
  const { held } = cache
  if (held === undefined || etag === undefined || held.etag !== etag) return cache
  return { ...cache, held: { ...held, heardAt: at }, doubt: undefined }
}

/** The service said, of a higher generation, that nothing can be handed out: what is served was withdrawn. */
export function withdraw(cache: Cache, generation: number | undefined): Cache {
  const { held } = cache
  if (held === undefined || generation === undefined) return cache
  if (!(generation > held.credential.generation)) return cache
  return { ...cache, held: undefined, doubt: undefined }
}

function doubted(cache: Cache, answer: Answer, on: Circumstances): { cache: Cache; outcome: Outcome } {
  const { doubt } = cache
  if (doubt !== undefined && on.asked <= doubt.order) return { cache, outcome: 'late' }
  const since = doubt?.since ?? on.at
  const count = (doubt?.count ?? 0) + 1
  if (count >= limits.lowerAnswersMin && elapsedMs(since, on.at) >= limits.lowerSpanMs)
    return { cache: take(cache, answer, on), outcome: 'taken' }
  return { cache: { ...cache, doubt: { count, since, order: on.answered } }, outcome: 'doubted' }
}

function take(cache: Cache, answer: Answer, on: Circumstances): Cache {
  const { credential } = answer
  const others = cache.history.filter((known) => known.apiKey !== credential.apiKey)
  return {
    held: { ...answer, heardAt: on.at, order: on.answered },
    history: [credential, ...others].slice(0, limits.historyMax),
    doubt: undefined,
  }
}
