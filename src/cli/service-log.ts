import type { Config } from '../config/types.ts'
import type { Log } from '../core/ports.ts'
import type { Io } from './io.ts'

/** The service's log on standard error. */
export async function serviceLog(io: Io, settings: Config['log']): Promise<Log> {
  const { createLog } = await import('../log.ts')
  return createLog({
    ...settings,
    write: (line) => io.stderr.write(`${line}\n`),
    clock: { now: io.now },
  })
}
