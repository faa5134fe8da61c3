// Everything that goes onto the wire, well-formed or on purpose not.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { JsonReply, Services, StreamReply } from './call.ts'
import { find } from './faults.ts'
import type { Fault } from './knobs.ts'
import type { KeyRecord } from './records.ts'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly services: Services
  readonly startedAt: number
  readonly edge: number
  readonly requestId: string
  readonly faults: readonly Fault[]
  /** Aborted when the sandbox closes. */
  readonly closing: AbortSignal
  /** Aborted when the sandbox closes or the caller is gone. */
  readonly signal: AbortSignal
  readonly noteStatus: (status: number) => void
}

export function sendJson(exchange: Exchange, reply: JsonReply, key: KeyRecord | undefined): void {
  const { response, faults } = exchange
  const whole = Buffer.from(JSON.stringify(reply.body))
  const isNotJson = find(faults, 'not_json') !== undefined
  const bytes = isNotJson ? whole.subarray(0, whole.length >> 1) : whole
  exchange.noteStatus(reply.status)
  response.sendDate = false
  response.writeHead(reply.status, {
    ...openaiHeaders(exchange, key),
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    ...reply.headers,
  })
  const half = bytes.subarray(0, bytes.length >> 1)
  if (find(faults, 'reset_midway') !== undefined) response.write(half, () => resetConnection(response))
  else if (find(faults, 'truncated') !== undefined) response.write(half, () => response.socket?.end())
  else response.end(bytes)
}

/** After this many pieces a stream is cut, where a fault says so. */
const PIECES_BEFORE_RESET = 3

export async function sendStream(
  exchange: Exchange,
  reply: StreamReply,
  key: KeyRecord | undefined,
): Promise<void> {
  const { response, faults, signal } = exchange
  exchange.noteStatus(200)
  response.sendDate = false
  response.writeHead(200, {
    ...openaiHeaders(exchange, key),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...reply.headers,
  })
  response.flushHeaders()
  const isReset = find(faults, 'reset_midway') !== undefined
  const isTruncated = find(faults, 'truncated') !== undefined
  let pieces = 0
  await reply.run(async (text) => {
    if (response.destroyed || response.socket === null) return false
    if ((isReset || isTruncated) && pieces === PIECES_BEFORE_RESET) {
      if (isReset) resetConnection(response)
      else response.socket.end()
      return false
    }
    pieces += 1
    if (!response.write(text)) await drained(response)
    return !response.destroyed
  }, signal)
  if (!response.destroyed && !(isReset || isTruncated)) response.end()
}

async function drained(response: ServerResponse): Promise<void> {
  const done = new AbortController()
  await Promise.race([
    once(response, 'drain', { signal: done.signal }),
    once(response, 'close', { signal: done.signal }),
  ])
  done.abort()
}

/** Keeps the request open until the caller gives up or the sandbox closes. */
export async function sendHang(exchange: Exchange): Promise<void> {
  exchange.request.resume()
  if (!exchange.signal.aborted) await once(exchange.signal, 'abort')
  exchange.response.destroy()
}

export function sendReset(exchange: Exchange): void {
  resetConnection(exchange.response)
}

const PAGE = `<!DOCTYPE html>
<html><head><title>Network sign-in</title></head>
<body><h1>Sign in to continue</h1><p>This page is from your network, not from the site you asked for.</p></body></html>
`

/** What a proxy or a captive portal puts in OpenAI's place: HTML, and no request id. */
export function sendPage(exchange: Exchange, status: number): void {
  exchange.noteStatus(status)
  exchange.request.resume()
  exchange.response.writeHead(status, {
    server: 'proxy',
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(PAGE)),
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="proxy"' } : {}),
  })
  exchange.response.end(PAGE)
}

export function sendRedirect(exchange: Exchange, location: string, status: number): void {
  exchange.noteStatus(status)
  exchange.request.resume()
  exchange.response.writeHead(status, { server: 'proxy', location, 'content-length': '0' })
  exchange.response.end()
}

function openaiHeaders(exchange: Exchange, key: KeyRecord | undefined): Record<string, string> {
  const { services, startedAt, edge, requestId, closing } = exchange
  const knobs = services.knobs.current()
  const now = services.now()
  return {
    date: new Date(now + knobs.dateSkewMs).toUTCString(),
    server: 'keyturn-sandbox',
    'cf-ray': `${requestId.slice(-16)}-SB${edge}`,
    'x-request-id': requestId,
    'openai-version': '2020-10-01',
    'openai-processing-ms': String(Math.max(1, now - startedAt)),
    ...(key === undefined ? {} : { 'openai-organization': key.organization }),
    ...(key === undefined || key.project === null || !knobs.projectHeader
      ? {}
      : { 'openai-project': key.project }),
    ...(closing.aborted ? { connection: 'close' } : {}),
  }
}

function resetConnection(response: ServerResponse): void {
  response.socket?.resetAndDestroy()
}
