import type { Cancel } from '../../src/core/ports.ts'

interface Timer {
  readonly at: number
  readonly order: number
  callback: (() => void) | undefined
}

/** Beyond it something goes round without time passing. */
const sameInstantMax = 5_000

/**
 * Runs all promises that wait for nothing but each other, at once and without a turn of the event loop. It is what Node
 * itself does after each callback; it has no public name, and a turn of the loop for each of some thousand events would
 * cost more than all the rest of a history. Works only outside of promises: `SimTime.run` sees to that.
 */
const runMicrotasks = (process as unknown as { readonly _tickCallback: () => void })._tickCallback

/** Time that passes only from event to event. */
export class SimTime {
  /** Milliseconds since the beginning. */
  elapsed = 0
  events = 0
  #order = 0
  #sameInstant = 0
  readonly #heap: Timer[] = []
  readonly #eventsMax: number

  constructor(eventsMax = 600_000) {
    this.#eventsMax = eventsMax
  }

  after(delayMs: number, callback: () => void): Cancel {
    if (!(delayMs >= 0)) delayMs = 0
    const timer: Timer = { at: this.elapsed + delayMs, order: ++this.#order, callback }
    this.#push(timer)
    return () => {
      timer.callback = undefined
    }
  }

  /** Timers that are set and not cut short. */
  get waiting(): number {
    return this.#heap.filter(({ callback }) => callback !== undefined).length
  }

  /** Rings everything that is due within this time, in its order, and after each what it set off. Stops early when `isOver`. */
  run(forMs: number, isOver: () => boolean = () => false): void {
    const end = this.elapsed + forMs
    runMicrotasks()
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > end) break
      this.#pop()
      const { callback } = next
      if (callback === undefined) continue
      this.#advance(next.at)
      callback()
      runMicrotasks()
      if (isOver()) return
    }
    this.elapsed = end
  }

  #advance(at: number): void {
    this.events += 1
    this.#sameInstant = at > this.elapsed ? 0 : this.#sameInstant + 1
    if (this.#sameInstant > sameInstantMax) throw new Error('it goes round without time passing')
    if (this.events > this.#eventsMax) throw new Error('a history has an end')
    this.elapsed = Math.max(this.elapsed, at)
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let index = heap.push(timer) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, timer)) break
      heap[index] = above
      index = parent
    }
    heap[index] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      const [one, other] = [heap[left], heap[left + 1]]
      if (one === undefined) break
      const isOther = other !== undefined && isBefore(other, one)
      const least = isOther ? other : one
      if (isBefore(last, least)) break
      heap[index] = least
      index = isOther ? left + 1 : left
    }
    heap[index] = last
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** Calls back outside of any promise, where `SimTime.run` works. */
export function outsideOfPromises<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work())
      } catch (thrown) {
        reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
    })
  })
}
