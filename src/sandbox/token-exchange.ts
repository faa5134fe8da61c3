// The token exchange of workload identities (RFC 8693), in JSON as OpenAI's SDK asks for it. It refuses in the OAuth form
// (RFC 6749, 5.2), which is not the form of the rest of the API. ASSUMPTION: `invalid_subject_token` and `invalid_grant`
// are the codes that the SDK names (openai 7.55, November 2026); for the rest the codes of the two standards stand in.

import type { IncomingHttpHeaders } from 'node:http'
import { type JsonReply, json } from './call.ts'
import { isObject } from './input.ts'
import { jwtProblem } from './jwt.ts'
import type { ExchangeRefusal, Knobs } from './knobs.ts'
import type { IdentityProviderRecord, ServiceAccountRecord } from './records.ts'
import type { World } from './world.ts'

export const TOKEN_PATH = '/oauth/token'

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const SUBJECT_TYPES = ['urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:id_token']
const NEEDED = [
  'grant_type',
  'subject_token',
  'subject_token_type',
  'identity_provider_id',
  'service_account_id',
] as const
const OPTIONAL: readonly string[] = ['client_id']

type Fields = Record<(typeof NEEDED)[number], string>

const statuses: Readonly<Record<string, number>> = {
  invalid_subject_token: 401,
  invalid_client: 401,
  unauthorized_client: 403,
  access_denied: 403,
  temporarily_unavailable: 503,
}

function decline(error: string, error_description: string): JsonReply {
  return json({ error, error_description }, statuses[error] ?? 400, { 'cache-control': 'no-store' })
}

const forcedDescriptions: Readonly<Record<ExchangeRefusal, string>> = {
  invalid_subject_token: 'The subject token could not be validated.',
  invalid_grant: 'No identity provider mapping matches the token.',
  unauthorized_client: 'The service account is disabled.',
  access_denied: 'A policy of the organization forbids workload identities.',
  temporarily_unavailable: 'The token service is temporarily unavailable.',
}

export function exchangeToken(
  request: { readonly headers: IncomingHttpHeaders; readonly rawBody: string },
  { world, knobs, at }: { readonly world: World; readonly knobs: Knobs; readonly at: number },
): JsonReply {
  const fields = fieldsOf(request)
  if ('reply' in fields) return fields.reply
  const forced = knobs.exchangeRefusal
  if (forced !== null) return decline(forced, forcedDescriptions[forced])
  const { identity_provider_id, service_account_id, subject_token } = fields.value
  const provider = world.identityProvider(identity_provider_id)
  if (provider === undefined) return decline('invalid_grant', 'There is no such identity provider.')
  const claims = jwtProblem(subject_token, provider, at)
  if ('problem' in claims) return decline('invalid_subject_token', claims.problem)
  const account = world.serviceAccount(service_account_id)
  if (account === undefined || !isMapped(provider, { account, subject: claims.subject, world }))
    return decline('invalid_grant', forcedDescriptions.invalid_grant)
  const project = world.project(account.project)
  if (project === undefined || project.archivedAt !== null || account.role === 'none')
    return decline('unauthorized_client', forcedDescriptions.unauthorized_client)
  const seconds = knobs.exchangeTokenSeconds
  const { value } = world.addKey({
    kind: 'exchanged',
    name: `workload identity ${provider.id}`,
    organization: project.organization,
    project: project.id,
    serviceAccount: account.id,
    expiresAt: at + seconds * 1_000,
    // ASSUMPTION: such a token proves itself by its signature, so no edge has to be told of it first.
    settled: true,
  })
  const issued = {
    access_token: value,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: seconds,
  }
  return json(issued, 200, { 'cache-control': 'no-store', pragma: 'no-cache' })
}

function isMapped(
  provider: IdentityProviderRecord,
  asked: { readonly account: ServiceAccountRecord; readonly subject: string; readonly world: World },
): boolean {
  const { account, subject, world } = asked
  const isOwn = world.project(account.project)?.organization === provider.organization
  return (
    isOwn && provider.mappings.some((one) => one.subject === subject && one.serviceAccount === account.id)
  )
}

function fieldsOf({
  headers,
  rawBody,
}: {
  readonly headers: IncomingHttpHeaders
  readonly rawBody: string
}): { readonly value: Fields } | { readonly reply: JsonReply } {
  const refused = (description: string, error = 'invalid_request') => ({ reply: decline(error, description) })
  if (!/^application\/json\b/i.test(headers['content-type'] ?? ''))
    return refused('The content type must be application/json.')
  const body = parse(rawBody)
  if (!isObject(body)) return refused('The body must be a JSON object.')
  const stray = Object.keys(body).find(
    (name) => !(NEEDED as readonly string[]).includes(name) && !OPTIONAL.includes(name),
  )
  if (stray !== undefined) return refused(`Unknown parameter: ${stray}.`)
  for (const name of NEEDED) {
    const value = body[name]
    if (typeof value !== 'string' || value === '') return refused(`Missing required parameter: ${name}.`)
  }
  const fields = body as Fields
  if (fields.grant_type !== GRANT_TYPE)
    return refused('This grant type is not supported.', 'unsupported_grant_type')
  if (!SUBJECT_TYPES.includes(fields.subject_token_type))
    return refused('The subject token type must be jwt or id_token.')
  return { value: fields }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
