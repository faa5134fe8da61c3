import { assert } from '../core/errors.ts'
import { isRecord } from '../core/json.ts'
import type { ExpiryOutcome, Issuer, MintOutcome, MintRequest, RevokeOutcome } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { KeyId, Observation } from '../core/types.ts'
import { accountFor } from './openai-account.ts'
import { checkPermissions } from './openai-check.ts'
import { takeInventory } from './openai-inventory.ts'
import { isId as isKeyId, listKeys, milliseconds, notPromised, text } from './openai-listing.ts'
import type { Minting } from './openai-options.ts'
import type { Deadline, IssuerContext, Wire, WireAnswer } from './openai-wire.ts'

/** The longest lifetime the API takes: 365 days. */
export const expirySecondsMax = 31_536_000
/** How far the confirmed expiry may be from the asked one: clocks differ, and the API counts in seconds. */
const expiryToleranceMs = 5 * 60_000
const nameMax = 256

/** What one administrative call works with. */
export interface AdminCall {
  readonly wire: Wire
  readonly minting: Minting
  readonly context: IssuerContext
  /** `/organization/projects/{id}` */
  readonly project: string
  readonly secret: Secret
  readonly deadline: Deadline
}

type AdminMethods = Required<
  Pick<Issuer, 'mint' | 'list' | 'inventory' | 'revoke' | 'setExpiry' | 'check' | 'traces'>
>

/** The methods of the port that need the admin key. Each makes every request once and ends within its timeout. */
export function createAdmin(minting: Minting, wire: Wire, context: IssuerContext): AdminMethods {
  const project = `/organization/projects/${minting.projectId}`
  const within = async <Outcome>(work: (call: AdminCall) => Promise<Outcome>): Promise<Outcome> => {
    const secret = await minting.adminKey()
    const deadline = wire.deadline()
    try {
      return await work({ wire, minting, context, project, secret, deadline })
    } finally {
      deadline.end()
    }
  }
  const { mode } = minting
  return {
    async mint(request) {
      assertMarker(request.marker)
      if (request.expiresInSeconds !== undefined) assertLifetime(request.expiresInSeconds)
      return await within((call) =>
        mode === 'new_service_account' ? mintWithAccount(call, request) : mintOnAccount(call, request),
      )
    },
    list: () => within(list),
    inventory: async () => takeInventory(wire, await minting.adminKey(), minting.projectId),
    async revoke(keyId) {
      assertKeyId(keyId)
      return await within((call) =>
        mode === 'new_service_account' ? revokeWithAccount(call, keyId) : deleteKey(call, keyId),
      )
    },
    async setExpiry(keyId, expiresInSeconds) {
      assertKeyId(keyId)
      assertLifetime(expiresInSeconds)
      return await within((call) => setExpiry(call, keyId, expiresInSeconds))
    },
    check: (asked) => within((call) => checkPermissions(call, asked?.forSpare === true)),
    traces: ({ keyId, marker = 'without a name', serviceAccount }) => [
      `OpenAI’s audit log keeps what became of the key ${keyId} (${marker}): api_key.created, updated and deleted.`,
      ...(mode === 'new_service_account' && serviceAccount !== undefined
        ? [`It also keeps that the service account ${serviceAccount} of that name was created and deleted.`]
        : []),
    ],
  }
}

function list(call: AdminCall) {
  const { mode, projectId, isMarker } = call.minting
  const naming = mode === 'new_service_account' ? { isMarker } : {}
  return listKeys(call.wire, { projectId, secret: call.secret, deadline: call.deadline, ...naming })
}

// ---------------------------------------------------------------- minting

