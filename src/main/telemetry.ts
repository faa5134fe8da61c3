import type { Log, System, Telemetry } from '../core/ports.ts'
import { elapsedMs } from '../system.ts'
import { createTelemetry } from '../telemetry/create-telemetry.ts'
import { createRecorder, type Recorder } from '../telemetry/recorder.ts'
import type { Tracer } from '../telemetry/tracer.ts'
import { createWalkWatch, type WalkWatch } from '../telemetry/walks.ts'

export interface Observing {
  readonly recorder: Recorder
  readonly telemetry: Telemetry
  readonly walks: WalkWatch
  readonly tracer: Tracer | undefined
}

/** Where the API of OpenTelemetry keeps what was registered. */
const registry = Symbol.for('opentelemetry.js.api.1')

/** Undefined where no SDK is registered in this process: then nothing of OpenTelemetry is loaded. */
export async function openTracer(version: string): Promise<Tracer | undefined> {
  if (!(registry in globalThis)) return undefined
  const { openTelemetryTracer, registeredSdk } = await import('../telemetry/open-telemetry.ts')
  const sdk = registeredSdk()
  return sdk === undefined ? undefined : openTelemetryTracer(sdk, version)
}

/** The same system; where traces are told, what a timer does is no part of the trace of whoever set it. */
export function withTracing(system: System, tracer: Tracer | undefined): System {
  if (tracer === undefined) return system
  return {
    ...system,
    after: (delayMs, callback, how) => system.after(delayMs, tracer.detached(callback), how),
  }
}

export function openObserving(tracer: Tracer | undefined, log: Log): Observing {
  if (tracer !== undefined) log('info', 'traces go to the OpenTelemetry SDK that is registered here')
  const recorder = createRecorder()
  const telemetry = createTelemetry({ recorder, tracer, elapsedMs })
  return { recorder, telemetry, walks: createWalkWatch(recorder, tracer), tracer }
}
