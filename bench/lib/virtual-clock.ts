import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Cancel, Hash, System } from '../../src/core/ports.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  isCancelled: boolean
}

/** A clock that moves only when it is told to, for tens of thousands of timers: an hour of a fleet in some seconds. */
export class VirtualClock implements System, Hash {
  #now: number
  #order = 0
  /** A heap by instant and order. */
  readonly #heap: Timer[] = []

  constructor(startAt: number) {
    this.#now = startAt
  }

  readonly now = (): number => this.#now
  readonly fraction = (): number => Math.random()
  readonly uuid = (): string => randomUUID()
  readonly bytes = (count: number): Uint8Array => randomBytes(count)
  readonly sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')

  readonly after = (delayMs: number, callback: () => void): Cancel => {
    const timer = {
      at: this.#now + Math.max(0, delayMs),
      order: (this.#order += 1),
      callback,
      isCancelled: false,
    }
    this.#push(timer)
    return () => {
      timer.isCancelled = true
    }
  }

  /** Every timer rings in its order, and what it set off runs before the next instant. */
  async advance(ms: number): Promise<void> {
    const endAt = this.#now + ms
    await settled()
    for (let next = this.#heap[0]; next !== undefined && next.at <= endAt; next = this.#heap[0]) {
      this.#now = Math.max(this.#now, next.at)
      for (let due = this.#heap[0]; due !== undefined && due.at <= this.#now; due = this.#heap[0]) {
        this.#pop()
        if (!due.isCancelled) due.callback()
      }
      await settled()
    }
    this.#now = endAt
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(timer, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      const child = right < heap.length && isBefore(heap[right] as Timer, heap[left] as Timer) ? right : left
      const below = heap[child]
      if (below === undefined || !isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** What waits for nothing but promises has run to its end. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
