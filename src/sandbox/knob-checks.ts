// A check for every knob, so that a misspelt one is refused by name and not silently ignored.

import { limits } from './defaults.ts'
import { taxonomyNames } from './errors.ts'
import { isObject } from './input.ts'
import {
  accountStates,
  billingStates,
  exchangeRefusals,
  type Fault,
  type FaultKind,
  type Knobs,
  lostAnswerForms,
  plumbingKinds,
  type WriteFamily,
  writeFamilies,
} from './knobs.ts'

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

const amounts: Check = (value) =>
  Array.isArray(value) &&
  value.length <= 180 &&
  value.every((entry) => typeof entry === 'number' && entry >= 0 && entry <= 1_000_000_000)
    ? undefined
    : 'a list of at most 180 amounts in dollars'

const perFamily: Check = (value) =>
  isObject(value) &&
  Object.entries(value).every(
    ([family, count]) => writeFamilies.includes(family as WriteFamily) && isWhole(count, 0, 1_000_000),
  )
    ? undefined
    : `counts by ${writeFamilies.join(', ')}`

const isDay = (value: unknown) => typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)
const days: Check = (value) =>
  isObject(value) && Object.entries(value).every(([model, day]) => text(model) === undefined && isDay(day))
    ? undefined
    : 'days by model, as {"gpt-4o-mini": "2027-01-14"}'

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
  usedRequests: whole(0, 1_000_000_000),
  usedTokens: whole(0, 1_000_000_000),
  rateLimitHeadersOnModels: flag,
  adminRequestsPerMinute: orNull(whole(0, 1_000_000_000)),
  throttle: oneOf(true, false, 'requests', 'tokens', 'slow_down'),
  billing: orNull(oneOf(...billingStates)),
  billingProject: orNull(text),
  billingOnModels: flag,
  account: orNull(oneOf(...accountStates)),
  network: oneOf('ip_not_authorized', 'unsupported_country', null),
  unverifiedModels: texts,
  forbiddenModels: texts,
  modelShutdowns: days,
  scopeErrorCode: oneOf('missing_scope', null),
  expiredKeyError: oneOf('invalid_api_key', 'expired_api_key'),
  maxKeyLifetimeSeconds: orNull(whole(1, limits.keyLifetimeSecondsMax)),
  refuseNewKeys: flag,
  refuseDeleteServiceAccountKey: flag,
  refuseKeyOnExistingAccount: oneOf(400, 404, null),
  refuseKeyUpdate: flag,
  mintedAdminKeyScopes: texts,
  exchangeTokenSeconds: whole(1, 86_400),
  exchangeRefusal: orNull(oneOf(...exchangeRefusals)),
  spendLimitAmount: orNull(whole(0, 1_000_000_000)),
  dailyCosts: amounts,
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
