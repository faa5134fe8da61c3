import { hash, timingSafeEqual } from 'node:crypto'
import type { TokenAnswer, TokenRequest, TokenRotationRequest, TokenSummary } from '../api/types.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import { type Caller, covers, createCaller } from './auth/caller.ts'
import { every } from './ticker.ts'
import { changesBetween, type TokenChange } from './token-changes.ts'
import { createTokenFile } from './token-file.ts'
import { beyondMaker, grantsOf, newToken, planRotation, planToken, type TokenPlan } from './token-plans.ts'
import { type ShelfContent, type StoredToken, type TokenShelf, tokensMax } from './token-shelf.ts'

/** The tokens of the service: who holds which, decided from memory. */
export interface TokenStore {
  /** The caller of an `Authorization` header; undefined where there is none with a token that is good now. */
  authenticate(header: string | undefined): Caller | undefined
  /** Whether a caller who was let in earlier (a stream, a long-poll) would still be. */
  isLive(caller: Caller): boolean
  /** The caller of the token of this id, while it is good. */
  recall?(id: string): Caller | undefined
  /** Told after tokens were made or revoked, here or by another process. */
  onChange(listener: () => void): Cancel
  /** Told of what somebody else changed: at the machine, by hand, or at another replica. */
  onOthers?(listener: (changes: readonly TokenChange[]) => void): Cancel
  /**
   * The answer holds the token; it is nowhere else and cannot be shown again. `by` is who asks over the API: whatever they
   * make counts as theirs where two persons are needed. `bad_request`, `forbidden`, `too_many_requests`.
   */
  create(request: TokenRequest, by?: Caller): Promise<TokenAnswer>
  /** A second token of the name; the first stays good for the overlap. `not_found`, `conflict` where two are live, `forbidden`. */
  rotate(request: TokenRotationRequest, by?: Caller): Promise<TokenAnswer>
  list(): readonly TokenSummary[]
  /** At once, also for open streams. False where there is no such token. */
  revoke(id: string): Promise<boolean>
  close(): Promise<void>
}

export interface TokenStoreOptions {
  /** Where the hashes lie: a file, or any shelf. */
  readonly path: string | TokenShelf
  readonly system: System
  readonly log: Log
}

/** How long a verified caller is remembered before the token is compared again. */
const rememberMs = 60_000
/** Twice a second, so that what another process revoked is refused within one. */
const pollMs = 500
const usedFlushMs = 600_000
/** `lastUsedAt` is rounded down to this. */
const usedStepMs = 60_000
const headerCharsMax = 200

interface Known {
  readonly stored: StoredToken
  readonly digest: Buffer
  readonly caller: Caller
}

interface Verified {
  readonly known: Known
  readonly until: number
  readonly generation: number
}

/** `config_invalid` for a file that cannot be read or is malformed, `permissions_lax` for one that others may read. */
export async function openTokenStore(options: TokenStoreOptions): Promise<TokenStore> {
  const store = new MemoryTokenStore(options)
  await store.load()
  store.watch()
  return store
}

class MemoryTokenStore implements TokenStore {
  readonly #shelf: TokenShelf
  readonly #system: System
  readonly #log: Log
  readonly #listeners = new Set<() => void>()
  readonly #ofOthers = new Set<(changes: readonly TokenChange[]) => void>()
  /** By id, as in the file. */
  #tokens = new Map<string, Known>()
  /** By the first bytes of the digest: finding a candidate may leak those, comparing it leaks nothing. */
  #candidates = new Map<string, Known[]>()
  /** Callers by the whole digest. An attacker would have to invert SHA-256 to learn anything from a lookup. */
  readonly #verified = new Map<string, Verified>()
  #generation = 0
  #signature = 'absent'
  readonly #usedAt = new Map<string, number>()
  #flushAt: number
  #queue: Promise<unknown> = Promise.resolve()
  #isPolling = false
  #isBroken = false
  #stopPolling: Cancel = () => {}

  constructor(options: TokenStoreOptions) {
    const { path, system } = options
    this.#shelf = typeof path === 'string' ? createTokenFile(path, system) : path
    this.#system = options.system
    this.#log = options.log
    this.#flushAt = options.system.now() + usedFlushMs
  }

