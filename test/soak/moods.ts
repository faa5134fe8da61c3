import type { CredentialSummary } from '../../src/api/types.ts'
import type { Fault, Knobs, WriteFamily } from '../../src/sandbox/index.ts'
import type { Dice } from '../sim/dice.ts'
import { type Rig, summary } from '../system/harness.ts'
import type { Killer } from './killer.ts'
import { pause } from './pause.ts'
import type { Story } from './story.ts'
import { activationMsMax, type Truth } from './truth.ts'

export interface MoodsOptions {
  readonly rig: Rig
  readonly story: Story
  readonly truth: Truth
  readonly killer: Killer
  readonly dice: Dice
}

const weights = {
  loseAnswer: 5,
  lateMint: 1,
  failKeyturn: 6,
  slowEdges: 3,
  failApps: 3,
  broke: 1,
  adminAway: 2,
  deleteCurrent: 4,
  deletePrevious: 1,
} as const

/** From one mood to the next, in milliseconds. */
const gap = { from: 1_500, to: 6_000 }
/** What a new key is unknown for at an edge: shorter than the time over which it is proven, or nobody could know. */
const activationMs = [0, 200, activationMsMax]
/** A retirement that is this near to its end no longer gives a key back. */
const overlapLeftMs = 2_500
/** Rotations that nobody asked for are bounded a day, and this is what is spent of them here. */
const deletionsMax = 16
/** How long, and how often, an opportunity is waited for. */
const opportunityMs = 200
const opportunityTriesMax = 50
/** Nothing is done to the service for this long, where a dead key is to be replaced undisturbed. */
const calmMs = 7_000

const families: readonly WriteFamily[] = ['mint', 'mint', 'update', 'delete']
const forms = ['reset', 'hang', 'server_error', 'proxy_page'] as const
const troubles = [
  'server_error',
  'latency',
  'hang',
  'reset',
  'not_json',
  'proxy_page',
  'slow_down',
  'truncated',
] as const
const appTroubles = ['server_error', 'rate_limit_requests', 'slow_down', 'latency'] as const

/** OpenAI on a bad day, and people in its dashboard. */
export class Moods {
  readonly counts = new Map<string, number>()
  readonly #options: MoodsOptions
  #deletions = 0

  constructor(options: MoodsOptions) {
    this.#options = options
  }

