import { describe, expect, it } from 'vitest'
import { randomOf } from '../core/fixtures.ts'
import { away, declined, FederatedWorld } from './federated-world.ts'
import { expectNoUnhandled, operator } from './world.ts'

const lifetimeMs = 600_000
const seeds = Array.from({ length: 40 }, (_one, index) => index + 1)

/** Everything that can go wrong, drawn from a seed; what must never happen is looked at between any two of them. */
class Trouble {
  readonly world: FederatedWorld
  readonly #draw: () => number
  #generation = 0
  #latest: string | undefined
  readonly #gone = new Set<string>()

  constructor(seed: number) {
    this.#draw = randomOf(seed * 7_919)
    const expected = { organization: 'org-ours' }
    this.world = new FederatedWorld(
      { refreshBufferMs: 200_000, expected },
      { activationGraceMs: 5_000 },
      seed,
    )
    this.world.exchange.lifetimeMs = lifetimeMs
  }

  async start(): Promise<void> {
    const service = await this.world.start()
    service.onHandOut(() => this.look())
  }

  async step(): Promise<void> {
    const { world } = this
    const { exchange, issuer, time } = world
    const drawn = Math.floor(this.#draw() * 14)
    if (drawn === 0) exchange.failing = away
    else if (drawn === 1) exchange.failing = declined
    else if (drawn <= 4) exchange.failing = undefined
    else if (drawn === 5) exchange.change = { isRefused: true }
    else if (drawn === 6) exchange.change = { organization: 'org-theirs' }
    else if (drawn === 7) exchange.change = {}
    else if (drawn === 8) issuer.breakCall('verify', this.#draw() < 0.3 ? 'throws' : 'before')
    else if (drawn === 9) issuer.mend('verify')
    else if (drawn === 10) world.isLedgerDown = !world.isLedgerDown
    else if (drawn === 11) exchange.isBroken = !exchange.isBroken
    else if (drawn === 12) await this.#reject()
    else await this.#restart()
    exchange.latencyMs = this.#draw() < 0.3 ? Math.floor(this.#draw() * 8_000) : 0
    await time.advance(Math.floor(this.#draw() * 120_000))
    this.look()
  }

  /** OpenAI ends the token, and an app tells. */
  async #reject(): Promise<void> {
    const { world } = this
    const { given } = world
    if (given === undefined) return
    world.token.isRefused = true
    void world.service.report('openai', { version: given.version, status: 401 }, operator)
    await world.time.advance(500)
  }

  async #restart(): Promise<void> {
    await this.world.stop()
    await this.start()
  }

  look(): void {
    const { world } = this
    const { given, time, issuer } = world
    const generation = world.service.handOut('openai')?.generation ?? 0
    // A restart has nothing to hand out yet, and says so with what the ledger knew last.
    if (given !== undefined) {
      expect(generation).toBeGreaterThanOrEqual(this.#generation)
      this.#generation = generation
      const key = issuer.keys.find((one) => one.secret.equals(given.secret))
      expect(key?.organization).toBe('org-ours')
      expect(key?.expiresAt ?? 0).toBeGreaterThan(time.now() - 1)
      expect(time.now() + given.staleAfterMs).toBeLessThanOrEqual((key?.expiresAt ?? 0) + 1_000)
      // What was replaced never comes back.
      if (this.#latest !== undefined && this.#latest !== given.version) this.#gone.add(this.#latest)
      this.#latest = given.version
      expect(this.#gone.has(given.version)).toBe(false)
    }
    expect(world.exchange.underWayMax).toBeLessThanOrEqual(1)
  }

  async heal(): Promise<void> {
    const { world } = this
    const { exchange, issuer } = world
    exchange.failing = undefined
    exchange.change = {}
    exchange.isBroken = false
    exchange.latencyMs = 0
    issuer.mend('verify')
    world.isLedgerDown = false
    await world.time.advance(lifetimeMs)
  }
}

describe('whatever happens', () => {
  it.each(seeds)(
    'only proven, living tokens are handed out, in order, and all is mended in the end (seed %i)',
    async (seed) => {
      expectNoUnhandled()
      const trouble = new Trouble(seed)
      const { world } = trouble
      await trouble.start()
      for (let step = 0; step < 60; step++) await trouble.step()
      await trouble.heal()
      expect(world.given?.verdict).toBe('valid')
      const state = await world.ledger.read('openai')
      expect(state?.current).toBe(world.given?.version)
      expect(state?.generation).toBe(world.given?.generation)
      expect(state?.outage).toBeUndefined()
      expect((await world.service.summary('openai')).troubles).toEqual([])
    },
  )
})
