import { currentOf, type NewVersion } from '../core/credential.ts'
import { assert } from '../core/errors.ts'
import type { Ending } from '../core/evidence.ts'
import type { IssuedKey } from '../core/ports.ts'
import type { RotationEvent } from '../core/rotation.ts'
import type { CredentialState, KeyId } from '../core/types.ts'
import type { Keyring } from './keyring.ts'
import type { Proofs } from './proofs.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

/** What the performing of duties has in common. */

export interface Performed {
  readonly event: RotationEvent
  /** A version that appeared or whose metadata changed; goes into the same commit as the event. */
  readonly added?: NewVersion
}

export interface PerformContext {
  readonly setup: CredentialSetup
  readonly keyring: Keyring
  readonly deps: EngineDeps
  /** The latest committed state. */
  readonly state: () => CredentialState
  /** The states of the other credentials. */
  readonly others: () => readonly CredentialState[]
  /** Of current keys, shared by the retirements that wait for one. */
  readonly proofs: Proofs
}

/** All keys where this issuer mints; undefined when that could not be found out. */
export async function listed(context: PerformContext): Promise<readonly IssuedKey[] | undefined> {
  const outcome = await context.setup.issuer.list?.()
  return outcome?.kind === 'listed' ? outcome.keys : undefined
}

/** Ends a key that nobody uses: deletes it, or where that is refused, lets it expire at once. Undefined: not known to be over. */
export async function kill(keyId: KeyId, context: PerformContext): Promise<Ending | undefined> {
  assertNotInUse(keyId, context)
  const { issuer, policy } = context.setup
  // An issuer that cannot revoke leaves the pending key to its own short expiry, and to the person who brought it.
  if (issuer.revoke === undefined || !policy.canMint) return { how: 'left' }
  const outcome = await issuer.revoke(keyId)
  if (outcome.kind === 'gone') return { how: 'deleted', ...requestIdOf(outcome) }
  if (outcome.kind === 'unknown') return undefined
  assertNotInUse(keyId, context)
  const expiry = await issuer.setExpiry?.(keyId, 1)
  if (expiry?.kind === 'set') return { how: 'expiring', ...requestIdOf(expiry) }
  return expiry?.kind === 'refused' && (await hasExpired(keyId, context)) ? { how: 'expiring' } : undefined
}

/** The issuer's own name of a call, where it gave one. */
export function requestIdOf({ requestId }: { readonly requestId?: string }): { readonly requestId?: string } {
  return requestId === undefined ? {} : { requestId }
}

/** An answer that was lost may have let it expire already, and what has expired takes no other expiry. */
export async function hasExpired(keyId: KeyId, context: PerformContext): Promise<boolean> {
  const key = (await listed(context))?.find((one) => one.keyId === keyId)
  return key?.expiresAt !== undefined && key.expiresAt <= context.deps.system.now()
}

/** Invariant 2, checked on the last line before the wire. */
export function assertNotInUse(keyId: KeyId, context: PerformContext): void {
  const holder = context
    .state()
    .versions.find((one) => one.meta.keyId === keyId && one.stage !== 'retired' && one.stage !== 'pending')
  assert(holder === undefined, `${context.setup.name}: no key that is in use is revoked`)
  const current = currentOf(context.state())
  assert(current?.meta.keyId !== keyId, `${context.setup.name}: the current key is never revoked`)
  const prints = context
    .state()
    .versions.filter((one) => one.meta.keyId === keyId)
    .map((one) => one.fingerprint)
  const isSame = current !== undefined && prints.includes(current.fingerprint)
  assert(!isSame, `${context.setup.name}: the current key is not revoked under another name either`)
}
