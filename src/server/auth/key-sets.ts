import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import type { JwtRule } from '../../core/access.ts'
import { KeyturnError } from '../../core/errors.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import type { Log, System } from '../../core/ports.ts'
import { unreadable } from '../pem.ts'
import type { Unjudged } from './authenticator.ts'
import { type Claims, type Header, leewaySeconds } from './jwt-claims.ts'

/** The public keys of issuers, fetched when they are first needed and kept fresh behind the requests that need them. */
export interface KeySets {
  verify(token: string, rule: JwtRule): Promise<Judged>
  /**
   * Asks nobody: whether the key that the token names is not at hand, and cannot be asked for just now, so that `verify` could
   * not tell either. Of whoever is refused for another reason this is said as well, or the answer would tell which claims fit.
   */
  unjudged(header: Header, rule: JwtRule): Promise<Unjudged | undefined>
}

/** What is said of a signature; apart from the claims, which anybody can make say anything. */
export type Judged =
  | { readonly kind: 'genuine'; readonly claims: Claims }
  | { readonly kind: 'forged' }
  | Unjudged

export interface KeySetsOptions {
  /** The text at an address; redirects are not followed, and it ends in bounded time and size. */
  readonly getText: (url: string) => Promise<string>
  readonly readFile: (path: string) => Promise<string>
  readonly system: Pick<System, 'now'>
  readonly log: Log
}

/** Older keys are used once more and fetched anew behind it. */
const freshMs = 600_000
/** For so long the last good keys count while the issuer cannot be asked. */
const keptMs = 86_400_000
/** A key that is not known is asked for at most this often, or anybody could make us ask all the time. */
const cooldownMs = 30_000
/** While there is none at all nobody is let in, and whoever starts meanwhile waits: it is tried sooner, still one at a time. */
const nothingCooldownMs = 5_000

interface Kept {
  keys: JWTVerifyGetKey | undefined
  fetchedAt: number
  triedAt: number
  /** Whether the last try failed. */
  isAway: boolean
  /** Whether it went well. */
  loading: Promise<boolean> | undefined
}

export function createKeySets(options: KeySetsOptions): KeySets {
  const { system, log } = options
  const sets = new Map<string, Kept>()

  const load = (rule: JwtRule, kept: Kept): Promise<boolean> => {
    kept.loading ??= fetchKeys(rule, options)
      .then((keys) => {
        kept.keys = keys
        kept.fetchedAt = system.now()
        kept.isAway = false
        return true
      })
      .catch((thrown: unknown) => {
        const isOld = system.now() - kept.fetchedAt >= keptMs
        log(isOld ? 'error' : 'warn', 'the public keys of an issuer cannot be had', {
          issuer: rule.issuer,
          from: placeOf(rule) === rule.issuer ? 'discovery' : placeOf(rule),
          isLastGoodUsed: kept.keys !== undefined && !isOld,
          error: thrown,
          fix:
            rule.jwksFile === undefined
              ? 'Look whether this machine reaches it, or name a file with the keys (jwksFile).'
              : 'Put the keys of the issuer into the file that jwksFile names.',
        })
        if (isOld) kept.keys = undefined
        kept.isAway = true
        // One that hangs is no more often asked for than one that fails at once.
        kept.triedAt = system.now()
        return false
      })
      .finally(() => {
        kept.loading = undefined
      })
    kept.triedAt = system.now()
    return kept.loading
  }
  const againAt = ({ triedAt, keys }: Kept): number =>
    triedAt + (keys === undefined ? nothingCooldownMs : cooldownMs)
  const mayAskAgain = (kept: Kept): boolean => system.now() >= againAt(kept)
  const later = (kept: Kept): Unjudged => ({
    kind: 'unjudged',
    isAway: kept.isAway,
    retryAfterMs: Math.max(0, againAt(kept) - system.now()),
  })

  return {
    async verify(token, rule) {
      const place = placeOf(rule)
      let kept = sets.get(place)
      if (kept === undefined) {
        kept = {
          keys: undefined,
          fetchedAt: 0,
          triedAt: Number.NEGATIVE_INFINITY,
          isAway: true,
          loading: undefined,
        }
        sets.set(place, kept)
      }
      const isDue = system.now() - kept.fetchedAt >= freshMs && mayAskAgain(kept)
      const isTooOld = system.now() - kept.fetchedAt >= keptMs
      let isFresh = false
      if (kept.keys === undefined || isTooOld) {
        if (kept.loading !== undefined || mayAskAgain(kept)) isFresh = await load(rule, kept)
      } else if (isDue) void load(rule, kept)
      if (kept.keys === undefined) return later(kept)
      const first = await check(token, rule, kept.keys, system)
      if (first !== 'unknown key') return first
      if (isFresh) return forged
      if (kept.loading === undefined && !mayAskAgain(kept)) return later(kept)
      // What the issuer does not list is nobody's; where it cannot be asked, nobody knows.
      if (!(await load(rule, kept))) return later(kept)
      const second = await check(token, rule, kept.keys, system)
      return second === 'unknown key' ? forged : second
    },
    async unjudged(header, rule) {
      const kept = sets.get(placeOf(rule))
      if (kept === undefined) return undefined
      if (kept.keys === undefined) return later(kept)
      return mayAskAgain(kept) || (await has(kept.keys, header)) ? undefined : later(kept)
    },
  }
}

