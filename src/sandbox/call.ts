import type { IncomingHttpHeaders } from 'node:http'
import { type ApiError, envelope, type TaxonomyName } from './errors.ts'
import type { KnobStore } from './faults.ts'
import type { Knobs, WriteFamily } from './knobs.ts'
import type { RateLimiter } from './rate-limits.ts'
import type { KeyPolicy, KeyRecord } from './records.ts'
import type { RandomBytes } from './secrets.ts'
import type { World } from './world.ts'

/** What every handler works with. */
export interface Services {
  readonly world: World
  readonly knobs: KnobStore
  readonly limiter: RateLimiter
  readonly now: () => number
  readonly random: RandomBytes
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

/** One request after routing, before the body is judged. */
export interface Call {
  readonly services: Services
  readonly knobs: Knobs
  readonly method: string
  readonly path: string
  readonly parameters: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
  readonly edge: number
  /** The instant of the request. */
  readonly at: number
  /** When a write of this request lands: later than `at` for one that is applied late. */
  readonly landsAt: number
  readonly requestId: string
  /** The refusal that breaks a stream in its middle, after its 200. */
  readonly breakStream: TaxonomyName | undefined
}

/** A call whose key was accepted. */
export interface AuthenticCall extends Call {
  readonly key: KeyRecord
  readonly policy: KeyPolicy
}

export type StreamWriter = (text: string) => Promise<boolean>

export interface JsonReply {
  readonly kind: 'json'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export interface StreamReply {
  readonly kind: 'stream'
  readonly headers: Readonly<Record<string, string>>
  /** Writes the events. Ends early when a write answers false (the client left). */
  readonly run: (write: StreamWriter, signal: AbortSignal) => Promise<void>
}

export type Reply = JsonReply | StreamReply

export interface Route {
  readonly method: string
  /** Segments below `/v1`; one that starts with a colon is a parameter. */
  readonly pattern: string
  readonly area: 'inference' | 'admin' | 'open'
  /** The scope that lets an ordinary key in; any of them will do. */
  readonly scopes: readonly string[]
  readonly family?: WriteFamily
  readonly handle: (call: AuthenticCall) => Reply
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): JsonReply {
  return { kind: 'json', status, headers, body }
}

export function refuse(error: ApiError, headers: Readonly<Record<string, string>> = {}): JsonReply {
  return {
    kind: 'json',
    status: error.status,
    headers: { ...headers, ...error.headers },
    body: envelope(error),
  }
}
