/** Lines that are kept to be told where something goes wrong. */
const linesMax = 200
/** Violations that are kept word by word; of more there is only the number. */
const violationsMax = 20

export interface Violation {
  readonly check: CheckName
  readonly what: string
}

/** What a soak checks, in the order in which it is told at the end. */
export const checks = {
  served: 'no app request failed that a live key could have served',
  planned: 'no app was refused with a key that was turned by plan',
  counted: 'the apps and OpenAI tell the same story',
  generations: 'generations never fell, in no app',
  service: 'the service ended only when it was made to, and came back each time',
  faults: 'no internal error and no broken assertion in any log',
  operators: 'every command ended with a result, or with an error, its cause and its fix',
  converged: 'after healing everything came to its end: one current key, every old one proven dead',
  orphans: 'no key of ours is alive that is not current or in reserve',
  rotations: 'every rotation ended with an outcome',
  agreed: 'ledger, store and service agree, and the ledger is sound',
  peace: 'a rotation in peace, to a proven death, failed no request',
  secrets: 'no piece of any key or token is in a log, an output, a file or a process list',
  tidy: 'every process has ended',
  busy: 'there was enough to see',
} as const
export type CheckName = keyof typeof checks

/** What happened, and what must not have. */
export class Story {
  readonly lines: string[] = []
  readonly #kept: string[] = []
  readonly violations: Violation[] = []
  readonly counts = new Map<CheckName, number>()
  readonly #startedAt: number
  readonly #now: () => number

  /** Told at once, so that whoever waits need not wait for the end. */
  readonly #onViolation: (violation: Violation) => void

  constructor(now: () => number, onViolation: (violation: Violation) => void) {
    this.#now = now
    this.#onViolation = onViolation
    this.#startedAt = now()
  }

  tell(who: string, what: string, at = this.#now()): void {
    this.lines.push(`${((at - this.#startedAt) / 1000).toFixed(2).padStart(8)} s  ${who}: ${what}`)
    if (this.lines.length > linesMax) this.lines.shift()
  }

  object(check: CheckName, what: string): void {
    // What led to the first of them is what is wanted, and many more may follow.
    if (this.isWell) this.#kept.push(...this.lines.splice(0))
    this.tell('BROKEN', `${checks[check]}: ${what}`)
    this.counts.set(check, (this.counts.get(check) ?? 0) + 1)
    if (this.violations.length === violationsMax) return
    this.violations.push({ check, what })
    this.#onViolation({ check, what })
  }

  /** What led to the first violation, and what came last. */
  toTell(): readonly string[] {
    return this.#kept.length === 0 ? this.lines : [...this.#kept, '          …', ...this.lines]
  }

  get isWell(): boolean {
    return this.counts.size === 0
  }
}
