import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { visible } from '../system/cli.ts'
import type { Rig } from '../system/harness.ts'
import { type LogLine, parseLine, readLines } from '../system/lines.ts'
import { pause } from './pause.ts'
import type { Presence } from './presence.ts'
import type { Story } from './story.ts'

export interface SupervisorOptions {
  readonly rig: Rig
  /** `bin/keyturn.js`. */
  readonly program: string
  readonly logFile: string
  readonly story: Story
  readonly presence: Presence
  /** How long it takes until a process that ended is started again, in milliseconds. */
  readonly restartMs: () => number
}

/** A service that ended is started again for as long as this is wanted. */
const answersWithinMs = 30_000
const lookMs = 10
const endsWithinMs = 15_000

/** What stands in for systemd: it starts the service again whenever it has ended, and knows when it was there. */
export class Supervisor {
  readonly counts = { starts: 0, kills: 0, freezes: 0, terminations: 0 }
  /** From the start of a process to its first answer, in milliseconds. */
  readonly startMs: number[] = []
  /** What every process of the machine could read of it. */
  readonly shown: string[] = []
  readonly #options: SupervisorOptions
  readonly #listeners = new Set<(line: LogLine) => void>()
  readonly #stopping = new AbortController()
  #child: ChildProcess | undefined
  #expected: string | undefined
  #running: Promise<void> | undefined
  /** The life that is frozen; the next one is not, although the time may not be over. */
  #frozen: ChildProcess | undefined
  /** The life that has answered once. */
  #answered: ChildProcess | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  get #isFrozen(): boolean {
    return this.#frozen !== undefined && this.#frozen === this.#child
  }

  onLine(listener: (line: LogLine) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get isThere(): boolean {
    return this.#options.presence.isUp && !this.#isFrozen
  }

  kill(why: string): void {
    if (this.#child === undefined || this.#expected !== undefined) return
    this.counts.kills += 1
    this.#end('SIGKILL', why)
  }

  /** As a deployment does it. */
  terminate(why: string): void {
    if (this.#child === undefined || this.#expected !== undefined || this.#isFrozen) return
    this.counts.terminations += 1
    this.#end('SIGTERM', why)
  }

  /** As a machine under pressure, or a debugger, does it. */
  async freeze(ms: number, signal: AbortSignal): Promise<void> {
    const child = this.#child
    if (child === undefined || this.#expected !== undefined || this.#isFrozen) return
    this.counts.freezes += 1
    this.#options.story.tell('kill', `frozen for ${Math.round(ms)} ms`)
    this.#frozen = child
    this.#options.presence.down(Date.now())
    child.kill('SIGSTOP')
    await pause(ms, signal)
    child.kill('SIGCONT')
    if (this.#frozen === child) this.#frozen = undefined
    if (this.#answered === child && this.#child === child && this.#expected === undefined)
      this.#options.presence.up(Date.now())
  }

  /** The service is asked to end, and is not started again. Whether it did as it was told. */
  async stop(): Promise<boolean> {
    this.#stopping.abort()
    const child = this.#child
    if (child !== undefined && this.#expected === undefined) this.#end('SIGTERM', 'the end')
    const timer = setTimeout(() => child?.kill('SIGKILL'), endsWithinMs)
    await this.#running
    clearTimeout(timer)
    return child === undefined || child.exitCode === 0 || child.signalCode !== 'SIGKILL'
  }

  #end(signal: NodeJS.Signals, why: string): void {
    const { story, presence } = this.#options
    story.tell('kill', `${signal} (${why})`)
    this.#expected = signal
    presence.down(Date.now())
    this.#child?.kill(signal)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#live()
      await pause(this.#options.restartMs(), signal)
    }
  }

  /** One life of the process. */
  async #live(): Promise<void> {
    const { rig, program, logFile, story, presence } = this.#options
    const child = spawn(process.execPath, [program, 'serve'], {
      cwd: rig.home,
      env: { ...rig.env, NODE_NO_WARNINGS: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#expected = undefined
    this.counts.starts += 1
    const ended = once(child, 'close')
    readLines(child, (text) => {
      appendFileSync(logFile, `${text}\n`)
      const line = parseLine(text)
      if (line !== undefined) for (const listener of this.#listeners) listener(line)
    })
    void this.#awaitAnswer(child)
    await ended
    presence.down(Date.now())
    this.#child = undefined
    const wanted = this.#expected as string | undefined
    const how = child.signalCode ?? `exit code ${child.exitCode}`
    // Who is asked to end may be killed before it has, or end by itself before the signal arrives.
    const isExpected =
      wanted !== undefined && (how === wanted || (wanted === 'SIGTERM' && child.exitCode === 0))
    if (!isExpected)
      story.object('service', `it ended with ${how}${wanted === undefined ? '' : ` after ${wanted}`}`)
  }

  async #awaitAnswer(child: ChildProcess): Promise<void> {
    const { rig, presence, story } = this.#options
    const from = performance.now()
    const isAlive = (): boolean =>
      this.#child === child && child.exitCode === null && this.#expected === undefined
    while (isAlive() && performance.now() - from < answersWithinMs) {
      const answer = await fetch(`${rig.url}/healthz`, { signal: AbortSignal.timeout(1_000) }).catch(
        () => undefined,
      )
      await answer?.body?.cancel()
      if (answer?.status === 200 && isAlive()) {
        this.startMs.push(performance.now() - from)
        this.#answered = child
        if (!this.#isFrozen) presence.up(Date.now())
        this.shown.push(visible(child.pid ?? 0))
        return
      }
      await pause(lookMs)
    }
    if (isAlive()) story.object('service', `it did not answer within ${answersWithinMs} ms of its start`)
  }
}
