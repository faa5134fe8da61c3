import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger, SecretStore, System } from '../../src/core/ports.ts'
import { createService } from '../../src/engine/create-service.ts'
import { type LastKnownGood, openLastKnownGood, type SafeFile } from '../../src/engine/last-known-good.ts'
import type { HandOut, NoHandOut, RunningService } from '../../src/engine/service.ts'
import { openSteadily } from '../../src/engine/steady-service.ts'
import { dayMs } from '../core/fixtures.ts'
import { beatOf, World, type WorldOptions } from './world.ts'

type Away = 'here' | 'refuses' | 'hangs'

/** One process: from its death on nothing that it asked for is answered, and nothing that it planned happens. */
export class Life {
  isDead = false
  readonly system: System
  service: RunningService | undefined
  file: LastKnownGood | undefined

  constructor(world: World) {
    const { time } = world
    this.system = {
      now: time.now,
      fraction: time.fraction,
      uuid: time.uuid,
      bytes: time.bytes,
      sha256Hex: time.sha256Hex,
      after: (delayMs, callback, options) =>
        time.after(delayMs, () => (this.isDead ? undefined : callback()), options),
    }
  }

  /** What this process asks somebody else for. */
  async ask<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    if (this.isDead) return await never()
    const answer = await work()
    return this.isDead ? await never() : answer
  }

  handOut(name = 'openai'): HandOut | NoHandOut | undefined {
    return this.service?.handOut(name)
  }

  /** The key that is handed out, or undefined. */
  key(name = 'openai'): string | undefined {
    const given = this.handOut(name)
    return given?.kind === 'available' ? given.version : undefined
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined)
}

/** An engine that is opened as in production, over a ledger, a store and an issuer that can all be away, and a disk that fails. */
export class SteadyWorld {
  readonly world: World
  ledger: Away = 'here'
  store: 'here' | 'away' = 'here'
  disk: 'here' | 'full' | 'broken' = 'here'
  /** What is on the disk; it outlives every process. */
  text: string | undefined
  installation = 'inst1'
  maxAgeMs = 100 * dayMs
  expected = {
    baseUrl: 'https://api.openai.com/v1',
    organization: 'org-ours',
    project: undefined,
    binding: 'b1',
  }
  /** Told before each thing that a process does to the ledger or the disk. */
  onStep: (step: string, life: Life) => void = () => undefined
  diskLatencyMs = 0
  life: Life | undefined

  constructor(options: WorldOptions = {}) {
    this.world = new World(options)
  }

  set openAI(is: 'here' | 'away') {
    for (const issuer of this.world.issuers.values()) {
      if (is === 'away') issuer.breakCall('verify')
      else issuer.mend('verify')
    }
  }

  takeAllAway(): void {
    this.ledger = 'refuses'
    this.store = 'away'
    this.openAI = 'away'
  }

  giveAllBack(): void {
    this.ledger = 'here'
    this.store = 'here'
    this.openAI = 'here'
  }

  async start(): Promise<Life> {
    const life = new Life(this.world)
    this.life = life
    let outcome: { readonly error?: unknown } | undefined
    void this.#start(life).then(
      () => (outcome = {}),
      (error: unknown) => (outcome = { error }),
    )
    await this.world.time.until(() => outcome !== undefined, 60_000, 10)
    if (outcome !== undefined && 'error' in outcome) throw outcome.error
    return life
  }

  /** SIGKILL. */
  kill(life = this.life): void {
    if (life !== undefined) life.isDead = true
  }

  async #start(life: Life): Promise<void> {
    const { world } = this
    const log = world.deps().log
    const lastKnownGood = await openLastKnownGood({
      file: this.#file(life),
      installation: this.text === undefined ? undefined : this.installation,
      maxAgeMs: this.maxAgeMs,
      expected: new Map(world.names.map((name) => [name, this.expected])),
      system: life.system,
      log,
    })
    life.file = lastKnownGood
    const open = async (): Promise<RunningService> => {
      const ledger = this.#ledger(life)
      lastKnownGood.bind(await ledger.once('installation', this.installation))
      return await createService({
        setups: world.names.map((name) => world.setup(name, { store: this.#store(life) })),
        deps: world.deps({ ledger, system: life.system }),
        beat: beatOf(life.system as typeof world.time),
        lastKnownGood,
        version: '0.0.0',
        isSandbox: false,
        close: [],
      })
    }
    life.service = await openSteadily({
      credentials: world.names.map((name) => ({
        name,
        isInternal: false,
        store: 'memory',
        issuer: 'openai',
      })),
      lastKnownGood,
      open,
      system: life.system,
      log,
      version: '0.0.0',
    })
  }

  #file(life: Life): SafeFile {
    const act = async (step: string, work: () => void): Promise<void> =>
      await life.ask(async () => {
        this.onStep(step, life)
        if (life.isDead) return await never()
        if (this.disk === 'broken' || (this.disk === 'full' && step === 'write'))
          throw new KeyturnError('file_unusable', 'No space.', {
            fix: 'Free some disk space.',
            retryable: true,
          })
        if (this.diskLatencyMs > 0)
          await new Promise<void>((resolve) => void this.world.time.after(this.diskLatencyMs, resolve))
        // Who dies meanwhile has not done it.
        if (!life.isDead) work()
      })
    return {
      path: '/keys.age',
      read: async () => await life.ask(async () => this.text),
      write: async (text) => await act('write', () => void (this.text = text)),
      remove: async () => await act('remove', () => void (this.text = undefined)),
    }
  }

  #ledger(life: Life): Ledger {
    const real = this.world.deps().ledger
    return new Proxy(real, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return async (...given: unknown[]): Promise<unknown> =>
          await life.ask(async () => {
            if (name === 'commit') this.onStep('commit', life)
            if (life.isDead || this.ledger === 'hangs') return await never()
            if (this.ledger === 'refuses')
              throw new KeyturnError('ledger_unreachable', 'The database refuses.', { retryable: true })
            const answer: unknown = await Reflect.apply(member, target, given)
            if (name === 'commit') this.onStep('committed', life)
            return answer
          })
      },
    })
  }

  #store(life: Life): SecretStore {
    const real = this.world.store()
    return new Proxy(real, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function' || name === 'close' || name === 'watch') return member
        return async (...given: unknown[]): Promise<unknown> =>
          await life.ask(async () => {
            if (this.store === 'away')
              throw new KeyturnError('store_unreachable', 'The store is away.', { retryable: true })
            return await Reflect.apply(member, target, given)
          })
      },
    })
  }
}
