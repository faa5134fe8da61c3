// Every refusal that OpenAI is known to answer, as a table of makers: status, code, type and message as they were
// documented or seen in public (November 2026). Where no source tells, the comment says ASSUMPTION.

import { redactForEcho } from './secrets.ts'

export interface ApiError {
  readonly status: number
  readonly code: string | null
  readonly type: string
  readonly message: string
  readonly param: string | null
  readonly headers?: Readonly<Record<string, string>>
}

/** What a maker may put into its message. Whatever is absent gets a plausible stand-in. */
export interface ErrorDetails {
  readonly secret?: string
  readonly organization?: string
  readonly project?: string
  readonly model?: string
  readonly scopes?: readonly string[]
  readonly limit?: number
  readonly used?: number
  readonly requested?: number
  readonly retryMs?: number
}

const INVALID = 'invalid_request_error'

const refusal = (
  status: number,
  code: string | null,
  message: string,
  type = INVALID,
  param: string | null = null,
): ApiError => ({ status, code, type, message, param })

const quota = (code: string | null, message: string) => refusal(429, code, message, 'insufficient_quota')

const missingScopes = (status: number, code: string | null) => (d: ErrorDetails) =>
  refusal(
    status,
    code,
    `You have insufficient permissions for this operation. Missing scopes: ${(d.scopes ?? ['model.request']).join(', ')}. Check that you have the correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using a restricted API key, that it has the necessary scopes.`,
  )

const retryAfter = (ms: number) => ({ 'retry-after': String(Math.max(1, Math.ceil(ms / 1000))) })

export const taxonomy = {
  invalid_api_key: (d) =>
    refusal(
      401,
      'invalid_api_key',
      `Incorrect API key provided: ${redactForEcho(d.secret ?? 'unknown')}. You can find your API key at https://platform.openai.com/account/api-keys.`,
    ),
  no_api_key: () =>
    refusal(
      401,
      null,
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys.",
    ),
  account_deactivated: () =>
    refusal(
      401,
      'account_deactivated',
      'The OpenAI account associated with this API key has been deactivated. If you are the account owner, please check your email for more information or contact us through our help center.',
    ),
  account_deactivated_older: () =>
    refusal(
      401,
      'account_deactivated',
      'This key is associated with a deactivated account. If you feel this is an error, contact us through our help center at help.openai.com.',
    ),
  no_organization: () =>
    refusal(
      401,
      'no_organization',
      'You must be a member of an organization to use the API. Please contact us through our help center at help.openai.com.',
    ),
  invalid_organization: (d) =>
    refusal(401, 'invalid_organization', `No such organization: ${d.organization ?? 'null'}.`),
  mismatched_organization: () =>
    refusal(
      401,
      'mismatched_organization',
      'OpenAI-Organization header should match organization for API key',
    ),
  // ASSUMPTION: the wording follows the organisation's; no source shows this body.
  mismatched_project: () =>
    refusal(401, 'mismatched_project', 'OpenAI-Project header should match project for API key'),
  // ASSUMPTION: a key of an archived project, or one whose project is gone.
  invalid_project: () =>
    refusal(
      401,
      'not_authorized_invalid_project',
      'The project you are requesting has been archived and is no longer accessible.',
    ),
  missing_scopes: missingScopes(401, null),
  missing_scopes_coded: missingScopes(401, 'missing_scope'),
  missing_scopes_403: missingScopes(403, null),
  missing_scopes_403_coded: missingScopes(403, 'missing_scope'),
  ip_not_authorized: () =>
    refusal(
      401,
      'ip_not_authorized',
      'Your IP is not authorized to access this resource. Please check the IP allowlist of your project or organization.',
    ),
  invalid_issuer: () => refusal(401, null, 'Your authentication token is not from a valid issuer.'),
  // ASSUMPTION: keys expire only since September 2026 and no source shows the answer. See the knob `expiredKeyError`.
  expired_api_key: () => refusal(401, 'expired_api_key', 'The API key provided has expired.'),
  unsupported_country: () =>
    refusal(
      403,
      'unsupported_country_region_territory',
      'Country, region, or territory not supported',
      'request_forbidden',
    ),
  model_forbidden: (d) =>
    refusal(
      403,
      'model_not_found',
      `Project \`${d.project ?? 'unknown'}\` does not have access to model \`${d.model ?? 'unknown'}\``,
    ),
  model_not_found: (d) =>
    refusal(
      404,
      'model_not_found',
      `The model \`${d.model ?? 'unknown'}\` does not exist or you do not have access to it.`,
    ),
  model_retired: (d) =>
    refusal(
      404,
      'model_not_found',
      `The model \`${d.model ?? 'unknown'}\` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations`,
    ),
  organization_not_verified: (d) =>
    refusal(
      400,
      'unsupported_value',
      `Your organization must be verified to use the model \`${d.model ?? 'unknown'}\`. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization. If you just verified, it can take up to 15 minutes for access to propagate.`,
      INVALID,
      'model',
    ),
  organization_not_verified_403: (d) =>
    refusal(
      403,
      null,
      `Your organization must be verified to use the model \`${d.model ?? 'unknown'}\`. If you just verified, it can take up to 15 minutes for access to propagate.`,
    ),
  rate_limit_requests: (d) => rateLimited('requests', 'RPM', d),
  rate_limit_tokens: (d) => rateLimited('tokens', 'TPM', d),
  request_too_large: (d) =>
    refusal(
      429,
      'rate_limit_exceeded',
      `Request too large for ${d.model ?? 'gpt-5'} in organization ${d.organization ?? 'unknown'} on tokens per min (TPM): Limit ${d.limit ?? 30_000}, Requested ${d.requested ?? 31_538}. The input or output tokens must be reduced in order to run successfully.`,
      'tokens',
    ),
  slow_down: () => ({
    ...refusal(
      429,
      'slow_down',
      'Your request rate rose too quickly. Please reduce it, keep it steady and raise it slowly.',
      'rate_limit_error',
    ),
    headers: retryAfter(2_000),
  }),
  // ASSUMPTION: the codes of the next four are documented, their wording is not.
  credit_balance_exhausted: () =>
    quota('credit_balance_exhausted', 'You have no prepaid credits left. Please add credits to continue.'),
  organization_spend_limit_exceeded: () =>
    quota('organization_spend_limit_exceeded', 'Your organization has reached its spend limit.'),
  project_spend_limit_exceeded: () =>
    quota('project_spend_limit_exceeded', 'Your project has reached its spend limit.'),
  organization_usage_limit_exceeded: () =>
    quota('organization_usage_limit_exceeded', 'Your organization has reached its usage limit.'),
  insufficient_quota: () => quota('insufficient_quota', QUOTA_MESSAGE),
  insufficient_quota_older: () => quota(null, QUOTA_MESSAGE),
  billing_not_active: () => refusal(429, 'billing_not_active', INACTIVE_MESSAGE, 'billing_not_active'),
  billing_not_active_older: () => refusal(429, null, INACTIVE_MESSAGE, 'billing_not_active'),
  billing_hard_limit_reached: () =>
    refusal(400, 'billing_hard_limit_reached', 'Billing hard limit has been reached'),
  server_error: () =>
    refusal(
      500,
      null,
      'The server had an error processing your request. Sorry about that! You can retry your request, or contact us through our help center at help.openai.com if you keep seeing this error.',
      'server_error',
    ),
  server_is_overloaded: () =>
    refusal(
      503,
      'server_is_overloaded',
      'Our servers are currently overloaded. Please try again later.',
      'service_unavailable_error',
    ),
} satisfies Record<string, (details: ErrorDetails) => ApiError>

