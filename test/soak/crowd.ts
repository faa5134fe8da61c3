import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { visible } from '../system/cli.ts'
import { call, type Rig } from '../system/harness.ts'
import type { AppMessage, AppOrder } from './app.ts'
import { type Facts, type Failure, judge } from './judge.ts'
import { pause } from './pause.ts'
import type { Presence } from './presence.ts'
import type { Story } from './story.ts'
import type { Truth } from './truth.ts'

export interface CrowdOptions {
  readonly rig: Rig
  readonly size: number
  readonly rate: number
  readonly tokenFile: string
  readonly logFile: string
  readonly story: Story
  readonly truth: Truth
  readonly presence: Presence
}

const program = fileURLToPath(new URL('app.ts', import.meta.url))
const endsWithinMs = 15_000
const restartMs = 300
/** So long after an app was killed an operator sees that it is gone. */
const droppedAfterMs = 1_500
const dropEveryMs = 700

interface App {
  readonly name: string
  readonly instance: string
  readonly process: ChildProcess
  /** What was told of this life. */
  served: number
  streamed: number
  isExpected: boolean
}

/** The apps: each a process that is started again when it was killed. */
export class Crowd {
  readonly counts = { starts: 0, kills: 0, served: 0, streamed: 0, failed: 0 }
  /** From the start of a process to its first key, in milliseconds. */
  readonly firstKeyMs: number[] = []
  readonly shown: string[] = []
  /** Failures by what is held of them. */
  readonly excused = new Map<string, number>()
  readonly #options: CrowdOptions
  readonly #apps = new Map<string, App>()
  readonly #failures: Failure[] = []
  /** Lives whose leases are still to be dropped. */
  readonly #gone = new Set<string>()
  #highest = -1
  #isStopping = false

  constructor(options: CrowdOptions) {
    this.#options = options
  }

