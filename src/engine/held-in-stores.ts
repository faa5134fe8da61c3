import { currentOf, recordOf } from '../core/credential.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { mirrorOf } from '../core/mirrors.ts'
import type { SecretStore } from '../core/ports.ts'
import type { Fingerprint, VersionId } from '../core/types.ts'
import { mirroredAs } from './mirror-ids.ts'
import type { PerformContext } from './performing.ts'

/** Whether a person or the policy wants the key dead whoever still holds it (the named exceptions of invariant 2). */
export function isInsisted(version: VersionId, { state }: PerformContext): boolean {
  const retirement = state().retirements.find((one) => one.version === version)
  return retirement?.isForced === true || retirement?.isPastLimit === true
}

/** The same of the store itself: a person may have moved it back to an old key, which is verified and taken up again. */
export async function storeHolding(
  print: Fingerprint | undefined,
  context: PerformContext,
): Promise<readonly string[]> {
  const { store, ref, policy } = context.setup
  if (!policy.storeWritable) return []
  const seen = await currentThere(store, ref, context)
  if (seen === undefined) return ['the store, which cannot be read']
  return seen.fingerprint !== undefined && seen.fingerprint === print
    ? ['the store, which has it for current']
    : []
}

/** Mirrors whose readers still get this key, and those that cannot be asked: each as a sentence for people. */
export async function mirrorsHolding(
  print: Fingerprint | undefined,
  context: PerformContext,
): Promise<readonly string[]> {
  const { setup, deps } = context
  const holders = await Promise.all(
    setup.mirrors.map(async ({ id, store, ref }) => {
      const seen = await currentThere(store, ref, context)
      if (seen === undefined) return `the mirror ${id}, which cannot be read`
      if (seen.fingerprint !== undefined && seen.fingerprint === print)
        return `the mirror ${id}, which still has it for current`
      // One that caught up late has readers that see the old key for as long as that store takes.
      const settledAt = (mirrorOf(context.state(), id)?.currentAt ?? 0) + store.capabilities.propagationMs
      return deps.system.now() < settledAt
        ? `the mirror ${id}, which has had another key for a short time only`
        : undefined
    }),
  )
  return holders.filter((one) => one !== undefined)
}

/**
 * Looked at once more immediately before a key is deleted at the issuer. A store without a compare-and-swap may have
 * let a second writer pass, and a person may have moved it back: nothing is deleted unless the store has for current what
 * is handed out, and no mirror has this key.
 */
export async function holderInStores(
  version: VersionId,
  context: PerformContext,
): Promise<string | undefined> {
  const { setup } = context
  const current = currentOf(context.state())
  if (setup.policy.storeWritable && current !== undefined) {
    const seen = await currentThere(setup.store, setup.ref, context)
    if (seen === undefined) return 'the store, which cannot be read'
    if (seen.fingerprint !== current.fingerprint)
      return 'the store, which has another key for current than the one handed out'
  }
  const [mirror] = await mirrorsHolding(recordOf(context.state(), version)?.fingerprint, context)
  return mirror
}

/** `retired` is written everywhere before a key is deleted. Throws where that fails, but for a key that somebody wants dead. */
export async function retireInMirrors(version: VersionId, context: PerformContext): Promise<void> {
  const { setup, deps } = context
  const state = context.state()
  for (const { id, store, ref } of setup.mirrors) {
    const held = mirrorOf(state, id)?.holds.filter((one) => one.version === version) ?? []
    try {
      for (const as of new Set([mirroredAs(version, deps.system), ...held.map((one) => one.as)]))
        await store.retire(ref, { version: as, fence: state.fence })
    } catch (thrown) {
      if (!isInsisted(version, context)) throw thrown
      deps.log('warn', 'a key is revoked though a mirror could not be told', {
        credential: setup.name,
        mirror: id,
        error: thrown,
      })
    }
  }
}

/** Undefined: it could not be asked. */
async function currentThere(
  store: SecretStore,
  ref: string,
  { setup, deps }: PerformContext,
): Promise<{ readonly fingerprint: Fingerprint | undefined } | undefined> {
  try {
    const read = await store.read(ref)
    return { fingerprint: read === undefined ? undefined : fingerprint(read.secret, deps.system) }
  } catch (thrown) {
    deps.log('warn', 'a store could not be asked whether it still has an old key', {
      credential: setup.name,
      store: store.capabilities.kind,
      ref,
      error: thrown,
    })
    return undefined
  }
}
