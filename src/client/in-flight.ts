import type { Cancel } from './platform.ts'

/** Which generations have requests under way, so that a retirement can wait for the last of them. */
export interface InFlight {
  /** Counts a request in; the function it returns counts it out, once, however often it is called. */
  enter(generation: number): Cancel
  /** The lowest generation with a request under way. */
  oldest(): number | undefined
}

export function createInFlight(onDrained: (generation: number) => void): InFlight {
  const counts = new Map<number, number>()
  const leave = (generation: number) => {
    const left = (counts.get(generation) ?? 1) - 1
    if (left > 0) {
      counts.set(generation, left)
      return
    }
    counts.delete(generation)
    onDrained(generation)
  }
  return {
    enter(generation) {
      counts.set(generation, (counts.get(generation) ?? 0) + 1)
      let isIn = true
      return () => {
        if (!isIn) return
        isIn = false
        leave(generation)
      }
    },
    oldest: () => (counts.size === 0 ? undefined : Math.min(...counts.keys())),
  }
}
