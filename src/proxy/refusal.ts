import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { ErrorCode } from '../core/errors.ts'

/** What the proxy says itself, in the shape of OpenAI's errors, so that every SDK shows its sentence and its code. */
export interface Refusal {
  readonly status: number
  readonly code: ErrorCode
  /** What failed and what to do about it. Never holds a secret, nor words of whoever else answered. */
  readonly message: string
  readonly retryAfterSeconds?: number
  /** Trying again is of no use, and SDKs are told so. */
  readonly isFinal?: boolean
  readonly headers?: readonly string[]
}

/** As the `type` of an error, it says who speaks: OpenAI never answers with it. */
const type = 'keyturn_proxy_error'

function refusalBody({ code, message }: Refusal): string {
  return JSON.stringify({ error: { message, type, param: null, code } })
}

function refusalHeaders(refusal: Refusal, body: string): string[] {
  const { retryAfterSeconds, isFinal, headers = [] } = refusal
  return [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
    ...(retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]),
    // OpenAI's own header, which its SDKs heed before they look at the status.
    ...(isFinal === true ? ['X-Should-Retry', 'false'] : []),
    ...headers,
  ]
}

export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const body = refusalBody(refusal)
  response.writeHead(refusal.status, refusalHeaders(refusal, body))
  response.end(body)
}

/** For what never became a request. */
export function rawRefusal(refusal: Refusal): string {
  const body = refusalBody(refusal)
  const headers = [...refusalHeaders(refusal, body), 'Connection', 'close']
  const lines = headers.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${headers[index + 1]}`] : []))
  return [`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`, ...lines, '', body].join('\r\n')
}
