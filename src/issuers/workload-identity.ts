import { isRecord } from '../core/json.ts'
import type { ExchangeOutcome, Exchanger } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { HeaderReader } from './http-fetch.ts'
import { oauthCode, requestIdOf, retryAfter } from './openai-observe.ts'
import type { IssuerContext } from './openai-wire.ts'
import { checkedBaseUrl } from './openai-wire.ts'
import { requestOnce } from './request-once.ts'
import type { SubjectTokenSource } from './subject-token.ts'
import { subjectToken } from './subject-tokens.ts'

export interface WorkloadIdentityOptions {
  /** OpenAI's identity-provider resource that trusts this workload's tokens. */
  readonly provider: string
  /** The service account that the workload becomes. */
  readonly serviceAccount: string
  /** Sent as `client_id` where it is given. */
  readonly clientId?: string
  readonly subjectToken: SubjectTokenSource
  /** What kind of token it is. Default: `id` of Google's metadata server, else `jwt`. */
  readonly tokenType?: 'jwt' | 'id'
  /** Default https://auth.openai.com/oauth/token. HTTPS except on loopback, else `config_invalid`. */
  readonly tokenUrl?: string
  /** For obtaining the subject token and for the exchange, each. 100 to 60,000 ms, default 10,000. */
  readonly timeoutMs?: number
}

export const defaultTokenUrl = 'https://auth.openai.com/oauth/token'
const defaultTimeoutMs = 10_000
/** Where the answer does not say how long the token lives; the same as OpenAI's own SDK assumes. */
const defaultLifetimeSeconds = 3_600
/** A token that says it lives longer is treated as one that lives this long: it is fetched anew every day at least. */
const lifetimeSecondsMax = 86_400
const bodyBytesMax = 262_144

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const subjectTokenTypes = {
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  id: 'urn:ietf:params:oauth:token-type:id_token',
} as const

/**
 * OpenAI's token exchange (RFC 8693) as its official SDK speaks it: JSON, with the provider and the service account
 * beside the subject token (openai 7.55, November 2026).
 */
export function createWorkloadIdentity(
  options: WorkloadIdentityOptions,
  context: IssuerContext & { readonly env: Readonly<Record<string, string | undefined>> },
): Exchanger {
  const url = checkedBaseUrl(options.tokenUrl ?? defaultTokenUrl)
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs
  const { subjectToken: source } = options
  const tokenType = options.tokenType ?? (source.kind === 'google' ? 'id' : 'jwt')
  const closing = new AbortController()
  const { signal } = closing
  return {
    async exchange() {
      const subject = await subjectToken(source, { ...context, timeoutMs, signal })
      if (subject.kind === 'problem') return { kind: 'no_subject', problem: subject.problem }
      const answer = await requestOnce(
        {
          method: 'POST',
          url,
          headers: {
            accept: 'application/json',
            'content-type': 'application/json',
            'user-agent': 'keyturn',
          },
          body: JSON.stringify({
            grant_type: grantType,
            subject_token_type: subjectTokenTypes[tokenType],
            identity_provider_id: options.provider,
            service_account_id: options.serviceAccount,
            ...(options.clientId === undefined ? {} : { client_id: options.clientId }),
            subject_token: subject.token.reveal(),
          }),
          timeoutMs,
          bodyBytesMax,
          signal,
        },
        context,
      )
      if (answer.kind === 'no_answer') return answer
      const body = parse(answer.text)
      return issued(answer.status, body) ?? declined(answer, body, context.system.now())
    },
    async close() {
      closing.abort()
    },
  }
}

function issued(status: number, body: unknown): ExchangeOutcome | undefined {
  if (status < 200 || status > 299 || !isRecord(body)) return undefined
  const token = body['access_token']
  const type = body['token_type']
  const seconds = body['expires_in'] ?? defaultLifetimeSeconds
  // Its shape is nobody's business (no `sk-`), but it has to fit into a header.
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,65536}$/.test(token)) return undefined
  if (type !== undefined && (typeof type !== 'string' || type.toLowerCase() !== 'bearer')) return undefined
  if (typeof seconds !== 'number' || !(seconds > 0)) return undefined
  const lifetimeMs = Math.round(Math.min(seconds, lifetimeSecondsMax) * 1_000)
  return lifetimeMs < 1 ? undefined : { kind: 'issued', token: new Secret(token), lifetimeMs }
}

function declined(
  { status, headers }: { readonly status: number; readonly headers: HeaderReader },
  body: unknown,
  now: number,
): ExchangeOutcome {
  const code = isRecord(body) ? oauthCode(body['error']) : undefined
  const requestId = requestIdOf(headers)
  const retryAfterMs = retryAfter(headers, now)
  return {
    kind: 'answer',
    status,
    isOAuth: code !== undefined,
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
