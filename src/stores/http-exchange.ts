import type { System } from '../core/ports.ts'
import type { StoreFetch, StoreFetchInit, StoreTls } from './http-transport.ts'
import { parseJson } from './plain-text.ts'

export interface HttpRequest {
  readonly method: StoreFetchInit['method']
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly tls?: StoreTls
  /** From the connection to the last byte of the answer. */
  readonly timeoutMs: number
}

export type HttpOutcome =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly retryAfterMs?: number
      /** Undefined where the answer is not JSON, e.g. a proxy's page. */
      readonly json: unknown
      readonly isEmpty: boolean
    }
  | { readonly kind: 'none'; readonly failure: HttpFailure; readonly code: string }

/** `tls`: the other side could not prove who it is. All but `too_large` leave open whether the request was carried out. */
export type HttpFailure = 'timeout' | 'tls' | 'network' | 'too_large' | 'closed'

/** A Secret of Kubernetes is at most 1 MiB; base64 and managed fields stay far below this. */
const bodyBytesMax = 4 * 1024 * 1024
/** What a server may ask for at most before its next answer; longer waits are the caller's next round. */
const retryAfterMsMax = 30_000

export interface HttpExchange {
  /** Exactly one attempt. Never throws for what the network or the other side does. */
  send(request: HttpRequest): Promise<HttpOutcome>
  close(): void
}

/** One request and its whole answer under one timeout, whatever the transport heeds. */
export function createExchange(fetch: StoreFetch, system: System): HttpExchange {
  const open = new Set<AbortController>()
  let isClosed = false
  return {
    async send(request) {
      if (isClosed) return { kind: 'none', failure: 'closed', code: 'CLOSED' }
      const controller = new AbortController()
      open.add(controller)
      const over = Promise.withResolvers<HttpOutcome>()
      const end = (failure: 'timeout' | 'closed'): void => {
        over.resolve({ kind: 'none', failure, code: failure.toUpperCase() })
        controller.abort(failure)
      }
      const cancel = system.after(request.timeoutMs, () => end('timeout'), { background: true })
      controller.signal.addEventListener('abort', () => end('closed'), { once: true })
      try {
        // The race is for a transport that does not heed its signal.
        return await Promise.race([attempt(fetch, request, controller.signal, system), over.promise])
      } finally {
        cancel()
        open.delete(controller)
      }
    },
    close() {
      isClosed = true
      for (const controller of open) controller.abort('closed')
    },
  }
}

async function attempt(
  fetch: StoreFetch,
  { method, url, headers, body, tls }: HttpRequest,
  signal: AbortSignal,
  system: System,
): Promise<HttpOutcome> {
  try {
    const response = await fetch(url, {
      method,
      headers,
      signal,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
      ...(tls === undefined ? {} : { tls }),
    })
    const text = await readText(response.body)
    if (text === undefined) return { kind: 'none', failure: 'too_large', code: 'BODY_TOO_LARGE' }
    const retryAfterMs = readRetryAfter(response.headers.get('retry-after'), system.now())
    return {
      kind: 'answer',
      status: response.status,
      json: parseJson(text),
      isEmpty: text === '',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }
  } catch (thrown) {
    const code = codeOf(thrown)
    return { kind: 'none', failure: isTls(code) ? 'tls' : 'network', code }
  }
}

async function readText(body: AsyncIterable<Uint8Array> | null): Promise<string | undefined> {
  if (body === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Seconds or a date, as HTTP has it. */
function readRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), retryAfterMsMax)
}

/** Node's own name for what went wrong; messages are never looked at. */
function codeOf(thrown: unknown): string {
  const errors: unknown[] = [thrown]
  if (thrown instanceof Error) errors.push(thrown.cause)
  for (const error of errors) {
    if (typeof error !== 'object' || error === null || !('code' in error)) continue
    if (typeof error.code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(error.code)) return error.code
  }
  return 'UNKNOWN'
}

/** What Node says of TLS with a port that answers in the clear; and of a handshake that broke off in another way. */
export function isWithoutTls(code: string): boolean {
  return code === 'EPROTO' || /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code)
}

function isTls(code: string): boolean {
  return /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/.test(
    code,
  )
}
