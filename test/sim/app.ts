import { coldStart } from '../../src/client/cold-start.ts'
import { sealed } from '../../src/client/credential.ts'
import { KeyturnClientError } from '../../src/client/errors.ts'
import { createInFlight, type InFlight } from '../../src/client/in-flight.ts'
import { createKnowledge, type Knowledge } from '../../src/client/knowledge.ts'
import type { Platform } from '../../src/client/platform.ts'
import { createPulse, type Pulse } from '../../src/client/pulse.ts'
import { createReplace, type Replace } from '../../src/client/replace.ts'
import { createServe, type Serve } from '../../src/client/serve.ts'
import type { Question, Reply, Source } from '../../src/client/source.ts'
import type { OpenAICredential } from '../../src/client/types.ts'
import type { HandOut, NoHandOut } from '../../src/engine/service.ts'
import type { Dice } from './dice.ts'
import type { TrueKey } from './issuer.ts'
import type { Replica } from './replica.ts'
import type { World } from './world.ts'

const dayMs = 86_400_000

/** An app with the shipped client in it, behind a network of its own. */
export class App {
  readonly name: string
  readonly credential: string
  /** Cut off from Keyturn, not from OpenAI. */
  cutOffUntil = 0
  lastContactAt = 0
  /** Requests that failed, or brought no key. */
  failingSince: number | undefined
  served = 0
  failed = 0
  /** A long job that goes on with the key it has. */
  holding:
    | { readonly credential: OpenAICredential; readonly until: number; readonly leave: () => void }
    | undefined
  readonly #world: World
  readonly #dice: Dice
  readonly #everyMs: number
  readonly #platform: Platform
  readonly #requests: InFlight
  readonly #knowledge: Knowledge
  readonly #pulse: Pulse
  readonly #serve: Serve
  readonly #replace: Replace
  readonly #using = new Map<string, number>()
  #connected: Replica | undefined
  /** The connection is given up, and another one made. */
  #lose: () => void = () => undefined

