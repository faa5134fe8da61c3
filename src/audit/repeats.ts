import type { Audit, AuditEntry, System } from '../core/ports.ts'

/** So many are told apart within one window; what comes beyond is counted as one. */
const keysMax = 1_000
export const repeatWindowMs = 60_000

/**
 * What somebody outside can make happen as often as they like, so that nobody can fill the disk with it: the first of a
 * kind is a row at once, and waits for it; more of the same within the window are counted, and become one row at its end.
 */
export interface Repeats {
  record(entry: AuditEntry): Promise<void> | undefined
  /** Writes down what was counted so far. */
  flush(): void
}

interface Counted {
  readonly entry: AuditEntry
  count: number
}

const otherSources = 'others'

export function createRepeats(audit: Audit, system: Pick<System, 'after'>): Repeats {
  const counted = new Map<string, Counted>()
  let isTimed = false
  const flush = (): void => {
    const ended = [...counted.values()]
    counted.clear()
    for (const { entry, count } of ended)
      if (count > 0) audit.record({ ...entry, count })?.catch(() => undefined)
  }
  const endLater = (): void => {
    if (isTimed) return
    isTimed = true
    const end = (): void => {
      isTimed = false
      flush()
    }
    system.after(repeatWindowMs, end, { background: true })
  }
  return {
    record(entry) {
      const isRoom = counted.size < keysMax
      const key = keyOf(entry)
      const known = counted.get(key) ?? (isRoom ? undefined : counted.get(otherSources))
      if (known !== undefined) {
        known.count += 1
        return undefined
      }
      const { requestId: _requestId, at: _at, ...kind } = entry
      const { credential: _credential, source: _source, ...rest } = kind
      if (isRoom) counted.set(key, { entry: kind, count: 0 })
      else counted.set(otherSources, { entry: { ...rest, reason: 'many sources' }, count: 1 })
      endLater()
      if (!isRoom) return undefined
      const written = audit.record(entry)
      // What was not written down is not known either: the next one tries again.
      written?.catch(() => counted.delete(key))
      return written
    },
    flush,
  }
}

function keyOf({ kind, action, outcome, caller, credential, source }: AuditEntry): string {
  return [kind, action, outcome, caller.id, credential ?? '', source ?? ''].join('\n')
}
