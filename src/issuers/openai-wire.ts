import { KeyturnError } from '../core/errors.ts'
import { isRecord } from '../core/json.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import type { Log, System } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import { transportFailure } from '../core/transport-failure.ts'
import type { Observation, TransportFailure } from '../core/types.ts'
import type { IssuerFetch, IssuerResponse } from './http-fetch.ts'
import { observe, type Sentence } from './openai-observe.ts'

export interface IssuerContext {
  readonly system: System
  readonly log: Log
  readonly fetch: IssuerFetch
}

export interface WireRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below the base URL, with a leading slash; every part of it already encoded. */
  readonly path: string
  readonly secret: Secret
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readonly<Record<string, unknown>>
  readonly deadline: Deadline
  readonly probe?: string
}

export interface WireAnswer {
  readonly observation: Observation
  /** The parsed body of a 2xx in the issuer's form. It may hold a key: it must not leave the driver. */
  readonly body?: Readonly<Record<string, unknown>>
  /** Which known sentence a refusal began with, finer than the observation's hint. */
  readonly sentence?: Sentence
}

export interface Deadline {
  readonly signal: AbortSignal
  /** Settles, without ever failing, when the time is over or the wire was closed. */
  readonly over: Promise<TransportFailure>
  end(): void
}

export interface Wire {
  /** Everything done under one deadline ends within the timeout together. The caller calls `end`. */
  deadline(timeoutMs?: number): Deadline
  /** Exactly one attempt. Never throws for what the network or the other side does. */
  send(request: WireRequest): Promise<WireAnswer>
  close(): void
}

export interface WireOptions {
  readonly baseUrl: string
  readonly timeoutMs: number
}

/** The largest answer that is read: a page of 100 keys or all models stay below a tenth of it. */
export const bodyBytesMax = 4 * 1024 * 1024

/**
 * One function for all calls, of probes and of administration. The official SDK would do for the latter, but it retries
 * unless told not to, turns error bodies into exceptions whose messages hold the issuer's text, follows redirects, and
 * costs start-up time; six endpoints do not need it. Its types are held against ours in test/issuers.
 */
export function createWire(options: WireOptions, context: IssuerContext): Wire {
  const open = new Set<AbortController>()
  let isClosed = false
  return {
    deadline(timeoutMs = options.timeoutMs) {
      const controller = new AbortController()
      open.add(controller)
      const { promise: over, resolve } = Promise.withResolvers<TransportFailure>()
      const cancel = context.system.after(timeoutMs, () => controller.abort('timeout'), { background: true })
      controller.signal.addEventListener('abort', () =>
        resolve(controller.signal.reason === 'timeout' ? 'timeout' : 'aborted'),
      )
      if (isClosed) controller.abort('closed')
      return {
        signal: controller.signal,
        over,
        end: () => {
          cancel()
          open.delete(controller)
        },
      }
    },
    async send(request) {
      const probe = request.probe === undefined ? {} : { probe: request.probe }
      const failed = (failure: TransportFailure): WireAnswer => ({
        observation: { kind: 'no_answer', failure, ...probe },
      })
      if (request.deadline.signal.aborted) return failed(await request.deadline.over)
      if (!isSendable(request.secret)) return failed('unsendable')
      // A fetch that does not heed its signal must not hold the caller up either.
      return await Promise.race([
        exchange(request, options.baseUrl, context).then(
          (answer) => ({ ...answer, observation: { ...answer.observation, ...probe } }),
          async (thrown: unknown) =>
            failed(request.deadline.signal.aborted ? await request.deadline.over : failureOf(thrown)),
        ),
        request.deadline.over.then(failed),
      ])
    },
    close() {
      isClosed = true
      for (const controller of open) controller.abort('closed')
    },
  }
}

/** Called off from inside, with the failure it stands for. Never leaves this file. */
class Stopped extends Error {
  readonly failure: TransportFailure

  constructor(failure: TransportFailure) {
    super(failure)
    this.failure = failure
  }
}

const failureOf = (thrown: unknown) => (thrown instanceof Stopped ? thrown.failure : transportFailure(thrown))

async function exchange(request: WireRequest, baseUrl: string, context: IssuerContext): Promise<WireAnswer> {
  const response = await context.fetch(`${baseUrl}${request.path}`, {
    method: request.method,
    redirect: 'manual',
    signal: request.deadline.signal,
    headers: {
      accept: 'application/json',
      'user-agent': 'keyturn',
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...request.headers,
      authorization: `Bearer ${request.secret.reveal()}`,
    },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  })
  if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status <= 399)) {
    drop(response.body)
    throw new Stopped('redirect')
  }
  const text = await readText(response.body)
  const body = parse(text)
  const { observation, sentence } = observe(response.status, response.headers, body, context.system.now())
  const isPromised = observation.isIssuers && observation.status < 300 && isRecord(body)
  return {
    observation,
    ...(isPromised ? { body } : {}),
    ...(sentence === undefined ? {} : { sentence }),
  }
}

async function readText(body: IssuerResponse['body']): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    // Leaving the loop takes the connection down.
    if (bytes > bodyBytesMax) throw new Stopped('too_large')
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function drop(body: IssuerResponse['body']): void {
  body?.cancel?.().catch(() => undefined)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Header values hold visible ASCII. `fetch` would trim white space away (and so prove a text that other clients cannot
 * send) or throw with the value in its message, so neither is left to it.
 */
function isSendable(secret: Secret): boolean {
  return /^[\x21-\x7e]+$/.test(secret.reveal())
}

/** Checks a configured address: HTTPS except on loopback, nothing but origin and path. Returns it without a trailing slash. */
export function checkedBaseUrl(text: string): string {
  const fix = 'Set baseUrl to an https:// address such as https://api.openai.com/v1.'
  const invalid = (what: string) => new KeyturnError('config_invalid', `The baseUrl ${what}.`, { fix })
  if (!URL.canParse(text)) throw invalid('is not a URL')
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') throw invalid('holds a user name or password')
  if (url.search !== '' || url.hash !== '') throw invalid('holds a query or fragment')
  const isAllowed = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
  if (!isAllowed) throw invalid('is not https, which only loopback addresses may do without')
  return url.href.replace(/\/+$/, '')
}
