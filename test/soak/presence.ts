/** When the service was there for those who asked. Instants are epoch milliseconds. */
export class Presence {
  readonly #periods: { readonly from: number; to: number }[] = []
  #since: number | undefined

  get isUp(): boolean {
    return this.#since !== undefined
  }

  up(at: number): void {
    this.#since ??= at
  }

  down(at: number): void {
    if (this.#since === undefined) return
    this.#periods.push({ from: this.#since, to: at })
    this.#since = undefined
  }

  /** The longest time without a break in which it was there, within the given one. */
  longestWithin(from: number, to: number): number {
    const all =
      this.#since === undefined
        ? this.#periods
        : [...this.#periods, { from: this.#since, to: Number.POSITIVE_INFINITY }]
    return all.reduce((longest, one) => Math.max(longest, Math.min(one.to, to) - Math.max(one.from, from)), 0)
  }
}
