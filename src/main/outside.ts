import type { Audit, AuditEntry, Cancel } from '../core/ports.ts'
import type { PolicyHolder } from '../server/auth/policy.ts'
import type { TokenStore } from '../server/tokens.ts'

/**
 * Who is let in can be changed without asking the service: with `keyturn token … --local`, by hand, at another replica. That it
 * was, and when it began to count here, is a row; who did it, only the machine could tell.
 */
export function auditOutside(options: {
  readonly tokens: Pick<TokenStore, 'onOthers'>
  readonly policy: Pick<PolicyHolder, 'onChange'>
  readonly audit: Audit
}): Cancel {
  const { tokens, policy, audit } = options
  const note = (entry: Pick<AuditEntry, 'action' | 'outcome' | 'reason'>): void => {
    const caller = { id: '', name: 'outside', kind: 'nobody' } as const
    // It counts already: nothing could wait for the row.
    audit.record({ kind: 'act', caller, ...entry })?.catch(() => undefined)
  }
  const cancels = [
    tokens.onOthers?.((changes) => {
      for (const { id, name, what } of changes)
        note({ action: 'tokenOutside', outcome: what, reason: `${id} ${name}` })
    }),
    policy.onChange(() => note({ action: 'policyOutside', outcome: 'changed' })),
  ]
  return () => {
    for (const cancel of cancels) cancel?.()
  }
}
