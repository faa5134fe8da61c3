import type { Socket } from 'node:net'
import type { GrantRule } from '../../core/grants.ts'
import type { Cancel } from '../../core/ports.ts'
import type { TokenStore } from '../tokens.ts'
import type { Caller } from './caller.ts'

/** What of a request says who sent it. */
export interface RequestFacts {
  readonly authorization: string | undefined
  readonly socket: Socket
  /** Who is behind a trusted proxy. Default: the other end of the connection. */
  readonly address?: () => string
  /** Whether a proxy passed it on: then the connection is the proxy's, and not of whom it speaks for. Default: no. */
  readonly isPassedOn?: () => boolean
}

/**
 * It cannot be told now who asks, so they are neither let in nor told that they are nobody: a cloud that is answered 401 drops
 * its event for good (Event Grid, 2026-11), and an app would take a good token for a bad one.
 */
export interface Unjudged {
  readonly kind: 'unjudged'
  /**
   * Whether what tells who asks is away. Else they have to wait for what they, or a neighbour, asked for too often, which anybody
   * can bring about: that is no trouble of the service's, and nobody is to be woken for it.
   */
  readonly isAway: boolean
  readonly retryAfterMs: number
}

/** Undefined for nobody. */
export type Found = Caller | Unjudged | undefined

/** Finds out who asks. Several ways in, one answer: the same Caller, or nobody. */
export interface Authenticator {
  /**
   * At once for whoever is remembered, which is what the fast lane needs; a promise where a signature has to be looked at
   * first. It never rejects: who cannot be made out is nobody, and who cannot be made out now is unjudged.
   */
  authenticate(facts: RequestFacts): Found | Promise<Found>
  /** Whether a caller who was let in earlier (a stream, a long-poll) would still be, with the same grants. */
  isLive(caller: Caller): boolean
  /** Told after somebody may have lost or gained something: tokens, policy, certificates. */
  onChange(listener: () => void): Cancel
  /** The holder of the token of this id, while it is good: for those who showed it once and are signed in since. */
  recall?(tokenId: string): Caller | undefined
  /** What the rules give a token of this name, whatever it was made with; undefined where they name none such. */
  ruledGrants?(tokenName: string): readonly GrantRule[] | undefined
}

export function isPending(found: Found | Promise<Found>): found is Promise<Found> {
  return found instanceof Promise
}

export function isUnjudged(found: Found): found is Unjudged {
  return found?.kind === 'unjudged'
}

/** Bearer tokens alone. */
export function tokenAuthenticator(
  tokens: Pick<TokenStore, 'authenticate' | 'isLive' | 'onChange' | 'recall'>,
): Authenticator {
  return {
    authenticate: ({ authorization }) => tokens.authenticate(authorization),
    isLive: (caller) => tokens.isLive(caller),
    recall: (id) => tokens.recall?.(id),
    onChange: (listener) => tokens.onChange(listener),
  }
}
