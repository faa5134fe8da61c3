// Who is asking, and may they: the checks in the order in which OpenAI seems to make them. The country comes first
// (it is refused before any key is read), then the key as this edge knows it, the account, the address, the two
// headers, the project and last the scopes.

import type { IncomingHttpHeaders } from 'node:http'
import type { AuthenticCall, Call, Route } from './call.ts'
import { viewAtEdge } from './edges.ts'
import { type ApiError, apiError } from './errors.ts'
import type { KeyPolicy, KeyRecord } from './records.ts'

export type Authentication =
  | { readonly kind: 'accepted'; readonly call: AuthenticCall }
  | { readonly kind: 'refused'; readonly error: ApiError }

/** The text after `Bearer`, or nothing when no key was sent that way. */
export function bearerOf(headers: IncomingHttpHeaders): string | undefined {
  const match = /^Bearer +(\S.*)$/i.exec(headers.authorization?.trim() ?? '')
  return match?.[1]
}

export function authenticate(call: Call, route: Route): Authentication {
  const { knobs } = call
  const refused = (error: ApiError): Authentication => ({ kind: 'refused', error })
  if (knobs.network === 'unsupported_country') return refused(apiError('unsupported_country'))
  const secret = bearerOf(call.headers)
  if (secret === undefined) return refused(apiError('no_api_key'))

  const key = call.services.world.keyByValue(secret)
  if (key === undefined && isForeignToken(secret)) return refused(apiError('invalid_issuer'))
  const view = viewAtEdge(key, call.edge, call.at, knobs)
  if (key === undefined || view.kind === 'unknown') return refused(apiError('invalid_api_key', { secret }))
  if (view.kind === 'expired') return refused(apiError(knobs.expiredKeyError, { secret }))
  const error =
    accountProblem(call, key) ?? headerProblem(call, key) ?? permissionProblem(call, route, key, view.policy)
  return error === undefined
    ? { kind: 'accepted', call: { ...call, key, policy: view.policy } }
    : refused(error)
}

function accountProblem(call: Call, key: KeyRecord): ApiError | undefined {
  const { account, network } = call.knobs
  if (account !== null) return apiError(account)
  // ASSUMPTION: a key whose owner left answers as one whose owner has no organisation.
  if (key.ownerAccess === 'inactive') return apiError('no_organization')
  if (network === 'ip_not_authorized') return apiError('ip_not_authorized')
  return undefined
}

function headerProblem(call: Call, key: KeyRecord): ApiError | undefined {
  const { world } = call.services
  const organization = header(call.headers, 'openai-organization')
  if (organization !== undefined && organization !== key.organization)
    return world.organization(organization) === undefined
      ? apiError('invalid_organization', { organization })
      : apiError('mismatched_organization')
  const project = header(call.headers, 'openai-project')
  // An administrator's key belongs to no project, so there is nothing the header could disagree with.
  if (project !== undefined && key.project !== null && project !== key.project)
    return apiError('mismatched_project')
  if (key.project !== null && world.project(key.project)?.archivedAt !== null)
    return apiError('invalid_project')
  return undefined
}

function permissionProblem(
  call: Call,
  route: Route,
  key: KeyRecord,
  policy: KeyPolicy,
): ApiError | undefined {
  const missing = (status: 401 | 403) => scopeError(call, status, route.scopes.slice(0, 1))
  // ASSUMPTION: the wrong kind of key is told that it lacks the scope. Only GET /v1/models answers 403 to ordinary
  // keys (seen in a public scope prober); the administration answers 403 throughout.
  if (route.area === 'admin')
    return key.kind === 'admin' && hasScope(policy.scopes, route.scopes) ? undefined : missing(403)
  const status = route.method === 'GET' ? 403 : 401
  if (key.kind === 'admin') return missing(status)
  const account =
    key.serviceAccount === null ? undefined : call.services.world.serviceAccount(key.serviceAccount)
  if (account?.role === 'none') return missing(status)
  return hasScope(policy.scopes, route.scopes) ? undefined : missing(status)
}

function scopeError(call: Call, status: 401 | 403, scopes: readonly string[]): ApiError {
  const isCoded = call.knobs.scopeErrorCode !== null
  if (status === 403) return apiError(isCoded ? 'missing_scopes_403_coded' : 'missing_scopes_403', { scopes })
  return apiError(isCoded ? 'missing_scopes_coded' : 'missing_scopes', { scopes })
}

/** No scopes at all means every permission; `api.all.read` is every permission to read. */
function hasScope(held: readonly string[], accepted: readonly string[]): boolean {
  if (held.length === 0 || held.includes('api.all')) return true
  return accepted.some(
    (scope) => held.includes(scope) || (scope.endsWith('.read') && held.includes('api.all.read')),
  )
}

/** A JSON web token, as of Azure or ChatGPT: three parts, the first of which decodes to an object. */
function isForeignToken(secret: string): boolean {
  const parts = secret.split('.')
  return (
    parts.length === 3 &&
    Buffer.from(parts[0] ?? '', 'base64url')
      .toString()
      .startsWith('{')
  )
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
