import type { Issuer, ListOutcome, ProbeExpectation, RevokeOutcome } from '../core/ports.ts'
import { matchesRedacted } from '../core/redacted.ts'
import type { Secret } from '../core/secret.ts'
import { isAuthentic, type KeyId, type Observation } from '../core/types.ts'
import { classify } from '../core/verdict.ts'
import { assertKeyId, assertLifetime, assertMarker, deletionOutcome, mintOutcome } from './openai-admin.ts'
import { absentKey, readFinding, writeFinding } from './openai-check.ts'
import { issuedKey, listAll, notPromised } from './openai-listing.ts'
import { checkedAddress } from './openai-options.ts'
import { createWire, type Deadline, type IssuerContext, type Wire, type WireAnswer } from './openai-wire.ts'

export interface AdminKeyIssuerOptions {
  /** Default https://api.openai.com/v1. HTTPS except on loopback, else `config_invalid`. */
  readonly baseUrl?: string
  /** For one whole call of the port, in milliseconds. 100 to 60,000, default 5,000. */
  readonly timeoutMs?: number
  /** The admin key that works now, asked for at every call: these keys make, list and end each other. */
  readonly adminKey: () => Promise<Secret>
}

const keys = '/organization/admin_api_keys'
const resource = 'admin keys of the organisation'

/** What an admin key has to be able to do, by the names that OpenAI gives it. */
export const adminScopes = ['api.management.read', 'api.management.write'] as const

/**
 * The admin keys of an organisation, as one more kind of key that is minted, proven and ended. Their expiry is set once,
 * when they are made: the API has no way to change it (November 2026), and none to restrict them. Throws as
 * createOpenAIIssuer does.
 */
export function createAdminKeyIssuer(options: AdminKeyIssuerOptions, context: IssuerContext): Issuer {
  const { baseUrl, timeoutMs } = checkedAddress(options)
  const wire = createWire({ baseUrl, timeoutMs }, context)
  const within = async <Outcome>(work: (call: Call) => Promise<Outcome>): Promise<Outcome> => {
    const secret = await options.adminKey()
    return await limited(wire, (deadline) => work({ wire, secret, deadline }))
  }
  return {
    kind: 'openai-admin-keys',
    canMint: true,
    place: `${baseUrl} admin keys`,
    baseUrl,
    verify: (secret, expectation) =>
      limited(wire, (deadline) => verify({ wire, secret, deadline }, expectation)),
    async mint({ marker, expiresInSeconds }) {
      assertMarker(marker)
      if (expiresInSeconds !== undefined) assertLifetime(expiresInSeconds)
      return await within(async (call) => {
        const expiry = expiresInSeconds === undefined ? {} : { expires_in_seconds: expiresInSeconds }
        const answer = await wire.send({
          ...call,
          method: 'POST',
          path: keys,
          body: { name: marker, ...expiry },
        })
        const isNamed = answer.body?.['name'] === marker
        return mintOutcome(answer, isNamed ? answer.body : undefined, {})
      })
    },
    list: () => within(list),
    async revoke(keyId) {
      assertKeyId(keyId)
      return await within((call) => revoke(call, keyId, context))
    },
    check: () =>
      within(async (call) => [
        readFinding(await firstOfList(call), resource),
        writeFinding(await tryDelete(call), resource),
      ]),
    traces: ({ keyId, marker = 'without a name' }) => [
      `OpenAI’s audit log keeps what became of the admin key ${keyId} (${marker}): tenant.admin_api_key.created and deleted.`,
    ],
    async close() {
      wire.close()
    },
  }
}

interface Call {
  readonly wire: Wire
  readonly secret: Secret
  readonly deadline: Deadline
}

async function limited<Outcome>(
  wire: Wire,
  work: (deadline: Deadline) => Promise<Outcome>,
): Promise<Outcome> {
  const deadline = wire.deadline()
  try {
    return await work(deadline)
  } finally {
    deadline.end()
  }
}

/**
 * Proves that the key may list and delete, without deleting anything: the key that is to be deleted cannot exist, so it
 * is refused for lack of the permission or for lack of the key. Where that leaves it open, the verification as a whole
 * concludes nothing, which is why that answer goes first then: a key that may be unable to end another is not proven.
 */
async function verify(call: Call, expectation: ProbeExpectation): Promise<readonly Observation[]> {
  const { organization } = expectation
  const headers = organization === undefined ? {} : { 'openai-organization': organization }
  const [read, write] = adminScopes
  const listed = await firstOfList(call, { headers, probe: `scope:${read}` })
  const first = listed.body === undefined ? notPromised(listed.observation) : listed.observation
  // Nothing is learnt from a key that is dead, or whose issuer is out of reach.
  if (!isAuthentic(classify(first).kind)) return [first]
  const tried = await tryDelete(call, { headers, probe: `scope:${write}` })
  return isAnswered(tried) ? [first, tried.observation] : [notPromised(tried.observation), first]
}

/** The key was looked for, and is not there; or the permission was, and is not there. */
function isAnswered(answer: WireAnswer): boolean {
  const { observation } = answer
  if (deletionOutcome(answer, absentKey).kind === 'gone') return true
  if (observation.kind === 'no_answer' || !observation.isIssuers || observation.status <= 299) return false
  return observation.status === 400 || isAuthentic(classify(observation).kind)
}

interface Probing {
  readonly headers: Readonly<Record<string, string>>
  readonly probe: string
}

/** One entry is enough to show that the list may be read. */
async function firstOfList(call: Call, probing?: Probing): Promise<WireAnswer> {
  const answer = await call.wire.send({ ...call, ...probing, method: 'GET', path: `${keys}?limit=1` })
  const isList = answer.body?.['object'] === 'list' && Array.isArray(answer.body['data'])
  const { body: _none, ...rest } = answer
  return isList ? answer : { ...rest, observation: notPromised(answer.observation) }
}

function tryDelete(call: Call, probing?: Probing): Promise<WireAnswer> {
  return call.wire.send({ ...call, ...probing, method: 'DELETE', path: `${keys}/${absentKey}` })
}

async function list(call: Call): Promise<ListOutcome> {
  const listed = await listAll(call.wire, { ...call, path: keys, query: { order: 'asc' } })
  if (listed.kind === 'failed') return listed
  return { kind: 'listed', keys: listed.entries.map((entry) => issuedKey(entry)) }
}

/** Never the key that speaks: with it would go the means to end any other, and to see what became of it. */
async function revoke(call: Call, keyId: KeyId, { log }: IssuerContext): Promise<RevokeOutcome> {
  const listed = await list(call)
  if (listed.kind === 'failed') return { kind: 'unknown', observation: listed.observation }
  const key = listed.keys.find((one) => one.keyId === keyId)
  if (key !== undefined && matchesRedacted(call.secret, key.redacted)) {
    log('error', 'an admin key looks like the one in use, so it is not deleted', { keyId })
    return { kind: 'refused', observation: { kind: 'no_answer', failure: 'aborted' } }
  }
  const answer = await call.wire.send({ ...call, method: 'DELETE', path: `${keys}/${keyId}` })
  return deletionOutcome(answer, keyId)
}