  start(): void {
    for (let index = 1; index <= this.#options.size; index += 1) this.#spawn(`app-${index}`)
  }

  get served(): number {
    return [...this.#apps.values()].reduce((sum, app) => sum + app.served, this.counts.served)
  }

  get streamed(): number {
    return [...this.#apps.values()].reduce((sum, app) => sum + app.streamed, this.counts.streamed)
  }

  names(): readonly string[] {
    return [...this.#apps.keys()]
  }

  async kill(name: string, signal: AbortSignal): Promise<void> {
    const app = this.#apps.get(name)
    if (app === undefined || this.#isStopping) return
    this.counts.kills += 1
    this.#options.story.tell('kill', name)
    await this.#end(app, 'SIGKILL')
    await pause(restartMs, signal)
    if (!this.#isStopping) this.#spawn(name)
    await pause(droppedAfterMs, signal)
    this.#gone.add(app.instance)
  }

  /** Keyturn cannot know that an app is dead, and waits for minutes; somebody who knows it says so. */
  async dropLeases(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const instance of this.#gone) await this.#dropLease(instance)
      await pause(dropEveryMs, signal)
    }
  }

  async #dropLease(instance: string): Promise<void> {
    const path = `/v1/credentials/openai/leases/${instance}`
    const answer = await call(this.#options.rig, path, { method: 'DELETE' }).catch(() => undefined)
    if (answer === undefined || (answer.status >= 300 && answer.status !== 404)) return
    this.#gone.delete(instance)
    this.#options.story.tell('operator', `the lease of ${instance}, which is dead, is dropped`)
  }

  /** Requests under way are brought to their end. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all([...this.#apps.values()].map((app) => this.#end(app, 'stop')))
  }

  /** Judges what failed before that instant: by then OpenAI's log was read, and it is known what operators have done. */
  judge(before: number, isLast = false): void {
    const { truth } = this.#options
    const isUndecided = (one: Failure): boolean => truth.isUndecided(truth.recordOf(one.requestId)?.keyId)
    const isOld = (one: Failure): boolean => one.endedAt < before && (isLast || !isUndecided(one))
    const old = this.#failures.filter(isOld)
    const young = this.#failures.filter((one) => !isOld(one))
    this.#failures.splice(0, this.#failures.length, ...young)
    const { story } = this.#options
    const excused = new Map<string, number>()
    for (const failure of old) {
      const { isOurs, why } = judge(failure, this.#facts(failure))
      const who = `${failure.app} (${failure.caller}) ${failure.what}`
      if (isOurs)
        story.object('served', `${who}, begun ${failure.endedAt - failure.startedAt} ms before: ${why}`)
      else {
        this.excused.set(why, (this.excused.get(why) ?? 0) + 1)
        excused.set(`${who}: ${why}`, (excused.get(`${who}: ${why}`) ?? 0) + 1)
      }
    }
    for (const [what, count] of excused) story.tell('failed, excused', `${count} x ${what}`)
  }

  #facts(failure: Failure): Facts {
    const { truth, presence } = this.#options
    const record = truth.recordOf(failure.requestId)
    const known = record?.keyId ?? undefined
    return {
      record,
      isActivating: record !== undefined && truth.isActivating(record),
      death: known === undefined ? truth.latestDeath(failure.endedAt) : truth.deathOf(known),
      otherSince: truth.otherSince(known, failure.endedAt),
      troubledUntil: truth.troubledUntil(failure.endedAt),
      upMs: (from, to) => presence.longestWithin(from, to),
    }
  }

  #spawn(name: string): void {
    const { rig, rate, tokenFile, logFile } = this.#options
    const instance = `${name}-${this.counts.starts}`
    const order: AppOrder = { app: name, instance, baseUrl: rig.sandbox.baseUrl, rate }
    const child = fork(program, {
      execArgv: [],
      env: {
        PATH: process.env['PATH'] ?? '',
        NODE_NO_WARNINGS: '1',
        KEYTURN_URL: rig.url,
        KEYTURN_TOKEN_FILE: tokenFile,
        SOAK_HOME: rig.home,
        SOAK_ORDER: JSON.stringify(order),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const app: App = { name, instance, process: child, served: 0, streamed: 0, isExpected: false }
    this.#apps.set(name, app)
    this.counts.starts += 1
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => appendFileSync(logFile, chunk))
    const highestBefore = this.#highest
    child.on('message', (message) => this.#onMessage(app, message as AppMessage, highestBefore))
    child.on('exit', (code, signal) => {
      this.counts.served += app.served
      this.counts.streamed += app.streamed
      app.served = 0
      app.streamed = 0
      if (!app.isExpected)
        this.#options.story.object('faults', `${name} ended with ${signal ?? String(code)}`)
    })
  }

  #onMessage(app: App, message: AppMessage, highestBefore: number): void {
    const { story } = this.#options
    if (message.kind === 'failure') {
      this.counts.failed += 1
      this.#failures.push(message.failure)
    } else if (message.kind === 'fell')
      story.object('generations', `${app.name} (${message.caller}): from ${message.from} to ${message.to}`)
    else if (message.kind === 'tally') {
      app.served = message.served
      app.streamed = message.streamed
      this.#highest = Math.max(this.#highest, message.generation)
    } else {
      this.firstKeyMs.push(message.afterMs)
      this.shown.push(visible(app.process.pid ?? 0))
      // Another app had a later one before this one was even started.
      if (message.generation < highestBefore)
        story.object('generations', `${app.name} began with ${message.generation} after ${highestBefore}`)
    }
  }

  async #end(app: App, how: 'SIGKILL' | 'stop'): Promise<void> {
    app.isExpected = true
    const { process: child } = app
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    if (how === 'SIGKILL') child.kill('SIGKILL')
    else child.send('stop')
    const timer = setTimeout(() => child.kill('SIGKILL'), endsWithinMs)
    await ended
    clearTimeout(timer)
    if (how === 'stop' && child.signalCode === 'SIGKILL')
      this.#options.story.object('tidy', `${app.name} did not end when it was told to`)
  }
}
