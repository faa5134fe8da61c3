import { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import type { Secret } from '../../src/core/secret.ts'
import type { VersionId } from '../../src/core/types.ts'
import { type MemoryContent, openMemoryStore } from '../../src/stores/memory.ts'
import type { Dice } from './dice.ts'
import { call, type Life, Weather } from './line.ts'
import type { Sim } from './sim.ts'

type MemoryRecord = MemoryContent extends Map<string, infer Value> ? Value : never

const ref = 'secret'
const pastMax = 40

/** One secret in one store, as it truly is: the shipped rules of versions, behind a network that fails and readers that lag. */
export class SimStore {
  readonly name: string
  readonly content: MemoryContent = new Map()
  readonly weather: Weather
  isAllowed = true
  /** When something last became current in it. */
  changedAt = 0
  /** When anything in it last changed. */
  writtenAt = 0
  readonly #truth: SecretStore
  readonly #sim: Sim
  readonly #dice: Dice
  /** What it was, newest last. */
  readonly #past: { readonly until: number; readonly record: MemoryRecord | undefined }[] = []
  #last: MemoryRecord | undefined
  #drawn = 0

  constructor(sim: Sim, name: string) {
    this.#sim = sim
    this.name = name
    this.#dice = sim.dice.stream(`store ${name}`)
    this.weather = new Weather(sim.options.faultRate)
    this.#truth = openMemoryStore({ content: this.content }, { system: { now: sim.now } as never })
    this.#truth.watch?.(ref, () => this.#changed())
  }

  #changed(): void {
    const record = this.content.get(ref)
    this.writtenAt = this.#sim.now()
    const isMoved = record?.shelf.current !== this.#last?.shelf.current
    if (isMoved) this.changedAt = this.#sim.now()
    this.#past.push({ until: this.#sim.now(), record: this.#last })
    if (this.#past.length > pastMax) this.#past.shift()
    this.#last = record
    if (isMoved) this.#sim.story.tell(this.name, `current is ${record?.shelf.current ?? 'nothing'}`)
  }

  /** What every reader gets in the end. */
  current(): { readonly version: VersionId; readonly secret: Secret } | undefined {
    const record = this.content.get(ref)
    const version = record?.shelf.current
    const secret = version === undefined ? undefined : record?.values.get(version)
    return version === undefined || secret === undefined ? undefined : { version, secret }
  }

  has(version: VersionId): boolean {
    return this.content.get(ref)?.values.has(version) === true
  }

  isRetired(version: VersionId): boolean {
    const entry = this.content.get(ref)?.shelf.versions.find((one) => one.version === version)
    return entry === undefined || entry.isRetired
  }

  /** All that a reader can still get by name or by stage. */
  live(): readonly { readonly version: VersionId; readonly secret: Secret }[] {
    const { shelf, values } = this.content.get(ref) ?? {}
    return (shelf?.versions ?? []).flatMap(({ version, isRetired }) => {
      const secret = values?.get(version)
      return isRetired || secret === undefined ? [] : [{ version, secret }]
    })
  }

  versions(): readonly VersionId[] {
    return [...(this.content.get(ref)?.values.keys() ?? [])]
  }

  /** As a person does in the console: whatever is there, this is current now. */
  byHand(secret: Secret): VersionId {
    const version = `hand-${this.name.replaceAll('/', '-')}-${++this.#drawn}`
    const shelf = this.content.get(ref)?.shelf
    const fence = shelf?.fence ?? 0
    void this.#truth.stage(ref, { version, secret, meta: {}, fence })
    void this.#truth.promote(ref, { to: version, expectCurrent: shelf?.current, fence })
    return version
  }

  moveBack(version: VersionId): void {
    const shelf = this.content.get(ref)?.shelf
    void this.#truth
      .promote(ref, { to: version, expectCurrent: shelf?.current, fence: shelf?.fence ?? 0 })
      .catch(() => undefined)
  }

  portFor(life: Life): SecretStore {
    const sim = this.#sim
    const { lagMs, watches } = sim.options.store
    const through = <Result>(what: string, apply: () => Promise<Result>, isWrite = true): Promise<Result> =>
      call(sim, life, this.#dice, {
        what: `${what} ${this.name}`,
        weather: this.weather,
        apply,
        failure: (how) => this.#fails(how),
        isRepeatable: isWrite,
        lateMs: isWrite ? 20_000 : 0,
      })
    const truth = this.#truth
    const port: SecretStore = {
      capabilities: { ...truth.capabilities, propagationMs: lagMs },
      read: (_ref, options) => through('read', () => this.#seen().read(ref, options), false),
      describe: () => through('describe', () => this.#seen().describe(ref), false),
      stage: (_ref, request) => through('stage', () => truth.stage(ref, request)),
      promote: (_ref, request) => through('promote', () => truth.promote(ref, request)),
      retire: (_ref, request) => through('retire', () => truth.retire(ref, request)),
      destroy: (_ref, version) => through('destroy', () => truth.destroy(ref, version)),
      annotate: (_ref, version, meta) => through('annotate', () => truth.annotate(ref, version, meta)),
      check: () =>
        through(
          'check',
          async () => [
            {
              permission: 'write',
              resource: this.name,
              state: this.isAllowed ? 'granted' : 'missing',
            } as const,
          ],
          false,
        ),
      close: async () => undefined,
    }
    if (!watches) return port
    return {
      ...port,
      watch: (_ref, onChange) => {
        return truth.watch?.(ref, late(sim, this.#dice, life.lent(onChange))) ?? (() => undefined)
      },
    }
  }

  /** Readers of a store that lags may get what it was a while ago. */
  #seen(): SecretStore {
    const { lagMs } = this.#sim.options.store
    if (lagMs === 0 || this.#sim.isHealed || this.#dice.chance(0.4)) return this.#truth
    const asOf = this.#sim.now() - this.#dice.between(0, lagMs)
    const past = this.#past.find((one) => one.until > asOf)
    if (past === undefined) return this.#truth
    const content: MemoryContent = new Map(past.record === undefined ? [] : [[ref, past.record]])
    return openMemoryStore({ content }, { system: { now: this.#sim.now } as never })
  }

  #fails(how: 'timeout' | 'reset' | 'throttled' | 'error'): never {
    const code = how === 'throttled' ? 'store_throttled' : 'store_unreachable'
    throw new KeyturnError(code, `The store ${this.name} did not answer (${how}).`, {
      fix: 'Wait.',
      retryable: true,
    })
  }
}

/** Tells mostly, and some time later. Outside of the port, so that a store which is watched does not hold the process that watches. */
function late(sim: Sim, dice: Dice, tell: () => void): () => void {
  return () => {
    if (dice.chance(0.9)) sim.time.after(dice.between(1, 2_000), tell)
  }
}
