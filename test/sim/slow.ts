import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { CredentialState, Retirement } from '../../src/core/types.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import { policyOf, startAt } from '../core/fixtures.ts'
import type { CredentialOptions } from './options.ts'
import { short } from './watch.ts'
import type { World } from './world.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
/** A day for a ledger, a store or a replica that was away, and to be told of. */
const slackMs = dayMs
/** Rows of one credential: what the ledger keeps at most, and a few documents. */
const rowsMax: Readonly<Record<string, number>> = {
  credentials: 1,
  events: 1_000,
  rotations: 200,
  aftermath: 400,
  leases: 20,
  documents: 20,
  answers: 0,
  settings: 5,
}
const stateCharactersMax = 150_000
/** Of all replicas and apps; most are set and cut short all the time, so one that is forgotten is soon many. */
const timersMax = 100
/** What this world itself writes down in a quarter is a few megabytes: some 26,000 answers to probes. */
const heapGrowthMax = 24 * 1_048_576
/** By then the code is compiled and everything that is made once has been made. */
const settledDays = 10

/** What only a quarter shows, looked at once a day and at the end: due times, overlaps, what grows. */
export class Slow {
  readonly #world: World
  #days = 0
  #heapBytes: number | undefined

  constructor(world: World) {
    this.#world = world
  }

  look(): void {
    this.#days += 1
    for (const credential of this.#world.sim.options.credentials) {
      const state = this.#world.ledger.latest.get(credential.name)
      if (state !== undefined) this.#mindOverlaps(state, credential)
    }
    this.#mindLedger()
    const { waiting } = this.#world.sim.time
    if (waiting > timersMax) this.#object('timers are bounded', `${waiting} are set`)
    if (this.#days === settledDays) this.#heapBytes = heapBytes()
  }

  lookBack(): void {
    for (const credential of this.#world.sim.options.credentials) this.#mindSchedule(credential)
    const grownBytes = heapBytes() - (this.#heapBytes ?? Number.POSITIVE_INFINITY)
    if (grownBytes > heapGrowthMax)
      this.#object('memory is bounded', `it grew by ${Math.round(grownBytes / 1024)} KiB`)
  }

  #object(rule: string, what: string): void {
    this.#world.sim.object(rule, what)
  }

  /** Past its overlap and the drain limit a key of ours is dead, or people have been told why not. */
  #mindOverlaps(state: CredentialState, { policy }: CredentialOptions): void {
    const { watch, issuer, sim, ledger } = this.#world
    const { overlapMs, drainLimitMs } = policyOf(policy)
    for (const [version, leftAt] of watch.belief(state.name).leftAt) {
      const record = state.versions.find((one) => one.version === version)
      const key = record === undefined ? undefined : watch.keyOf(record)
      // A ledger that was lost lets every key drain for a whole overlap again.
      const sinceMs = sim.now() - Math.max(leftAt, ledger.lostAt ?? 0)
      if (key?.madeBy !== 'keyturn' || !issuer.exists(key)) continue
      if (sinceMs <= overlapMs + drainLimitMs + slackMs) continue
      const retirement = state.retirements.findLast((one) => one.version === version)
      if (!isTold(retirement))
        this.#object(
          'no key outlives its overlap unseen',
          `${state.name} ${short(version)} is ${retirement?.phase ?? record?.stage ?? ''}, ${Math.round(sinceMs / dayMs)} days after it was replaced`,
        )
    }
  }

  #mindLedger(): void {
    const { ledger, sim } = this.#world
    const { length } = sim.options.credentials
    for (const [table, rows] of Object.entries(ledger.rows()))
      if (rows > (rowsMax[table] ?? 0) * length)
        this.#object('the ledger is bounded', `${rows} rows of ${table}`)
    const characters = ledger.stateCharacters()
    if (characters > stateCharactersMax)
      this.#object('the ledger is bounded', `a state of ${characters} characters`)
  }

  /** One rotation for each occurrence, after it and before the next, and none besides. */
  #mindSchedule({ name, schedule }: CredentialOptions): void {
    const { watch, sim, ledger } = this.#world
    if (schedule === undefined) return
    const occurrences = occurrencesWithin(schedule, startAt + sim.options.chaosMs)
    const { scheduledAt } = watch.belief(name)
    // A clock that is set by an hour is early or late by as much.
    const earlyMs = sim.options.hasSteps ? 120 * minuteMs : 2 * sim.options.skewMs + minuteMs
    occurrences.forEach((at, index) => {
      const untilAt = (occurrences[index + 1] ?? Number.POSITIVE_INFINITY) - earlyMs
      const begun = scheduledAt.filter((one) => one >= at - earlyMs && one < untilAt).length
      // With the ledger the plan is lost too, and the one that is made anew begins after that.
      const isLost = ledger.losses.some((lostAt) => lostAt >= at - earlyMs && lostAt < untilAt)
      if (begun !== 1 && !(begun === 0 && isLost))
        this.#object('what is scheduled happens once', `${name}: ${begun} at ${new Date(at).toISOString()}`)
    })
    const early = scheduledAt.filter((one) => one < (occurrences[0] ?? Number.POSITIVE_INFINITY) - earlyMs)
    if (early.length > 0)
      this.#object('what is scheduled happens once', `${name}: ${early.length} that nothing planned`)
  }
}

function isTold(retirement: Retirement | undefined): boolean {
  if (retirement === undefined) return false
  return retirement.halt !== undefined || retirement.isLimitAlerted || retirement.phase === 'unproven'
}

function occurrencesWithin(expression: string, endAt: number): readonly number[] {
  const cron = createOccurrences()
  const found: number[] = []
  for (let at = cron.next(expression, 'UTC', startAt); at !== undefined && at < endAt; )
    at = found.push(at) > 0 ? cron.next(expression, 'UTC', at) : undefined
  return found
}

/** What is alive: without what is only waiting to be collected. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
