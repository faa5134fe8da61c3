import { createHash } from 'node:crypto'
import type { Cancel, System } from '../../src/core/ports.ts'
import type { SecretOf } from '../../src/engine/lending.ts'
import { startAt } from '../core/fixtures.ts'
import type { Dice } from './dice.ts'
import type { Sim } from './sim.ts'

/** One life of a replica's process, from its start to its crash. Nothing of it goes on after that. */
export class Life {
  isAlive = true
  frozenUntil = 0
  /** Given by the service at its start: how issuers get the key that works now. */
  secretOf: SecretOf | undefined
  readonly #sim: Sim
  readonly clock: ReplicaClock
  readonly name: string
  readonly onCrash: (why: string) => void
  readonly #letGo: (() => void)[] = []
  readonly #timers = new Set<Cancel>()

  constructor(sim: Sim, clock: ReplicaClock, name: string, onCrash: (why: string) => void) {
    this.#sim = sim
    this.clock = clock
    this.name = name
    this.onCrash = onCrash
  }

  /** Runs in this process, if it lives; a frozen one runs it when it thaws, in order. */
  run(callback: () => void): void {
    if (!this.isAlive) return
    const { time } = this.#sim
    if (this.frozenUntil > time.elapsed) time.after(this.frozenUntil - time.elapsed, () => this.run(callback))
    else callback()
  }

