const inspect = Symbol.for('nodejs.util.inspect.custom')

/**
 * The string that must never be seen: an API key. Whatever prints, serialises or inspects it gets `[secret]`; only
 * `reveal()` gives the string, and only the files listed in test/tidy.test.ts may call it, on their last line before
 * the wire.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The string itself. Call it where it leaves for the wire, the file or the child process, and nowhere else. */
  reveal(): string {
    return this.#value
  }

  /** In UTF-16 code units. Safe to show: OpenAI keys of one kind all have the same length. */
  get length(): number {
    return this.#value.length
  }

  equals(other: Secret): boolean {
    return this.#value === other.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect](): string {
    return '[secret]'
  }
}
