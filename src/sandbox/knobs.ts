// The knobs: how slow, strict, broke or broken the sandbox is. Each has a check, so that a misspelt one is refused
// by name and not silently ignored.

import { limits } from './defaults.ts'
import { type TaxonomyName, taxonomyNames } from './errors.ts'

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

export interface Knobs {
  readonly edges: number
  readonly routing: 'request' | 'connection'
  readonly activationMs: PerEdge
  readonly revocationMs: PerEdge
  readonly updateMs: PerEdge
  readonly lastUsedLagMs: PerEdge
  readonly listLagMs: PerEdge
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  readonly adminRequestsPerMinute: number | null
  readonly throttle: boolean | 'requests' | 'tokens' | 'slow_down'
  readonly billing: BillingState | null
  readonly billingProject: string | null
  readonly billingOnModels: boolean
  readonly account: AccountState | null
  readonly network: 'ip_not_authorized' | 'unsupported_country' | null
  readonly unverifiedModels: readonly string[]
  readonly forbiddenModels: readonly string[]
  readonly scopeErrorCode: 'missing_scope' | null
  readonly expiredKeyError: 'invalid_api_key' | 'expired_api_key'
  readonly maxKeyLifetimeSeconds: number | null
  readonly refuseNewKeys: boolean
  readonly refuseDeleteServiceAccountKey: boolean
  readonly refuseKeyOnExistingAccount: 400 | 404 | null
  readonly refuseKeyUpdate: boolean
  readonly spendLimitAmount: number | null
  readonly latencyMs: number
  readonly hang: boolean
  readonly errorStatus: 500 | 503 | null
  readonly streamError: boolean
  readonly resetMidAnswer: boolean
  readonly proxyPage: 200 | 401 | 403 | 502 | null
  readonly stripAuthorization: boolean
  readonly redirectTo: string | null
  readonly loseAnswers: Readonly<Partial<Record<WriteFamily, number>>>
  readonly loseAnswersBy: (typeof lostAnswerForms)[number]
  readonly lateMints: number
  readonly lateMintMs: number
  readonly streamChunks: number
  readonly streamChunkDelayMs: number
  readonly dateSkewMs: number
  readonly projectHeader: boolean
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
  adminRequestsPerMinute: null,
  throttle: false,
  billing: null,
  billingProject: null,
  billingOnModels: false,
  account: null,
  network: null,
  unverifiedModels: [],
  forbiddenModels: [],
  scopeErrorCode: null,
  expiredKeyError: 'invalid_api_key',
  maxKeyLifetimeSeconds: null,
  refuseNewKeys: false,
  refuseDeleteServiceAccountKey: false,
  refuseKeyOnExistingAccount: null,
  refuseKeyUpdate: false,
  spendLimitAmount: null,
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

type Check = (value: unknown) => string | undefined

const isWhole = (value: unknown, from: number, to: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to

const whole =
  (from: number, to: number): Check =>
  (value) =>
    isWhole(value, from, to) ? undefined : `a whole number from ${from} to ${to}`

const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false')

const text: Check = (value) => (typeof value === 'string' && value.length <= 2_048 ? undefined : 'a text')

const oneOf =
  (...allowed: readonly unknown[]): Check =>
  (value) =>
    allowed.includes(value) ? undefined : `one of ${allowed.map((entry) => JSON.stringify(entry)).join(', ')}`

const orNull =
  (check: Check): Check =>
  (value) => {
    const problem = value === null ? undefined : check(value)
    return problem === undefined ? undefined : `${problem}, or null`
  }

const isMs = (value: unknown) => isWhole(value, 0, limits.timerMsMax)
const ms = whole(0, limits.timerMsMax)

const perEdge: Check = (value) =>
  isMs(value) ||
  (Array.isArray(value) && value.length > 0 && value.length <= limits.edgesMax && value.every(isMs))
    ? undefined
    : 'milliseconds, or a list of them with one entry per edge'

const texts: Check = (value) =>
  Array.isArray(value) && value.length <= 1_000 && value.every((entry) => text(entry) === undefined)
    ? undefined
    : 'a list of texts'

const perFamily: Check = (value) =>
  isObject(value) &&
  Object.entries(value).every(
    ([family, count]) => writeFamilies.includes(family as WriteFamily) && isWhole(count, 0, 1_000_000),
  )
    ? undefined
    : `counts by ${writeFamilies.join(', ')}`

const checks: Record<keyof Knobs, Check> = {
  edges: whole(1, limits.edgesMax),
  routing: oneOf('request', 'connection'),
  activationMs: perEdge,
  revocationMs: perEdge,
  updateMs: perEdge,
  lastUsedLagMs: perEdge,
  listLagMs: perEdge,
  requestsPerMinute: orNull(whole(0, 1_000_000_000)),
  tokensPerMinute: orNull(whole(0, 1_000_000_000)),
  adminRequestsPerMinute: orNull(whole(0, 1_000_000_000)),
  throttle: oneOf(true, false, 'requests', 'tokens', 'slow_down'),
  billing: orNull(oneOf(...billingStates)),
  billingProject: orNull(text),
  billingOnModels: flag,
  account: orNull(oneOf(...accountStates)),
  network: oneOf('ip_not_authorized', 'unsupported_country', null),
  unverifiedModels: texts,
  forbiddenModels: texts,
  scopeErrorCode: oneOf('missing_scope', null),
  expiredKeyError: oneOf('invalid_api_key', 'expired_api_key'),
  maxKeyLifetimeSeconds: orNull(whole(1, limits.keyLifetimeSecondsMax)),
  refuseNewKeys: flag,
  refuseDeleteServiceAccountKey: flag,
  refuseKeyOnExistingAccount: oneOf(400, 404, null),
  refuseKeyUpdate: flag,
  spendLimitAmount: orNull(whole(0, 1_000_000_000)),
  latencyMs: ms,
  hang: flag,
  errorStatus: oneOf(500, 503, null),
  streamError: flag,
  resetMidAnswer: flag,
  proxyPage: oneOf(200, 401, 403, 502, null),
  stripAuthorization: flag,
  redirectTo: orNull(text),
  loseAnswers: perFamily,
  loseAnswersBy: oneOf(...lostAnswerForms),
  lateMints: whole(0, 1_000_000),
  lateMintMs: ms,
  streamChunks: whole(1, limits.streamChunksMax),
  streamChunkDelayMs: ms,
  dateSkewMs: whole(-limits.timerMsMax, limits.timerMsMax),
  projectHeader: flag,
  faults: (value) => {
    if (!Array.isArray(value) || value.length > limits.faultsMax)
      return `a list of at most ${limits.faultsMax} faults`
    return value.map(faultProblem).find((problem) => problem !== undefined)
  },
}

const faultChecks: Record<keyof Fault, Check> = {
  kind: (value) =>
    [...plumbingKinds, ...taxonomyNames].includes(value as FaultKind)
      ? undefined
      : `one of ${[...plumbingKinds, ...taxonomyNames].join(', ')}`,
  match: (value) => {
    if (!isObject(value)) return 'an object with path, method or keyId'
    const stray = Object.keys(value).find((name) => !['path', 'method', 'keyId'].includes(name))
    if (stray !== undefined) return `an object with path, method or keyId, not ${stray}`
    if (!Object.values(value).every((entry) => typeof entry === 'string')) return 'an object of texts'
    return typeof value['path'] !== 'string' || isPattern(value['path'])
      ? undefined
      : 'a path that is a valid regular expression'
  },
  edge: whole(0, limits.edgesMax - 1),
  times: whole(0, 1_000_000),
  ms,
  status: whole(200, 599),
  location: text,
}

/** Says what is wrong with a set of knobs, naming the knob, or nothing. */
export function knobsProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'The knobs must be a JSON object.'
  for (const [name, entry] of Object.entries(value)) {
    if (!Object.hasOwn(checks, name)) return `There is no knob "${name}".${nearest(name)}`
    const wanted = checks[name as keyof Knobs](entry)
    if (wanted !== undefined) return `The knob "${name}" must be ${wanted}.`
  }
  return undefined
}

/** The value that a per-edge knob has at an edge. */
export function atEdge(value: PerEdge, edge: number): number {
  return typeof value === 'number' ? value : (value[edge % value.length] ?? 0)
}

function faultProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'a list of fault objects'
  if (!Object.hasOwn(value, 'kind')) return 'a list of faults that each have a kind'
  for (const [name, entry] of Object.entries(value)) {
    if (!Object.hasOwn(faultChecks, name)) return `a list of faults without "${name}"`
    const wanted = faultChecks[name as keyof Fault](entry)
    if (wanted !== undefined) return `a list of faults whose ${name} is ${wanted}`
  }
  return undefined
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp
  } catch {
    return false
  }
}

function nearest(name: string): string {
  const plain = name.toLowerCase()
  const hit = Object.keys(checks).find((known) => {
    const other = known.toLowerCase()
    return other.startsWith(plain.slice(0, 5)) || plain.startsWith(other.slice(0, 5))
  })
  return hit === undefined ? '' : ` Did you mean "${hit}"?`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