  authenticate(header: string | undefined): Caller | undefined {
    const token = bearerToken(header)
    if (token === undefined) return undefined
    const now = this.#system.now()
    const digest = hash('sha256', token, 'binary')
    const seen = this.#verified.get(digest)
    if (seen !== undefined && seen.generation === this.#generation && now < seen.until)
      return seen.known.caller
    return this.#verify(digest, now)
  }

  isLive(caller: Caller): boolean {
    const known = this.#tokens.get(caller.id)
    return known !== undefined && isUnexpired(known.stored, this.#system.now())
  }

  recall(id: string): Caller | undefined {
    const known = this.#tokens.get(id)
    return known !== undefined && isUnexpired(known.stored, this.#system.now()) ? known.caller : undefined
  }

  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onOthers(listener: (changes: readonly TokenChange[]) => void): Cancel {
    this.#ofOthers.add(listener)
    return () => this.#ofOthers.delete(listener)
  }

  list(): readonly TokenSummary[] {
    return [...this.#tokens.values()].map(({ stored }) => this.#summary(stored))
  }

  create(request: TokenRequest, by?: Caller): Promise<TokenAnswer> {
    return this.#add(by, () => planToken(request))
  }

  rotate({ name, overlapSeconds = 3_600 }: TokenRotationRequest, by?: Caller): Promise<TokenAnswer> {
    return this.#add(by, (tokens, now) =>
      planRotation({ name, overlapMs: overlapSeconds * 1_000 }, tokens, now),
    )
  }

  #add(
    by: Caller | undefined,
    plan: (tokens: readonly StoredToken[], now: number) => TokenPlan,
  ): Promise<TokenAnswer> {
    return this.#change((tokens) => {
      const now = this.#system.now()
      const { token: planned, rest = tokens, lifeMs } = plan(tokens, now)
      if (by !== undefined && !covers(by, grantsOf(planned))) throw beyondMaker(planned.name)
      if (rest.length >= tokensMax)
        throw new KeyturnError('too_many_requests', `There are ${tokensMax} tokens already.`, {
          fix: 'Revoke those that nobody uses: GET /v1/tokens shows when each was last used.',
        })
      const token = newToken(planned.role, this.#system)
      // Who makes a token for others can speak for them from then on.
      const person = by === undefined ? planned.person : by.person
      const { person: _person, ...others } = planned
      const stored: StoredToken = {
        ...others,
        ...(person === undefined || person === planned.name ? {} : { person }),
        id: `tok_${Buffer.from(this.#system.bytes(8)).toString('hex')}`,
        sha256: hash('sha256', token, 'hex'),
        createdAt: now,
        expiresAt: lifeMs === undefined ? null : now + lifeMs,
        lastUsedAt: null,
      }
      return { tokens: [...rest, stored], result: { ...this.#summary(stored), token } }
    })
  }

  revoke(id: string): Promise<boolean> {
    return this.#change((tokens) => {
      const rest = tokens.filter((token) => token.id !== id)
      return { tokens: rest, result: rest.length < tokens.length }
    })
  }

  async close(): Promise<void> {
    this.#stopPolling()
    await this.#queue
    await this.#flushUsed()
    await this.#shelf.close()
  }

  async load(): Promise<void> {
    this.#adopt(await this.#shelf.read())
  }

  /** Another process may change what lies there. Asked in the background, never while a request waits. */
  watch(): void {
    const look = (): void => {
      if (this.#isPolling) return
      this.#isPolling = true
      void this.#poll().finally(() => {
        this.#isPolling = false
      })
    }
    const cancels = [every(this.#system, pollMs, look), this.#shelf.onHint?.(look)]
    this.#stopPolling = () => {
      for (const cancel of cancels) cancel?.()
    }
  }

  #verify(digest: string, now: number): Caller | undefined {
    const presented = Buffer.from(digest, 'binary')
    const candidates = this.#candidates.get(prefixOf(presented)) ?? []
    let found: Known | undefined
    for (const known of candidates) if (timingSafeEqual(known.digest, presented)) found = known
    if (found === undefined || !isUnexpired(found.stored, now)) return undefined
    const until = Math.min(now + rememberMs, found.stored.expiresAt ?? Number.POSITIVE_INFINITY)
    this.#verified.set(digest, { known: found, until, generation: this.#generation })
    this.#usedAt.set(found.stored.id, now - (now % usedStepMs))
    return found.caller
  }