  /** A timer of this process, which is gone with it: some are for months, and would hold all of a dead one until then. */
  after(delayMs: number, callback: () => void): Cancel {
    const stop = this.#sim.time.after(delayMs, () => {
      this.#timers.delete(stop)
      this.run(callback)
    })
    this.#timers.add(stop)
    return () => {
      this.#timers.delete(stop)
      stop()
    }
  }

  /** Runs it in this process. A place may hold on to it when the process is dead, without holding all of the process with it. */
  lent(callback: () => void): () => void {
    const { call, letGo } = droppable(() => this.run(callback))
    this.#letGo.push(letGo)
    return call
  }

  crash(why: string): void {
    if (!this.isAlive) return
    this.isAlive = false
    for (const letGo of this.#letGo) letGo()
    for (const stop of this.#timers) stop()
    this.#timers.clear()
    this.onCrash(why)
  }
}

/** Apart from the class, for a function holds everything that the functions beside it need. */
function droppable(callback: () => void): { readonly call: () => void; readonly letGo: () => void } {
  let kept: (() => void) | undefined = callback
  return { call: () => kept?.(), letGo: () => (kept = undefined) }
}

/** A replica's own idea of the time; outlives its processes. */
export class ReplicaClock {
  offsetMs: number
  driftShare: number
  /** When somebody set it last. */
  setAt = Number.NEGATIVE_INFINITY
  readonly #sim: Sim

  constructor(sim: Sim, offsetMs: number, driftShare: number) {
    this.#sim = sim
    this.offsetMs = offsetMs
    this.driftShare = driftShare
  }

  /** By so much against true time. */
  set(offsetMs: number): void {
    if (offsetMs === this.offsetMs) return
    this.offsetMs = offsetMs
    this.setAt = this.#sim.time.elapsed
  }

  readonly now = (): number =>
    Math.floor(startAt + this.#sim.time.elapsed * (1 + this.driftShare) + this.offsetMs)
}

const hashes = new Map<string, string>()

function sha256Hex(text: string): string {
  const known = hashes.get(text)
  if (known !== undefined) return known
  const made = createHash('sha256').update(text).digest('hex')
  if (hashes.size > 5_000) hashes.clear()
  hashes.set(text, made)
  return made
}

/** The System port of one life. */
export function systemOf(life: Life, dice: Dice): System {
  const hex8 = (): string =>
    Math.floor(dice.fraction() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0')
  return {
    now: life.clock.now,
    fraction: dice.fraction,
    bytes: (count) => Uint8Array.from({ length: count }, () => dice.below(256)),
    uuid() {
      const [one, other] = [hex8(), hex8()]
      return `${hex8()}-${one.slice(0, 4)}-4${one.slice(4, 7)}-a${other.slice(0, 3)}-${other.slice(4)}${hex8()}`
    },
    sha256Hex,
    after(delayMs, callback): Cancel {
      if (Number.isNaN(delayMs)) throw new TypeError('a delay is a number')
      // Timers of a process run by its own clock's speed, rounded up as the real ones are.
      return life.after(Math.ceil(delayMs / (1 + life.clock.driftShare)), callback)
    },
  }
}

/** How likely calls to one place fail now. */
export class Weather {
  rate: number
  readonly usualRate: number
  isAway = false

  constructor(rate: number) {
    this.usualRate = rate
    this.rate = rate
  }

  clear(): void {
    this.rate = 0
    this.isAway = false
  }
}

export interface Call<Result> {
  readonly what: string
  readonly weather: Weather
  /** The other side does it, at the moment the request arrives. */
  readonly apply: () => Promise<Result> | Result
  /** The answer of this side's driver when there is none from the other, or a useless one. */
  readonly failure: (how: 'timeout' | 'reset' | 'throttled' | 'error', dice: Dice) => Result
  /** May the network or the driver deliver it twice? */
  readonly isRepeatable: boolean
  /** A request nobody waits for any more may still arrive, up to this much later. */
  readonly lateMs: number
}

const timeoutMs = 10_000

/** One call over the network from a process that may die at any moment, to a place that may answer badly. */
export function call<Result>(sim: Sim, life: Life, dice: Dice, request: Call<Result>): Promise<Result> {
  const { options, time } = sim
  const { weather, what } = request
  const crashRate = sim.isHealed ? 0 : options.crashRate
  return new Promise<Result>((resolve, reject) => {
    if (!life.isAlive) return
    if (dice.chance(crashRate)) {
      life.crash(`before ${what}`)
      return
    }
    const crashesAfter = dice.chance(crashRate)
    let isAnswered = false
    const settle = (done: () => void): void => {
      if (isAnswered) return
      isAnswered = true
      life.run(() => {
        if (crashesAfter) life.crash(`after ${what}`)
        else done()
      })
    }
    const fail = (how: Parameters<Call<Result>['failure']>[0]): void => {
      settle(() => {
        sim.story.tell(life.name, `${what}: ${how}`)
        try {
          resolve(request.failure(how, dice))
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
        }
      })
    }
    const arrive = (isHeard: boolean, backMs: number): void => {
      // What a dead process had sent may still be on its way, or never have left.
      if (!life.isAlive && dice.chance(0.4)) return
      let outcome: Promise<Result>
      try {
        outcome = Promise.resolve(request.apply())
      } catch (thrown) {
        outcome = Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
      outcome.then(
        (result) => {
          if (isHeard) time.after(backMs, () => settle(() => resolve(result)))
        },
        (thrown: unknown) => {
          const error = thrown instanceof Error ? thrown : new Error(String(thrown))
          if (isHeard) time.after(backMs, () => settle(() => reject(error)))
        },
      )
    }
    const thereMs = latency(options.latencyMs, dice)
    const backMs = latency(options.latencyMs, dice)
    const fails = weather.isAway ? dice.chance(0.97) : dice.chance(weather.rate)
    if (!fails) {
      time.after(thereMs, () => arrive(true, backMs))
      return
    }
    const fate = dice.weighed({
      lost: 4,
      lostAnswer: 4,
      late: 2,
      refused: 5,
      resetAfter: 2,
      slow: 3,
      twice: 2,
    })
    switch (weather.isAway && fate !== 'refused' ? 'lost' : fate) {
      case 'lost':
        time.after(timeoutMs, () => fail('timeout'))
        return
      case 'lostAnswer':
        time.after(thereMs, () => arrive(false, 0))
        time.after(timeoutMs, () => fail('timeout'))
        return
      case 'late':
        time.after(timeoutMs, () => fail('timeout'))
        if (request.lateMs > 0)
          time.after(timeoutMs + dice.between(0, request.lateMs), () => arrive(false, 0))
        return
      case 'refused':
        time.after(thereMs + backMs, () => fail(dice.pick(['throttled', 'error', 'error', 'reset'] as const)))
        return
      case 'resetAfter':
        time.after(thereMs, () => arrive(false, 0))
        time.after(thereMs + backMs, () => fail('reset'))
        return
      case 'slow':
        time.after(dice.between(1_000, timeoutMs / 2), () => arrive(true, dice.between(100, timeoutMs / 2)))
        return
      case 'twice':
        time.after(thereMs, () => arrive(true, backMs))
        if (request.isRepeatable)
          time.after(thereMs + dice.between(0, request.lateMs), () => arrive(false, 0))
        return
    }
  })
}

function latency(meanMs: number, dice: Dice): number {
  return meanMs * (0.2 + 1.6 * dice.fraction())
}
