import type { Ending } from './evidence.ts'
import type { PermissionFinding, Verdict } from './types.ts'

/**
 * What the admin key turned out to lack when it was needed: no check beforehand can prove every call. The verdicts' own
 * words are about keys that apps use, and would send people to the wrong one.
 */
const writePermission = 'api.management.write'

export function adminSummary(verdict: Verdict): string {
  return verdict.cause === 'scope_missing'
    ? `The admin key is genuine, but lacks a permission for this call: ${lacking(verdict)}.`
    : verdict.summary
}

export function adminFix(verdict: Verdict): string {
  return verdict.cause === 'scope_missing' ? giveAdminKey(lacking(verdict)) : verdict.fix
}

export function mintingFinding(verdict: Verdict): PermissionFinding | undefined {
  if (verdict.cause !== 'scope_missing') return undefined
  return {
    permission: lacking(verdict),
    resource: 'making a key',
    state: 'missing',
    fix: adminFix(verdict),
  }
}

/** A key that could only be let expire was not allowed to be deleted; one that was left is no key of ours to delete. */
export function deletingFinding(how: Ending['how'] | undefined): PermissionFinding | undefined {
  if (how !== 'expiring') return undefined
  return {
    permission: writePermission,
    resource: 'deleting a key',
    state: 'missing',
    fix: `OpenAI would not delete a key: an old key is ended by an expiry of one second instead, and stays listed. ${giveAdminKey(writePermission)}`,
  }
}

function giveAdminKey(permission: string): string {
  return `Give the admin key ${permission} (Organization Administration: Write), and check that it is an admin key.`
}

function lacking({ missingScopes = [] }: Verdict): string {
  return missingScopes.length === 0 ? writePermission : missingScopes.join(', ')
}
