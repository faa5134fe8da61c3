import type { DeliveryOutcome } from '../core/alert-deliveries.ts'

/** One request to a receiver, and what it said. Its answer's text is not looked at: it is somebody else's. */
export interface Post {
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly body: string
}

export type Send = (post: Post) => Promise<DeliveryOutcome>

export const timeoutMsDefault = 10_000

/**
 * One POST, never repeated here; redirects are not followed. Neither the address nor anything of the answer goes into
 * the outcome: addresses of chat webhooks are secrets.
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
        const { statusCode = 0, headers: told } = response
        response.on('error', () => resolve(failed('the answer broke off', { isUnsure: true })))
        response.on('end', () => resolve(outcomeOf(statusCode, told['retry-after'])))
        response.resume()
      })
      asked.on('error', (error) => resolve(unanswered(error, signal.aborted)))
      asked.end(body)
    })
  }
}

function outcomeOf(status: number, retryAfter: string | undefined): DeliveryOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const summary = `it answered with status ${status}`
  // Too early, too often, or a fault of its own: later it may take it.
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) : undefined
    const isUnsure = status !== 429 && status !== 503
    return failed(summary, { isUnsure, ...(seconds === undefined ? {} : { retryAfterMs: seconds * 1_000 }) })
  }
  return failed(summary, { isPermanent: true })
}

/** By the code of the error alone: its message may hold the address. */
function unanswered(error: Error, isLate: boolean): DeliveryOutcome {
  if (isLate) return failed('no answer in time', { isUnsure: true })
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
  const isNotSent = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code)
  return failed(`the connection failed (${code})`, { isUnsure: !isNotSent })
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
