import { isRecord } from '../core/json.ts'
import type { IssuedKey, ListOutcome } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { Observation } from '../core/types.ts'
import type { Deadline, Wire } from './openai-wire.ts'

export const pageSize = 100
/** 10,000 entries; a project with more is listed as failed rather than in part, because absence must be proven. */
export const pagesMax = 100

export type Listed =
  | { readonly kind: 'listed'; readonly entries: readonly Readonly<Record<string, unknown>>[] }
  | { readonly kind: 'failed'; readonly observation: Observation }

/** Reads a whole list. Anything that is not a whole list, page by page in order, is `failed`. */
export async function listAll(
  wire: Wire,
  request: {
    /** Path and query without `limit` and `after`. */
    readonly path: string
    readonly query?: Readonly<Record<string, string>>
    readonly secret: Secret
    readonly deadline: Deadline
  },
): Promise<Listed> {
  const { secret, deadline } = request
  const entries = new Map<string, Readonly<Record<string, unknown>>>()
  const cursors = new Set<string>()
  let after: string | undefined
  for (let pageNumber = 0; pageNumber < pagesMax; pageNumber += 1) {
    const query = new URLSearchParams({ ...request.query, limit: String(pageSize) })
    if (after !== undefined) query.set('after', after)
    const answer = await wire.send({
      method: 'GET',
      path: `${request.path}?${query.toString()}`,
      secret,
      deadline,
    })
    const page = pageOf(answer.body)
    if (page === undefined) return { kind: 'failed', observation: notPromised(answer.observation) }
    for (const entry of page.entries) entries.set(entry.id, entry)
    if (!page.hasMore) return { kind: 'listed', entries: [...entries.values()] }
    // A cursor that does not move on would go round for ever and hide what comes after it.
    if (page.next === undefined || cursors.has(page.next))
      return { kind: 'failed', observation: notPromised(answer.observation) }
    cursors.add(page.next)
    after = page.next
  }
  return { kind: 'failed', observation: { kind: 'no_answer', failure: 'too_large' } }
}

/** A 2xx whose body is not what was promised is nobody's word. */
export function notPromised(observation: Observation): Observation {
  return observation.kind === 'answer' && observation.status <= 299
    ? { ...observation, isIssuers: false }
    : observation
}

export async function listKeys(
  wire: Wire,
  request: {
    readonly projectId: string
    readonly secret: Secret
    readonly deadline: Deadline
    /**
     * Given in the mode of an account per key, where the marker is the name of the account and the key is called
     * "Secret Key": tells keys apart that carry a marker themselves, from before the mode was changed.
     */
    readonly isMarker?: (name: string) => boolean
  },
): Promise<ListOutcome> {
  const listed = await listAll(wire, {
    ...request,
    path: `/organization/projects/${request.projectId}/api_keys`,
    // Without it OpenAI leaves out keys whose owner has no access any more, which may well be alive.
    query: { owner_project_access: 'any' },
  })
  if (listed.kind === 'failed') return listed
  return {
    kind: 'listed',
    keys: listed.entries.map((entry) => issuedKey(entry, request.isMarker)),
  }
}

export function issuedKey(
  entry: Readonly<Record<string, unknown>>,
  isMarker?: (name: string) => boolean,
): IssuedKey {
  const owner = isRecord(entry['owner']) ? entry['owner'] : {}
  const account = isRecord(owner['service_account']) ? owner['service_account'] : undefined
  const accountId = text(account?.['id'])
  const own = text(entry['name']) ?? ''
  const name = isMarker === undefined || isMarker(own) ? own : (text(account?.['name']) ?? own)
  const createdAt = milliseconds(entry['created_at'])
  const expiresAt = milliseconds(entry['expires_at'])
  const lastUsedAt = entry['last_used_at'] === null ? null : milliseconds(entry['last_used_at'])
  const isKnown = owner['type'] === 'service_account' || owner['type'] === 'user'
  return {
    keyId: text(entry['id']) ?? '',
    name,
    redacted: text(entry['redacted_value']) ?? '',
    owner: isKnown ? (owner['type'] as 'service_account' | 'user') : 'unknown',
    ...(accountId === undefined ? {} : { serviceAccount: accountId }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
  }
}

interface Page {
  readonly entries: readonly (Readonly<Record<string, unknown>> & { readonly id: string })[]
  readonly hasMore: boolean
  readonly next: string | undefined
}

function pageOf(body: Readonly<Record<string, unknown>> | undefined): Page | undefined {
  const data = body?.['data']
  if (body?.['object'] !== 'list' || !Array.isArray(data) || typeof body['has_more'] !== 'boolean')
    return undefined
  const entries = (data as unknown[]).filter(hasId)
  if (entries.length !== data.length) return undefined
  return { entries, hasMore: body['has_more'], next: text(body['last_id']) ?? entries.at(-1)?.id }
}

function hasId(value: unknown): value is Readonly<Record<string, unknown>> & { readonly id: string } {
  return isRecord(value) && typeof value['id'] === 'string' && value['id'] !== ''
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Of a key or an account. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(value)
}

/** The last instant that a Date can be, in seconds (ECMA-262, 21.4.1.1): what is later, nobody could show. */
const instantMaxSeconds = 8.64e12

/** OpenAI counts in whole seconds. */
export function milliseconds(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= instantMaxSeconds ? value * 1_000 : undefined
}
