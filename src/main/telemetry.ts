import type { Log, Telemetry } from '../core/ports.ts'
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

/** Where the API of OpenTelemetry keeps what an SDK has registered, whichever copy of it that SDK brought. */
const registered = Symbol.for('opentelemetry.js.api.1')

/** Undefined where no SDK is registered in this process: then nothing of OpenTelemetry is loaded. */
export async function openTracer(version: string): Promise<Tracer | undefined> {
  if (!(registered in globalThis)) return undefined
  const { openTelemetryTracer } = await import('../telemetry/open-telemetry.ts')
  return openTelemetryTracer(version)
}

export function openObserving(tracer: Tracer | undefined, log: Log): Observing {
  if (tracer !== undefined) log('info', 'traces go to the OpenTelemetry SDK that is registered here')
  const recorder = createRecorder()
  const telemetry = createTelemetry({ recorder, tracer, elapsedMs })
  return { recorder, telemetry, walks: createWalkWatch(recorder, tracer), tracer }
}
