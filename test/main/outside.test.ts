import { expect, it } from 'vitest'
import { noAccess } from '../../src/core/access.ts'
import { auditOutside } from '../../src/main/outside.ts'
import { createPolicyHolder } from '../../src/server/auth/policy.ts'
import type { TokenChange } from '../../src/server/token-changes.ts'
import { createMemoryAudit } from '../audit/memory-audit.ts'

it('who is let in changes without the API: that it did is a row, with which token, until it is stopped', () => {
  const audit = createMemoryAudit()
  const policy = createPolicyHolder()
  let tell: (changes: readonly TokenChange[]) => void = () => undefined
  const tokens = {
    onOthers(listener: typeof tell) {
      tell = listener
      return () => undefined
    },
  }
  const stop = auditOutside({ tokens, policy, audit })
  tell([{ id: 'tok_1', name: 'ann', what: 'made' }])
  policy.replace({ ...noAccess, approvals: [{ credentials: ['*'], emergency: 2, revocation: 1 }] })
  expect(audit.rows.map(({ kind, action, outcome, reason }) => [kind, action, outcome, reason])).toEqual([
    ['act', 'tokenOutside', 'made', 'tok_1 ann'],
    ['act', 'policyOutside', 'changed', undefined],
  ])
  stop()
  policy.replace(noAccess)
  expect(audit.rows).toHaveLength(2)
})
