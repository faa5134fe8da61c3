import { isRecord } from '../core/json.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import type { Observation } from '../core/types.ts'
import type { HeaderReader } from './http-fetch.ts'

type Answer = Extract<Observation, { kind: 'answer' }>
type Hint = NonNullable<Answer['hint']>

/** The sentences the driver itself has to tell apart, besides those that classification knows. */
export type Sentence = Hint | 'invalid_url' | 'service_account_key_undeletable'

const sentences: readonly { readonly sentence: Sentence; readonly pattern: RegExp }[] = [
  { sentence: 'missing_scopes', pattern: /^You have insufficient permissions\b/i },
  { sentence: 'no_key_sent', pattern: /^You didn['’]t provide an API key\b/i },
  { sentence: 'incorrect_key', pattern: /^Incorrect API key provided\b/i },
  { sentence: 'invalid_issuer', pattern: /^Your authentication token is not from a valid issuer\b/i },
  { sentence: 'unverified_organization', pattern: /^Your organization must be verified\b/i },
  { sentence: 'request_too_large', pattern: /^Request too large\b/i },
  { sentence: 'invalid_url', pattern: /^Invalid URL\b/i },
  {
    sentence: 'service_account_key_undeletable',
    pattern: /^API keys cannot be deleted for service accounts\b/i,
  },
]
const driverSentences: readonly Sentence[] = ['invalid_url', 'service_account_key_undeletable']

export const modelsMax = 2_000
const scopesMax = 32
const retryAfterMsMax = 24 * 3_600_000
/** No list of scopes stands further back in the message. */
const messageScanned = 2_000

/**
 * Turns an answer into facts. Only short tokens of known alphabets get through, never a sentence: OpenAI's messages echo
 * the first and last characters of whatever was sent, and other servers echo all of it.
 */
export function observe(
  status: number,
  headers: HeaderReader,
  body: unknown,
  now: number,
): { readonly observation: Answer; readonly sentence?: Sentence } {
  const requestId = requestIdOf(headers)
  const error = envelopeOf(body)
  const isPromised = status >= 200 && status <= 299 && isRecord(body) && typeof body['object'] === 'string'
  const isIssuers = requestId !== undefined && (isPromised || error !== undefined)
  const sentence = sentences.find(({ pattern }) => pattern.test(error?.message ?? ''))?.sentence
  const hint = sentence === undefined || driverSentences.includes(sentence) ? undefined : (sentence as Hint)
  const observation: Answer = {
    kind: 'answer',
    status,
    isIssuers,
    ...present('code', token(error?.code, 64)),
    ...present('type', token(error?.type, 64)),
    ...present('hint', hint),
    ...present('missingScopes', hint === 'missing_scopes' ? scopesIn(error?.message ?? '') : undefined),
    ...present('requestId', requestId),
    ...present('organization', token(headers.get('openai-organization'), 128)),
    ...present('project', token(headers.get('openai-project'), 128)),
    ...present('serverAt', instant(headers.get('date'))),
    ...present('retryAfterMs', retryAfter(headers, now)),
  }
  return { observation, ...present('sentence', isIssuers ? sentence : undefined) }
}

/** The ids of a list of models, or undefined where the body is no such list. */
export function modelIds(body: Readonly<Record<string, unknown>> | undefined): readonly string[] | undefined {
  const data = body?.['data']
  if (body?.['object'] !== 'list' || !Array.isArray(data)) return undefined
  const ids: string[] = []
  for (const entry of data.slice(0, modelsMax) as unknown[]) {
    const id = isRecord(entry) ? token(entry['id'], 128) : undefined
    if (id !== undefined) ids.push(id)
  }
  return ids
}

/** `shutdown_date` of a model: the day on which the API stops taking it, once that is announced (deprecations page, 2026-11). */
export function modelEnds(
  body: Readonly<Record<string, unknown>> | undefined,
): ReadonlyMap<string, string> | undefined {
  const data = body?.['data']
  const ends = new Map<string, string>()
  for (const entry of Array.isArray(data) ? (data.slice(0, modelsMax) as unknown[]) : []) {
    if (!isRecord(entry)) continue
    const id = token(entry['id'], 128)
    const day = entry['shutdown_date']
    if (id !== undefined && typeof day === 'string' && dayPattern.test(day)) ends.set(id, day)
  }
  return ends.size === 0 ? undefined : ends
}

const dayPattern = /^\d{4}-\d\d-\d\d$/

interface Envelope {
  readonly message: string
  readonly type: unknown
  readonly code: unknown
}

/** All four fields are required by the published specification; two of them may be null. */
function envelopeOf(body: unknown): Envelope | undefined {
  const error = isRecord(body) ? body['error'] : undefined
  if (!isRecord(error) || typeof error['message'] !== 'string') return undefined
  const isWhole = isText(error['type']) && isText(error['code']) && isText(error['param'])
  return isWhole ? { message: error['message'], type: error['type'], code: error['code'] } : undefined
}

const isText = (value: unknown) => value === null || typeof value === 'string'

/** The id of the request in OpenAI's logs, where it looks like one. */
export function requestIdOf(headers: HeaderReader): string | undefined {
  return token(headers.get('x-request-id'), 128)
}

/** The `error` of an answer in the form of RFC 6749, 5.2. */
export function oauthCode(value: unknown): string | undefined {
  const code = token(value, 64)
  return code !== undefined && /^[a-z0-9_]+$/.test(code) ? code : undefined
}

/** A short word of letters, digits and a few marks that does not look like a key; anything else is dropped. */
function token(value: unknown, charactersMax: number): string | undefined {
  if (typeof value !== 'string' || value.length > charactersMax) return undefined
  return /^[A-Za-z0-9][A-Za-z0-9_.:/-]*$/.test(value) && !looksLikeKey(value) ? value : undefined
}

function scopesIn(message: string): readonly string[] | undefined {
  const list = /Missing scopes?: ([a-z0-9_., ]+)/i.exec(message.slice(0, messageScanned))?.[1]
  const scopes = list
    ?.split(/[\s,]+/)
    .map((scope) => scope.replace(/\.+$/, ''))
    .filter((scope) => /^[a-z0-9_]+(?:\.[a-z0-9_]+)+$/.test(scope) && !looksLikeKey(scope))
    .slice(0, scopesMax)
  return scopes === undefined || scopes.length === 0 ? undefined : scopes
}

function instant(text: string | null): number | undefined {
  const at = text === null ? Number.NaN : Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

/** Whole seconds or an HTTP date; bounded, so that no answer can silence the probes for longer than a day. */
export function retryAfter(headers: HeaderReader, now: number): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const at = instant(text)
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : at === undefined ? undefined : at - now
  return ms === undefined ? undefined : Math.min(Math.max(0, ms), retryAfterMsMax)
}

function present<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [key in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [key in Name]?: Value }
}
