import { isRecord } from '../../core/json.ts'
import type { Secret } from '../../core/secret.ts'
import type { Observation } from '../../core/types.ts'
import type { DoctorContext } from '../context.ts'
import type { Attempt, RawAnswer } from '../network.ts'
import type { Way } from './layers.ts'

export interface KeyedRequest {
  readonly method: 'GET' | 'POST'
  /** Below the base URL, with a leading slash. */
  readonly path: string
  readonly secret: Secret
  readonly organization?: string | undefined
  readonly project?: string | undefined
  readonly body?: Readonly<Record<string, unknown>>
}

/** One request with a key, to the target alone: over TLS that is trusted, or on this machine. */
export async function requestWithKey(
  { network }: Pick<DoctorContext, 'network'>,
  { target, proxy }: Way,
  { method, path, secret, organization, project, body }: KeyedRequest,
  timeoutMs: number,
): Promise<Attempt<RawAnswer>> {
  if (!target.maySendKey) return { kind: 'failed', failure: 'unsendable', tookMs: 0 }
  return await network.request(
    {
      url: `${target.baseUrl}${path}`,
      method,
      headers: {
        accept: 'application/json',
        'user-agent': 'keyturn',
        ...(organization === undefined ? {} : { 'openai-organization': organization }),
        ...(project === undefined ? {} : { 'openai-project': project }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        authorization: `Bearer ${secret.reveal()}`,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(proxy?.url === undefined ? {} : { proxy: proxy.url }),
    },
    timeoutMs,
  )
}

/** What the answer's JSON is, or undefined. */
export function jsonOf(
  attempt: Attempt<RawAnswer> | undefined,
): Readonly<Record<string, unknown>> | undefined {
  if (attempt?.kind !== 'done') return undefined
  try {
    const value: unknown = JSON.parse(attempt.answer.body)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The refusal in an answer as an observation: names alone, never the message. */
export function observed(attempt: Attempt<RawAnswer>): Observation {
  if (attempt.kind === 'failed') return { kind: 'no_answer', failure: attempt.failure }
  const { status, headers } = attempt.answer
  const json = jsonOf(attempt)
  const error = json?.['error']
  const [code, type] = isRecord(error) ? [wordOf(error['code']), wordOf(error['type'])] : []
  const requestId = wordOf(headers['x-request-id'])
  return {
    kind: 'answer',
    status,
    isIssuers: requestId !== undefined && (isRecord(error) || typeof json?.['object'] === 'string'),
    ...(code === undefined ? {} : { code }),
    ...(type === undefined ? {} : { type }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^[a-z0-9_.:-]{1,64}$/i.test(value) ? value : undefined
}