export type TaxonomyName = keyof typeof taxonomy

export const taxonomyNames = Object.keys(taxonomy) as TaxonomyName[]

const QUOTA_MESSAGE =
  'You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.'
const INACTIVE_MESSAGE = 'Your account is not active, please check your billing details on our website.'

/** Makes the named refusal. */
export function apiError(name: TaxonomyName, details: ErrorDetails = {}): ApiError {
  return taxonomy[name](details)
}

function rateLimited(type: 'requests' | 'tokens', unit: string, d: ErrorDetails): ApiError {
  const retryMs = d.retryMs ?? 1_000
  return {
    ...refusal(
      429,
      'rate_limit_exceeded',
      `Rate limit reached for ${d.model ?? 'gpt-5'} in organization ${d.organization ?? 'unknown'} on ${type} per min (${unit}): Limit ${d.limit ?? 500}, Used ${d.used ?? 500}, Requested ${d.requested ?? 1}. Please try again in ${duration(retryMs)}.`,
      type,
    ),
    headers: retryAfter(retryMs),
  }
}

/** The way OpenAI writes a duration: `174ms`, `1s`, `6m0s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.ceil(ms))}ms`
  const seconds = Math.ceil(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}

// The refusals that depend on what was asked rather than on the key or the account.

export const badRequest = (
  message: string,
  param: string | null = null,
  code: string | null = null,
): ApiError => refusal(400, code, message, INVALID, param)

export const missingParameter = (name: string): ApiError =>
  badRequest(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter')

export const unknownParameter = (name: string): ApiError =>
  badRequest(`Unknown parameter: '${name}'.`, name, 'unknown_parameter')

export const invalidType = (name: string, wanted: string, got: unknown): ApiError =>
  badRequest(
    `Invalid type for '${name}': expected ${wanted}, but got ${describe(got)} instead.`,
    name,
    'invalid_type',
  )

export const notFound = (message: string, param: string | null = null): ApiError =>
  refusal(404, null, message, INVALID, param)

export const invalidUrl = (method: string, path: string): ApiError =>
  refusal(404, null, `Invalid URL (${method} ${path})`)

export const methodNotAllowed = (method: string, path: string): ApiError =>
  refusal(
    405,
    'method_not_supported',
    `Not allowed to ${method} on ${path}. (HINT: Perhaps you meant to use a different HTTP method?)`,
  )

export const bodyTooLarge = (bytesMax: number): ApiError =>
  refusal(413, null, `The request body is larger than the maximum of ${bytesMax} bytes.`)

/** The wire form: all four fields are always there. */
export function envelope(error: ApiError): {
  error: { message: string; type: string; param: string | null; code: string | null }
} {
  return { error: { message: error.message, type: error.type, param: error.param, code: error.code } }
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal'
  return `a ${typeof value}`
}
