import { randomBytes } from 'node:crypto'

/** Long enough that no text holds one by chance, short enough that a part of a key shows too. */
export const windowChars = 12
/** How many bytes the sandbox draws for one half of a key; its ids take fewer. */
const keyBytesMin = 40

export interface Finding {
  readonly where: string
  /** Where in it; never what: the output of a test is read by others too. */
  readonly offset: number
}

/** Collects all key material that is ever made, and finds any piece of it anywhere. */
export class Canaries {
  readonly #windows = new Set<string>()
  #count = 0

  /** Give it to the sandbox: the halves of its keys are drawn here. */
  readonly random = (bytes: number): Uint8Array => {
    const drawn = new Uint8Array(randomBytes(bytes))
    if (bytes >= keyBytesMin) this.add(Buffer.from(drawn).toString('base64url'))
    return drawn
  }

  get count(): number {
    return this.#count
  }

  /** Every window of a secret that was not made by the sandbox: a token. `prefix` is what is no secret of it. */
  add(secret: string, prefix = ''): void {
    const own = secret.startsWith(prefix) ? secret.slice(prefix.length) : secret
    this.#count += 1
    for (let at = 0; at + windowChars <= own.length; at++) this.#windows.add(own.slice(at, at + windowChars))
  }

  /** The first place of each text that holds a piece of a secret. */
  search(texts: ReadonlyMap<string, string>): readonly Finding[] {
    const found: Finding[] = []
    for (const [where, text] of texts) {
      const offset = this.#firstIn(text)
      if (offset !== undefined) found.push({ where, offset })
    }
    return found
  }

  #firstIn(text: string): number | undefined {
    for (let at = 0; at + windowChars <= text.length; at++)
      if (this.#windows.has(text.slice(at, at + windowChars))) return at
    return undefined
  }
}
