import type { RequestRecord, Sandbox } from '../../src/sandbox/index.ts'
import type { Death } from './judge.ts'

/** An answer that is still missing after this long is never coming. */
const unansweredMs = 20_000
/** What a new key is unknown for at an edge at most. */
export const activationMsMax = 500
/** The timeout of the issuer in the configuration. */
const probeTimeoutMs = 2_000
/** Refused requests that are kept whole. */
const refusalsMax = 50_000

interface KeyUse {
  firstAt: number
  lastAt: number
  count: number
}

/**
 * What OpenAI itself knows: who used which key when, what it answered, which keys live. It is read from the sandbox's own log
 * while that still has it, and knows nothing of Keyturn.
 */
export class Truth {
  readonly sandbox: Sandbox
  /** Requests of apps that were answered with a 200. */
  answered = 0
  /** Requests of apps that were refused for their key. */
  readonly refused: RequestRecord[] = []
  /** Everything that was not answered with a 200, by request id. */
  readonly #notFine = new Map<string, RequestRecord>()
  readonly #uses = new Map<string, KeyUse>()
  /** Keys that somebody ended, or that an operator named. */
  readonly #deaths = new Map<string, Death>()
  /** Keys that were alive when an operator said that the current one is in the wrong hands. */
  readonly #suspects = new Map<string, number>()
  /** When OpenAI last failed to say what it thinks of a key, in the order in which it was asked. */
  readonly #troubled: number[] = []
  /** How many records of the log were gone before they were read. */
  missed = 0
  #read = new Set<string>()
  #isFirst = true

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox
  }

  /** To be called often: the log of the sandbox is bounded. */
  collect(now: number): void {
    const records = this.sandbox.requests()
    const isOverlapping = records.some(({ requestId }) => this.#read.has(requestId))
    if (!this.#isFirst && !isOverlapping && records.length > 0 && this.#read.size > 0) this.missed += 1
    const read = new Set<string>()
    for (const record of records) {
      const isOver = record.status !== undefined || record.at < now - unansweredMs
      if (!isOver) continue
      read.add(record.requestId)
      if (!this.#read.has(record.requestId)) this.#take(record)
    }
    this.#read = read
    this.#isFirst = false
  }

  recordOf(requestId: string | undefined): RequestRecord | undefined {
    return requestId === undefined ? undefined : this.#notFine.get(requestId)
  }

  /** Somebody deletes a key in the dashboard. */
  deleteKey(keyId: string): void {
    this.#deaths.set(keyId, { by: 'somebody', at: Date.now() })
    this.sandbox.deleteKey(keyId)
  }

  /** An operator is about to say that the current key is in the wrong hands. Which one that is, is seen when it was done. */
  suspectAll(): void {
    for (const keyId of this.alive()) this.#suspects.set(keyId, Date.now())
  }

  /** The service took this key for the one that was meant. Nobody is believed who was not asked. */
  compromise(keyId: string): void {
    const at = this.#suspects.get(keyId)
    if (at !== undefined && !this.#deaths.has(keyId)) this.#deaths.set(keyId, { by: 'compromised', at })
  }

  /** Until when OpenAI left Keyturn without a clear answer, as far as is seen until that instant. */
  troubledUntil(at: number): number {
    const last = this.#troubled.findLast((one) => one <= at)
    return last === undefined ? Number.NEGATIVE_INFINITY : last + probeTimeoutMs
  }

  /** An operator may have meant this key: until the service was asked once more nobody knows. */
  isUndecided(keyId: string | null | undefined): boolean {
    return typeof keyId === 'string' && this.#suspects.has(keyId) && !this.#deaths.has(keyId)
  }

  /** How a key was ended by somebody, and when it was dead. */
  deathOf(keyId: string): Death | undefined {
    const death = this.#deaths.get(keyId)
    if (death === undefined) return undefined
    const key = this.sandbox.keys().find(({ id }) => id === keyId)
    return { ...death, at: key?.deletedAt ?? death.at }
  }

  /** The key that was ended last, as seen at that instant. */
  latestDeath(before: number): Death | undefined {
    return [...this.#deaths.values()].filter(({ at }) => at <= before).sort((a, b) => b.at - a.at)[0]
  }

  /** Since when apps were given another key, one that was alive at that instant and is named by nobody. */
  otherSince(keyId: string | undefined, at: number): number | undefined {
    const since = this.sandbox.keys().flatMap((key) => {
      const use = this.#uses.get(key.id)
      const isAlive = key.createdAt <= at && (key.deletedAt === null || key.deletedAt > at)
      const isOther = key.id !== keyId && isAlive && !this.#deaths.has(key.id)
      return isOther && use !== undefined && use.firstAt < at ? [use.firstAt] : []
    })
    return since.length === 0 ? undefined : Math.min(...since)
  }

  /** Keys of the service account that are alive now. */
  alive(): readonly string[] {
    return this.sandbox
      .keys()
      .filter((key) => key.kind === 'service_account' && key.state === 'alive')
      .map((key) => key.id)
  }

  /** How many keys were made, and how many of them are dead. */
  made(): { readonly made: number; readonly dead: number } {
    const keys = this.sandbox.keys().filter((key) => key.kind === 'service_account')
    return { made: keys.length, dead: keys.filter((key) => key.state !== 'alive').length }
  }

  /** Refused where OpenAI may not have known the key yet. */
  isActivating({ keyId, at }: Pick<RequestRecord, 'keyId' | 'at'>): boolean {
    const key = this.sandbox.keys().find(({ id }) => id === keyId)
    return key !== undefined && at < key.createdAt + activationMsMax
  }

  /** Refusals with keys that nobody but Keyturn had ended, and that need not have been handed out. */
  plannedRefusals(): readonly RequestRecord[] {
    return this.refused.filter(
      (record) =>
        record.keyId !== null &&
        !this.#deaths.has(record.keyId) &&
        !(this.isActivating(record) && this.otherSince(record.keyId, record.at) === undefined),
    )
  }

  #take(record: RequestRecord): void {
    const isApp = record.path === '/v1/chat/completions'
    if (record.status !== 200 && this.#notFine.size < refusalsMax) this.#notFine.set(record.requestId, record)
    const isProbe = record.path === '/v1/models'
    const isTroubled = record.faults.length > 0 || (record.status !== 200 && record.status !== 401)
    if (isProbe && isTroubled) this.#troubled.push(record.at)
    if (!isApp) return
    if (record.status === 200) {
      this.answered += 1
      if (record.keyId === null) return
      const use = this.#uses.get(record.keyId) ?? { firstAt: record.at, lastAt: record.at, count: 0 }
      this.#uses.set(record.keyId, { ...use, lastAt: record.at, count: use.count + 1 })
    } else if (record.status === 401 && this.refused.length < refusalsMax) this.refused.push(record)
  }
}
