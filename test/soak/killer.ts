import type { Dice } from '../sim/dice.ts'
import type { Crowd } from './crowd.ts'
import { pause } from './pause.ts'
import type { Supervisor } from './supervisor.ts'

export interface KillerOptions {
  readonly supervisor: Supervisor
  readonly crowd: Crowd
  readonly dice: Dice
  /** From one blow to the next, on average. */
  readonly everyMs: number
}

const weights = { kill: 6, killInPhase: 8, freeze: 2, killFrozen: 1, terminate: 2 } as const
/** So many blows against the service for one against an app. */
const appsShare = 3

/** The service is killed when it says that it is there, or a moment later: most phases last a few milliseconds. */
const phases = [
  'checking',
  'minting',
  'reconciling',
  'proving',
  'discarding',
  'extending',
  'promoting',
  'confirming',
  'draining',
  'retiring',
  'proving_current',
  'revoking',
  'dying',
  'destroying',
] as const
const momentMs = 12
/** Of all blows, those that do not wait until the service has started. */
const startingShare = 0.25
const lookMs = 20
const looksMax = 1_000
const frozenMs = { from: 300, to: 4_000 }

/** Ends what runs, at random moments. */
export class Killer {
  /** Blows that hit the phase they were aimed at. */
  readonly hits = new Map<string, number>()
  readonly #options: KillerOptions
  #restsUntil = 0

  constructor(options: KillerOptions) {
    this.#options = options
  }

  /** No blow against the service for so long, beginning now. */
  rest(ms: number): void {
    this.#restsUntil = Math.max(this.#restsUntil, performance.now() + ms)
  }

  async work(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#workOnService(signal), this.#workOnApps(signal)])
  }

  async #workOnService(signal: AbortSignal): Promise<void> {
    const { dice, everyMs } = this.#options
    while (!signal.aborted) {
      // On a busy machine a start takes seconds: who is killed while starting, again and again, is never there at all.
      if (!dice.chance(startingShare)) await this.#untilThere(signal)
      const withinMs = dice.between(0.25 * everyMs, 1.75 * everyMs)
      const how = dice.weighed(weights)
      if (how === 'killInPhase') await this.#strikeIn(dice.pick(phases), withinMs, signal)
      else {
        await pause(withinMs, signal)
        if (!signal.aborted && !this.#isResting) await this.#strike(how, signal)
      }
    }
  }

  async #workOnApps(signal: AbortSignal): Promise<void> {
    const { dice, everyMs, crowd } = this.#options
    const own = dice.stream('apps')
    while (!signal.aborted) {
      await pause(own.between(0.25, 1.75) * everyMs * appsShare, signal)
      if (!signal.aborted) await crowd.kill(own.pick(crowd.names()), signal)
    }
  }

  async #untilThere(signal: AbortSignal): Promise<void> {
    for (let looks = 0; looks < looksMax && !this.#options.supervisor.isThere && !signal.aborted; looks += 1)
      await pause(lookMs, signal)
  }

  get #isResting(): boolean {
    return performance.now() < this.#restsUntil
  }

  async #strike(how: Exclude<keyof typeof weights, 'killInPhase'>, signal: AbortSignal): Promise<void> {
    const { supervisor, dice } = this.#options
    const forMs = dice.between(frozenMs.from, frozenMs.to)
    if (how === 'kill') supervisor.kill('at random')
    else if (how === 'terminate') supervisor.terminate('as a deployment does it')
    else if (how === 'freeze') await supervisor.freeze(forMs, signal)
    else {
      const frozen = supervisor.freeze(forMs, signal)
      await pause(forMs / 2, signal)
      supervisor.kill('while frozen')
      await frozen
    }
  }

  /** Where nothing gets that far in time, it is killed all the same. */
  async #strikeIn(phase: (typeof phases)[number], withinMs: number, signal: AbortSignal): Promise<void> {
    const { supervisor, dice } = this.#options
    const delayMs = dice.fraction() * momentMs
    const seen = new AbortController()
    const stop = supervisor.onLine((line) => {
      // A retirement enters draining without an event of its own: the promotion is it.
      const isThere = phase === 'draining' ? line.message === 'openai: promoted' : line.phase === phase
      if (isThere) seen.abort()
    })
    await pause(withinMs, AbortSignal.any([signal, seen.signal]))
    stop()
    if (signal.aborted || this.#isResting) return
    if (seen.signal.aborted) {
      this.hits.set(phase, (this.hits.get(phase) ?? 0) + 1)
      await pause(delayMs, signal)
    }
    supervisor.kill(seen.signal.aborted ? `in ${phase}` : 'at random')
  }
}