  async swing(signal: AbortSignal): Promise<void> {
    const { dice } = this.#options
    while (!signal.aborted) {
      await pause(dice.between(gap.from, gap.to), signal)
      if (signal.aborted) return
      const mood = dice.weighed(weights)
      if (await this.#enter(mood, signal)) this.counts.set(mood, (this.counts.get(mood) ?? 0) + 1)
    }
  }

  /** Whether it could be done. */
  async #enter(mood: keyof typeof weights, signal: AbortSignal): Promise<boolean> {
    const { dice } = this.#options
    const { sandbox } = this.#options.rig
    if (mood === 'deleteCurrent') return this.#deleteCurrent(signal)
    if (mood === 'deletePrevious') return this.#deletePrevious()
    if (mood === 'failKeyturn') this.#add(this.#keyturnFault())
    else if (mood === 'failApps') this.#add(this.#appFault())
    else if (mood === 'loseAnswer') {
      const family = dice.pick(families)
      this.#set({
        loseAnswers: { ...sandbox.knobs().loseAnswers, [family]: 1 },
        loseAnswersBy: dice.pick(forms),
      })
    } else if (mood === 'lateMint') this.#set({ lateMints: 1, lateMintMs: dice.below(4_000) })
    else if (mood === 'slowEdges')
      await this.#forAWhile(signal, {
        activationMs,
        revocationMs: [0, dice.below(1_000), dice.below(2_000)],
        updateMs: [0, dice.below(1_000), dice.below(2_000)],
        listLagMs: [0, dice.below(500), dice.below(1_000)],
      })
    else if (mood === 'broke')
      await this.#forAWhile(signal, { billing: 'insufficient_quota', billingOnModels: dice.chance(0.5) })
    else {
      const fault: Fault = {
        kind: dice.pick(['server_error', 'hang', 'reset']),
        match: { path: '^/v1/organization' },
      }
      await this.#forAWhile(signal, { faults: [...sandbox.knobs().faults, fault] })
    }
    return true
  }

  #keyturnFault(): Fault {
    const { dice } = this.#options
    const path = dice.pick(['^/v1/models', '^/v1/organization', '^/v1/(models|organization)'])
    return {
      kind: dice.pick(troubles),
      match: { path },
      times: 1 + dice.below(4),
      ms: 200 + dice.below(2_500),
    }
  }

  /** Nothing that leaves a request without an answer: that would be OpenAI's fault, and hide ours. */
  #appFault(): Fault {
    const { dice } = this.#options
    return {
      kind: dice.pick(appTroubles),
      match: { path: '^/v1/chat' },
      times: 1 + dice.below(10),
      ms: 200 + dice.below(1_500),
    }
  }

  #add(fault: Fault): void {
    this.#set({ faults: [...this.#options.rig.sandbox.knobs().faults, fault].slice(-20) })
  }

  #set(knobs: Partial<Knobs>): void {
    this.#options.story.tell('OpenAI', JSON.stringify(knobs))
    this.#options.rig.sandbox.set(knobs)
  }

  async #forAWhile(signal: AbortSignal, knobs: Partial<Knobs>): Promise<void> {
    const { rig, dice, story } = this.#options
    const before = rig.sandbox.knobs()
    this.#set(knobs)
    await pause(1_000 + dice.below(5_000), signal)
    const names = Object.keys(knobs) as (keyof Knobs)[]
    rig.sandbox.set(Object.fromEntries(names.map((name) => [name, before[name]])))
    story.tell('OpenAI', `${names.join(', ')} as before`)
  }

  /** Somebody deletes the key that everybody uses; mostly while another one is alive, so that nobody need notice. */
  async #deleteCurrent(signal: AbortSignal): Promise<boolean> {
    const { rig, truth, dice, story, killer } = this.#options
    const isOnly = dice.chance(0.25)
    const isCalm = dice.chance(0.6)
    const found = this.#deletions < deletionsMax ? await this.#findCurrent(isOnly, signal) : undefined
    if (found === undefined) return false
    this.#deletions += 1
    if (isCalm) {
      killer.rest(calmMs)
      rig.sandbox.set({ faults: [] })
    }
    const which = found.isOnly ? ', the only one' : ''
    story.tell('dashboard', `deletes the current key ${found.keyId}${which}${isCalm ? ', undisturbed' : ''}`)
    truth.deleteKey(found.keyId)
    // One such blow at a time, so that each can be told from the next.
    await pause(calmMs, signal)
    return true
  }

  /** The current key, as soon as there is another one that could take over; where it may be the only one, at once. */
  async #findCurrent(
    mayBeOnly: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly keyId: string; readonly isOnly: boolean } | undefined> {
    for (let tries = 0; tries < opportunityTriesMax && !signal.aborted; tries += 1) {
      const seen = await summary(this.#options.rig).catch(() => undefined)
      const keyId = seen?.current?.keyId ?? undefined
      const isOnly = seen !== undefined && !hasOther(seen)
      if (keyId !== undefined && (mayBeOnly || !isOnly)) return { keyId, isOnly }
      await pause(opportunityMs, signal)
    }
    return undefined
  }

  async #deletePrevious(): Promise<boolean> {
    const { rig, truth, story } = this.#options
    const seen = await summary(rig).catch(() => undefined)
    const previous = seen?.versions.find((one) => one.stage === 'previous' && one.keyId !== null)
    if (previous?.keyId === undefined || previous.keyId === null || !rig.sandbox.isAlive(previous.keyId))
      return false
    story.tell('dashboard', `deletes the previous key ${previous.keyId}`)
    truth.deleteKey(previous.keyId)
    return true
  }
}

/** Another key that lives, and goes on living for a moment. */
function hasOther(seen: CredentialSummary): boolean {
  const draining = seen.retirements.filter(
    (one) => one.phase === 'draining' && Date.parse(one.overlapUntil) > Date.now() + overlapLeftMs,
  )
  const isGood = (version: string): boolean =>
    seen.versions.some((one) => one.version === version && one.withdrawnAt === null && !one.isCompromised)
  return draining.some((one) => isGood(one.version))
}
