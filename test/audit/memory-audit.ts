import { KeyturnError } from '../../src/core/errors.ts'
import type { Audit, AuditEntry } from '../../src/core/ports.ts'

export interface MemoryAudit extends Audit {
  /** In the order in which they were recorded, refused ones not among them. */
  readonly rows: readonly AuditEntry[]
  /** How many rows wait. */
  readonly waiting: number
  /** From now on rows wait until `settle`. */
  hold(): void
  /** Ends the holding: all that wait are durable, or none of them can be. */
  settle(outcome: 'durable' | 'unavailable'): void
  /** From now on every row is refused, or none. */
  setAvailable(isAvailable: boolean): void
}

/** An audit as the port promises it, in memory: a row counts once its promise has resolved. */
export function createMemoryAudit(options: { readonly now?: () => number } = {}): MemoryAudit {
  const rows: AuditEntry[] = []
  /** Rows that wait together share a promise, as those of one write do. */
  let held: (PromiseWithResolvers<void> & { readonly entries: AuditEntry[] }) | undefined
  let isAvailable = true
  return {
    rows,
    get waiting() {
      return held?.entries.length ?? 0
    },
    record(entry) {
      const row = { ...entry, at: entry.at ?? options.now?.() ?? 0 }
      if (!isAvailable) return Promise.reject(unavailable())
      if (held === undefined) {
        rows.push(row)
        return Promise.resolve()
      }
      held.entries.push(row)
      return held.promise
    },
    hold() {
      held = { ...Promise.withResolvers<void>(), entries: [] }
      // Nobody may wait for it.
      held.promise.catch(() => undefined)
    },
    settle(outcome) {
      const { entries = [], resolve, reject } = held ?? {}
      held = undefined
      if (outcome === 'unavailable') return reject?.(unavailable())
      rows.push(...entries)
      resolve?.()
    },
    setAvailable(now) {
      isAvailable = now
    },
  }
}

function unavailable(): KeyturnError {
  return new KeyturnError('audit_unavailable', 'The row could not be made durable in time.', {
    fix: 'Make room.',
    retryable: true,
  })
}
