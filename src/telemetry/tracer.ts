import type { TracedOutcome } from '../core/ports.ts'

export type Attributes = Readonly<Record<string, string | number>>

/** A part of a trace that is told when it is over, as its end was seen by whoever came after. */
export interface PastSpan {
  readonly name: string
  readonly walk: string
  readonly startedAt: number
  readonly endedAt: number
  readonly attributes: Attributes
}

export interface SpanOptions {
  readonly name: string
  readonly kind: 'internal' | 'client'
  readonly attributes: Attributes
  /** See TracedOperation. */
  readonly walk?: string | undefined
  /** Whatever is under way when it begins only set it off, and is no part of what it does. */
  readonly isOwnTrace?: boolean
  /** Told as a part of something else or not at all: it is done all the time. */
  readonly isPartOnly?: boolean
  /** What runs inside talks to somebody outside, who is told nothing of the trace. */
  readonly isOutbound?: boolean
}

export interface RequestSpan {
  readonly operation: string
  readonly method: string
  readonly route: string
  readonly requestId: string
  readonly credential?: string
  /** As they came; `traceparent` among them says whose trace it is. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** What a line of the log bears of the span that is active. */
export interface ActiveSpan {
  readonly trace_id: string
  readonly span_id: string
  readonly request_id?: string
}

/** Says what came of the work, once, before it is over. */
export type TellEnd = (outcome: TracedOutcome, isFault: boolean) => void

/** Traces, in words that need no package. There is one where an SDK of OpenTelemetry is registered; else there is none. */
export interface Tracer {
  span<Result>(options: SpanOptions, work: (tell: TellEnd) => Promise<Result>): Promise<Result>
  past(span: PastSpan): void
  /** Of one request, after it was let in. `status`: of the answer, when the work is over. */
  request<Result>(
    request: RequestSpan,
    work: () => Promise<Result>,
    status: (thrown: unknown) => number,
  ): Promise<Result>
  readonly active: () => ActiveSpan | undefined
  /** The same callback outside of every span: what a timer does later is no part of what set it. */
  detached(callback: () => void): () => void
}
