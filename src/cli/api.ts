import {
  type BringRequest,
  type CredentialAnswer,
  type CredentialSummary,
  type List,
  type Problem,
  type RevocationRequest,
  type RollbackRequest,
  type RotationRequest,
  type RotationSummary,
  routes,
  type TokenAnswer,
  type TokenRequest,
  type TokenSummary,
  type VersionSummary,
} from '../api/types.ts'
import { readEvents } from '../client/sse.ts'
import { type ErrorCode, errorCodes, KeyturnError } from '../core/errors.ts'
import { type Call, nameOf, open, send } from './http.ts'
import type { Address } from './target.ts'

/** The service as the commands use it. Every method throws KeyturnErrors: the service's own refusals, with their fixes, or `service_*`. */
export interface Api {
  readonly where: string
  credential(name: string): Promise<CredentialAnswer>
  summaries(): Promise<readonly CredentialSummary[]>
  summary(name: string): Promise<CredentialSummary>
  versions(name: string): Promise<readonly VersionSummary[]>
  verify(name: string): Promise<CredentialSummary>
  rotate(name: string, request: RotationRequest): Promise<RotationSummary>
  rotation(name: string, id: string): Promise<RotationSummary>
  act(name: string, id: string, act: 'pause' | 'resume' | 'abort'): Promise<RotationSummary>
  rollback(name: string, request: RollbackRequest): Promise<CredentialSummary>
  bring(name: string, request: BringRequest): Promise<VersionSummary>
  revoke(name: string, version: string, request: RevocationRequest): Promise<VersionSummary>
  tokens(): Promise<readonly TokenSummary[]>
  createToken(request: TokenRequest): Promise<TokenAnswer>
  revokeToken(id: string): Promise<void>
  /** Calls back for every event of the credential until the signal; ends, with or without an error, when the stream does. */
  follow(name: string, onEvent: () => void, signal: AbortSignal): Promise<void>
}

/** The service sends a sign of life more often than this. */
const streamSilenceMs = 60_000

export interface ApiOptions {
  readonly address: Address
  readonly token: string
  /** Makes a repeated start of a rotation the same one. */
  readonly idempotencyKey: () => string
}

export function createApi(options: ApiOptions): Api {
  const { address, token } = options
  const call = async (request: Omit<Call, 'token'>): Promise<unknown> => {
    const reply = await send(address, { ...request, token })
    if (reply.status === 204) return undefined
    const isGood = reply.status >= 200 && reply.status < 300
    const value = parse(reply.text)
    if (isGood && value !== undefined) return value
    throw isGood ? malformed(address) : refusal(address, reply.status, value)
  }
  // The one place where an answer is believed to have the shape of the contract: both sides share its types.
  const get = async <Answer>(path: string): Promise<Answer> => (await call({ method: 'GET', path })) as Answer
  const post = async <Answer>(path: string, body: unknown, headers = {}): Promise<Answer> =>
    (await call({ method: 'POST', path, body, headers })) as Answer
  const items = async <Item>(path: string): Promise<readonly Item[]> => {
    const list = await get<List<Item>>(path)
    if (!Array.isArray(list.items)) throw malformed(address)
    return list.items
  }
  const summaries = (): Promise<readonly CredentialSummary[]> => items(routes.credentials)
  return {
    where: nameOf(address),
    credential: (name) => get(routes.credential(name)),
    summaries,
    async summary(name) {
      const all = await summaries()
      const found = all.find((summary) => summary.name === name)
      if (found !== undefined) return found
      const known = all.map((summary) => summary.name).join(', ')
      throw new KeyturnError('not_found', `there is no credential named '${name}'`, {
        fix: known === '' ? 'None is configured; see docs/configuration.md.' : `There are: ${known}.`,
      })
    },
    versions: (name) => items(routes.versions(name)),
    verify: (name) => post(routes.verifications(name), {}),
    rotate: (name, request) =>
      post(routes.rotations(name), request, { 'idempotency-key': options.idempotencyKey() }),
    rotation: (name, id) => get(routes.rotation(name, id)),
    act: (name, id, act) => post(routes.rotationAct(name, id, act), {}),
    rollback: (name, request) => post(routes.rollbacks(name), request),
    bring: (name, request) => post(routes.versions(name), request),
    revoke: (name, version, request) => post(routes.revocations(name, version), request),
    tokens: () => items(routes.tokens),
    createToken: (request) => post(routes.tokens, request),
    async revokeToken(id) {
      await call({ method: 'DELETE', path: routes.token(id) })
    },
    async follow(name, onEvent, signal) {
      const request: Call = {
        method: 'GET',
        path: routes.events(name),
        token,
        accept: 'text/event-stream',
        signal,
      }
      const message = await open(address, request, streamSilenceMs)
      if (message.statusCode !== 200) {
        message.destroy()
        throw refusal(address, message.statusCode ?? 0, undefined)
      }
      for await (const event of readEvents(message)) if (event !== undefined) onEvent()
    },
  }
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

function malformed(address: Address): KeyturnError {
  return new KeyturnError('service_malformed', `what answers at ${nameOf(address)} is not Keyturn`, {
    fix: 'Check KEYTURN_URL, and what stands between: a proxy may answer in its place.',
  })
}

/** A refusal in the service's own words where they are its own, else by the status. */
function refusal(address: Address, status: number, value: unknown): KeyturnError {
  const problem = ownProblem(value)
  const code = problem === undefined ? undefined : errorCodes.find((known) => known === problem.code)
  if (problem !== undefined) {
    const fix = problem.fix ?? fixes[code ?? byStatus(status)]
    return new KeyturnError(
      code ?? byStatus(status),
      problem.detail || problem.title,
      fix === undefined ? {} : { fix },
    )
  }
  if (status >= 200 && status < 400) return malformed(address)
  const guess = byStatus(status)
  return new KeyturnError(
    guess,
    `${nameOf(address)} answered with status ${status}, and not in Keyturn's words`,
    {
      fix: fixes[guess] ?? 'Check KEYTURN_URL, and what stands between: a proxy may answer in its place.',
    },
  )
}

function ownProblem(value: unknown): Problem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const problem = value as Partial<Problem>
  const isOwn = typeof problem.type === 'string' && problem.type.startsWith('urn:keyturn:error:')
  return isOwn && typeof problem.detail === 'string' ? (problem as Problem) : undefined
}

const fixes: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'Set KEYTURN_OPERATOR_TOKEN or KEYTURN_OPERATOR_TOKEN_FILE to a token of this service.',
  forbidden: 'Use an operator token; an app token can only read its credentials.',
}

function byStatus(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'not_found'
  if (status === 409) return 'conflict'
  if (status === 429) return 'too_many_requests'
  return status >= 500 ? 'service_unreachable' : 'service_malformed'
}
