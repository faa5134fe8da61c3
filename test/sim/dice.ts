/** Randomness from a seed, split into streams by name, so that one part drawing more does not change all others. */
export interface Dice {
  /** Uniform in [0, 1). */
  readonly fraction: () => number
  readonly chance: (share: number) => boolean
  /** Uniform in [from, to). */
  readonly between: (from: number, to: number) => number
  /** Whole, from 0 to below `count`. */
  readonly below: (count: number) => number
  readonly pick: <T>(choices: readonly T[]) => T
  /** One of the names, by weight. */
  readonly weighed: <Name extends string>(weights: Readonly<Record<Name, number>>) => Name
  readonly stream: (name: string) => Dice
}

export function diceOf(seed: number, name = ''): Dice {
  const next = generator(seed, name)
  const below = (count: number): number => Math.floor(next() * count)
  return {
    fraction: next,
    chance: (share) => share > 0 && next() < share,
    between: (from, to) => from + next() * (to - from),
    below,
    pick(choices) {
      const picked = choices[below(choices.length)]
      if (picked === undefined) throw new RangeError('there is something to pick from')
      return picked
    },
    weighed(weights) {
      const names = Object.keys(weights) as (keyof typeof weights)[]
      let left = next() * names.reduce((sum, one) => sum + weights[one], 0)
      const found = names.find((one) => (left -= weights[one]) < 0)
      const last = found ?? names.at(-1)
      if (last === undefined) throw new RangeError('there is something to weigh')
      return last
    },
    stream: (inner) => diceOf(seed, `${name}/${inner}`),
  }
}

/** sfc32: passes PractRand, four words of state, the same on every machine. */
function generator(seed: number, name: string): () => number {
  let a = hash(`${seed}:${name}`, 0x9e3779b9)
  let b = hash(`${seed}:${name}`, 0x243f6a88)
  let c = hash(`${seed}:${name}`, 0xb7e15162)
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return (sum >>> 0) / 4_294_967_296
  }
  for (let round = 0; round < 12; round++) next()
  return next
}

export function hash(text: string, start: number): number {
  let sum = start | 0
  for (let index = 0; index < text.length; index++)
    sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193) ^ (sum >>> 15)
  return sum | 0
}
