import {
  type Context,
  type ContextManager,
  createContextKey,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  TraceFlags,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'
import type { TracedOutcome } from '../core/ports.ts'
import type { Attributes, RequestSpan, SpanOptions, Tracer } from './tracer.ts'

/** Where each copy of the API of version 1 keeps what was registered through it. */
const registry = Symbol.for('opentelemetry.js.api.1')

/**
 * What an SDK has registered, whichever copy of the API it brought. Not asked through our copy: that one sees nothing where
 * the other is a minor version behind, and says nothing of it (API 1.10.0 and SDK 2.12, which needs less than that, 2026-11).
 */
export interface RegisteredSdk {
  readonly trace: TracerProvider
  readonly context?: ContextManager
  readonly propagation?: TextMapPropagator
}

/** Undefined where none is registered in this process. */
export function registeredSdk(): RegisteredSdk | undefined {
  const found = (globalThis as { readonly [registry]?: Partial<RegisteredSdk> })[registry]
  return found?.trace === undefined ? undefined : { ...found, trace: found.trace }
}

/**
 * The key under which @opentelemetry/core keeps that nothing may be traced, and thereby that no header may be added: a key
 * is a registered symbol of its name, so it is the same one without that package (core/src/trace/suppress-tracing.ts, 2.0).
 */
const suppressed = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
const requestIdKey = createContextKey('Keyturn request id')

/** Tracing through an SDK. */
export function openTelemetryTracer(sdk: RegisteredSdk, version: string): Tracer {
  const tracer = sdk.trace.getTracer('keyturn', version)
  const active = (): Context => sdk.context?.active() ?? ROOT_CONTEXT
  const within = <Result>(inside: Context, work: () => Result): Result =>
    sdk.context === undefined ? work() : sdk.context.with(inside, work)
  return {
    async span(options, work) {
      if (options.isPartOnly === true && trace.getSpan(active()) === undefined)
        return await work(() => undefined)
      const parent = parentOf(options, active)
      const kind = options.kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL
      const span = tracer.startSpan(options.name, { kind, attributes: options.attributes }, parent)
      return await within(inner(parent, span, options), () =>
        work((outcome, isFault) => end(span, outcome, isFault)),
      )
    },
    past({ name, walk, startedAt, endedAt, attributes }) {
      const span = tracer.startSpan(name, { startTime: startedAt, attributes }, walkContext(walk))
      span.end(endedAt)
    },
    async request(request, work, status) {
      const parent =
        sdk.propagation?.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter) ?? ROOT_CONTEXT
      const attributes = requestAttributes(request)
      const name = `${request.method} ${request.route}`
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent)
      const inside = trace.setSpan(parent, span).setValue(requestIdKey, request.requestId)
      return await within(inside, async () => {
        try {
          const result = await work()
          endRequest(span, status(undefined))
          return result
        } catch (thrown) {
          endRequest(span, status(thrown))
          throw thrown
        }
      })
    },
    detached: (callback) => () => within(ROOT_CONTEXT, callback),
    active() {
      const now = active()
      const span = trace.getSpanContext(now)
      if (span === undefined) return undefined
      const requestId = now.getValue(requestIdKey)
      return {
        trace_id: span.traceId,
        span_id: span.spanId,
        ...(typeof requestId === 'string' ? { request_id: requestId } : {}),
      }
    },
  }
}

function parentOf({ walk, isOwnTrace }: SpanOptions, active: () => Context): Context {
  if (walk !== undefined) return walkContext(walk)
  return isOwnTrace === true ? ROOT_CONTEXT : active()
}

function inner(parent: Context, span: Span, { isOutbound }: SpanOptions): Context {
  const inside = trace.setSpan(parent, span)
  return isOutbound === true ? inside.setValue(suppressed, true) : inside
}

/**
 * A walk goes on over restarts and on other replicas, so its trace cannot be kept in memory: the id of the walk, a UUID out
 * of the ledger, is the id of the trace, and its second half that of the span that all others hang on, which nobody sends.
 */
function walkContext(walk: string): Context {
  const traceId = walk.replaceAll('-', '')
  const spanContext = {
    traceId,
    spanId: traceId.slice(16),
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  }
  return /^[0-9a-f]{32}$/.test(traceId) && trace.isSpanContextValid(spanContext)
    ? trace.setSpanContext(ROOT_CONTEXT, spanContext)
    : ROOT_CONTEXT
}

function end(span: Span, { outcome, cause, status, requestId }: TracedOutcome, isFault: boolean): void {
  span.setAttribute('keyturn.outcome', outcome)
  if (cause !== undefined) span.setAttribute('keyturn.cause', cause)
  if (status !== undefined) span.setAttribute('http.response.status_code', status)
  if (requestId !== undefined) span.setAttribute('openai.request_id', requestId)
  // Never the message of what was thrown: those of others quote what they choked on.
  if (isFault) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome })
  span.end()
}

function endRequest(span: Span, status: number): void {
  span.setAttribute('http.response.status_code', status)
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}

function requestAttributes({ operation, method, route, requestId, credential }: RequestSpan): Attributes {
  return {
    'http.request.method': method,
    'http.route': route,
    'keyturn.operation': operation,
    'keyturn.request_id': requestId,
    ...(credential === undefined ? {} : { 'keyturn.credential': credential }),
  }
}
