import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  type TextMapPropagator,
  type TimeInput,
  type Tracer,
  trace,
} from '@opentelemetry/api'

/** As much of an SDK as Keyturn meets: spans with their parents, a context that follows promises, and W3C's header. */

export interface RecordedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly attributes: Attributes
  readonly isError: boolean
  readonly startedAt: number
  readonly endedAt: number
}

export interface RecordingSdk {
  /** Those that have ended, in that order. */
  readonly spans: readonly RecordedSpan[]
  named(name: string): readonly RecordedSpan[]
}

/** The key of @opentelemetry/core, under which nothing is traced and nothing is injected. */
const suppressed = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')

/** Registers it for this process. `onEnd`: told of each span. */
export function registerRecordingSdk(onEnd: (span: RecordedSpan) => void = () => undefined): RecordingSdk {
  const spans: RecordedSpan[] = []
  context.setGlobalContextManager(asyncContexts())
  propagation.setGlobalPropagator(traceContext)
  trace.setGlobalTracerProvider({
    getTracer: () =>
      recordingTracer((span) => {
        spans.push(span)
        onEnd(span)
      }),
  })
  return { spans, named: (name) => spans.filter((one) => one.name === name) }
}

function asyncContexts(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (inside, work, self, ...args) => storage.run(inside, () => work.apply(self as never, args)),
    bind<Target>(inside: Context, target: Target): Target {
      if (typeof target !== 'function') return target
      const bound = (...args: readonly unknown[]): unknown =>
        storage.run(inside, (): unknown => Reflect.apply(target, undefined, args))
      return bound as Target
    },
    enable: () => manager,
    disable: () => manager,
  }
  return manager
}

const traceContext: TextMapPropagator = {
  inject(from, carrier, setter) {
    const span = trace.getSpanContext(from)
    if (span === undefined || from.getValue(suppressed) === true) return
    setter.set(carrier, 'traceparent', `00-${span.traceId}-${span.spanId}-0${span.traceFlags}`)
  },
  extract(into, carrier, getter) {
    const header = getter.get(carrier, 'traceparent')
    const [, traceId, spanId, flags] =
      /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(String(header)) ?? []
    if (traceId === undefined || spanId === undefined) return into
    const span: SpanContext = { traceId, spanId, traceFlags: Number(flags) & 1, isRemote: true }
    return trace.setSpanContext(into, span)
  },
  fields: () => ['traceparent'],
}

function recordingTracer(ended: (span: RecordedSpan) => void): Tracer {
  const tracer: Tracer = {
    startSpan(name, options = {}, parent = context.active()) {
      const above = options.root === true ? undefined : trace.getSpanContext(parent)
      const spanContext: SpanContext = {
        traceId: above?.traceId ?? randomBytes(16).toString('hex'),
        spanId: randomBytes(8).toString('hex'),
        traceFlags: 1,
      }
      const attributes: Attributes = { ...options.attributes }
      let isError = false
      const startedAt = millis(options.startTime)
      const span: Span = {
        spanContext: () => spanContext,
        setAttribute: (key, value) => ((attributes[key] = value), span),
        setAttributes: (more) => (Object.assign(attributes, more), span),
        addEvent: () => span,
        addLink: () => span,
        addLinks: () => span,
        setStatus: ({ code }) => ((isError = code === SpanStatusCode.ERROR), span),
        updateName: () => span,
        isRecording: () => true,
        recordException: () => undefined,
        end: (at) => {
          const { traceId, spanId } = spanContext
          const parentId = above?.spanId
          ended({ name, traceId, spanId, parentId, attributes, isError, startedAt, endedAt: millis(at) })
        },
      }
      return span
    },
    startActiveSpan(name: string, ...rest: readonly unknown[]) {
      const work = rest.at(-1) as (span: Span) => never
      return work(tracer.startSpan(name))
    },
  }
  return tracer
}

function millis(time: TimeInput | undefined): number {
  return typeof time === 'number' ? time : Date.now()
}
