import { blackoutsOf } from '../../src/core/blackout.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Beat, Occurrences } from '../../src/core/ports.ts'
import { createService } from '../../src/engine/create-service.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import type { RunningService } from '../../src/engine/service.ts'
import type { CredentialSetup } from '../../src/engine/setup.ts'
import { policyOf, startAt } from '../core/fixtures.ts'
import type { Dice } from './dice.ts'
import { Life, ReplicaClock, systemOf } from './line.ts'
import type { CredentialOptions } from './options.ts'
import type { Sim } from './sim.ts'
import type { World } from './world.ts'

const cron = createOccurrences()
const quarterMs = 91 * 86_400_000

/** The schedules of a history are busy at first and quarterly afterwards: what has healed must come to rest. */
export function occurrencesOf({ options }: Sim): Occurrences {
  const busyUntil = startAt + options.chaosMs
  return {
    next(expression, timeZone, afterAt) {
      const at = afterAt < busyUntil ? cron.next(expression, timeZone, afterAt) : undefined
      if (at !== undefined && at < busyUntil) return at
      return busyUntil + quarterMs * (1 + Math.max(0, Math.floor((afterAt - busyUntil) / quarterMs)))
    },
  }
}

/** One host: a process of the shipped engine that may die and is started again. */
export class Replica {
  readonly name: string
  readonly clock: ReplicaClock
  life: Life | undefined
  service: RunningService | undefined
  starts = 0
  readonly #world: World
  readonly #dice: Dice
  readonly #listeners = new Set<(name: string | undefined) => void>()

  constructor(world: World, index: number) {
    this.#world = world
    this.name = `host-${index}`
    this.#dice = world.sim.dice.stream(this.name)
    const { skewMs, drift } = world.sim.options
    const isOff = index > 0
    this.clock = new ReplicaClock(
      world.sim,
      isOff ? this.#dice.between(-skewMs, skewMs) : 0,
      isOff ? this.#dice.between(-drift, drift) : 0,
    )
  }

  get isUp(): boolean {
    return this.life?.isAlive === true && this.service !== undefined
  }

  get isFrozen(): boolean {
    return (this.life?.frozenUntil ?? 0) > this.#world.sim.time.elapsed
  }

  start(): void {
    const { sim, ledger } = this.#world
    if (this.life?.isAlive === true) return
    this.starts += 1
    const life = new Life(sim, this.clock, this.name, (why) => this.#crashed(life, why))
    this.life = life
    sim.story.tell(this.name, 'starts')
    ledger.follow(life)
    createService({
      setups: sim.options.credentials.map((one) => this.#setup(one, life)),
      deps: {
        system: systemOf(life, this.#dice),
        log: (level, message, fields = {}) => this.#world.watch.onLog(this.name, { level, message, fields }),
        ledger: ledger.portFor(life),
        occurrences: occurrencesOf(sim),
        owner: this.name,
        installation: 'inst1',
      },
      beat: this.#beat(life),
      patienceMs: sim.options.patienceMs,
      reconcile: sim.options.reconcile,
      lend: (secretOf) => void (life.secretOf = secretOf),
      version: '0.0.0',
      isSandbox: false,
      close: [],
    }).then(
      (service) => life.run(() => this.#started(life, service)),
      (thrown: unknown) => {
        const isLedgers = thrown instanceof KeyturnError && thrown.code.startsWith('ledger_')
        if (!isLedgers && life.isAlive) sim.object('fault', `${this.name} cannot start: ${String(thrown)}`)
        life.crash('cannot start')
      },
    )
  }

  #started(life: Life, service: RunningService): void {
    if (!life.isAlive) return
    this.service = service
    service.onHandOut((name) => {
      if (!life.isAlive) return
      this.#world.watch.onHandOut(this.name, service.handOut(name))
      for (const listener of this.#listeners) listener(name)
    })
    for (const name of service.names) this.#world.watch.onHandOut(this.name, service.handOut(name))
    for (const listener of this.#listeners) listener(undefined)
  }

  #crashed(life: Life, why: string): void {
    const { sim, ledger } = this.#world
    sim.story.tell(this.name, `dies ${why}`)
    ledger.forget(life)
    this.service = undefined
    for (const listener of this.#listeners) listener(undefined)
    sim.time.after(sim.isHealed ? 1_000 : this.#dice.between(50, 60_000), () => this.start())
  }

  freeze(forMs: number): void {
    const { sim } = this.#world
    if (this.life === undefined) return
    this.life.frozenUntil = Math.max(this.life.frozenUntil, sim.time.elapsed + forMs)
    sim.story.tell(this.name, `freezes for ${Math.round(forMs / 1000)} s`)
  }

  /** A name: what is handed out for it has changed. Undefined: it came up or went down. */
  onChange(listener: (name: string | undefined) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #setup(credential: CredentialOptions, life: Life): CredentialSetup {
    const { issuer, storesOf } = this.#world
    const [store, ...mirrors] = storesOf(credential.name)
    if (store === undefined) throw new Error('a credential has a store')
    return {
      name: credential.name,
      ref: 'secret',
      store: store.portFor(life),
      mirrors: mirrors.map((one) => ({ id: one.name, ref: 'secret', store: one.portFor(life) })),
      issuer: issuer.portFor(life, credential),
      expected: credential.organization === undefined ? {} : { organization: credential.organization },
      mintScopes: [],
      policy: policyOf({
        ...credential.policy,
        mirrors: mirrors.map((one) => one.name),
        blackoutAt: blackoutsOf(credential.blackout, occurrencesOf(this.#world.sim)),
      }),
      schedule:
        credential.schedule === undefined
          ? undefined
          : { expression: credential.schedule, timeZone: 'UTC', jitterMs: 60_000 },
    }
  }

  #beat(life: Life): Beat {
    const { time, options } = this.#world.sim
    let isStopped = false
    const ring = (onBeat: () => void): void => {
      if (isStopped || !life.isAlive) return
      life.run(onBeat)
      time.after(options.beatMs, () => ring(onBeat))
    }
    return {
      start: (onBeat) => void time.after(this.#dice.between(0, options.beatMs), () => ring(onBeat)),
      stop: () => void (isStopped = true),
    }
  }
}
