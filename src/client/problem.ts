import type { Problem } from '../api/types.ts'
import type { ErrorCode } from '../core/errors.ts'
import { KeyturnClientError } from './errors.ts'
import { limits } from './limits.ts'
import { isRecord, parseJson } from './wire.ts'

/** What a service may answer a client with. A code beyond these is judged by the status. */
const known = [
  'bad_request',
  'unauthenticated',
  'caller_unverifiable',
  'forbidden',
  'not_found',
  'conflict',
  'payload_too_large',
  'too_many_requests',
  'no_verified_key',
  'stopping',
  'timeout',
  'internal',
] as const satisfies readonly ErrorCode[]

const fixes: Partial<Record<ErrorCode, string>> = {
  unauthenticated:
    'Check KEYTURN_TOKEN or KEYTURN_TOKEN_FILE; an operator makes a new one with `keyturn token`.',
  forbidden: 'Ask an operator for a token that may read this credential.',
  not_found: 'Check KEYTURN_CREDENTIAL and KEYTURN_URL against the configuration of the service.',
  service_malformed: 'Check that KEYTURN_URL is the address of Keyturn, and what stands in front of it.',
}

export interface Refused {
  readonly status: number
  readonly contentType: string
  readonly text: string | undefined
  readonly retryAfter: string | null
  /** What was asked for, e.g. `the credential "openai"`. */
  readonly what: string
  /** The origin that was asked. */
  readonly where: string
  readonly now: number
}

/** A refusal by the service, or by something in front of it, as one sentence and its fix. */
export function refusalError(refused: Refused): KeyturnClientError {
  const { status, what, where } = refused
  const problem = parseProblem(refused)
  const code = problem === undefined ? byStatus(status) : (ownCode(problem.code) ?? byStatus(status))
  const said =
    problem === undefined
      ? 'the answer is not of its making, something in front of it may have refused.'
      : sentenceOf(problem)
  return new KeyturnClientError(code, `Keyturn at ${where} refused ${what} (${status} ${code}): ${said}`, {
    fix: problem?.fix === undefined ? fixes[code] : trimmed(problem.fix),
    status,
    retryable: status >= 500 || status === 429 || status === 408,
    retryAfterMs: parseRetryAfter(refused.retryAfter, refused.now),
  })
}

/** Seconds or an HTTP date, in milliseconds from `now`, bounded; undefined for anything else. */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const ms = /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), limits.retryAfterMsMax)
}

function parseProblem({ contentType, text }: Refused): Pick<Problem, 'code' | 'detail' | 'fix'> | undefined {
  const value = contentType.startsWith('application/problem+json') ? parseJson(text) : undefined
  // The type shows that Keyturn itself speaks; the words of anyone else are not repeated.
  if (!isRecord(value) || !String(value['type']).startsWith('urn:keyturn:error:')) return undefined
  const { code, detail, title, fix } = value
  const sentence = typeof detail === 'string' ? detail : typeof title === 'string' ? title : ''
  return { code: String(code), detail: sentence, ...(typeof fix === 'string' ? { fix } : {}) }
}

function byStatus(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'not_found'
  if (status === 429) return 'too_many_requests'
  return status >= 500 ? 'service_unreachable' : 'service_malformed'
}

function ownCode(code: string): ErrorCode | undefined {
  return known.find((one) => one === code)
}

function sentenceOf(problem: Pick<Problem, 'detail'>): string {
  const sentence = trimmed(problem.detail)
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`
}

/** Without marks that could end a line of a log, colour a terminal or turn the reading direction round. */
function trimmed(text: string): string {
  return text
    .slice(0, limits.detailLengthMax)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ')
    .trim()
}
