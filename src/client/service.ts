import { headers as names } from '../api/types.ts'
import { orAborted } from './deadline.ts'
import { KeyturnClientError } from './errors.ts'
import { limits } from './limits.ts'
import type { Platform } from './platform.ts'
import { refusalError } from './problem.ts'
import type { Settings } from './settings.ts'
import { tlsFixes } from './tls-fixes.ts'
import { isRecord, readText, type Send, type WireAnswer } from './wire.ts'

/** One service and one credential of it, as every exchange with it needs them. */
export interface Service {
  readonly settings: Settings
  readonly platform: Platform
  readonly where: string
  readonly what: string
  readonly quietSend: Send
  readonly url: (path: string, hold?: number) => URL
  /** A disk that gives the token too late is waited for until the signal. */
  readonly headers: (inFlight: number | undefined, signal: AbortSignal) => Promise<Record<string, string>>
  readonly refusal: (answer: WireAnswer, what?: string) => Promise<KeyturnClientError>
}

export function describeService(
  settings: Settings & { readonly url: URL },
  platform: Platform,
  quietSend: Send,
): Service {
  const { url: base, instance, credential } = settings
  const what = `the credential "${credential}"`
  const where = base.origin
  return {
    settings,
    platform,
    where,
    what,
    quietSend,
    url: (path, hold) => {
      const url = new URL(base)
      url.pathname = base.pathname.replace(/\/+$/, '') + path
      url.search = hold === undefined ? '' : `?wait=${hold}`
      url.hash = ''
      return url
    },
    headers: async (inFlight, signal) => {
      const token = await orAborted(settings.token(), signal)
      return {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        [names.instance]: instance,
        ...(inFlight === undefined ? {} : { [names.inFlight]: String(inFlight) }),
      }
    },
    refusal: async (answer, asked) =>
      refusalError({
        status: answer.status,
        contentType: answer.header('content-type') ?? '',
        text: await readText(answer.body, limits.bodyBytesMax),
        retryAfter: answer.header('retry-after'),
        what: asked ?? what,
        where,
        now: platform.now(),
      }),
  }
}

/** What a failed exchange means. A cause is kept for the curious; its text is not repeated. */
export function connectionError(thrown: unknown, signal: AbortSignal, service: Service): KeyturnClientError {
  if (thrown instanceof KeyturnClientError) return thrown
  if (signal.aborted && signal.reason instanceof KeyturnClientError) return signal.reason
  const reason = causeCode(thrown)
  return new KeyturnClientError(
    'service_unreachable',
    `Keyturn at ${service.where} cannot be reached for ${service.what}${reason === undefined ? '' : ` (${reason})`}.`,
    {
      fix: tlsFixes[reason ?? ''] ?? 'Check that it runs and that KEYTURN_URL is its address.',
      retryable: true,
      cause: thrown,
    },
  )
}

function causeCode(thrown: unknown): string | undefined {
  const inner = isRecord(thrown) && isRecord(thrown['cause']) ? thrown['cause'] : thrown
  const code = isRecord(inner) ? inner['code'] : undefined
  return typeof code === 'string' && /^[A-Z_0-9]{1,80}$/.test(code) ? code : undefined
}

export function malformed({ where, what }: Service): KeyturnClientError {
  return new KeyturnClientError(
    'service_malformed',
    `What ${where} answered for ${what} is not an answer of Keyturn.`,
    {
      fix: 'Check that KEYTURN_URL is the address of Keyturn, and what stands in front of it.',
      retryable: true,
    },
  )
}
