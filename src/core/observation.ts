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
      /** What this call was to find out: `models` (the first and decisive one), `scope:NAME` or `model:ID`. */
      readonly probe?: string
    }
  | { readonly kind: 'no_answer'; readonly failure: TransportFailure; readonly probe?: string }
