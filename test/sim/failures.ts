import type { History } from './history.ts'

/** Failures that are told in full; of all others only the seed. */
const toldMax = 3

/** The same text whatever order they came in: the lowest seeds first. `again`: how one is played again. */
export function linesOfFailures(
  failed: readonly History[],
  again: (seed: number) => string,
): readonly string[] {
  const inOrder = failed.toSorted((one, other) => one.seed - other.seed)
  return inOrder.flatMap((history, index) =>
    index < toldMax
      ? linesOf(history, again(history.seed))
      : [`seed ${history.seed} failed: ${history.violations[0]?.rule ?? ''}`],
  )
}

export function linesOf({ seed, story, violations, pending }: History, again: string): readonly string[] {
  return [
    `\n=== seed ${seed}`,
    ...story,
    ...violations.map(({ rule, what }) => `broken: ${rule}: ${what}`),
    ...pending.map((line) => `pending: ${line}`),
    `again: ${again}\n`,
  ]
}
