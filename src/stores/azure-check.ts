import { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding } from '../core/ports.ts'
import { type AzurePermission, permissionNames } from './azure-errors.ts'
import { type AzureStore, siblingOf } from './azure-look.ts'

/** Azure's ids are random: this one is never given. */
const nowhere = '00000000000000000000000000000000'

/**
 * What this identity may do, proven by calls that change nothing: reading, listing, and changing the attributes of a
 * version that is not there, which Azure refuses with 404 after it looked at the permission (ASSUMPTION, as with every
 * other call of its; where it did not, a missing permission shows at staging, before the secret itself is touched).
 * In access policies that last one is Set; in roles setting a value is an action of its own, and stays untested.
 */
export async function checkAzure(store: AzureStore, ref: string): Promise<readonly PermissionFinding[]> {
  const { calls } = store
  const sibling = siblingOf(ref)
  return [
    await probe('get', ref, () => calls.get(ref)),
    await probe('list', ref, () => calls.list(ref)),
    await probe('list', sibling, () => calls.list(sibling)),
    await probe('update', sibling, () => changeNothing(store, sibling)),
    await probe('update', ref, () => changeNothing(store, ref)),
    finding('set', sibling, 'untested'),
    finding('set', ref, 'untested'),
  ]
}

async function changeNothing({ calls }: AzureStore, name: string): Promise<void> {
  try {
    await calls.update(name, nowhere, { isEnabled: true })
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'store_absent')) throw thrown
  }
}

/** Refused: missing. Any other error says nothing about the permission, and is the caller's to know. */
async function probe(
  permission: AzurePermission,
  name: string,
  call: () => Promise<unknown>,
): Promise<PermissionFinding> {
  try {
    await call()
    return finding(permission, name, 'granted')
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'store_denied')) throw thrown
    return {
      ...finding(permission, name, 'missing'),
      ...(thrown.fix === undefined ? {} : { fix: thrown.fix }),
    }
  }
}

function finding(
  permission: AzurePermission,
  resource: string,
  state: PermissionFinding['state'],
): PermissionFinding {
  return { permission: permissionNames[permission].role, resource, state }
}
