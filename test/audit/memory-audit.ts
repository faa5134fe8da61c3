import { KeyturnError } from '../../src/core/errors.ts'
import type { Audit, AuditEntry } from '../../src/core/ports.ts'

export interface MemoryAudit extends Audit {
  /** In the order in which they were recorded, refused ones not among them. */
  readonly rows: readonly AuditEntry[]
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
  const waiting: { entry: AuditEntry; resolve: () => void; reject: (error: KeyturnError) => void }[] = []
  let isHolding = false
  let isAvailable = true
  return {
    rows,
    record(entry) {
      const row = { ...entry, at: entry.at ?? options.now?.() ?? 0 }
      if (!isAvailable) return Promise.reject(unavailable())
      if (!isHolding) {
        rows.push(row)
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => waiting.push({ entry: row, resolve, reject }))
    },
    hold() {
      isHolding = true
    },
    settle(outcome) {
      isHolding = false
      for (const { entry, resolve, reject } of waiting.splice(0)) {
        if (outcome === 'unavailable') reject(unavailable())
        else {
          rows.push(entry)
          resolve()
        }
      }
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
