import { describe, expect, it } from 'vitest'
import type { Probe } from '../../src/engine/probe.ts'
import { createProofs } from '../../src/engine/proofs.ts'
import { verdictOf } from '../core/fixtures.ts'

const good: Probe = { verdict: verdictOf('valid'), isOurs: true, belonging: undefined, lacksDeclared: false }
const unknown: Probe = { ...good, verdict: verdictOf('unknown'), isOurs: false }

function asking(answers: readonly Probe[]) {
  let now = 0
  let count = 0
  const proofs = createProofs({ now: () => now })
  return {
    pass: (ms: number) => void (now += ms),
    count: () => count,
    ask: (version = 'a') =>
      proofs.of('openai', version, async () => answers[Math.min(count++, answers.length - 1)] ?? good),
  }
}

describe('proofs that several retirements wait for', () => {
  it('are one question while it is under way', async () => {
    const one = asking([good])
    const all = await Promise.all([one.ask(), one.ask(), one.ask(), one.ask()])
    expect(all.every((probe) => probe === good)).toBe(true)
    expect(one.count()).toBe(1)
  })

  it('that failed hold everybody back for a while: four that ask every minute are one question a minute', async () => {
    const one = asking([unknown])
    for (let quarter = 0; quarter < 40; quarter += 1) {
      await one.ask()
      one.pass(15_000)
    }
    expect(one.count()).toBeLessThanOrEqual(14)
  })

  it('that succeeded are not kept: before the next deletion the key is asked anew', async () => {
    const one = asking([unknown, good])
    await one.ask()
    one.pass(60_000)
    expect(await one.ask()).toBe(good)
    expect(await one.ask()).toBe(good)
    expect(one.count()).toBe(3)
  })

  it('of another version are others', async () => {
    const one = asking([unknown, good])
    await one.ask('a')
    expect(await one.ask('b')).toBe(good)
  })

  it('are asked anew after one that ended in a fault, and after a clock that was set back', async () => {
    let now = 1_000_000
    let count = 0
    const proofs = createProofs({ now: () => now })
    const failing = proofs.of('openai', 'a', () => Promise.reject(new Error('a bug')))
    await expect(failing).rejects.toThrow('a bug')
    const ask = () =>
      proofs.of('openai', 'a', async () => {
        count += 1
        return unknown
      })
    await ask()
    now -= 3_600_000
    await ask()
    expect(count).toBe(2)
  })
})
