import { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding } from '../core/ports.ts'
import type { KvRead, VaultCalls } from './vault-calls.ts'
import { slotSuffix } from './vault-documents.ts'
import { policyFix, tokenFix } from './vault-errors.ts'
import type { VaultPlace } from './vault-options.ts'

type Need = readonly [path: string, capability: 'create' | 'read' | 'update']

/**
 * What the token may do, as Vault itself says it (sys/capabilities-self, which the default policy allows), and by one
 * read. Nothing is changed. Where it may not ask, what was not read is reported as untested.
 */
export async function checkVault(
  calls: VaultCalls,
  place: VaultPlace,
  ref: string,
): Promise<readonly PermissionFinding[]> {
  const engine = await calls.engine()
  if (engine !== undefined && engine !== 'version 2')
    throw new KeyturnError(
      'config_invalid',
      `${place.mount} is an engine of ${engine}, not a KV engine of version 2.`,
      {
        fix: `vault kv enable-versioning ${place.mount}, or configure the mount of an engine of version 2.`,
      },
    )
  const main = await readOrNothing(calls, ref)
  const isShared = main?.kind === 'found' && Object.keys(main.data).some((name) => name !== place.field)
  const needs = needsOf(calls, ref, isShared)
  const allowed = await calls.capabilities([...new Set(needs.map(([path]) => path))])
  if (allowed !== undefined) return needs.map((need) => finding(need, allowed.get(need[0]) ?? [], place))
  return needs.map((need, index) => {
    if (index > 0) return { ...described(need), state: 'untested' }
    return main === undefined ? refused(finding(need, [], place)) : { ...described(need), state: 'granted' }
  })
}

/** Undefined where it may not be read, which the findings say. */
async function readOrNothing(calls: VaultCalls, ref: string): Promise<KvRead | undefined> {
  try {
    return await calls.read(ref)
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_denied') return undefined
    throw thrown
  }
}

/** A document that others have fields in keeps its history, so that nothing has to be allowed for that. */
function needsOf(calls: VaultCalls, ref: string, isShared: boolean): readonly Need[] {
  const main = calls.pathOf(ref, 'data')
  const slot = calls.pathOf(ref + slotSuffix, 'data')
  return [
    [main, 'read'],
    [main, 'create'],
    [main, 'update'],
    [slot, 'read'],
    [slot, 'create'],
    [slot, 'update'],
    [calls.pathOf(ref + slotSuffix, 'destroy'), 'update'],
    ...(isShared ? [] : [[calls.pathOf(ref, 'destroy'), 'update'] as const]),
  ]
}

function finding(need: Need, allowed: readonly string[], { namespace }: VaultPlace): PermissionFinding {
  const [path, capability] = need
  if (allowed.includes(capability) || allowed.includes('root'))
    return { ...described(need), state: 'granted' }
  return { ...described(need), state: 'missing', fix: policyFix({ capability, path, namespace }) }
}

/** Where Vault tells nobody what the token may do, it may know no such token. */
function refused(found: PermissionFinding): PermissionFinding {
  return { ...found, fix: `${found.fix} ${tokenFix}` }
}

function described([path, capability]: Need): { readonly permission: string; readonly resource: string } {
  return { permission: capability, resource: path }
}
