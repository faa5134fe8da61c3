import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { CredentialSummary } from '../../src/api/types.ts'
import type { CredentialState, Rotation } from '../../src/core/types.ts'
import { type Rig, summary } from '../system/harness.ts'
import type { LogLine } from '../system/lines.ts'
import { pause } from './pause.ts'
import type { Story } from './story.ts'
import type { Truth } from './truth.ts'

const lookMs = 400

/** Looks at the service from outside while everything goes on, and at its ledger when it has ended. */
export class Observer {
  readonly #rig: Rig
  readonly #story: Story
  readonly #truth: Truth
  readonly #dead = new Set<string>()
  readonly #promoted = new Set<string>()
  #generation = -1

  constructor({ rig, story, truth }: { readonly rig: Rig; readonly story: Story; readonly truth: Truth }) {
    this.#rig = rig
    this.#story = story
    this.#truth = truth
  }

  /** Old keys that the service has proven dead. */
  get deaths(): number {
    return this.#dead.size
  }

  get promotions(): number {
    return this.#promoted.size
  }

  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.ask().catch(() => undefined)
      await pause(lookMs, signal)
    }
  }

  /** Asks the service and looks at what it says. Two questions at once may be answered out of order. */
  async ask(): Promise<CredentialSummary> {
    const known = this.#generation
    const seen = await summary(this.#rig)
    this.#look(seen, known)
    return seen
  }

  #look(seen: CredentialSummary, known: number): void {
    const current = seen.versions.filter((one) => one.stage === 'current')
    if (current.length > 1 || current[0]?.version !== seen.current?.version)
      this.#story.object('agreed', `${current.length} versions are called current at once`)
    if (seen.generation < known)
      this.#story.object('generations', `the service: from ${known} to ${seen.generation}`)
    this.#generation = Math.max(this.#generation, seen.generation)
    for (const one of seen.versions)
      if (one.isCompromised && one.keyId !== null) this.#truth.compromise(one.keyId)
    for (const one of seen.retirements) if (one.phase === 'dead') this.#dead.add(one.id)
    this.#noteRotation(seen.rotation ?? undefined)
  }

  onLine(line: LogLine): void {
    const { message, phase, level } = line
    if (level === 'debug' && phase === undefined) return
    const id = typeof line['id'] === 'string' ? ` ${line['id'].slice(0, 6)}` : ''
    const more = ['outcome', 'heldBy', 'by', 'code', 'summary', 'error']
      .flatMap((name) =>
        line[name] === undefined || line[name] === null
          ? []
          : [`${name}=${JSON.stringify(line[name]).slice(0, 160)}`],
      )
      .join(' ')
    this.#story.tell('service', `${message}${id} ${phase ?? ''} ${more}`.trimEnd())
    if (level === 'error' || line['code'] === 'internal') this.#story.object('faults', `${message} ${more}`)
  }

  /** The ledger of a service that has ended. */
  readLedger(): {
    readonly state: CredentialState
    readonly rotations: readonly Rotation[]
    readonly soundness: string
  } {
    const database = new DatabaseSync(join(this.#rig.home, 'ledger.db'))
    try {
      const row = database.prepare('SELECT state FROM credentials').get()
      const rows = database.prepare('SELECT body FROM rotations ORDER BY sequence').all()
      const sound = database.prepare('PRAGMA integrity_check').get()
      return {
        state: JSON.parse(String(row?.['state'])) as CredentialState,
        rotations: rows.map((one) => JSON.parse(String(one['body'])) as Rotation),
        soundness: String(Object.values(sound ?? {})[0]),
      }
    } finally {
      database.close()
    }
  }

  #noteRotation(rotation: CredentialSummary['rotation'] | undefined): void {
    if (rotation?.outcome === 'promoted') this.#promoted.add(rotation.id)
  }
}
