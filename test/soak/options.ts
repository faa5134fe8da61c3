import { parseArgs } from 'node:util'

export interface SoakOptions {
  /** How long anything may go wrong; healing, converging and looking through everything come on top. */
  readonly minutes: number
  /** Seconds from one blow against the service to the next, on average. */
  readonly killEvery: number
  /** Draws what is done to whom. Real processes run as they like: the same seed gives the same blows, not the same story. */
  readonly seed: number
  /** Processes that call OpenAI. */
  readonly apps: number
  /** Requests a second that each of them aims at. */
  readonly rate: number
}

export const usage =
  'usage: npm run soak -- [--minutes 10] [--kill-every 4] [--seed 1] [--apps 4] [--rate 30]'

interface Range {
  readonly fallback: number
  readonly min: number
  readonly max: number
  readonly isWhole: boolean
}

const ranges = {
  minutes: { fallback: 10, min: 0.2, max: 24 * 60, isWhole: false },
  'kill-every': { fallback: 4, min: 1, max: 600, isWhole: false },
  seed: { fallback: 1, min: 0, max: 2 ** 31, isWhole: true },
  apps: { fallback: 4, min: 1, max: 32, isWhole: true },
  rate: { fallback: 30, min: 1, max: 500, isWhole: true },
} as const satisfies Readonly<Record<string, Range>>

/** Throws an error whose message is for whoever typed the command. */
export function soakOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string' },
      'kill-every': { type: 'string' },
      seed: { type: 'string' },
      apps: { type: 'string' },
      rate: { type: 'string' },
    },
  })
  const numberOf = (name: keyof typeof ranges): number => {
    const { fallback, min, max, isWhole } = ranges[name]
    const text = values[name]
    const number = text === undefined ? fallback : Number(text)
    if (text?.trim() === '' || !(number >= min && number <= max) || (isWhole && !Number.isInteger(number)))
      throw new Error(`--${name} takes a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`)
    return number
  }
  return {
    minutes: numberOf('minutes'),
    killEvery: numberOf('kill-every'),
    seed: numberOf('seed'),
    apps: numberOf('apps'),
    rate: numberOf('rate'),
  }
}
