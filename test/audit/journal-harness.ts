import type { AuditFiles } from '../../src/audit/files.ts'
import type { AuditReads, Journal } from '../../src/audit/journal.ts'
import { type OpenedJournal, openJournal } from '../../src/audit/open-journal.ts'
import type { Sink } from '../../src/audit/sink.ts'
import type { AuditEntry, Cancel, System } from '../../src/core/ports.ts'
import { createSystem } from '../../src/system.ts'

export const id = '00112233aabbccdd'
export const folder = '/audit'
export const path = (from = 1): string => `${folder}/${id}/${String(from).padStart(15, '0')}.jsonl`

/** A clock and timers that move when they are told to. */
export interface ManualSystem extends System {
  /** Fires what is due until then. */
  pass(ms: number): void
}

export function manualSystem(): ManualSystem {
  let now = Date.UTC(2026, 10, 25, 21)
  const timers = new Set<{ at: number; callback: () => void }>()
  return {
    ...createSystem(),
    now: () => now,
    after(ms, callback): Cancel {
      const timer = { at: now + ms, callback }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    pass(ms) {
      const until = now + ms
      for (;;) {
        const next = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers.delete(next)
        now = Math.max(now, next.at)
        next.callback()
      }
      now = until
    },
  }
}

export interface OpenOptions {
  readonly files: AuditFiles
  readonly system?: System
  readonly reads?: AuditReads
  readonly folders?: readonly string[]
  readonly others?: readonly Sink[]
  readonly segmentBytesMax?: number
  readonly keep?: { readonly ms: number; readonly bytes: number }
}

export async function open(
  options: OpenOptions,
): Promise<{ journal: Journal; prune: OpenedJournal['prune']; logs: string[] }> {
  const logs: string[] = []
  const { journal, prune } = await openJournal({
    id,
    folders: options.folders ?? [folder],
    others: options.others ?? [],
    reads: options.reads ?? 'durable',
    waitMs: 2_000,
    keep: options.keep ?? { ms: 400 * 86_400_000, bytes: 1e12 },
    keyturn: '1.2.3',
    files: options.files,
    system: options.system ?? manualSystem(),
    log: (level, message, fields) => logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
    soon: (callback) => queueMicrotask(callback),
    ...(options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax }),
  })
  return { journal, prune, logs }
}

export function read(number = 1): AuditEntry {
  return {
    kind: 'read',
    action: 'getCredential',
    outcome: 'done',
    caller: { id: 'tok_1', name: 'web', kind: 'token' },
    credential: 'openai',
    version: 'v1',
    fingerprint: 'abcdefabcdef',
    generation: number,
    source: '10.0.0.1',
  }
}

/** Lets what is under way in this process go as far as it goes without a timer. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