async function mintOnAccount(call: AdminCall, request: MintRequest): Promise<MintOutcome> {
  const account = await accountFor(call, request)
  if (typeof account !== 'string')
    return { kind: isRefusal(account) ? 'refused' : 'unknown', observation: account }
  const scopes = request.scopes ?? call.minting.scopes
  const answer = await call.wire.send({
    ...call,
    method: 'POST',
    path: `${call.project}/service_accounts/${account}/api_keys`,
    body: {
      name: request.marker,
      // An empty list would mean all permissions anyway; leaving it out says so without relying on it.
      ...(scopes.length === 0 ? {} : { scopes }),
      ...(request.expiresInSeconds === undefined ? {} : { expires_in_seconds: request.expiresInSeconds }),
    },
  })
  const isNamed = answer.body?.['name'] === request.marker
  return mintOutcome(answer, isNamed ? answer.body : undefined, { serviceAccount: account })
}

async function mintWithAccount(call: AdminCall, request: MintRequest): Promise<MintOutcome> {
  const answer = await call.wire.send({
    ...call,
    method: 'POST',
    path: `${call.project}/service_accounts`,
    body: {
      name: request.marker,
      ...(request.expiresInSeconds === undefined ? {} : { expires_in_seconds: request.expiresInSeconds }),
    },
  })
  const key = answer.body?.['api_key']
  const isNamed = answer.body?.['name'] === request.marker
  const serviceAccount = text(answer.body?.['id'])
  const owner = serviceAccount === undefined ? undefined : { serviceAccount }
  const outcome = mintOutcome(answer, isNamed && isRecord(key) ? key : undefined, owner)
  const scopes = request.scopes ?? call.minting.scopes
  if (outcome.kind !== 'minted' || scopes.length === 0) return outcome
  // This call cannot restrict the key it makes, so it is restricted before anybody gets it. Where that fails, the key
  // may do more than it should: nobody gets it, and it is found by its marker and revoked.
  const restricted = await call.wire.send({
    ...call,
    method: 'POST',
    path: `${call.project}/api_keys/${outcome.keyId}`,
    body: { scopes },
  })
  return restricted.body?.['id'] === outcome.keyId
    ? outcome
    : { kind: 'unknown', observation: notPromised(restricted.observation) }
}

/**
 * Refusals that come before anything is made. A 429 is among them, since it is answered in place of the work; a 408 is
 * not, and nor is anything that somebody else than the issuer answered.
 */
const conclusiveRefusals: readonly number[] = [400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429]

function isRefusal(observation: Observation): boolean {
  return (
    observation.kind === 'answer' && observation.isIssuers && conclusiveRefusals.includes(observation.status)
  )
}

/** `owner`: undefined where it was promised and not told. */
export function mintOutcome(
  answer: WireAnswer,
  key: Readonly<Record<string, unknown>> | undefined,
  owner: { readonly serviceAccount?: string } | undefined,
): MintOutcome {
  const { observation } = answer
  if (isRefusal(observation)) return { kind: 'refused', observation }
  const value = key?.['value']
  const keyId = key?.['id']
  const createdAt = milliseconds(key?.['created_at'])
  const expiresAt = milliseconds(key?.['expires_at'])
  const isPromised =
    answer.body !== undefined &&
    isKeyValue(value) &&
    isKeyId(keyId) &&
    createdAt !== undefined &&
    owner !== undefined
  if (!isPromised) return { kind: 'unknown', observation: notPromised(observation) }
  return {
    kind: 'minted',
    keyId,
    secret: new Secret(value),
    ...owner,
    createdAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...requestIdOf(observation),
  }
}

/** By it OpenAI finds the call in its own logs. */
function requestIdOf(observation: Observation): { readonly requestId?: string } {
  const requestId = observation.kind === 'answer' ? observation.requestId : undefined
  return requestId === undefined ? {} : { requestId }
}

/** What can be sent as a bearer. No shape is asked for: shapes are undocumented and have changed. */
function isKeyValue(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{20,512}$/.test(value)
}

// --------------------------------------------------------------- revoking

async function deleteKey(call: AdminCall, keyId: KeyId): Promise<RevokeOutcome> {
  const path = `${call.project}/api_keys/${keyId}`
  const answer = await call.wire.send({ ...call, method: 'DELETE', path })
  return deletionOutcome(answer, keyId)
}

