// The knobs: how slow, strict, broke or broken the sandbox is, and how it is when nothing is said.

import type { TaxonomyName } from './errors.ts'

/** One number for all edges, or one per edge (edge `n` takes the entry `n` modulo the length). */
export type PerEdge = number | readonly number[]

export const billingStates = [
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'project_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
  'insufficient_quota',
  'insufficient_quota_older',
  'billing_not_active',
  'billing_not_active_older',
  'billing_hard_limit_reached',
] as const satisfies readonly TaxonomyName[]
export type BillingState = (typeof billingStates)[number]

export const accountStates = ['account_deactivated', 'account_deactivated_older', 'no_organization'] as const
export type AccountState = (typeof accountStates)[number]

export const plumbingKinds = [
  'latency',
  'hang',
  'reset',
  'reset_midway',
  'truncated',
  'not_json',
  'proxy_page',
  'strip_authorization',
  'redirect',
  'lose_answer',
  'apply_late',
  'stream_error',
  'stream_overloaded',
] as const

/** What a fault does: something to the connection, or any refusal of the taxonomy. */
export type FaultKind = (typeof plumbingKinds)[number] | TaxonomyName

export interface Fault {
  readonly kind: FaultKind
  /** All given fields must match; none means every request under `/v1`. */
  readonly match?: {
    /** Source of a regular expression, tested against the path without its query. */
    readonly path?: string
    readonly method?: string
    readonly keyId?: string
  }
  /** Only requests that this edge serves. */
  readonly edge?: number
  /** How many requests it hits before it is gone. Default: every one, for good. */
  readonly times?: number
  /** `latency`: how long (real time). `apply_late`: how late the write lands (`now` time). Default 1,000. */
  readonly ms?: number
  /** `proxy_page`: its status. Default 502. `redirect`: default 302. */
  readonly status?: number
  /** `redirect`: where to. */
  readonly location?: string
}

export const writeFamilies = ['create', 'mint', 'update', 'delete'] as const
export type WriteFamily = (typeof writeFamilies)[number]

export const lostAnswerForms = ['reset', 'hang', 'server_error', 'proxy_page'] as const

export const exchangeRefusals = [
  'invalid_subject_token',
  'invalid_grant',
  'unauthorized_client',
  'access_denied',
  'temporarily_unavailable',
] as const
export type ExchangeRefusal = (typeof exchangeRefusals)[number]

