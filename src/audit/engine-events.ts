import type { AuditEntry } from '../core/ports.ts'
import type { CredentialEvent } from '../core/types.ts'

/** What the engine did and the ledger has, as a row: promotions, steps of a rotation or a retirement, withdrawals, alerts. */
export function entryOf({ at, kind, credential, generation, data }: CredentialEvent): AuditEntry {
  const text = (name: string): string | undefined => {
    const value = data[name]
    return typeof value === 'string' ? value : undefined
  }
  const outcome = text('outcome') ?? text('phase') ?? text('verdict') ?? text('code') ?? 'done'
  const version = text('version')
  const fingerprint = text('fingerprint')
  const reason = text('why') ?? text('id')
  return {
    at,
    kind: 'act',
    action: kind,
    outcome,
    caller: { id: '', name: text('by') ?? 'engine', kind: 'engine' },
    credential,
    generation,
    ...(version === undefined ? {} : { version }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(reason === undefined ? {} : { reason }),
  }
}
