import { KeyturnError } from '../../src/core/errors.ts'
import type { CommitOutcome, Ledger } from '../../src/core/ports.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { ledgerOver } from '../../src/ledger/sqlite.ts'
import { openDatabase } from '../../src/ledger/sqlite-file.ts'
import { databaseTools, type Tools } from '../../src/ledger/sqlite-tools.ts'
import type { Dice } from './dice.ts'
import type { Life } from './line.ts'
import { Weather } from './line.ts'
import type { Sim } from './sim.ts'

export interface LedgerWitness {
  /** Every state that became durable, by whatever way. `before`: of the same ledger. */
  onState(before: CredentialState | undefined, after: CredentialState): void
  onEvents(events: readonly unknown[]): void
}

/** Made once in a process and emptied for each history: to make the tables takes longer than some histories. */
let tools: Tools | undefined

/** In memory nothing is ever flushed, and to say so before and after each look is a tenth of its writing. */
function toolsInMemory(): Tools {
  const made = databaseTools(openDatabase(':memory:'), ':memory:')
  return { ...made, unflushed: made.guard }
}

/**
 * The shipped SQLite ledger, over one database for all replicas, which may be lost, and whose answers may be lost. Each
 * process has a ledger of its own, so that none knows what another remembers of states.
 */
export class SimLedger {
  readonly #tools = (tools ??= toolsInMemory())
  readonly weather = new Weather(0)
  readonly latest = new Map<string, CredentialState>()
  lostAt: number | undefined
  readonly losses: number[] = []
  witness: LedgerWitness = { onState: () => undefined, onEvents: () => undefined }
  readonly #sim: Sim
  readonly #dice: Dice
  /** Processes that are running, how each is told of what others have written, and what it will be told of soon. */
  readonly #lives = new Map<Life, { tell?: (name: string) => void; readonly waiting: Set<string> }>()

  constructor(sim: Sim) {
    this.#sim = sim
    this.#dice = sim.dice.stream('ledger')
    this.#empty()
  }

  /** All who had it are dead by now. */
  lose(): void {
    this.#empty()
    this.latest.clear()
    this.lostAt = this.#sim.now()
    this.losses.push(this.lostAt)
  }

  /** How many of each table. */
  rows(): Readonly<Record<string, number>> {
    const count = (table: string): number =>
      Number(this.#tools.sql(`SELECT count(*) AS rows FROM ${table}`).get()?.['rows'])
    return Object.fromEntries(this.#tables().map((table) => [table, count(table)]))
  }

  /** Of the longest state. */
  stateCharacters(): number {
    const longest = this.#tools.sql('SELECT max(length(state)) AS characters FROM credentials').get()
    return Number(longest?.['characters'])
  }

  #tables(): readonly string[] {
    const named = this.#tools.sql(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('migrations', 'sqlite_sequence')",
    )
    return named.all().map(({ name }) => String(name))
  }

  #empty(): void {
    // What points to a credential goes before it.
    for (const table of this.#tables().toSorted((one, other) => rank(one) - rank(other)))
      this.#tools.sql(`DELETE FROM ${table}`).run()
  }

  #became(after: CredentialState, by: Life): void {
    const before = this.latest.get(after.name)
    if (before !== undefined && before.revision >= after.revision) return
    this.latest.set(after.name, after)
    this.witness.onState(before, after)
    for (const [life, told] of this.#lives) {
      if (life === by || told.tell === undefined || told.waiting.has(after.name)) continue
      told.waiting.add(after.name)
      this.#sim.time.after(this.#dice.between(1, 500), () =>
        life.run(() => {
          told.waiting.delete(after.name)
          told.tell?.(after.name)
        }),
      )
    }
  }

  /** The shared clock, in true time, for those whose own is off. */
  portFor(life: Life): Ledger {
    const raw = ledgerOver(this.#tools, {})
    const through = async <Result>(
      what: string,
      work: () => Promise<Result>,
      done: (result: Result) => void = () => undefined,
    ): Promise<Result> => {
      const isCrashing = this.#sim.isHealed ? 0 : this.#sim.options.crashRate / 2
      if (!life.isAlive) return never()
      if (this.#dice.chance(isCrashing)) {
        life.crash(`before the ledger’s ${what}`)
        return never()
      }
      const isFailing = this.#dice.chance(this.weather.rate)
      if (isFailing && this.#dice.chance(0.5)) throw unreachable(what)
      const result = await work()
      done(result)
      if (this.#dice.chance(isCrashing)) {
        life.crash(`after the ledger’s ${what}`)
        return never()
      }
      if (isFailing) throw unreachable(what)
      return result
    }
    const noteCommit = (outcome: CommitOutcome): void => {
      if (outcome.kind !== 'committed') return
      this.#became(outcome.state, life)
      this.witness.onEvents(outcome.events)
    }
    const facade: Ledger = {
      open: (name, initial) =>
        through(
          'open',
          () => raw.open(name, initial),
          (state) => {
            if (!this.latest.has(name)) this.#became(state, life)
          },
        ),
      read: (name) => through('read', () => raw.read(name)),
      readAll: () => through('readAll', () => raw.readAll()),
      claim: (request) =>
        through(
          'claim',
          () => raw.claim(request),
          (claims) => {
            for (const claim of claims) this.#became(claim.state, life)
          },
        ),
      renew: (request) => through('renew', () => raw.renew(request)),
      release: (request) => through('release', () => raw.release(request)),
      commit: (commit) => through('commit', () => raw.commit(commit), noteCommit),
      nextDueAt: (names) => through('nextDueAt', () => raw.nextDueAt(names)),
      events: (name, afterId, limit) => raw.events(name, afterId, limit),
      lastEventId: (name) => raw.lastEventId(name),
      rotations: (name, limit) => raw.rotations(name, limit),
      rotation: (name, id) => raw.rotation(name, id),
      aftermath: (name, of) => raw.aftermath(name, of),
      touchLease: (...leases) => through('touchLease', () => raw.touchLease(...leases)),
      leases: (name) => through('leases', () => raw.leases(name)),
      dropLease: (name, instance) => through('dropLease', () => raw.dropLease(name, instance)),
      endLease: (lease) => through('endLease', () => raw.endLease(lease)),
      once: (key, value) => raw.once(key, value),
      document: (key) => through('document', () => raw.document(key)),
      putDocument: (request) => through('putDocument', () => raw.putDocument(request)),
      remember: (request) => raw.remember(request),
      watch: (onChange) => {
        const told = this.#lives.get(life)
        if (told !== undefined) told.tell = onChange
        return () => this.forget(life)
      },
      close: async () => undefined,
    }
    return facade
  }

  follow(life: Life): void {
    this.#lives.set(life, { waiting: new Set() })
  }

  forget(life: Life): void {
    this.#lives.delete(life)
  }
}

function rank(table: string): number {
  return table === 'credentials' ? 1 : 0
}

function never<Result>(): Promise<Result> {
  return new Promise<Result>(() => undefined)
}

function unreachable(what: string): KeyturnError {
  return new KeyturnError('ledger_unreachable', `The ledger did not answer (${what}).`, { retryable: true })
}
