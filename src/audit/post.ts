import { createHmac } from 'node:crypto'
import type { Clock } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'

/** Somebody's server that takes rows, heads or exports as JSON lines. */
export interface WebhookOptions {
  /** HTTPS, or HTTP to this machine. */
  readonly url: string
  /** Read at every use, so that a turned secret is used at once. */
  readonly bearer?: () => Promise<Secret>
  readonly hmac?: () => Promise<Secret>
  readonly timeoutMs?: number
  readonly clock: Clock
}

const timeoutMsDefault = 5_000

/** Why a server did not take it; its answer's text stays out. */
export class WebhookRefused extends Error {
  override readonly name = 'WebhookRefused'
  readonly code: string
  constructor(code: string) {
    super(`the webhook did not take it: ${code}`)
    this.code = code
  }
}

/**
 * One POST, never repeated here; a redirect is an answer like any that is not 2xx, so rows go nowhere but where the
 * configuration says. `Keyturn-Signature: t=<milliseconds>,v1=<hex of HMAC-SHA-256 over "<t>.<body>">`.
 */
export async function post(options: WebhookOptions, body: string): Promise<void> {
  const url = new URL(options.url)
  const headers: Record<string, string> = {
    'content-type': 'application/x-ndjson',
    'content-length': String(Buffer.byteLength(body)),
  }
  if (options.bearer !== undefined) headers['authorization'] = `Bearer ${(await options.bearer()).reveal()}`
  if (options.hmac !== undefined) {
    const at = options.clock.now()
    const mac = createHmac('sha256', (await options.hmac()).reveal())
      .update(`${at}.${body}`)
      .digest('hex')
    headers['keyturn-signature'] = `t=${at},v1=${mac}`
  }
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const timeout = options.timeoutMs ?? timeoutMsDefault
  await new Promise<void>((resolve, reject) => {
    const signal = AbortSignal.timeout(timeout)
    const sent = request(url, { method: 'POST', headers, signal }, (response) => {
      const status = response.statusCode ?? 0
      response.on('error', reject)
      response.on('end', () => {
        if (status >= 200 && status < 300) resolve()
        else reject(new WebhookRefused(`status ${status}`))
      })
      response.resume()
    })
    sent.on('error', (error) => reject(signal.aborted ? new WebhookRefused('no answer in time') : error))
    sent.end(body)
  })
}

/** For people: without path, which may be a secret. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'webhook'
}
