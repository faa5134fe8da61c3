import { hash } from 'node:crypto'
import type { JwtRule } from '../../core/access.ts'
import { looksLikeKey } from '../../core/key-shape.ts'
import type { Log, System } from '../../core/ports.ts'
import type { Found, RequestFacts, Unjudged } from './authenticator.ts'
import { type Caller, createCaller } from './caller.ts'
import { createFailures, forgiveMs } from './failures.ts'
import { type Claims, fitsRule, isOfIssuer, leewaySeconds, peek } from './jwt-claims.ts'
import type { Judged, KeySets } from './key-sets.ts'
import { shownName } from './names.ts'
import { createNearMisses, type NearMisses } from './near-misses.ts'
import type { PolicyHolder } from './policy.ts'

type JwtFacts = Omit<RequestFacts, 'authorization'>

/** Callers who show a JSON web token of a configured issuer. */
export interface JwtWay {
  /** Never rejects. At once for whom is remembered, and for what cannot be good. */
  authenticate(authorization: string, facts: JwtFacts): Found | Promise<Found>
  isLive(caller: Caller): boolean
}

export interface JwtWayOptions {
  readonly policy: PolicyHolder
  readonly keys: KeySets
  readonly system: Pick<System, 'now'>
  readonly log: Log
}

/** Longer ones are not looked at: the largest known, of Azure with groups, have some 5,000. */
const tokenCharsMax = 8_192
const rememberMs = 60_000
const rememberedMax = 10_000
/** Verifications under way at once for one issuer, so that one that hangs holds up its own only; more are asked to come again. */
const pendingMax = 1_000

interface Remembered {
  readonly caller: Caller
  readonly until: number
  readonly generation: number
}

interface Life {
  readonly endsAt: number
  readonly generation: number
}

interface Shown {
  readonly token: string
  readonly digest: string
  readonly address: string
}

/** Too much is under way, or came from this address: looked at when one failure of it is forgiven. */
const heldUp: Unjudged = { kind: 'unjudged', isAway: false, retryAfterMs: forgiveMs }

export function createJwtWay(options: JwtWayOptions): JwtWay {
  return new Verifier(options)
}

class Verifier implements JwtWay {
  readonly #options: JwtWayOptions
  /** By the digest of the whole token; the longest unused goes first. */
  readonly #remembered = new Map<string, Remembered>()
  /** Digests of tokens whose signature was good once: no forger has one, whatever address they share with others. */
  readonly #proven = new Set<string>()
  /** One verification of a token, however many requests bring it at once. */
  readonly #pending = new Map<string, Promise<Found>>()
  readonly #pendingOf = new Map<string, number>()
  readonly #lives = new WeakMap<Caller, Life>()
  readonly #failures: ReturnType<typeof createFailures>
  readonly #nearMisses: NearMisses

  constructor(options: JwtWayOptions) {
    this.#options = options
    this.#failures = createFailures(options.system)
    this.#nearMisses = createNearMisses(options.log)
    options.policy.onChange(() => {
      this.#remembered.clear()
      this.#nearMisses.forget()
    })
  }

  authenticate(authorization: string, facts: JwtFacts): Found | Promise<Found> {
    const { policy, system } = this.#options
    if (policy.policy.jwt.length === 0) return undefined
    const token = tokenOf(authorization)
    if (token === undefined) return undefined
    const digest = hash('sha256', token, 'binary')
    const now = system.now()
    const known = this.#remembered.get(digest)
    if (known !== undefined) {
      this.#remembered.delete(digest)
      if (known.generation === policy.generation && now < known.until) {
        this.#remembered.set(digest, known)
        return known.caller
      }
    }
    return (
      this.#pending.get(digest) ??
      this.#begin(token, digest, facts.address?.() ?? facts.socket.remoteAddress ?? '')
    )
  }

  isLive(caller: Caller): boolean {
    const { policy, system } = this.#options
    const life = this.#lives.get(caller)
    return life !== undefined && life.generation === policy.generation && system.now() < life.endsAt
  }

