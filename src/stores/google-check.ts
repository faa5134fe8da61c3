import { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding } from '../core/ports.ts'
import type { GoogleCalls } from './google-calls.ts'
import { createCommand, permissionFix } from './google-errors.ts'
import { fullName, type GoogleName, siblingOf } from './google-names.ts'

const always = [
  'secretmanager.versions.access',
  'secretmanager.versions.add',
  'secretmanager.versions.destroy',
  'secretmanager.versions.list',
  'secretmanager.secrets.get',
  'secretmanager.secrets.update',
] as const
const create = 'secretmanager.secrets.create'

/**
 * What this identity may do, as Google itself says it (TestIamPermissions, which needs no permission and changes nothing).
 * Of a secret that is not there Google says nothing at all, and of a project Secret Manager does not.
 */
export async function checkGoogle(
  calls: GoogleCalls,
  main: GoogleName,
  { createIfAbsent, hasSibling }: { readonly createIfAbsent: boolean; readonly hasSibling: boolean },
): Promise<readonly PermissionFinding[]> {
  const findings: PermissionFinding[] = []
  for (const name of hasSibling ? [main, siblingOf(main)] : [main]) {
    const resource = fullName(name)
    const allowed = await calls.allowed(name, always)
    const finding = (permission: string): PermissionFinding =>
      allowed.has(permission)
        ? { permission, resource, state: 'granted' }
        : { permission, resource, state: 'missing', fix: permissionFix({ permission, name }) }
    // Nothing allowed: it may not be there, which only whoever may look is told.
    const isThere = allowed.size > 0 || (await isFound(calls, name))
    if (isThere) findings.push(...always.map(finding))
    else if (createIfAbsent)
      findings.push({
        permission: create,
        resource: name.parent,
        state: 'untested',
        fix: permissionFix({ permission: create, name }),
      })
    else findings.push({ permission: create, resource, state: 'missing', fix: createCommand(name) })
  }
  return findings
}

/** Where it may not be looked at it counts as there: the permissions are what is missing. */
async function isFound(calls: GoogleCalls, name: GoogleName): Promise<boolean> {
  try {
    return (await calls.get(name)) !== undefined
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_denied') return true
    throw thrown
  }
}