function placeOf({ issuer, jwksFile, jwksUrl }: JwtRule): string {
  return jwksFile ?? jwksUrl ?? issuer
}

/** Keys are looked for by the header alone. */
const noInput = { payload: '', signature: '' }

async function has(keys: JWTVerifyGetKey, header: Header): Promise<boolean> {
  const { errors } = await import('jose')
  return await Promise.resolve(keys({ ...header }, noInput)).then(
    () => true,
    (thrown: unknown) => !(thrown instanceof errors.JWKSNoMatchingKey),
  )
}

const forged: Judged = { kind: 'forged' }

async function check(
  token: string,
  rule: JwtRule,
  keys: JWTVerifyGetKey,
  system: Pick<System, 'now'>,
): Promise<Judged | 'unknown key'> {
  const { jwtVerify, errors } = await import('jose')
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: [...rule.algorithms],
      issuer: rule.issuer,
      audience: [...rule.audience],
      requiredClaims: ['iat', 'exp'],
      clockTolerance: leewaySeconds,
      currentDate: new Date(system.now()),
    })
    return { kind: 'genuine', claims: payload }
  } catch (thrown) {
    if (thrown instanceof errors.JWKSNoMatchingKey) return 'unknown key'
    if (thrown instanceof errors.JOSEError) return forged
    throw thrown
  }
}

async function fetchKeys(rule: JwtRule, options: KeySetsOptions): Promise<JWTVerifyGetKey> {
  const { createLocalJWKSet } = await import('jose')
  if (rule.jwksFile !== undefined)
    return createLocalJWKSet(await readKeySetFile(rule.jwksFile, options.readFile))
  const set = parseJson(await options.getText(rule.jwksUrl ?? (await discover(rule.issuer, options))))
  if (!isKeySet(set)) throw unusable(rule.issuer, 'its key set has not the form of one')
  return createLocalJWKSet(set)
}

/** `config_invalid` where it cannot be read, or holds no keys. */
export async function readKeySetFile(
  path: string,
  readFile: (path: string) => Promise<string>,
): Promise<JSONWebKeySet> {
  const text = await readFile(path).catch((thrown: unknown) => {
    if (thrown instanceof KeyturnError) throw thrown
    throw unreadable({ setting: 'jwksFile', path }, thrown)
  })
  const set = parseJson(text)
  if (isKeySet(set) && set.keys.length > 0) return set
  const what = set === undefined ? 'is not JSON' : 'holds no keys'
  throw new KeyturnError('config_invalid', `The file ${path}, which jwksFile names, ${what}.`, {
    fix: 'Put the key set of the issuer into it, as it is at its jwks_uri: {"keys": […]}.',
  })
}

async function discover(issuer: string, { getText }: KeySetsOptions): Promise<string> {
  const document = parseJson(await getText(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`))
  const isTheirs = isRecord(document) && document['issuer'] === issuer
  const uri = isTheirs ? document['jwks_uri'] : undefined
  if (typeof uri !== 'string')
    throw unusable(issuer, 'its discovery document names another issuer, or no keys')
  return uri
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  return isRecord(value) && Array.isArray(value['keys']) && value['keys'].every(isRecord)
}

function unusable(issuer: string, what: string): KeyturnError {
  return new KeyturnError('config_invalid', `The issuer ${issuer} cannot be used: ${what}.`, {
    fix: 'Correct the issuer, or name its key set (jwks or jwksFile) under access.jwt.',
  })
}
