import type { Config } from '../config.ts'
import type { Log, System } from '../core/ports.ts'
import { createLog } from '../log.ts'
import type { Tracer } from '../telemetry/tracer.ts'

/** The log of this process, as configured: lines on standard error. */
export function logTo(config: Pick<Config, 'log'>, system: System, tracer?: Tracer): Log {
  return createLog({
    ...config.log,
    write: (line) => void process.stderr.write(`${line}\n`),
    clock: system,
    trace: tracer?.active,
  })
}
