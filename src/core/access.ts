import type { GrantRule } from './grants.ts'

/** Who is let in beside the holders of tokens, and what each may do: plain data, as configured. First rules go first. */
export interface AccessPolicy {
  readonly tokens: readonly TokenRule[]
  readonly jwt: readonly JwtRule[]
  readonly certificates: readonly CertificateRule[]
  /** What whoever can connect to the Unix socket may do without a token. */
  readonly socket: readonly GrantRule[]
  readonly approvals: readonly ApprovalRule[]
}

/** Takes the place of the grants that tokens of these names were made with. */
export interface TokenRule {
  /** A pattern for the name of the token. */
  readonly name: string
  readonly grants: readonly GrantRule[]
}

export type JwtAlgorithm = (typeof jwtAlgorithms)[number]

/** Asymmetric ones only: what can be verified with a public key alone. */
export const jwtAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

export interface JwtRule {
  /** Callers are called `name/…`. */
  readonly name: string
  /** Exactly as in the claim `iss`. */
  readonly issuer: string
  /** One of them must be in `aud`. */
  readonly audience: readonly string[]
  /** Where the public keys are. Without either, the issuer's discovery document says. */
  readonly jwksUrl?: string
  readonly jwksFile?: string
  readonly algorithms: readonly JwtAlgorithm[]
  /** Each claim must fit one of its patterns. */
  readonly claims: readonly { readonly claim: string; readonly patterns: readonly string[] }[]
  /** The claim that tells callers apart. */
  readonly nameClaim: string
  /** A token that was made for longer is refused. */
  readonly lifetimeMaxMs: number
  readonly grants: readonly GrantRule[]
}

export interface CertificateRule {
  /** Which name of the certificate is looked at; `cn` counts only where it has no other. */
  readonly field: 'uri' | 'dns' | 'cn'
  readonly pattern: string
  readonly grants: readonly GrantRule[]
}

/** Acts that need this many persons. */
export interface ApprovalRule {
  readonly credentials: readonly string[]
  readonly emergency: number
  readonly revocation: number
}

export const noAccess: AccessPolicy = { tokens: [], jwt: [], certificates: [], socket: [], approvals: [] }
