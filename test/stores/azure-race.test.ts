import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeFields } from '../../src/stores/azure-merge.ts'
import { type Contender, judge } from '../../src/stores/azure-race.ts'

const nobodyDead: ReadonlySet<string> = new Set()

interface Racer {
  readonly nonce: string
  /** Whom it still has to look at, one after another: a list of many pages is no snapshot. */
  readonly toLookAt: string[]
  readonly found: Set<string>
  phase: 'writing' | 'looking' | 'told' | 'dead'
}

/** Each number is a step of one of them: it writes, looks at one place, or tells. */
function race(count: number, steps: readonly number[], deaths: ReadonlySet<number>): readonly string[] {
  const racers = Array.from({ length: count }, (_, index): Racer => {
    const nonce = String((index * 7 + 3) % 10)
    return { nonce, toLookAt: [], found: new Set([nonce]), phase: 'writing' }
  })
  const written: Racer[] = []
  const winners: string[] = []
  const step = (racer: Racer, number: number, isDeadly: boolean): void => {
    if (racer.phase === 'dead' || racer.phase === 'told') return
    if (isDeadly) racer.phase = 'dead'
    else if (racer.phase === 'writing') {
      written.push(racer)
      racer.phase = 'looking'
      racer.toLookAt.push(...racers.map(({ nonce }) => nonce))
    } else {
      const next = racer.toLookAt.splice(number % Math.max(1, racer.toLookAt.length), 1)[0]
      if (next === undefined) racer.phase = 'told'
      else if (written.some(({ nonce }) => nonce === next)) racer.found.add(next)
    }
    const seen = contenders(written)
    const judgement = judge(seen, nobodyDead)
    if (judgement.kind === 'won') winners.push(judgement.nonce)
  }
  for (const [number, which] of steps.entries()) {
    const racer = racers[which % count]
    if (racer !== undefined) step(racer, number, deaths.has(number))
  }
  // All who live come to their end, and only then the dead are given up.
  for (let number = steps.length; number < steps.length + count * (count + 3); number += 1) {
    const racer = racers[number % count]
    if (racer !== undefined) step(racer, number, false)
  }
  const silent = new Set(written.filter(({ phase }) => phase === 'dead').map(({ nonce }) => nonce))
  const last = judge(contenders(written), silent)
  if (written.some(({ phase }) => phase === 'told')) expect(last.kind).toBe('won')
  if (last.kind === 'won') winners.push(last.nonce)
  return winners
}

function contenders(written: readonly Racer[]): readonly Contender[] {
  return written.map(({ nonce, phase, found }) => ({
    nonce,
    seen: phase === 'told' ? [...found] : undefined,
  }))
}

describe('who won a turn', () => {
  const steps = fc.array(fc.nat(1_000), { maxLength: 60 })

  it('is told alike at each moment by whoever can tell at all, however they came between each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, (count, order) => {
        const winners = race(count, order, new Set())
        expect(new Set(winners).size).toBe(1)
      }),
      { numRuns: 3_000 },
    )
  })

  it('is told alike where some die before they told', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 5 }),
        steps,
        fc.uniqueArray(fc.nat(60), { maxLength: 3 }),
        (count, order, deaths) => {
          const winners = race(count, order, new Set(deaths))
          expect(new Set(winners).size).toBeLessThanOrEqual(1)
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it('is who saw nobody else, and else the smallest of those who saw each other', () => {
    const alone = [
      { nonce: 'b', seen: ['b'] },
      { nonce: 'a', seen: ['a', 'b'] },
    ]
    expect(judge(alone, nobodyDead)).toEqual({ kind: 'won', nonce: 'b' })
    const both = [
      { nonce: 'b', seen: ['a', 'b'] },
      { nonce: 'a', seen: ['a', 'b'] },
    ]
    expect(judge(both, nobodyDead)).toEqual({ kind: 'won', nonce: 'a' })
  })

  it('waits for those who were seen and have not told, until they are given up or withdraw', () => {
    const half = [
      { nonce: 'b', seen: ['a', 'b'] },
      { nonce: 'a', seen: undefined },
    ]
    expect(judge(half, nobodyDead)).toEqual({ kind: 'waiting', for: ['a'] })
    expect(judge(half, new Set(['a']))).toEqual({ kind: 'won', nonce: 'b' })
    expect(judge([{ nonce: 'a', seen: undefined }], new Set(['a']))).toEqual({ kind: 'nobody' })
    const withdrew = [...half.slice(0, 1), { nonce: 'a', seen: [] }]
    expect(judge(withdrew, nobodyDead)).toEqual({ kind: 'won', nonce: 'b' })
    expect(judge(withdrew.slice(1), nobodyDead)).toEqual({ kind: 'nobody' })
    expect(judge([], nobodyDead)).toEqual({ kind: 'nobody' })
  })
})

describe('a document that somebody else changed', () => {
  const base = '{"key":"old","host":"one","port":1}'
  const onto = '{"key":"new","host":"one","port":1}'

  it('gives its changed, new and removed fields to ours, and never the key', () => {
    const changed = '{"key":"old","host":"two","user":{"name":"x"}}'
    expect(JSON.parse(mergeFields('key', { onto, base, changed }))).toEqual({
      key: 'new',
      host: 'two',
      user: { name: 'x' },
    })
  })

  it('changes nothing where nothing of theirs changed, or one of them is no document', () => {
    expect(mergeFields('key', { onto, base, changed: base })).toBe(onto)
    for (const odd of ['[]', 'text', '7', 'null']) {
      expect(mergeFields('key', { onto, base, changed: odd })).toBe(onto)
      expect(mergeFields('key', { onto: odd, base, changed: base })).toBe(odd)
    }
  })

  it('keeps a field by any name', () => {
    const changed = '{"key":"old","host":"one","port":1,"__proto__":"x"}'
    expect(mergeFields('key', { onto, base, changed })).toContain('"__proto__":"x"')
  })
})