export interface Knobs {
  /** How many edge caches there are, 1 to 16. Default 3. */
  readonly edges: number
  /** `request` (default): edges take turns by request. `connection`: a connection stays with its edge. */
  readonly routing: 'request' | 'connection'
  /** How long after its creation an edge knows a key. Default 0, 40, 90. */
  readonly activationMs: PerEdge
  /** How long after its deletion an edge still accepts a key. Default 0, 60, 150. */
  readonly revocationMs: PerEdge
  /** How long an edge keeps the former expiry and scopes of a key. Default 0, 100, 250. */
  readonly updateMs: PerEdge
  /** How old the use is that `last_used_at` shows. Default 0, 500, 1,000. */
  readonly lastUsedLagMs: PerEdge
  /** How far lists of keys are behind: a new key is missing, a deleted one still there. Default 0. */
  readonly listLagMs: PerEdge
  /** Inference requests per organisation and minute. Default null: no limit. */
  readonly requestsPerMinute: number | null
  /** Tokens per organisation and minute. Default null: no limit. */
  readonly tokensPerMinute: number | null
  /** Requests that others of the organisation are taken to make in each minute. Default 0. */
  readonly usedRequests: number
  /** The same for tokens. Default 0. */
  readonly usedTokens: number
  /** Whether `GET /v1/models` carries the rate-limit headers; no source tells. Default false. */
  readonly rateLimitHeadersOnModels: boolean
  /** Admin requests per organisation and minute. Default null: no limit. */
  readonly adminRequestsPerMinute: number | null
  /** Refuses every inference request with a 429. `true` means `requests`. Default false. */
  readonly throttle: boolean | 'requests' | 'tokens' | 'slow_down'
  /** Refuses chat and responses with this billing error. Default null. */
  readonly billing: BillingState | null
  /** Restricts `billing` to one project. Default null: all. */
  readonly billingProject: string | null
  /** Whether `GET /v1/models` sees `billing` too. Default false. */
  readonly billingOnModels: boolean
  /** Refuses every key for the state of its account. Default null. */
  readonly account: AccountState | null
  /** Refuses callers for where they are: the address after the key is checked, the country before. Default null. */
  readonly network: 'ip_not_authorized' | 'unsupported_country' | null
  /** Models that only a verified organisation may use. */
  readonly unverifiedModels: readonly string[]
  /** Models that the project may not use: not listed, 403 when asked for. */
  readonly forbiddenModels: readonly string[]
  /** Models whose end is announced, each with its day (`2027-01-14`), which lists tell as `shutdown_date`. */
  readonly modelShutdowns: Readonly<Record<string, string>>
  /** Code of the missing-scopes refusal; both forms were seen. Default null. */
  readonly scopeErrorCode: 'missing_scope' | null
  /** What an expired key is told; the real form is not known. Default `invalid_api_key`. */
  readonly expiredKeyError: 'invalid_api_key' | 'expired_api_key'
  /** Policy: new keys must expire within this. Default null. */
  readonly maxKeyLifetimeSeconds: number | null
  /** Policy: no new project keys. Default false. */
  readonly refuseNewKeys: boolean
  /** Keys of service accounts cannot be deleted, as before October 2026. Default false. */
  readonly refuseDeleteServiceAccountKey: boolean
  /** No further key for an existing service account: the status to refuse with. Default null. */
  readonly refuseKeyOnExistingAccount: 400 | 404 | null
  /** No route to update a key, as before October 2026. Default false. */
  readonly refuseKeyUpdate: boolean
  /** What admin keys made over the API may do, as if somebody restricted them at once. Default: none, which is all. */
  readonly mintedAdminKeyScopes: readonly string[]
  /** How long an exchanged token lives. Default 3,600. */
  readonly exchangeTokenSeconds: number
  /** Declines every token exchange with this code. Default null. */
  readonly exchangeRefusal: ExchangeRefusal | null
  /** The spend limit that the admin API shows, in cents. Default null: none is set. */
  readonly spendLimitAmount: number | null
  /** What each of the latest days cost, in US dollars, today last. Default: none. */
  readonly dailyCosts: readonly number[]
  /** Real time added to every request. Default 0. */
  readonly latencyMs: number
  /** Accepts requests and never answers. Default false. */
  readonly hang: boolean
  /** Answers everything with 500 or with 503 (overloaded). Default null. */
  readonly errorStatus: 500 | 503 | null
  /** Breaks every stream in its middle with a server error. Default false. */
  readonly streamError: boolean
  /** Resets the connection in the middle of every answer. Default false. */
  readonly resetMidAnswer: boolean
  /** Answers everything with a proxy's HTML page of this status, without request id. Default null. */
  readonly proxyPage: 200 | 401 | 403 | 502 | null
  /** Loses the Authorization header on the way, as some proxies do. Default false. */
  readonly stripAuthorization: boolean
  /** Redirects everything (302) to this location. Default null. */
  readonly redirectTo: string | null
  /** How many writes of a family are applied and never answered. Counts down. */
  readonly loseAnswers: Readonly<Partial<Record<WriteFamily, number>>>
  /** What the caller sees of a lost answer. Default `reset`. */
  readonly loseAnswersBy: (typeof lostAnswerForms)[number]
  /** How many mints are never answered and land `lateMintMs` later. Counts down. */
  readonly lateMints: number
  /** See `lateMints`; measured with the clock of the sandbox. Default 5,000. */
  readonly lateMintMs: number
  /** Words (and tokens and stream pieces) in an answer. Default 8. */
  readonly streamChunks: number
  /** Real time between two pieces of a stream. Default 0. */
  readonly streamChunkDelayMs: number
  /** Added to the `date` header. Default 0. */
  readonly dateSkewMs: number
  /** Whether answers carry `openai-project`, which is not documented. Default true. */
  readonly projectHeader: boolean
  /** Faults for chosen requests. */
  readonly faults: readonly Fault[]
}

/** Small disagreements between the edges are the normal state; nothing is broken. */
export const defaultKnobs: Knobs = {
  edges: 3,
  routing: 'request',
  activationMs: [0, 40, 90],
  revocationMs: [0, 60, 150],
  updateMs: [0, 100, 250],
  lastUsedLagMs: [0, 500, 1_000],
  listLagMs: 0,
  requestsPerMinute: null,
  tokensPerMinute: null,
  usedRequests: 0,
  usedTokens: 0,
  rateLimitHeadersOnModels: false,
  adminRequestsPerMinute: null,
  throttle: false,
  billing: null,
  billingProject: null,
  billingOnModels: false,
  account: null,
  network: null,
  unverifiedModels: [],
  forbiddenModels: [],
  modelShutdowns: {},
  scopeErrorCode: null,
  expiredKeyError: 'invalid_api_key',
  maxKeyLifetimeSeconds: null,
  refuseNewKeys: false,
  refuseDeleteServiceAccountKey: false,
  refuseKeyOnExistingAccount: null,
  refuseKeyUpdate: false,
  mintedAdminKeyScopes: [],
  exchangeTokenSeconds: 3_600,
  exchangeRefusal: null,
  spendLimitAmount: null,
  dailyCosts: [],
  latencyMs: 0,
  hang: false,
  errorStatus: null,
  streamError: false,
  resetMidAnswer: false,
  proxyPage: null,
  stripAuthorization: false,
  redirectTo: null,
  loseAnswers: {},
  loseAnswersBy: 'reset',
  lateMints: 0,
  lateMintMs: 5_000,
  streamChunks: 8,
  streamChunkDelayMs: 0,
  dateSkewMs: 0,
  projectHeader: true,
  faults: [],
}

/** The value that a per-edge knob has at an edge. */
export function atEdge(value: PerEdge, edge: number): number {
  return typeof value === 'number' ? value : (value[edge % value.length] ?? 0)
}