/**
 * Deletes the service account that was made for this key, and only that: its name is a marker, and a full listing shows
 * no other key on it. In every other case only the key is deleted.
 */
async function revokeWithAccount(call: AdminCall, keyId: KeyId): Promise<RevokeOutcome> {
  const listed = await list(call)
  if (listed.kind === 'failed') return { kind: 'unknown', observation: listed.observation }
  const account = listed.keys.find((key) => key.keyId === keyId)?.serviceAccount
  if (!isKeyId(account)) return await deleteKey(call, keyId)
  const isShared = listed.keys.some((key) => key.serviceAccount === account && key.keyId !== keyId)
  if (isShared) return await deleteKey(call, keyId)
  const path = `${call.project}/service_accounts/${account}`
  const found = await call.wire.send({ ...call, method: 'GET', path })
  const name = text(found.body?.['name'])
  const isOurs = found.body?.['id'] === account && name !== undefined && call.minting.isMarker(name)
  if (!isOurs) return await deleteKey(call, keyId)
  const answer = await call.wire.send({ ...call, method: 'DELETE', path })
  return deletionOutcome(answer, account)
}

export function deletionOutcome(answer: WireAnswer, id: string): RevokeOutcome {
  const { observation, body, sentence } = answer
  if (body?.['deleted'] === true && body['id'] === id) return { kind: 'gone', ...requestIdOf(observation) }
  if (observation.kind === 'no_answer' || !observation.isIssuers)
    return { kind: 'unknown', observation: notPromised(observation) }
  // A 404 for the address is not a 404 for the key: whoever answers does not know this endpoint at all.
  if (observation.status === 404 && sentence !== 'invalid_url')
    return { kind: 'gone', ...requestIdOf(observation) }
  const isRefused =
    [400, 403, 404, 405].includes(observation.status) ||
    (observation.status === 401 && observation.hint === 'missing_scopes')
  return { kind: isRefused ? 'refused' : 'unknown', observation: notPromised(observation) }
}

// ----------------------------------------------------------------- expiry

async function setExpiry(call: AdminCall, keyId: KeyId, expiresInSeconds: number): Promise<ExpiryOutcome> {
  const answer = await call.wire.send({
    ...call,
    method: 'POST',
    path: `${call.project}/api_keys/${keyId}`,
    body: { expires_in_seconds: expiresInSeconds },
  })
  const { observation, body } = answer
  if (isRefusal(observation) && !isThrottled(observation)) return { kind: 'refused', observation }
  const expiresAt = body?.['id'] === keyId ? milliseconds(body['expires_at']) : undefined
  const serverAt = observation.kind === 'answer' ? observation.serverAt : undefined
  const wantedAt = (serverAt ?? call.context.system.now()) + expiresInSeconds * 1_000
  // An answer that still shows the old expiry confirms nothing.
  return expiresAt !== undefined && Math.abs(expiresAt - wantedAt) <= expiryToleranceMs
    ? { kind: 'set', expiresAt, ...requestIdOf(observation) }
    : { kind: 'unknown', observation: notPromised(observation) }
}

/** Setting an expiry is safe to repeat, so a 429 is worth waiting out. */
function isThrottled(observation: Observation): boolean {
  return observation.kind === 'answer' && observation.status === 429
}

export function assertMarker(marker: string): void {
  assert(marker !== '' && marker.length <= nameMax, 'a marker has 1 to 256 characters')
}

export function assertLifetime(seconds: number): void {
  assert(
    Number.isInteger(seconds) && seconds >= 1 && seconds <= expirySecondsMax,
    `a key lives for 1 to ${expirySecondsMax} seconds`,
  )
}

/** It becomes part of a path. */
export function assertKeyId(keyId: KeyId): void {
  assert(isKeyId(keyId), 'the id of a key has 1 to 128 letters, digits, - and _')
}