  /** One change after another: read what is there, compute, write, adopt. */
  #change<Result>(
    work: (tokens: readonly StoredToken[]) => {
      readonly tokens: readonly StoredToken[]
      readonly result: Result
    },
  ): Promise<Result> {
    const done = this.#queue.then(async () => {
      let ofOthers: readonly TokenChange[] = []
      const { content, result } = await this.#shelf.change((before) => {
        ofOthers = changesBetween(this.#stored(), before)
        const { tokens, result } = work(before)
        return { tokens: tokens.map((token) => this.#withUse(token)), result }
      })
      this.#adopt(content)
      this.#tellOfOthers(ofOthers)
      return result
    })
    // The queue goes on after a failure; whoever asked for the change is told of it.
    this.#queue = done.then(
      () => undefined,
      () => undefined,
    )
    return done
  }

  #adopt({ tokens, signature }: ShelfContent): void {
    this.#signature = signature
    this.#generation += 1
    this.#verified.clear()
    this.#tokens = new Map(tokens.map((stored) => [stored.id, known(stored)]))
    this.#candidates = new Map()
    for (const entry of this.#tokens.values()) {
      const prefix = prefixOf(entry.digest)
      const others = this.#candidates.get(prefix)
      if (others === undefined) this.#candidates.set(prefix, [entry])
      else others.push(entry)
    }
    for (const id of this.#usedAt.keys()) if (!this.#tokens.has(id)) this.#usedAt.delete(id)
    for (const listener of this.#listeners) listener()
  }

  #stored(): readonly StoredToken[] {
    return [...this.#tokens.values()].map(({ stored }) => stored)
  }

  #tellOfOthers(changes: readonly TokenChange[]): void {
    if (changes.length > 0) for (const listener of this.#ofOthers) listener(changes)
  }

  /** In line with the changes: what was read before one must not be taken for what is there after it. */
  #look(): Promise<void> {
    const looked = this.#queue.then(async () => {
      const signature = await this.#shelf.signature()
      // A file that vanished is more likely an accident than a wish to lock every app out: what was known stays.
      if (signature === 'absent' && this.#signature !== 'absent')
        throw new KeyturnError('config_missing', `${capital(this.#shelf.where)} is gone.`, {
          fix: 'Restore it; to revoke tokens use `keyturn token revoke`.',
        })
      if (signature === this.#signature) return
      const before = this.#stored()
      await this.load()
      this.#tellOfOthers(changesBetween(before, this.#stored()))
    })
    this.#queue = looked.catch(() => undefined)
    return looked
  }

  async #poll(): Promise<void> {
    try {
      await this.#look()
      this.#isBroken = false
      if (this.#system.now() >= this.#flushAt) await this.#flushUsed()
    } catch (thrown) {
      if (!this.#isBroken)
        this.#log('error', `${this.#shelf.where} cannot be read again; the tokens known so far stay good`, {
          error: toKeyturnError(thrown, 'reading the tokens'),
        })
      this.#isBroken = true
    }
  }

  async #flushUsed(): Promise<void> {
    this.#flushAt = this.#system.now() + usedFlushMs
    const isNews = [...this.#tokens.values()].some(
      ({ stored }) => (this.#usedAt.get(stored.id) ?? 0) > (stored.lastUsedAt ?? 0),
    )
    if (!isNews) return
    try {
      await this.#change((tokens) => ({ tokens, result: undefined }))
    } catch (thrown) {
      this.#log('warn', 'when tokens were last used could not be written down', {
        error: toKeyturnError(thrown, 'writing the tokens'),
      })
    }
  }

  #withUse(stored: StoredToken): StoredToken {
    const usedAt = this.#usedAt.get(stored.id)
    return usedAt === undefined || usedAt <= (stored.lastUsedAt ?? 0)
      ? stored
      : { ...stored, lastUsedAt: usedAt }
  }

  #summary(stored: StoredToken): TokenSummary {
    const { id, name, role, credentials, createdAt, expiresAt, lastUsedAt } = this.#withUse(stored)
    return {
      id,
      name,
      role,
      credentials,
      grants: grantsOf(stored),
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
      lastUsedAt: lastUsedAt === null ? null : new Date(lastUsedAt).toISOString(),
    }
  }
}

function known(stored: StoredToken): Known {
  return {
    stored,
    digest: Buffer.from(stored.sha256, 'hex'),
    caller: createCaller({
      id: stored.id,
      name: stored.name,
      kind: 'token',
      grants: grantsOf(stored),
      ...(stored.person === undefined ? {} : { person: stored.person }),
    }),
  }
}

function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > headerCharsMax) return undefined
  const scheme = header.slice(0, 7)
  if (scheme !== 'Bearer ' && scheme.toLowerCase() !== 'bearer ') return undefined
  const token = header.slice(7)
  return token.length === 0 ? undefined : token
}

function prefixOf(digest: Buffer): string {
  return digest.toString('hex', 0, 4)
}

function isUnexpired(stored: StoredToken, now: number): boolean {
  return stored.expiresAt === null || now < stored.expiresAt
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
