import { hash } from './dice.ts'

const keptMax = 160

/** What happened, in order. All of it goes into the hash; the end of it is kept for people. */
export class Story {
  readonly #lines: string[] = []
  readonly #elapsed: () => number
  readonly isLoud: boolean
  count = 0
  #high = 0x811c9dc5
  #low = 0x01000193

  constructor(elapsed: () => number, isLoud = false) {
    this.#elapsed = elapsed
    this.isLoud = isLoud
  }

  tell(who: string, what: string): void {
    const line = `${(this.#elapsed() / 1000).toFixed(3).padStart(10)}s  ${who.padEnd(14)} ${what}`
    this.count += 1
    this.#high = hash(line, this.#high)
    this.#low = hash(line, this.#low ^ this.count)
    if (this.isLoud) process.stdout.write(`${line}\n`)
    this.#lines.push(line)
    if (this.#lines.length > 2 * keptMax) this.#lines.splice(0, keptMax)
  }

  /** Equal for equal stories. */
  get fingerprint(): string {
    return [this.#high, this.#low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }

  get end(): readonly string[] {
    return this.#lines.slice(-keptMax)
  }
}