  constructor(world: World, credential: string, index: number) {
    this.#world = world
    this.credential = credential
    this.name = `${credential} app-${index}`
    this.#dice = world.sim.dice.stream(this.name)
    this.#everyMs = this.#dice.pick(world.sim.options.appEveryMs)
    this.#platform = this.#makePlatform()
    const source = this.#source()
    const { signal } = new AbortController()
    this.#requests = createInFlight(() => undefined)
    this.#knowledge = createKnowledge(source, this.#platform, this.#requests)
    const quiet = { onTrouble: () => undefined, onWell: () => undefined }
    this.#pulse = createPulse({
      knowledge: this.#knowledge,
      source,
      platform: this.#platform,
      ...quiet,
      signal,
    })
    let isFollowing = false
    this.#serve = createServe({
      knowledge: this.#knowledge,
      pulse: this.#pulse,
      platform: this.#platform,
      staleAfterMs: 100 * dayMs,
      wakeWaitMs: 1_000,
      signal,
      isAway: () => false,
      refresh: () => this.#pulse.refresh(),
      load: async () => {
        const about = { knowledge: this.#knowledge, platform: this.#platform, credential, signal }
        const loaded = await coldStart({ ...about, timeoutMs: 10_000, staleAfterMs: 100 * dayMs })
        if (!isFollowing) this.#follow()
        isFollowing = true
        return loaded
      },
    })
    this.#replace = createReplace({
      knowledge: this.#knowledge,
      platform: this.#platform,
      report: (refusal) => source.report(refusal, signal),
      onTrouble: () => undefined,
      signal,
    })
  }

  start(): void {
    const { time } = this.#world.sim
    const again = (): void => {
      void this.#request()
      time.after(this.#everyMs * this.#dice.between(0.5, 1.5), again)
    }
    time.after(this.#dice.between(0, this.#everyMs), again)
  }

  /** What it goes on using from now on without asking. */
  uses(key: TrueKey): boolean {
    return (
      (this.#using.get(key.text) ?? 0) > 0 ||
      this.holding?.credential.apiKey === key.text ||
      this.#knowledge.held()?.credential.apiKey === key.text
    )
  }

  get heldKey(): string | undefined {
    return this.#knowledge.held()?.credential.apiKey
  }

  /** Begins a job that asks for no other key. */
  hold(forMs: number): void {
    const credential = this.#knowledge.held()?.credential
    if (credential === undefined || this.holding !== undefined) return
    const { time, story } = this.#world.sim
    story.tell(this.name, `begins a job of ${Math.round(forMs / 1000)} s with version ${credential.version}`)
    const leave = this.#requests.enter(credential.generation)
    this.holding = { credential, until: time.elapsed + forMs, leave }
    time.after(forMs, () => this.#release())
  }

  #release(): void {
    this.holding?.leave()
    this.holding = undefined
    void this.#pulse.refresh()
  }

  async #request(): Promise<void> {
    const { holding } = this
    let credential: OpenAICredential
    try {
      credential = holding?.credential ?? (await this.#serve.credential())
    } catch (thrown) {
      const why = thrown instanceof KeyturnClientError ? thrown.code : String(thrown)
      this.#world.sim.story.tell(this.name, `has no key: ${why}`)
      this.#over(undefined)
      return
    }
    if (await this.#call(credential)) return this.#over(credential)
    if (holding !== undefined) {
      this.#world.watch.onRefused(this, credential.apiKey)
      this.#release()
      return
    }
    const other = await this.#replace(credential, { status: 401, code: 'invalid_api_key' })
    if (other !== undefined && (await this.#call(other))) return this.#over(other)
    this.#world.watch.onRefused(this, (other ?? credential).apiKey)
    this.#over(undefined)
  }

  #over(credential: OpenAICredential | undefined): void {
    const { sim } = this.#world
    if (credential !== undefined) {
      this.served += 1
      this.failingSince = undefined
      return
    }
    this.failed += 1
    this.failingSince ??= sim.time.elapsed
    this.#world.watch.onUnserved(this)
  }

  /** One request to OpenAI: whether the key was taken. */
  #call(credential: OpenAICredential): Promise<boolean> {
    const { sim, issuer } = this.#world
    const { apiKey, generation } = credential
    const leave = this.#requests.enter(generation)
    this.#using.set(apiKey, (this.#using.get(apiKey) ?? 0) + 1)
    const thereMs = sim.options.latencyMs * this.#dice.between(0.2, 1.8)
    return new Promise((resolve) => {
      sim.time.after(thereMs, () => {
        const key = issuer.keys.find((one) => one.text === apiKey)
        const isTaken = key !== undefined && issuer.use(key)
        this.#using.set(apiKey, (this.#using.get(apiKey) ?? 1) - 1)
        // The answer may take minutes, and the key is in use for as long; it is looked at when it comes in only.
        sim.time.after(isTaken ? this.#dice.between(100, 20_000) : 0, leave)
        resolve(isTaken)
      })
    })
  }

  #makePlatform(): Platform {
    const { sim } = this.#world
    const dice = this.#dice
    return {
      now: sim.now,
      steadyNow: () => sim.time.elapsed,
      after: (delayMs, callback) => sim.time.after(delayMs, callback),
      nextTurn: (callback) => void sim.time.after(0, callback),
      fraction: dice.fraction,
      uuid: () => `instance-${dice.below(1e9)}`,
      fetch: () => Promise.reject(new Error('apps of this world do not fetch')),
      quietSend: () => Promise.reject(new Error('apps of this world do not fetch')),
      env: {},
      readText: () => Promise.reject(new Error('apps of this world read no files')),
      warn: () => undefined,
    }
  }

  // --------------------------------------------------------------- the way to Keyturn

  #source(): Source {
    return {
      where: 'keyturn',
      idle: 'plain',
      ask: (question) => this.#ask(question),
      report: (refusal) =>
        this.#reach((replica) => {
          const { version, status, code } = refusal
          this.#world.sim.story.tell(this.name, `reports ${version}`)
          const report = { version, status, ...(code === undefined ? {} : { code }) }
          if (replica.service === undefined) throw away()
          return replica.service.report(this.credential, report, { name: this.name })
        }, undefined),
      follow: (follower) => this.#stream(follower.onLive, follower.onChange),
      end: () => Promise.resolve(),
      stop: () => undefined,
    }
  }

  #follow(): void {
    this.#pulse.start()
    this.#stream(
      (isLive) => {
        this.#pulse.setLive(isLive)
        if (isLive) void this.#pulse.refresh()
      },
      () => void this.#pulse.refresh(),
    )
  }

  #stream(onLive: (isLive: boolean) => void, onChange: () => void): () => void {
    const { sim, replicas } = this.#world
    let isOpen = true
    const connect = (): void => {
      if (!isOpen || this.#connected?.isUp === true) return
      const up = replicas.filter((one) => one.isUp)
      this.#connected = up.length === 0 || this.#isCutOff() ? undefined : this.#dice.pick(up)
      this.#lose = () => {
        this.#connected = undefined
        onLive(false)
        sim.time.after(this.#dice.between(10, 500), connect)
      }
      if (this.#connected === undefined) sim.time.after(this.#dice.between(1_000, 5_000), connect)
      else onLive(true)
    }
    const stops = replicas.map((replica) =>
      replica.onChange((name) => {
        if (replica !== this.#connected) return
        if (name === undefined && !replica.isUp) this.#lose()
        else if (name === this.credential && !this.#isCutOff())
          sim.time.after(sim.options.latencyMs * this.#dice.fraction(), () => void (isOpen && onChange()))
      }),
    )
    connect()
    return () => {
      isOpen = false
      for (const stop of stops) stop()
    }
  }

  #isCutOff(): boolean {
    return this.#world.sim.time.elapsed < this.cutOffUntil
  }

  #ask(question: Question): Promise<Reply> {
    return this.#reach(async (replica) => {
      const given = replica.service?.handOut(this.credential)
      if (given === undefined) throw away()
      const { generation } = given
      const inFlight = Math.min(question.inFlight ?? generation, generation)
      replica.service?.touchLease({
        name: this.credential,
        instance: this.name.replace(' ', '-'),
        app: 'app',
        generation: inFlight,
      })
      this.lastContactAt = this.#world.sim.time.elapsed
      return replyOf(given, question.etag)
    }, question.signal)
  }

  /** A call to some replica that is up, over a network that may lose it. */
  #reach<Result>(
    work: (replica: Replica) => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    const { sim, replicas } = this.#world
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(away())
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      const up = replicas.filter((one) => one.isUp && (one.life?.frozenUntil ?? 0) < sim.time.elapsed)
      const replica = this.#connected?.isUp === true ? this.#connected : up[this.#dice.below(up.length)]
      const isLost = this.#isCutOff() || (!sim.isHealed && this.#dice.chance(sim.options.faultRate / 2))
      if (replica?.life === undefined || isLost) {
        sim.time.after(isLost ? 5_000 : 20, fail)
        return
      }
      const { life } = replica
      sim.time.after(sim.options.latencyMs * this.#dice.fraction(), () => {
        if (!life.isAlive) return void sim.time.after(20, fail)
        // A frozen one answers when it thaws, or never in time.
        const cancel = sim.time.after(10_000, () => {
          if (this.#connected === replica) this.#lose()
          fail()
        })
        life.run(() => {
          work(replica).then(
            (result) => {
              sim.time.after(sim.options.latencyMs * this.#dice.fraction(), () => {
                cancel()
                resolve(result)
              })
            },
            (thrown: unknown) => {
              cancel()
              reject(thrown instanceof Error ? thrown : away())
            },
          )
        })
      })
    })
  }
}

function away(): KeyturnClientError {
  return new KeyturnClientError('service_unreachable', 'Keyturn did not answer.', { retryable: true })
}

/** What the server's answer and the client's reading of it come to. */
function replyOf(given: HandOut | NoHandOut, seen: string | undefined): Reply {
  if (given.kind === 'unavailable') {
    const error = new KeyturnClientError('no_verified_key', given.summary, { retryable: true })
    return { kind: 'none', generation: given.generation, error }
  }
  const etag = `${given.generation} ${given.version} ${given.verdict}`
  if (etag === seen) return { kind: 'same', etag }
  const { secret, organization, project, verifiedAt, rotatesAt, staleAfterMs, ...same } = given
  const credential = sealed({
    ...same,
    apiKey: secret.reveal(),
    organization: organization ?? null,
    project: project ?? null,
    verifiedAt: new Date(verifiedAt).toISOString(),
    rotatesAt: rotatesAt === undefined ? null : new Date(rotatesAt).toISOString(),
  })
  return { kind: 'answer', answer: { credential, staleAfterMs, etag } }
}
