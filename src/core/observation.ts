/** What a call to the issuer saw, and what is concluded from it. Part of the words of Keyturn: types.ts has them all. */

/**
 * valid         answered as expected
 * restricted    genuine, but lacks a scope
 * throttled     genuine, rate limited for now
 * exhausted     genuine, no quota, credit or billing behind it
 * blocked       the account or the key's owner is shut out: rotating cannot help
 * misconfigured organisation, project or egress address are wrong: rotating cannot help
 * rejected      the issuer itself says that this key is no key: dead
 * unknown       nothing can be concluded (timeout, 5xx, a page of somebody else's)
 */
export type VerdictKind =
  | 'valid'
  | 'restricted'
  | 'throttled'
  | 'exhausted'
  | 'blocked'
  | 'misconfigured'
  | 'rejected'
  | 'unknown'

/** A key of these verdicts is genuine: the issuer knows it and answered for it. */
export const authenticVerdicts: readonly VerdictKind[] = ['valid', 'restricted', 'throttled', 'exhausted']

export function isAuthentic(kind: VerdictKind): boolean {
  return authenticVerdicts.includes(kind)
}

/** A stable, finer name than the kind: one per row of the taxonomy (`key_rejected`, `scope_missing`, `dns_failed` …). */
export type Cause = string

export interface Verdict {
  readonly kind: VerdictKind
  readonly cause: Cause
  /** One sentence for a person at three in the morning: what is wrong. Never quotes the issuer, who echoes keys. */
  readonly summary: string
  /** One sentence: what to do. Empty where nothing is to be done. */
  readonly fix: string
  /** Whether minting another key can make it better. Invariant 5 rests on this. */
  readonly rotationCanHelp: boolean
  readonly status?: number
  readonly code?: string
  readonly requestId?: string
  readonly missingScopes?: readonly string[]
  readonly retryAfterMs?: number
}

/** Why a probe brought no answer at all. */
export type TransportFailure =
  | 'dns'
  | 'connect'
  | 'tls'
  | 'timeout'
  | 'reset'
  | 'redirect'
  | 'too_large'
  | 'aborted'
  /** Nothing was sent: the key holds characters that no HTTP header can carry. */
  | 'unsendable'

/**
 * What one call to the issuer saw. Observations are facts without judgement: `classify` turns them into verdicts. They
 * hold no provider message, because OpenAI's echo the first and last characters of whatever was sent.
 */
export type Observation =
  | {
      readonly kind: 'answer'
      readonly status: number
      /** True only for a JSON envelope of the issuer's own shape that came with a request id. */
      readonly isIssuers: boolean
      readonly code?: string
      readonly type?: string
      /** Which of the known sentences the message began with, decided by the issuer driver. */
      readonly hint?:
        | 'missing_scopes'
        | 'no_key_sent'
        | 'incorrect_key'
        | 'invalid_issuer'
        | 'unverified_organization'
        | 'request_too_large'
      readonly missingScopes?: readonly string[]
      readonly requestId?: string
      /** The `openai-organization` response header: whom the key belongs to, as far as the issuer tells. */
      readonly organization?: string
      readonly project?: string
      /** The `date` response header, for clock skew. */
      readonly serverAt?: number
      readonly retryAfterMs?: number
      readonly models?: readonly string[]
      /** Those of them that the issuer has announced the end of, with the day: `2027-01-14`. */
      readonly modelEnds?: ReadonlyMap<string, string>
      /** What this call was to find out: `models` (the first and decisive one), `scope:NAME` or `model:ID`. */
      readonly probe?: string
    }
  | { readonly kind: 'no_answer'; readonly failure: TransportFailure; readonly probe?: string }
