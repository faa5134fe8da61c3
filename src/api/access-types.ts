import type { Grant, GrantRule } from '../core/grants.ts'

/** Who is let in, as messages; a part of types.ts. */

/** An act that waits for a second person. */
export interface ApprovalSummary {
  readonly id: string
  readonly act: 'emergency' | 'revocation'
  /** Which version is to be revoked; null for an emergency. */
  readonly version: string | null
  readonly isCompromised: boolean
  readonly isEvenIfLast: boolean
  readonly reason: string | null
  readonly requestedBy: string
  readonly requestedAt: string
  readonly expiresAt: string
}

export interface TokenRequest {
  readonly name: string
  /** operator: every grant on everything. Default: app. */
  readonly role?: 'app' | 'operator'
  /** On which credentials; names, or patterns such as `team-*` and `*`. Ignored for operators. */
  readonly credentials?: readonly string[]
  /** What may be done with them. Default: read. */
  readonly grants?: readonly Grant[]
  readonly expiresInSeconds?: number
}

/** POST /v1/tokens/rotations: a second token beside the one that is live under this name. */
export interface TokenRotationRequest {
  readonly name: string
  /** How long the old one stays good. Default: an hour. */
  readonly overlapSeconds?: number
}

export interface TokenSummary {
  readonly id: string
  readonly name: string
  readonly role: 'app' | 'operator'
  /** What may be read. */
  readonly credentials: readonly string[]
  readonly grants: readonly GrantRule[]
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly lastUsedAt: string | null
}

/** POST /v1/tokens: the only answer that holds the token itself. */
export interface TokenAnswer extends TokenSummary {
  readonly token: string
}
