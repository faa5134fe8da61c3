import { hash } from 'node:crypto'
import { type OpenClient, openClient } from '../client/create-client.ts'
import { type KeyturnClientError, KeyturnClientError as OwnError, toClientError } from '../client/errors.ts'
import type { Platform } from '../client/platform.ts'
import type { Replace } from '../client/replace.ts'
import type { OpenAICredential } from '../client/types.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { Cancel, Clock, Log } from '../core/ports.ts'
import type { ProxyLimits } from './limits.ts'

/** One holder of a token, asking for one credential. */
export interface Caller {
  readonly credential: string
  /** By what name Keyturn knows it; until it has said so, a name made of the token's digest. */
  app(): string
  /** Whether Keyturn has let it in; until then its token may be anybody's guess. */
  isProven(): boolean
  /** The verified credential of now; rejects with a KeyturnClientError, also where the token is no longer good. */
  current(): Promise<OpenAICredential>
  /** Counts a request in that is sent with this key, for the service to see; what it returns counts it out, once. */
  enter(credential: OpenAICredential): Cancel
  /** Another key for one that was refused. */
  readonly replace: Replace
  readonly usage: Usage
}

/** What one caller did, counted in plain memory. */
export interface Usage {
  /** Requests under way. */
  active: number
  /** Answers by fingerprint of the key, of the latest few keys, and by class of status. */
  readonly answers: Map<string, Map<string, number>>
}

/**
 * Who calls. The proxy knows no token and has none of its own: each caller's is shown to the service, by a client of its
 * own, so that grants, revocation, leases and audit rows are the service's, under the caller's name. While that client is
 * followed up (an event stream, a question a minute), the caller counts as verified; a refusal ends that at once.
 */
export interface Callers {
  /** Throws a KeyturnClientError where the token was refused a moment ago, or is new and too many are, or none may be. */
  find(token: string, credential: string, options: { readonly mayBeNew: boolean }): Caller
  all(): Iterable<Caller>
  /** For the end, when no request is under way: closes all, and tells Keyturn that none of its keys is in use any more. */
  end(): Promise<void>
}

export interface CallersOptions {
  readonly url: string | URL
  readonly instance: string
  readonly staleAfterMs: number | undefined
  readonly platform: Partial<Platform>
  readonly clock: Clock
  readonly log: Log
  readonly limits: Pick<ProxyLimits, 'callersMax' | 'unprovenMax' | 'refusedHeldMs'>
  /** What a caller that is forgotten did must stay in the figures. */
  readonly onForgotten: (caller: Caller) => void
}

/** The service said no to the token itself. */
const refusing: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'not_found']

interface Entry {
  readonly caller: Caller
  readonly opened: OpenClient
  isProven: boolean
  refusal: { readonly error: KeyturnClientError; readonly at: number } | undefined
  usedAt: number
}

export function createCallers(options: CallersOptions): Callers {
  const { limits, clock, onForgotten } = options
  /** By the digest of the token: no text of one is kept beyond the client that shows it. */
  const entries = new Map<string, Entry>()
  let uses = 0

  const forget = (id: string, entry: Entry) => {
    entries.delete(id)
    entry.opened.client.close()
    onForgotten(entry.caller)
  }
  const known = (id: string): Entry | undefined => {
    const entry = entries.get(id)
    if (entry?.refusal === undefined) return entry
    if (clock.now() - entry.refusal.at < limits.refusedHeldMs) throw entry.refusal.error
    forget(id, entry)
    return undefined
  }
  const makeRoom = () => {
    const all = [...entries]
    if (all.filter(([, one]) => !one.isProven && one.refusal === undefined).length >= limits.unprovenMax)
      throw tooMany('More tokens are new at once than the proxy shows to Keyturn.')
    if (all.length < limits.callersMax) return
    const idle = all.filter(([, { caller }]) => caller.usage.active === 0)
    // What was refused goes before anybody who is good.
    idle.sort(
      ([, one], [, other]) => Number(one.isProven) - Number(other.isProven) || one.usedAt - other.usedAt,
    )
    const [oldest] = idle
    if (oldest === undefined) throw tooMany(`More than ${limits.callersMax} callers have requests under way.`)
    forget(...oldest)
  }
  return {
    find(token, credential, { mayBeNew }) {
      const id = hash('sha256', `${credential} ${token}`, 'base64url')
      let entry = known(id)
      if (entry === undefined) {
        if (!mayBeNew) throw tooMany('More requests of new callers wait than the proxy has room for.')
        makeRoom()
        entry = openEntry(token, credential, options)
        entries.set(id, entry)
      }
      entry.usedAt = ++uses
      return entry.caller
    },
    all: () => [...entries.values()].map((entry) => entry.caller),
    async end() {
      await Promise.all([...entries.values()].map(({ opened }) => opened.client.end()))
      for (const [id, entry] of entries) forget(id, entry)
    },
  }
}

function openEntry(token: string, credential: string, options: CallersOptions): Entry {
  const { url, instance, staleAfterMs, platform, clock, log } = options
  const id = hash('sha256', token).slice(0, 8)
  const refuse = (error: KeyturnClientError) => {
    entry.refusal ??= { error, at: clock.now() }
    entry.isProven = false
    entry.opened.client.close()
  }
  const tell = (error: KeyturnClientError) =>
    log('warn', error.message, { code: error.code, credential, caller: id })
  const onError = (error: KeyturnClientError) => {
    tell(error)
    if (refusing.includes(error.code)) refuse(error)
  }
  const opened = openClient({
    url,
    token,
    credential,
    instance,
    env: {},
    platform,
    onError,
    onDegraded: tell,
    isQuiet: true,
    // Keyturn says so to guesses, of which each would keep one of the few places of new callers for seconds.
    isThrottleFinal: true,
    ...(staleAfterMs === undefined ? {} : { staleAfterMs }),
  })
  const current = async (): Promise<OpenAICredential> => {
    if (entry.refusal !== undefined) throw entry.refusal.error
    try {
      const found = await opened.client.getOpenAICredential()
      entry.isProven = true
      return found
    } catch (thrown) {
      const error = toClientError(thrown, 'Getting a key failed')
      // Whoever was never let in is tried afresh later; a good caller's client goes on asking by itself.
      if (refusing.includes(error.code) || !entry.isProven) refuse(error)
      throw error
    }
  }
  const usage: Usage = { active: 0, answers: new Map() }
  const caller: Caller = {
    credential,
    app: () => opened.app() ?? `token-${id}`,
    isProven: () => entry.isProven,
    current,
    enter: ({ generation }) => opened.use(generation),
    replace: opened.replace,
    usage,
  }
  const entry: Entry = { caller, opened, isProven: false, refusal: undefined, usedAt: 0 }
  return entry
}

function tooMany(message: string): KeyturnClientError {
  return new OwnError('too_many_requests', message, {
    fix: 'Try again in a moment.',
    retryable: true,
    retryAfterMs: 1_000,
    status: 429,
  })
}
