import { describe, expect, it } from 'vitest'
import { soakOptions } from './options.ts'

describe('what the command takes', () => {
  it('nothing: ten minutes', () => {
    expect(soakOptions([])).toEqual({ minutes: 10, killEvery: 4, seed: 1, apps: 4, rate: 30 })
  })

  it('all of it', () => {
    const args = '--minutes 0.5 --kill-every 2 --seed 7 --apps 8 --rate 50'.split(' ')
    expect(soakOptions(args)).toEqual({ minutes: 0.5, killEvery: 2, seed: 7, apps: 8, rate: 50 })
  })

  it.each([
    [['--minutes', '0'], '--minutes takes a number from 0.2 to 1440'],
    [['--seed', '1.5'], '--seed takes a whole number from 0 to 2147483648'],
    [['--apps', ' '], '--apps takes a whole number from 1 to 32'],
    [['--rate', 'many'], '--rate takes a whole number from 1 to 500'],
  ])('%j: %s', (args, message) => {
    expect(() => soakOptions(args)).toThrow(message)
  })

  it('nothing that it does not know', () => {
    expect(() => soakOptions(['--hours', '1'])).toThrow('--hours')
  })
})
