import { describe, expect, it } from 'vitest'
import {
  type Answer,
  type Cache,
  confirm,
  elapsedMs,
  emptyCache,
  type Moment,
  receive,
  withdraw,
} from '../../src/client/cache.ts'
import { sealed } from '../../src/client/credential.ts'
import { limits } from '../../src/client/limits.ts'

function answer(generation: number, apiKey = `key-${generation}`): Answer {
  const credential = sealed({
    name: 'openai',
    apiKey,
    organization: null,
    project: null,
    baseUrl: 'https://api.example/v1',
    version: `v-${apiKey}`,
    fingerprint: 'f',
    stage: 'current',
    verdict: 'valid',
    verifiedAt: '2026-11-21T00:00:00.000Z',
    rotatesAt: null,
    generation,
  })
  return { credential, staleAfterMs: 1_000_000, etag: `"${generation}-${apiKey}"` }
}

const at = (ms: number): Moment => ({ wall: ms, steady: ms })

function holding(generation: number): Cache {
  return receive(emptyCache, answer(generation), { asked: 1, answered: 2, at: at(0) }).cache
}

describe('what the cache believes', () => {
  it('takes the first answer, whatever its generation', () => {
    expect(holding(0).held?.credential.apiKey).toBe('key-0')
  })

  it('takes a higher generation even when it answers an older question', () => {
    const { cache, outcome } = receive(holding(3), answer(4), { asked: 1, answered: 3, at: at(5) })
    expect(outcome).toBe('taken')
    expect(cache.held?.credential.generation).toBe(4)
  })

  it('ignores a lower generation that was asked for before the higher one arrived', () => {
    const { cache, outcome } = receive(holding(3), answer(2), { asked: 2, answered: 9, at: at(5) })
    expect(outcome).toBe('late')
    expect(cache.held?.credential.generation).toBe(3)
  })

  it('doubts a lower generation that was asked for afterwards, and believes it after several over a minute', () => {
    let cache = holding(3)
    const outcomes = [0, 1, 2].map((step) => {
      const received = receive(cache, answer(1), {
        asked: 10 + 2 * step,
        answered: 11 + 2 * step,
        at: at((step * limits.lowerSpanMs) / 2),
      })
      cache = received.cache
      return received.outcome
    })
    expect(outcomes).toEqual(['doubted', 'doubted', 'taken'])
    expect(cache.held?.credential.generation).toBe(1)
  })

  it('does not believe lower answers that all come at once', () => {
    let cache = holding(3)
    for (let step = 0; step < 20; step += 1)
      cache = receive(cache, answer(1), { asked: 10 + 2 * step, answered: 11 + 2 * step, at: at(step) }).cache
    expect(cache.held?.credential.generation).toBe(3)
  })

  it('starts doubting anew when the higher generation is confirmed in between', () => {
    let cache = receive(holding(3), answer(1), { asked: 10, answered: 11, at: at(0) }).cache
    cache = confirm(cache, answer(3).etag, at(10))
    expect(cache.doubt).toBeUndefined()
  })

  it('treats another key of the same generation like a lower one', () => {
    const { outcome } = receive(holding(3), answer(3, 'other'), { asked: 10, answered: 11, at: at(0) })
    expect(outcome).toBe('doubted')
  })

  it('believes a lower generation at once when the key it serves was refused', () => {
    const refused = { asked: 10, answered: 11, at: at(0), isHeldRefused: true }
    expect(receive(holding(3), answer(1), refused).cache.held?.credential.generation).toBe(1)
  })

  it('takes a confirmation only for the answer that it is about', () => {
    expect(confirm(holding(3), '"something else"', at(50)).held?.heardAt).toEqual(at(0))
    expect(confirm(holding(3), answer(3).etag, at(50)).held?.heardAt).toEqual(at(50))
  })

  it('withdraws only on word of a higher generation', () => {
    expect(withdraw(holding(3), 3).held).toBeDefined()
    expect(withdraw(holding(3), undefined).held).toBeDefined()
    expect(withdraw(holding(3), Number.NaN).held).toBeDefined()
    expect(withdraw(holding(3), 4).held).toBeUndefined()
  })

  it('remembers a bounded number of keys, newest first', () => {
    let cache = emptyCache
    for (let generation = 1; generation <= limits.historyMax + 5; generation += 1)
      cache = receive(cache, answer(generation), { asked: generation, answered: generation, at: at(0) }).cache
    expect(cache.history).toHaveLength(limits.historyMax)
    expect(cache.history[0]?.generation).toBe(limits.historyMax + 5)
  })

  it('takes the larger of two elapsed times, so that neither a clock set back nor a frozen one hides age', () => {
    expect(elapsedMs({ wall: 100, steady: 0 }, { wall: 50, steady: 70 })).toBe(70)
    expect(elapsedMs({ wall: 100, steady: 0 }, { wall: 900, steady: 1 })).toBe(800)
  })
})
