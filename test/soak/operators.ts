import { appendFileSync } from 'node:fs'
import type { Dice } from '../sim/dice.ts'
import { type CliRun, runCli } from '../system/cli.ts'
import type { Rig } from '../system/harness.ts'
import { pause } from './pause.ts'
import type { Story } from './story.ts'
import type { Truth } from './truth.ts'

export interface OperatorsOptions {
  readonly rig: Rig
  readonly program: string
  readonly logFile: string
  readonly story: Story
  readonly truth: Truth
  readonly dice: Dice
}

const weights = {
  rotate: 14,
  emergency: 2,
  compromised: 2,
  rehearse: 2,
  rollback: 2,
  hold: 2,
  abort: 1,
  verify: 2,
  status: 3,
  versions: 1,
} as const

/** From one command to the next, in milliseconds. */
const gap = { from: 800, to: 4_000 }
const heldMs = { from: 500, to: 3_000 }

/** People with a terminal, who do what comes to their mind. */
export class Operators {
  readonly counts = new Map<string, number>()
  readonly shown: string[] = []
  readonly #options: OperatorsOptions

  constructor(options: OperatorsOptions) {
    this.#options = options
  }

  async work(signal: AbortSignal): Promise<void> {
    const { dice } = this.#options
    while (!signal.aborted) {
      await pause(dice.between(gap.from, gap.to), signal)
      if (!signal.aborted) await this.#act(dice.weighed(weights), signal)
    }
  }

  /** Does what the fix of a trouble says, after everything was healed. */
  resume(): Promise<CliRun> {
    return this.#run(['resume', 'openai'])
  }

  rotateInPeace(): Promise<CliRun> {
    return this.#run(['rotate', 'openai', '--reason', 'in peace'])
  }

  async #act(what: keyof typeof weights, signal: AbortSignal): Promise<void> {
    if (what === 'rotate') await this.#run(['rotate', 'openai', '--reason', 'a turn'])
    else if (what === 'emergency') await this.#run(['rotate', 'openai', '--emergency'])
    else if (what === 'compromised') await this.#compromised()
    else if (what === 'rehearse') await this.#run(['rotate', 'openai', '--rehearse'])
    else if (what === 'hold') await this.#hold(signal)
    else await this.#run(what === 'status' && this.#options.dice.chance(0.5) ? ['status'] : [what, 'openai'])
  }

  async #hold(signal: AbortSignal): Promise<void> {
    const { dice } = this.#options
    await this.#run(['pause', 'openai'])
    await pause(dice.between(heldMs.from, heldMs.to), signal)
    await this.#run(['resume', 'openai'])
  }

  async #compromised(): Promise<void> {
    // Before it is said: what is done about it may be faster than the answer.
    this.#options.truth.suspectAll()
    await this.#run(['rotate', 'openai', '--emergency', '--compromised', '--confirm', 'openai'])
  }

  async #run(args: readonly string[]): Promise<CliRun> {
    const { rig, program, logFile, story } = this.#options
    const run = await runCli(rig, args, { program })
    const name = args.filter((one) => !one.includes(' ')).join(' ')
    this.counts.set(args[0] ?? '', (this.counts.get(args[0] ?? '') ?? 0) + 1)
    this.shown.push(run.shown)
    appendFileSync(logFile, `$ keyturn ${args.join(' ')}\n${run.out}${run.err}`)
    const said = run.err.split('\n')[0] ?? ''
    story.tell('operator', `${name}: ${run.code}${said === '' ? '' : ` ${said}`}`)
    if (![0, 1, 3].includes(run.code ?? -1))
      story.object('operators', `${name} ended with ${run.code}: ${said}`)
    const isClean = run.code === 0 || run.out !== '' || (/^error: /m.test(run.err) && /^fix: /m.test(run.err))
    if (!isClean)
      story.object('operators', `${name} ended with ${run.code} and without a cause and a fix: ${said}`)
    return run
  }
}
