import { transportFailure } from '../core/transport-failure.ts'
import type { TransportFailure } from '../core/types.ts'
import type { HeaderReader, IssuerResponse } from './http-fetch.ts'
import type { IssuerContext } from './openai-wire.ts'

export interface OneRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
  /** A longer answer is `too_large`. */
  readonly bodyBytesMax: number
  /** Breaks it off: `aborted`. */
  readonly signal: AbortSignal
}

export type OneAnswer =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers: HeaderReader
      readonly text: string
    }
  | { readonly kind: 'no_answer'; readonly failure: TransportFailure }

/** Exactly one request, bounded in time and size, no redirect followed. Never rejects for what the network does. */
export async function requestOnce(
  request: OneRequest,
  { system, fetch }: Pick<IssuerContext, 'system' | 'fetch'>,
): Promise<OneAnswer> {
  const timeout = new AbortController()
  const signal = AbortSignal.any([request.signal, timeout.signal])
  const { promise: over, resolve } = Promise.withResolvers<OneAnswer>()
  const whyOver = (): OneAnswer => ({
    kind: 'no_answer',
    failure: timeout.signal.aborted ? 'timeout' : 'aborted',
  })
  const cancel = system.after(request.timeoutMs, () => timeout.abort(), { background: true })
  signal.addEventListener('abort', () => resolve(whyOver()))
  try {
    if (signal.aborted) return whyOver()
    const { method, url, headers, body } = request
    const sending = fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal,
      redirect: 'manual',
    }).then((response) => answerOf(response, request.bodyBytesMax))
    // A fetch that does not heed its signal must not hold the caller up either.
    return await Promise.race([
      sending.catch((thrown: unknown): OneAnswer => {
        return signal.aborted ? whyOver() : { kind: 'no_answer', failure: transportFailure(thrown) }
      }),
      over,
    ])
  } finally {
    cancel()
  }
}

async function answerOf(response: IssuerResponse, bodyBytesMax: number): Promise<OneAnswer> {
  const { status, headers, body } = response
  if (response.type === 'opaqueredirect' || (status >= 300 && status <= 399)) {
    body?.cancel?.().catch(() => undefined)
    return { kind: 'no_answer', failure: 'redirect' }
  }
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    // Leaving the loop takes the connection down.
    if (bytes > bodyBytesMax) return { kind: 'no_answer', failure: 'too_large' }
    text += decoder.decode(chunk, { stream: true })
  }
  return { kind: 'answer', status, headers, text: text + decoder.decode() }
}
