import { describe, expect, it } from 'vitest'
import { countOption, durationOption } from '../../src/cli/option-values.ts'
import { KeyturnError } from '../../src/core/errors.ts'

function optionsWith(text: string | undefined) {
  return {
    text: (name: string) => (name === 'staleAfter' ? text : undefined),
    has: () => false,
    list: () => [],
  }
}

function refusalOf(act: () => unknown): string {
  try {
    return `not refused: ${String(act())}`
  } catch (thrown) {
    if (thrown instanceof KeyturnError) return `${thrown.code}: ${thrown.message}`
    throw thrown
  }
}

describe('an option that takes a duration', () => {
  const read = (text: string | undefined) =>
    durationOption(optionsWith(text), '--stale-after', { without: 7, least: '1s', most: '24h' })

  it.each([
    [undefined, 7],
    ['1s', 1_000],
    ['90m', 5_400_000],
    ['24h', 86_400_000],
  ])('is %s', (text, ms) => {
    expect(read(text)).toBe(ms)
  })

  it.each(['999ms', '25h', '10', '', '-1s', '1h30m', '٣s'])('is refused as %j, with its bounds', (text) => {
    expect(refusalOf(() => read(text))).toBe(
      'usage: --stale-after takes a duration of at least 1s and at most 24h',
    )
  })

  it('may have no bounds', () => {
    const flag = '--stale-after'
    expect(durationOption(optionsWith('0s'), flag, { without: 1 })).toBe(0)
    expect(durationOption(optionsWith('365d'), flag, { without: undefined })).toBe(31_536_000_000)
    expect(refusalOf(() => durationOption(optionsWith('x'), flag, { without: 1 }))).toBe(
      'usage: --stale-after takes a duration',
    )
  })
})

describe('an option that takes a count', () => {
  it.each([
    [undefined, undefined],
    ['1', 1],
    ['100', 100],
  ])('is %s', (text, count) => {
    expect(countOption(optionsWith(text), '--stale-after', 100)).toBe(count)
  })

  it.each(['0', '101', '1.5', '1e2', '-1', '', ' 1'])('is refused as %j', (text) => {
    expect(refusalOf(() => countOption(optionsWith(text), '--stale-after', 100))).toBe(
      'usage: --stale-after takes a whole number',
    )
  })
})
