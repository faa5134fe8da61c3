import type { IncomingMessage } from 'node:http'
import { type DeliveryOutcome, retryAfterMsMax } from '../core/alert-deliveries.ts'
import { errnoOf } from '../core/errno.ts'
import { explainFailure } from '../core/transport-failure.ts'

/** One request to a receiver, and what it said. Its answer's text is not looked at: it is somebody else's. */
export interface Post {
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly body: string
}

export type Send = (post: Post) => Promise<DeliveryOutcome>

export const timeoutMsDefault = 10_000

/** So much of an answer is let in, for the connection to be used again; what goes on is cut off. */
const answerBytesMax = 65_536

/**
 * One POST, never repeated here; redirects are not followed. Neither the address nor anything of the answer goes into
 * the outcome: addresses of chat webhooks are secrets. The status decides: who has said that it has the notice, has it,
 * whatever becomes of the rest of the answer.
 */
export function createSend(timeoutMs: number): Send {
  return async ({ url, headers = {}, contentType = 'application/json', body }) => {
    const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http')
    const signal = AbortSignal.timeout(timeoutMs)
    const sent = {
      ...headers,
      'content-type': contentType,
      'content-length': String(Buffer.byteLength(body)),
    }
    return await new Promise<DeliveryOutcome>((resolve) => {
      const asked = request(url, { method: 'POST', headers: sent, signal }, (response) => {
        resolve(outcomeOf(response))
        let bytes = 0
        response.on('error', () => undefined)
        response.on('data', (part: Buffer) => {
          bytes += part.length
          if (bytes > answerBytesMax) response.destroy()
        })
      })
      asked.on('error', (error) => resolve(unanswered(error, signal.aborted)))
      asked.on('close', () => resolve(failed('the connection broke off', { isUnsure: true })))
      asked.end(body)
    }).catch(unsendable)
  }
}

function outcomeOf({ statusCode: status = 0, headers }: IncomingMessage): DeliveryOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const summary = `it answered with status ${status}`
  // Too early, too often, or a fault of its own: later it may take it.
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const isUnsure = status !== 429 && status !== 503
    const retryAfterMs = restMs(headers['retry-after'], headers.date)
    return failed(summary, { isUnsure, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
  }
  const isElsewhere = status >= 300 && status < 400
  const why = isElsewhere ? ': redirects are not followed, write the address that it leads to' : ''
  return failed(`${summary}${why}`, { isPermanent: true })
}

/** Seconds, or an instant by the receiver's own clock (RFC 9110, 10.2.3). */
function restMs(retryAfter: string | undefined, date: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined
  const ms = /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * 1_000
    : Date.parse(retryAfter) - Date.parse(date ?? '')
  return Number.isNaN(ms) || retryAfter.startsWith('-')
    ? undefined
    : Math.min(Math.max(0, ms), retryAfterMsMax)
}

/** By the code of the error alone: its message may hold the address. */
function unanswered(error: Error, isLate: boolean): DeliveryOutcome {
  if (isLate) return failed('no answer in time', { isUnsure: true })
  const { failure } = explainFailure(error)
  const code = errnoOf(error) ?? 'unknown'
  if (failure === 'tls') return untrusted(code)
  const isSent = failure !== 'dns' && failure !== 'connect'
  return failed(`the connection failed (${code})`, { isUnsure: isSent })
}

/** For a person to mend: nothing was sent, and nothing will be. */
export function untrusted(code: string): DeliveryOutcome {
  const mend = 'check the name and the port, or give NODE_EXTRA_CA_CERTS the authority of its certificate'
  return failed(`TLS with it failed (${code}): ${mend}`, { isPermanent: true })
}

function unsendable(thrown: unknown): DeliveryOutcome {
  const { code } = thrown as { readonly code?: unknown }
  if (code !== 'ERR_INVALID_CHAR') throw thrown
  const summary =
    'its secret has characters that no request can carry: keep the bare secret there, on one line'
  return failed(summary, { isPermanent: true })
}

export function failed(
  summary: string,
  {
    isPermanent = false,
    isUnsure = false,
    retryAfterMs,
  }: { readonly isPermanent?: boolean; readonly isUnsure?: boolean; readonly retryAfterMs?: number } = {},
): DeliveryOutcome {
  return {
    kind: 'failed',
    summary,
    isPermanent,
    isUnsure,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}
