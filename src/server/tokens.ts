import { hash, timingSafeEqual } from 'node:crypto'
import type { TokenAnswer, TokenRequest, TokenSummary } from '../api/types.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import { type Caller, createCaller, operatorGrants } from './auth/caller.ts'
import { every } from './ticker.ts'
import {
  readTokenFile,
  type StoredToken,
  tokenFileSignature,
  tokensMax,
  withTokenFileLock,
  writeTokenFile,
} from './token-file.ts'

/** The tokens of the service: in a file of their own, so that a lost ledger locks nobody out. */
export interface TokenStore {
  /** The caller of an `Authorization` header; undefined where there is none with a token that is good now. */
  authenticate(header: string | undefined): Caller | undefined
  /** Whether a caller who was let in earlier (a stream, a long-poll) would still be. */
  isLive(caller: Caller): boolean
  /** Told after tokens were made or revoked, here or by another process. */
  onChange(listener: () => void): Cancel
  /** The answer holds the token; it is nowhere else and cannot be shown again. `bad_request`, `too_many_requests`. */
  create(request: TokenRequest): Promise<TokenAnswer>
  list(): readonly TokenSummary[]
  /** At once, also for open streams. False where there is no such token. */
  revoke(id: string): Promise<boolean>
  close(): Promise<void>
}

export interface TokenStoreOptions {
  readonly path: string
  readonly system: System
  readonly log: Log
}

/** How long a verified caller is remembered before the token is compared again. */
const rememberMs = 60_000
const pollMs = 1_000
const usedFlushMs = 600_000
/** `lastUsedAt` is rounded down to this. */
const usedStepMs = 60_000
const secretBytes = 32
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
  const store = new FileTokenStore(options)
  await store.load()
  store.watch()
  return store
}

class FileTokenStore implements TokenStore {
  readonly #path: string
  readonly #system: System
  readonly #log: Log
  readonly #listeners = new Set<() => void>()
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
    this.#path = options.path
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

  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  list(): readonly TokenSummary[] {
    return [...this.#tokens.values()].map(({ stored }) => this.#summary(stored))
  }

  create(request: TokenRequest): Promise<TokenAnswer> {
    if (looksLikeKey(request.name))
      return Promise.reject(
        new KeyturnError('bad_request', 'The name of this token looks like a key, and names are shown.', {
          fix: 'Name who will hold the token, e.g. billing-worker.',
        }),
      )
    const credentials = request.role === 'operator' ? [] : (request.credentials ?? [])
    if (request.role === 'app' && credentials.length === 0)
      return Promise.reject(
        new KeyturnError('bad_request', `The app token ${request.name} names no credential it may read.`, {
          fix: 'Set `credentials` to a list of names, or to ["*"] for every one.',
        }),
      )
    return this.#change(async (tokens) => {
      if (tokens.length >= tokensMax)
        throw new KeyturnError('too_many_requests', `There are ${tokensMax} tokens already.`, {
          fix: 'Revoke those that nobody uses: GET /v1/tokens shows when each was last used.',
        })
      const now = this.#system.now()
      const random = Buffer.from(this.#system.bytes(secretBytes)).toString('base64url')
      const token = `${request.role === 'app' ? 'kt_app_' : 'kt_op_'}${random}`
      const stored: StoredToken = {
        id: `tok_${Buffer.from(this.#system.bytes(8)).toString('hex')}`,
        name: request.name,
        role: request.role,
        credentials,
        sha256: hash('sha256', token, 'hex'),
        createdAt: now,
        expiresAt: request.expiresInSeconds === undefined ? null : now + request.expiresInSeconds * 1_000,
        lastUsedAt: null,
      }
      return { tokens: [...tokens, stored], result: { ...this.#summary(stored), token } }
    })
  }

  revoke(id: string): Promise<boolean> {
    return this.#change(async (tokens) => {
      const rest = tokens.filter((token) => token.id !== id)
      return { tokens: rest, result: rest.length < tokens.length }
    })
  }

  async close(): Promise<void> {
    this.#stopPolling()
    await this.#queue
    await this.#flushUsed()
  }

  async load(): Promise<void> {
    const { tokens, signature } = await readTokenFile(this.#path)
    this.#adopt(tokens, signature)
  }

  /** Another process may change the file. Asked of stat in the background, never while a request waits. */
  watch(): void {
    this.#stopPolling = every(this.#system, pollMs, () => {
      if (this.#isPolling) return
      this.#isPolling = true
      void this.#poll().finally(() => {
        this.#isPolling = false
      })
    })
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
    work: (
      tokens: readonly StoredToken[],
    ) => Promise<{ readonly tokens: readonly StoredToken[]; readonly result: Result }>,
  ): Promise<Result> {
    const done = this.#queue.then(() =>
      withTokenFileLock(this.#path, this.#system, async () => {
        const before = await readTokenFile(this.#path)
        const { tokens, result } = await work(before.tokens)
        const after = tokens.map((token) => this.#withUse(token))
        await writeTokenFile(this.#path, after, this.#system)
        this.#adopt(after, await tokenFileSignature(this.#path))
        return result
      }),
    )
    // The queue goes on after a failure; whoever asked for the change is told of it.
    this.#queue = done.then(
      () => undefined,
      () => undefined,
    )
    return done
  }

  #adopt(tokens: readonly StoredToken[], signature: string): void {
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

  async #poll(): Promise<void> {
    try {
      await this.#queue
      const signature = await tokenFileSignature(this.#path)
      // A file that vanished is more likely an accident than a wish to lock every app out: what was known stays.
      if (signature === 'absent' && this.#signature !== 'absent')
        throw new KeyturnError('config_missing', `The token file ${this.#path} is gone.`, {
          fix: 'Restore it; to revoke tokens use `keyturn token revoke`.',
        })
      if (signature !== this.#signature) await this.load()
      this.#isBroken = false
      if (this.#system.now() >= this.#flushAt) await this.#flushUsed()
    } catch (thrown) {
      if (!this.#isBroken)
        this.#log('error', 'the token file cannot be read again; the tokens known so far stay good', {
          error: toKeyturnError(thrown, 'reading the token file'),
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
      await this.#change(async (tokens) => ({ tokens, result: undefined }))
    } catch (thrown) {
      this.#log('warn', 'when tokens were last used could not be written down', {
        error: toKeyturnError(thrown, 'writing the token file'),
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
      grants:
        stored.role === 'operator' ? operatorGrants : [{ credentials: stored.credentials, may: ['read'] }],
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
