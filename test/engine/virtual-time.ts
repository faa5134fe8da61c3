import { createHash } from 'node:crypto'
import type { Cancel, Hash, System } from '../../src/core/ports.ts'
import { randomOf, startAt } from '../core/fixtures.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  readonly isBackground: boolean
}

/** Lets everything that waits for nothing but promises run to its end: one turn of the event loop is enough. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/**
 * A clock that moves only when it is told to. Timers run on their own time, as the real ones do: setting the clock
 * (`jump`) neither rings nor delays them.
 */
export class VirtualTime implements System, Hash {
  readonly #random: () => number
  #elapsed = 0
  #offset = startAt
  #drawn = 0
  readonly #timers = new Set<Timer>()

  constructor(seed = 1) {
    this.#random = randomOf(seed)
  }

  readonly now = (): number => this.#offset + this.#elapsed
  readonly fraction = (): number => this.#random()
  readonly uuid = (): string => {
    const hex = Array.from({ length: 24 }, () => Math.floor(this.#random() * 16).toString(16)).join('')
    return `${hex.slice(0, 8)}-${(++this.#drawn).toString(16).padStart(8, '0')}-${hex.slice(8)}`
  }
  readonly bytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => Math.floor(this.#random() * 256))
  readonly sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')

  readonly after = (
    delayMs: number,
    callback: () => void,
    options: { readonly background?: boolean } = {},
  ): Cancel => {
    if (Number.isNaN(delayMs)) throw new TypeError('a delay is a number')
    const at = this.#elapsed + Math.max(0, delayMs)
    const timer = { at, order: ++this.#drawn, callback, isBackground: options.background === true }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** Sets the clock, as a person or NTP does. */
  jump(ms: number): void {
    this.#offset += ms
  }

  /** Lets time pass: every timer rings in its order, and what it set off runs before the next one. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms
    await settle()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next)
      this.#elapsed = Math.max(this.#elapsed, next.at)
      next.callback()
      await settle()
    }
    this.#elapsed = end
  }

  /** Lets time pass until something is so, at most this long. */
  async until(isSo: () => boolean, withinMs: number, stepMs = 50): Promise<void> {
    await settle()
    for (let passed = 0; !isSo(); passed += stepMs) {
      if (passed >= withinMs) throw new Error(`not so within ${withinMs} ms`)
      await this.advance(stepMs)
    }
  }

  /** Timers that would keep a process alive, and all of them. */
  get waiting(): { readonly foreground: number; readonly all: number } {
    const all = [...this.#timers]
    return { foreground: all.filter((one) => !one.isBackground).length, all: all.length }
  }

  #next(end: number): Timer | undefined {
    return [...this.#timers]
      .filter((one) => one.at <= end)
      .toSorted((a, b) => a.at - b.at || a.order - b.order)[0]
  }
}
