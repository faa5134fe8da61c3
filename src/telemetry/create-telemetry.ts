import { toKeyturnError } from '../core/errors.ts'
import type { Telemetry, TracedOperation, TracedOutcome } from '../core/ports.ts'
import type { Recorder } from './recorder.ts'
import type { Attributes, SpanOptions, TellEnd, Tracer } from './tracer.ts'

export interface TelemetryOptions {
  readonly recorder: Recorder
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer | undefined
  /** Milliseconds that only ever rise, with their fractions. */
  readonly elapsedMs: () => number
}

/** Counts and times every operation, and traces it where somebody listens. */
export function createTelemetry({ recorder, tracer, elapsedMs }: TelemetryOptions): Telemetry {
  return {
    run(operation, work, told) {
      const timed = async (tell: TellEnd): Promise<Awaited<ReturnType<typeof work>>> => {
        const startedAt = elapsedMs()
        const note = (outcome: TracedOutcome, isFault: boolean): void => {
          record(recorder, operation, outcome, (elapsedMs() - startedAt) / 1_000)
          tell(outcome, isFault)
        }
        try {
          const result = await work()
          note(told(result), false)
          return result
        } catch (thrown) {
          note({ outcome: toKeyturnError(thrown, '').code }, true)
          throw thrown
        }
      }
      return tracer === undefined ? timed(() => undefined) : tracer.span(spanOf(operation), timed)
    },
    suspects: (place, count) => void recorder.suspects.set(place, count),
  }
}

function record(recorder: Recorder, operation: TracedOperation, told: TracedOutcome, seconds: number): void {
  const { part, name, kind = '' } = operation
  const { outcome, cause = '' } = told
  switch (part) {
    case 'verification':
      recorder.verifications.add([outcome, cause])
      recorder.verificationSeconds.observe([outcome], seconds)
      return
    case 'issuer':
      recorder.issuerSeconds.observe([name, outcome], seconds)
      return
    case 'store':
      recorder.storeSeconds.observe([kind, name, outcome], seconds)
      return
    case 'ledger':
      recorder.ledgerSeconds.observe([name, outcome], seconds)
      return
    case 'work':
  }
}

/** They are asked for something over the wire; what they are asked is nobody else's business. */
const outbound: ReadonlySet<TracedOperation['part']> = new Set(['issuer', 'store', 'ledger'])

function spanOf({ part, name, kind, credential, walk }: TracedOperation): SpanOptions {
  const isOutbound = outbound.has(part)
  const attributes: Attributes = {
    'keyturn.operation': name,
    ...(kind === undefined ? {} : { 'keyturn.store': kind }),
    ...(credential === undefined ? {} : { 'keyturn.credential': credential }),
    ...(walk === undefined ? {} : { 'keyturn.walk': walk }),
  }
  const title = part === 'verification' ? 'verification' : part === 'work' ? name : `${part} ${name}`
  const isPartOnly = part === 'ledger'
  return {
    name: title,
    kind: isOutbound ? 'client' : 'internal',
    attributes,
    walk,
    isOwnTrace: part === 'work',
    isOutbound,
    isPartOnly,
  }
}
