import type { JwtRule } from '../../core/access.ts'
import { partsGlob } from '../../core/patterns.ts'

/** By so much the clocks of the two sides may differ. */
export const leewaySeconds = 30

export type Claims = Readonly<Record<string, unknown>>

/** What says which key signed it. */
export interface Header {
  readonly alg: string
  readonly kid?: string
}

/** What a token says of itself, unproven. */
export interface Said {
  readonly header: Header
  readonly claims: Claims
}

/** Undefined where it is none that could be. */
export function peek(token: string): Said | undefined {
  const [header = '', payload = ''] = token.split('.')
  const { alg, kid } = parse(header) ?? {}
  const claims = parse(payload)
  if (claims === undefined || typeof alg !== 'string') return undefined
  return { header: { alg, ...(typeof kid === 'string' ? { kid } : {}) }, claims }
}

/** Whether the rule is for tokens of this issuer, signed this way; whatever else they say. */
export function isOfIssuer({ header, claims }: Said, { issuer, algorithms }: JwtRule): boolean {
  return claims['iss'] === issuer && algorithms.some((algorithm) => algorithm === header.alg)
}

/** Everything of a rule but the signature: issuer, audience, times, claims. */
export function fitsRule(claims: Claims, rule: JwtRule, now: number): boolean {
  const { iss, aud } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  return (
    iss === rule.issuer &&
    rule.audience.some((audience) => audiences.includes(audience)) &&
    isInTime(claims, rule, now) &&
    rule.claims.every(({ claim, patterns }) => isFit(claims[claim], patterns))
  )
}

/** It must say when it was made and when it ends: one that never ends could be used by whoever finds it years later. */
function isInTime({ iat, exp, nbf }: Claims, rule: JwtRule, now: number): boolean {
  const seconds = now / 1_000
  if (!isInstant(iat) || !isInstant(exp) || (nbf !== undefined && !isInstant(nbf))) return false
  return (
    seconds < exp + leewaySeconds &&
    iat <= seconds + leewaySeconds &&
    (nbf ?? 0) <= seconds + leewaySeconds &&
    exp - iat <= rule.lifetimeMaxMs / 1_000
  )
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

const valueCharsMax = 2_048

/** Of a list one element has to fit. */
function isFit(value: unknown, patterns: readonly string[]): boolean {
  if (Array.isArray(value))
    return value.slice(0, 100).some((one) => !Array.isArray(one) && isFit(one, patterns))
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return false
  const text = String(value)
  return text.length <= valueCharsMax && patterns.some((pattern) => partsGlob(pattern)(text))
}

function parse(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
