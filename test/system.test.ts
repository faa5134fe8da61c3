import { describe, expect, it } from 'vitest'
import { fingerprint } from '../src/core/fingerprint.ts'
import { Secret } from '../src/core/secret.ts'
import { createSystem } from '../src/system.ts'

const system = createSystem()

describe('the system', () => {
  it('tells the time in epoch milliseconds', () => {
    const before = Date.now()
    const now = system.now()
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now())
  })

  it('calls back once after the delay, in the background too', async () => {
    const calls: string[] = []
    await new Promise<void>((resolve) => {
      system.after(0, () => calls.push('background'), { background: true })
      system.after(-5, () => calls.push('negative'))
      system.after(5, () => {
        calls.push('last')
        resolve()
      })
    })
    expect(calls.sort()).toEqual(['background', 'last', 'negative'])
  })

  it('does not call back after a cancel, and cancels as often as one likes', async () => {
    let isCalled = false
    const cancel = system.after(1, () => {
      isCalled = true
    })
    cancel()
    cancel()
    await new Promise<void>((resolve) => system.after(10, resolve))
    expect(isCalled).toBe(false)
  })

  it('does not fire early where the delay is longer than setTimeout takes', async () => {
    let isCalled = false
    const cancels = [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY].map((delayMs) =>
      system.after(delayMs, () => {
        isCalled = true
      }),
    )
    await new Promise<void>((resolve) => system.after(20, resolve))
    for (const cancel of cancels) cancel()
    expect(isCalled).toBe(false)
  })

  it('refuses a delay and a number of bytes that make no sense', () => {
    expect(() => system.after(Number.NaN, () => undefined)).toThrow(/delay/)
    expect(() => system.bytes(-1)).toThrow(/random bytes/)
    expect(() => system.bytes(1e9)).toThrow(/random bytes/)
  })

  it('draws bytes, UUIDs and fractions that differ', () => {
    expect(system.bytes(16)).toHaveLength(16)
    expect(system.bytes(16)).not.toEqual(system.bytes(16))
    expect(system.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const fractions = Array.from({ length: 2_000 }, () => system.fraction())
    expect(fractions.every((fraction) => fraction >= 0 && fraction < 1)).toBe(true)
    expect(new Set(fractions).size).toBe(2_000)
    const mean = fractions.reduce((sum, fraction) => sum + fraction, 0) / 2_000
    // Six standard deviations either way.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.039)
  })

  it('hashes UTF-8', () => {
    expect(system.sha256Hex('')).toMatch(/^e3b0c44298fc1c149afbf4c8996fb924/)
    expect(system.sha256Hex('ü')).toMatch(/^607474ca475a9724/)
  })
})

describe('a fingerprint', () => {
  it('is 12 hex digits over the fixed prefix and the secret', () => {
    const value = ['sk', 'test', '1'].join('-')
    expect(fingerprint(new Secret(value), system)).toBe(
      system.sha256Hex(`keyturn-fingerprint-v1:${value}`).slice(0, 12),
    )
    expect(fingerprint(new Secret('a'), system)).not.toBe(fingerprint(new Secret('b'), system))
  })
})
