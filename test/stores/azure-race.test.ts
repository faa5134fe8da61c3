import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeFields } from '../../src/stores/azure-merge.ts'
import { type Contender, giveUpAfterMs, judge, tellWithinMs } from '../../src/stores/azure-race.ts'

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

// ------------------------------------------------------------------ the same with time

interface Draw {
  readonly which: number
  /** Until this step, since the one before. */
  readonly passedMs: number
  /** From when a tell is sent until it takes effect, and from then until its answer is there. */
  readonly effectMs: number
  readonly answerMs: number
  readonly withdraws: boolean
}

interface Timed {
  readonly nonce: string
  readonly toLookAt: string[]
  readonly found: Set<string>
  /** What it knows to be silent, and since when. */
  readonly silentSince: Map<string, number>
  phase: 'idle' | 'writing' | 'looking' | 'telling' | 'judging' | 'over'
  beganAt: number
  seen: readonly string[]
  takesEffectAt: number
  goesOnAt: number
}

const never = Number.POSITIVE_INFINITY

/** Who was told that whoever won. `cancels`: a tell that is not acknowledged in time is cancelled, and then looked for. */
function timedRace(count: number, draws: readonly Draw[], cancels: boolean): readonly string[] {
  const racers = Array.from({ length: count }, (_, index): Timed => {
    const nonce = String((index * 7 + 3) % 10)
    const times = { beganAt: 0, takesEffectAt: never, goesOnAt: 0 }
    const found = new Set([nonce])
    return { nonce, toLookAt: [], found, silentSince: new Map(), phase: 'idle', seen: [], ...times }
  })
  const written: Timed[] = []
  const told: string[] = []
  let now = 0

  const tell = (racer: Timed, { effectMs, answerMs, withdraws }: Draw): void => {
    const cancelledAt = racer.beganAt + tellWithinMs
    racer.phase = 'telling'
    racer.seen = withdraws ? [] : [...racer.found]
    racer.takesEffectAt = now + effectMs
    racer.goesOnAt = now + effectMs + answerMs
    if (withdraws) return
    if (now >= cancelledAt) Object.assign(racer, { takesEffectAt: never, goesOnAt: now })
    if (!cancels || racer.goesOnAt <= cancelledAt) return
    racer.goesOnAt = cancelledAt
    // The one assumption: later than this it never takes effect.
    if (racer.takesEffectAt >= racer.beganAt + giveUpAfterMs) racer.takesEffectAt = never
  }

  const look = (racer: Timed): void => {
    const dead = new Set(
      [...racer.silentSince].filter(([, at]) => now - at >= giveUpAfterMs).map(([who]) => who),
    )
    const shown = written.map(({ nonce, seen, takesEffectAt }) => ({
      nonce,
      seen: takesEffectAt <= now ? seen : undefined,
    }))
    const judgement = judge(shown, dead)
    if (judgement.kind === 'waiting') {
      for (const who of judgement.for) if (!racer.silentSince.has(who)) racer.silentSince.set(who, now)
      return
    }
    if (judgement.kind === 'won') told.push(judgement.nonce)
    racer.phase = 'over'
  }

  const step = (racer: Timed, draw: Draw): void => {
    if (racer.phase === 'idle') Object.assign(racer, { phase: 'writing', beganAt: now })
    else if (racer.phase === 'writing') {
      written.push(racer)
      racer.phase = 'looking'
      racer.toLookAt.push(...racers.map(({ nonce }) => nonce))
    } else if (racer.phase === 'looking') {
      const next = racer.toLookAt.splice(draw.which % Math.max(1, racer.toLookAt.length), 1)[0]
      if (next === undefined) tell(racer, draw)
      else if (written.some(({ nonce }) => nonce === next)) racer.found.add(next)
    } else if (racer.phase === 'telling' && racer.goesOnAt <= now) racer.phase = 'judging'
    if (racer.phase === 'judging') look(racer)
  }

  for (const draw of draws) {
    now += draw.passedMs
    const racer = racers[draw.which % count]
    if (racer !== undefined) step(racer, draw)
  }
  const calm: Draw = { which: 0, passedMs: 500, effectMs: 100, answerMs: 100, withdraws: false }
  for (let round = 0; round < 400 && racers.some(({ phase }) => phase !== 'over'); round += 1) {
    now += calm.passedMs
    for (const racer of racers) step(racer, calm)
  }
  expect(racers.every(({ phase }) => phase === 'over')).toBe(true)
  const withdrawn = racers.filter(({ seen, takesEffectAt }) => seen.length === 0 && takesEffectAt < never)
  for (const { nonce } of withdrawn) expect(told).not.toContain(nonce)
  return told
}

describe('who won a turn, where requests last longer than others wait', () => {
  const draw: fc.Arbitrary<Draw> = fc.record({
    which: fc.nat(1_000),
    passedMs: fc.oneof(fc.constant(0), fc.nat(500), fc.nat(6_000)),
    effectMs: fc.oneof(fc.nat(500), fc.nat(30_000)),
    answerMs: fc.oneof(fc.nat(500), fc.nat(30_000)),
    withdraws: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
  })
  const agree = (cancels: boolean): fc.IPropertyWithHooks<[number, Draw[]]> =>
    fc.property(fc.integer({ min: 2, max: 4 }), fc.array(draw, { maxLength: 60 }), (count, draws) => {
      expect(new Set(timedRace(count, draws, cancels)).size).toBeLessThanOrEqual(1)
    })

  it('is told alike, also where some withdraw, and some tell after they were given up', () => {
    fc.assert(agree(true), { numRuns: 4_000 })
  })

  it('would not be, were what comes too late not cancelled', () => {
    expect(fc.check(agree(false), { numRuns: 4_000 }).failed).toBe(true)
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
