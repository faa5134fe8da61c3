import { statusOf } from '../api/status.ts'
import type { Problem } from '../api/types.ts'
import type { KeyturnError } from '../core/errors.ts'

/** An answer that refuses: the error, and what the protocol wants beside it. */
export interface Refusal {
  readonly error: KeyturnError
  /** Where the protocol has a finer status than the code of the error (414, 421, 431). */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

export const problemType = 'application/problem+json'
export const requestIdHeader = 'x-request-id'

const retryAfterSecondsDefault = 5

export function problemStatus(refusal: Refusal): number {
  return refusal.status ?? statusOf(refusal.error.code)
}

export function problemBody(refusal: Refusal, requestId: string): string {
  const { error } = refusal
  const problem: Problem = {
    type: `urn:keyturn:error:${error.code}`,
    title: titleOf(error.code),
    status: problemStatus(refusal),
    code: error.code,
    detail: error.message,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    instance: `urn:keyturn:request:${requestId}`,
  }
  return JSON.stringify(problem)
}

/** All headers of a problem but its length. */
export function problemHeaders(refusal: Refusal, requestId: string): Record<string, string> {
  const status = problemStatus(refusal)
  return {
    'content-type': problemType,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    [requestIdHeader]: requestId,
    ...(status === 401 ? { 'www-authenticate': 'Bearer realm="keyturn"' } : {}),
    ...(status === 503 || status === 429 ? { 'retry-after': retryAfter(refusal.error) } : {}),
    ...refusal.headers,
  }
}

/** A whole HTTP answer as text, for sockets on which no request could be parsed. Closes the connection. */
export function rawProblem(refusal: Refusal, requestId: string): string {
  const body = problemBody(refusal, requestId)
  const status = problemStatus(refusal)
  const headers = {
    ...problemHeaders(refusal, requestId),
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const { STATUS_CODES } = process.getBuiltinModule('node:http')
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n${lines.join('')}\r\n${body}`
}

function retryAfter(error: KeyturnError): string {
  const seconds = error.retryAfterMs === undefined ? retryAfterSecondsDefault : error.retryAfterMs / 1_000
  return String(Math.max(1, Math.ceil(seconds)))
}

function titleOf(code: string): string {
  const words = code.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}
