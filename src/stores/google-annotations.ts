import type { Secret } from '../core/secret.ts'
import { type VersionId, versionIdPattern } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import type { GoogleSecret } from './google-calls.ts'
import { jsonObjectIn } from './google-json.ts'
import { digestOf } from './slot-state.ts'

/**
 * That somebody is about to add a version, written under the etag that was read together with the newest number. Google
 * adds versions for whoever asks; this is what makes those who ask come one after the other.
 */
export interface Claim {
  readonly to: VersionId
  /** The number that was the newest one; 0: none. */
  readonly from: number
  /** The token that the secret had, for as long as the claim is open. */
  readonly token: string
  /** Of the key in the version that is about to come. */
  readonly digest: string
  readonly nonce: string
  /** Longer than the calls between claiming and adding can last, in milliseconds. */
  readonly lifeMs: number
}

export const claimAnnotation = 'keyturn-claim'
export const currentAnnotation = 'keyturn-current'
export const touchedAnnotation = 'keyturn-touched'
/** No configuration makes a claim live longer: what says so is not ours. */
const lifeMsMax = 10 * 60_000

/** Undefined where there is none, or none that can be read: it could not be waited for. */
export function readClaim(secret: GoogleSecret): Claim | undefined {
  const claim = jsonObjectIn(secret.annotations.get(claimAnnotation) ?? '')
  const { to, from, token, digest, nonce, lifeMs } = claim ?? {}
  if (typeof to !== 'string' || !versionIdPattern.test(to) || typeof from !== 'number') return undefined
  if (typeof token !== 'string' || typeof digest !== 'string' || typeof nonce !== 'string') return undefined
  if (typeof lifeMs !== 'number' || !(lifeMs > 0)) return undefined
  return { to, from, token, digest, nonce, lifeMs: Math.min(lifeMs, lifeMsMax) }
}

export function withClaim(secret: GoogleSecret, claim: Claim): ReadonlyMap<string, string> {
  return new Map(secret.annotations).set(claimAnnotation, JSON.stringify(claim))
}

/** The number, its version and a digest that says whether it is still that key. */
export function withoutClaim(
  secret: GoogleSecret,
  current?: { readonly number: number; readonly version: VersionId; readonly digest: string },
): ReadonlyMap<string, string> {
  const annotations = new Map(secret.annotations)
  annotations.delete(claimAnnotation)
  if (current !== undefined)
    annotations.set(currentAnnotation, `${current.number} ${current.version} ${current.digest}`)
  return annotations
}

export function touched(secret: GoogleSecret, nonce: string): ReadonlyMap<string, string> {
  return new Map(withoutClaim(secret)).set(touchedAnnotation, nonce)
}

/** The version that the secret itself names for this number, where it still is the key it was written with. */
export function claimedIn(
  secret: GoogleSecret,
  number: number,
  key: Secret,
  { system }: StoreContext,
): VersionId | undefined {
  const [noted, version, digest] = (secret.annotations.get(currentAnnotation) ?? '').split(' ')
  if (version === undefined || !versionIdPattern.test(version) || Number(noted) !== number) return undefined
  return digest === digestOf(key, system) ? version : undefined
}

/** A number that is known to be there, whatever `latest` says. */
export function leastNumber(secret: GoogleSecret): number {
  const [noted] = (secret.annotations.get(currentAnnotation) ?? '').split(' ')
  const number = Number(noted)
  const floor = Number.isSafeInteger(number) && number > 0 ? number : 0
  return Math.max(floor, readClaim(secret)?.from ?? 0)
}
