import type { Log } from '../core/ports.ts'
import type { FileSink } from './file-sink.ts'
import type { Sink } from './sink.ts'

/**
 * A folder that cannot be opened now: another place takes the rows meanwhile, and each write tries to open it. What it lacks
 * then is brought to it first.
 */
export function createLateSink(name: string, open: (before: number) => Promise<FileSink>, log: Log): Sink {
  let opened: FileSink | undefined
  return {
    name,
    isConfirming: true,
    async write(batch) {
      if (opened === undefined) {
        opened = await open(batch.from)
        log('info', 'a folder of the audit journal was opened after all', { folder: name })
      }
      await opened.write(batch)
    },
    async close() {
      await opened?.close()
    },
  }
}