  /**
   * What the token itself says is looked at first: what could not be good even if it were genuine costs no signature. Whether
   * anything can be told now depends on its issuer, its key and its address alone, so that no answer tells which claims would do.
   */
  #begin(token: string, digest: string, address: string): Found | Promise<Found> {
    const { policy, keys, system } = this.#options
    const said = peek(token)
    if (said === undefined) return undefined
    const ofIssuer = policy.policy.jwt.filter((rule) => isOfIssuer(said, rule))
    const [first] = ofIssuer
    if (first !== undefined && !this.#proven.has(digest)) {
      const isFull = (this.#pendingOf.get(first.issuer) ?? 0) >= pendingMax
      if (isFull || this.#failures.isTooMany(address)) return heldUp
    }
    const rule = ofIssuer.find((one) => fitsRule(said.claims, one, system.now()))
    if (rule !== undefined) return this.#judge({ token, digest, address }, rule)
    this.#nearMisses.note(policy.policy.jwt, said.claims)
    return first === undefined ? undefined : keys.unjudged(said.header, first)
  }

  #judge({ token, digest, address }: Shown, rule: JwtRule): Promise<Found> {
    const { policy } = this.#options
    const { generation } = policy
    const { issuer } = rule
    this.#pendingOf.set(issuer, (this.#pendingOf.get(issuer) ?? 0) + 1)
    const work = this.#verify(token, rule, address).then((judged) => {
      this.#pending.delete(digest)
      this.#pendingOf.set(issuer, (this.#pendingOf.get(issuer) ?? 1) - 1)
      if (judged.kind === 'unjudged') return judged
      if (judged.kind === 'forged') return undefined
      this.#prove(digest)
      // By the rules that count now, which may be others than when it began.
      if (generation !== policy.generation) return this.#begin(token, digest, address)
      return this.#remember(digest, rule, judged.claims)
    })
    this.#pending.set(digest, work)
    return work
  }

  #prove(digest: string): void {
    // Taken out first, so that the longest unused goes first.
    this.#proven.delete(digest)
    const [oldest] = this.#proven.size >= rememberedMax ? this.#proven : []
    if (oldest !== undefined) this.#proven.delete(oldest)
    this.#proven.add(digest)
  }

  /** That the issuer's keys cannot be had is no failure of whoever asks. */
  async #verify(token: string, rule: JwtRule, address: string): Promise<Judged> {
    const { keys, log, system } = this.#options
    try {
      const judged = await keys.verify(token, rule)
      if (judged.kind === 'unjudged') return judged
      if (judged.kind === 'genuine' && fitsRule(judged.claims, rule, system.now())) return judged
      this.#failures.note(address)
      return { kind: 'forged' }
    } catch (thrown) {
      log('debug', 'a web token could not be looked at', {
        issuer: rule.issuer,
        error: thrown,
      })
      return { kind: 'unjudged', isAway: true, retryAfterMs: forgiveMs }
    }
  }

  #remember(digest: string, rule: JwtRule, claims: Claims): Caller | undefined {
    const { policy, system } = this.#options
    const subject = claims[rule.nameClaim]
    const name = typeof subject === 'string' ? shownName(`${rule.name}/${subject}`) : undefined
    if (name === undefined || looksLikeKey(name)) return undefined
    const { generation } = policy
    const id = `jwt_${hash('sha256', JSON.stringify([rule.name, rule.issuer, subject]), 'hex').slice(0, 16)}`
    const person = personOf(rule, claims)
    const caller = createCaller({ id, name, kind: 'jwt', grants: rule.grants, ...person })
    const now = system.now()
    const endsAt = Number(claims['exp']) * 1_000
    this.#lives.set(caller, { endsAt: endsAt + leewaySeconds * 1_000, generation })
    if (this.#remembered.size >= rememberedMax) {
      const [oldest] = this.#remembered.keys()
      if (oldest !== undefined) this.#remembered.delete(oldest)
    }
    this.#remembered.set(digest, { caller, until: Math.min(now + rememberMs, endsAt), generation })
    return caller
  }
}

/** Whom the issuer means, whatever the rule calls them: who fits two rules, by two audiences say, is no second person. */
function personOf({ issuer }: JwtRule, { sub }: Claims): { readonly person?: string } {
  if (typeof sub !== 'string') return {}
  return { person: `jwt_${hash('sha256', JSON.stringify([issuer, sub]), 'hex').slice(0, 32)}` }
}

function tokenOf(authorization: string): string | undefined {
  if (authorization.length > tokenCharsMax || authorization.slice(0, 7).toLowerCase() !== 'bearer ')
    return undefined
  const token = authorization.slice(7)
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) ? token : undefined
}
