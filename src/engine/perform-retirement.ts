import { currentOf, recordOf } from '../core/credential.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Lease } from '../core/leases.ts'
import type { Evidence, RetirementEffect, RetirementEvent } from '../core/retirement.ts'
import { type CredentialState, isAuthentic, type VersionId } from '../core/types.ts'
import {
  holderInStores,
  isInsisted,
  mirrorsHolding,
  retireInMirrors,
  storeHolding,
} from './held-in-stores.ts'
import { assertNotInUse, hasExpired, listed, type PerformContext, requestIdOf } from './performing.ts'
import { probe } from './probe.ts'
import { engineLimits } from './setup.ts'

/** Performs what a retirement wants. Never throws: whatever goes wrong is an event. */
export async function performRetirement(
  effect: RetirementEffect,
  context: PerformContext,
): Promise<RetirementEvent> {
  try {
    return await perform(effect, context)
  } catch (thrown) {
    const error = toKeyturnError(thrown, `retirement in ${context.setup.name}, ${effect.kind}`)
    context.deps.log('warn', 'a step of a retirement failed; it will be tried again', {
      credential: context.setup.name,
      effect: effect.kind,
      error,
    })
    return failureOf(effect)
  }
}

function failureOf(effect: RetirementEffect): RetirementEvent {
  switch (effect.kind) {
    case 'gather':
      return { kind: 'evidence_unknown' }
    case 'retire':
      return { kind: 'retire_failed' }
    case 'prove_current':
      return { kind: 'current_unknown' }
    case 'revoke':
      return { kind: 'revoke_unknown' }
    case 'probe_death':
      return { kind: 'death_probed', listed: 'unknown', verdict: undefined }
    case 'destroy':
      return { kind: 'destroy_failed' }
  }
}

function perform(effect: RetirementEffect, context: PerformContext): Promise<RetirementEvent> {
  switch (effect.kind) {
    case 'gather':
      return gather(effect, context)
    case 'retire':
      return retire(effect.version, context)
    case 'prove_current':
      return proveCurrent(context)
    case 'revoke':
      return revoke(effect, context)
    case 'probe_death':
      return probeDeath(effect, context)
    case 'destroy':
      return destroy(effect.version, context)
  }
}

async function gather(
  effect: Extract<RetirementEffect, { kind: 'gather' }>,
  context: PerformContext,
): Promise<RetirementEvent> {
  const { setup, deps } = context
  const keys = await listed(context)
  if (keys === undefined && setup.issuer.list !== undefined) return { kind: 'evidence_unknown' }
  const state = context.state()
  const record = recordOf(state, effect.version)
  const walk = state.retirements.find((one) => one.version === effect.version)
  const key = keys?.find((one) => one.keyId === effect.keyId)
  const evidence: Evidence = {
    ...(await instances(state, key?.lastUsedAt, context)),
    // What was never handed out is held by nobody.
    ...(walk?.wasSpare === true ? { holders: [] } : {}),
    lastUsedAt: key?.lastUsedAt,
    ownProbeAt: record?.checkedAt,
    isListed: key !== undefined,
    sharedWith: [...context.others(), withoutVersion(state, effect.version)].find((other) =>
      other.versions.some((one) => one.fingerprint === record?.fingerprint && one.stage !== 'retired'),
    )?.name,
    stores: [
      ...(await storeHolding(record?.fingerprint, context)),
      ...(await mirrorsHolding(record?.fingerprint, context)),
    ],
    asked: placesOf(context),
  }
  deps.log('debug', 'looked who still uses an old key', {
    credential: setup.name,
    version: effect.version,
    holders: evidence.holders,
  })
  return { kind: 'evidence', evidence }
}

/** The very key may be here under another name as well, e.g. brought once more. */
function withoutVersion(state: CredentialState, version: VersionId): CredentialState {
  return { ...state, versions: state.versions.filter((one) => one.version !== version) }
}

/**
 * Instances that have not moved on to the generation of today. One that has long been silent is believed gone where the
 * issuer tells the last use, since then a silent user would show there; elsewhere only when no app would go on with a key
 * for so long without having heard of Keyturn.
 */
async function instances(
  state: CredentialState,
  lastUsedAt: number | null | undefined,
  context: PerformContext,
): Promise<Required<Pick<Evidence, 'holders' | 'movedOn' | 'silent'>>> {
  const { deps, setup } = context
  const leases = await deps.ledger.leases(state.name)
  const isTold = lastUsedAt !== undefined
  const silentMs = isTold ? engineLimits.leaseSilentMs : setup.policy.staleAfterMs
  const goneSince = deps.system.now() - silentMs
  const named = (some: readonly Lease[]): readonly string[] =>
    some.map((lease) => `${lease.app} (${lease.instance})`)
  const behind = leases.filter((lease) => lease.generation < state.generation)
  return {
    holders: named(behind.filter((lease) => lease.seenAt > goneSince)),
    movedOn: named(leases.filter((lease) => lease.generation >= state.generation)),
    silent: named(behind.filter((lease) => lease.seenAt <= goneSince)),
  }
}

/** The store and the mirrors, by what people call them. */
function placesOf({ setup }: PerformContext): readonly string[] {
  const store = `${setup.store.capabilities.kind}: ${setup.ref}`
  return [store, ...setup.mirrors.map(({ id }) => `mirror ${id}`)]
}

async function retire(version: VersionId, context: PerformContext): Promise<RetirementEvent> {
  if (!(await retireInStore(version, context))) return { kind: 'retire_refused' }
  await retireInMirrors(version, context)
  return { kind: 'retired', places: placesOf(context) }
}

/** False: the store has it for current. */
async function retireInStore(version: VersionId, context: PerformContext): Promise<boolean> {
  const { setup } = context
  try {
    await setup.store.retire(setup.ref, { version, fence: context.state().fence })
    return true
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'store_conflict')) throw thrown
    // Where a person had the last key revoked there is nothing to make current in its place: the ledger keeps it out.
    return currentOf(context.state()) === undefined
  }
}

async function proveCurrent(context: PerformContext): Promise<RetirementEvent> {
  const current = currentOf(context.state())
  const secret =
    current === undefined ? undefined : await context.keyring.get(context.setup.name, current.version)
  if (current === undefined) return { kind: 'current_absent' }
  if (secret === undefined) return { kind: 'current_unknown' }
  const { setup, deps, proofs } = context
  const target = { secret, version: current.version }
  const { verdict, isOurs } = await proofs.of(setup.name, current.version, () =>
    probe(setup, context.state(), target, deps),
  )
  return { kind: 'current_proved', verdict, isOurs, version: current.version }
}

async function revoke(
  { version, keyId }: Extract<RetirementEffect, { kind: 'revoke' }>,
  context: PerformContext,
): Promise<RetirementEvent> {
  const heldBy = isInsisted(version, context) ? undefined : await holderNow(version, context)
  if (heldBy !== undefined) return { kind: 'still_held', heldBy }
  assertNotInUse(keyId, context)
  const { issuer } = context.setup
  const outcome = await issuer.revoke?.(keyId)
  if (outcome?.kind === 'gone') return { kind: 'revoked', ...requestIdOf(outcome) }
  if (outcome?.kind === 'unknown') return { kind: 'revoke_unknown' }
  assertNotInUse(keyId, context)
  const expiry = await issuer.setExpiry?.(keyId, 1)
  if (expiry?.kind === 'set') return { kind: 'expiring', expiresAt: expiry.expiresAt, ...requestIdOf(expiry) }
  if (expiry?.kind === 'refused' && (await hasExpired(keyId, context))) return { kind: 'expiring' }
  return expiry?.kind === 'unknown' ? { kind: 'revoke_unknown' } : { kind: 'revoke_refused' }
}

/** What was proven before the first try may have died since: before any other it is proven anew. */
async function holderNow(version: VersionId, context: PerformContext): Promise<string | undefined> {
  const walk = context.state().retirements.find((one) => one.version === version)
  if ((walk?.retries ?? 0) > 0) {
    const proof = await proveCurrent(context)
    const isProven = proof.kind === 'current_proved' && isAuthentic(proof.verdict.kind) && proof.isOurs
    if (!isProven) return 'the current key could not be proven'
  }
  // Leases are lost with the ledger, and one that was cut off then may be heard of again only after the gate was passed.
  const [app] = walk?.wasSpare === true ? [] : (await instances(context.state(), null, context)).holders
  if (app !== undefined) return `${app}, which may still use it`
  return holderInStores(version, context)
}

async function probeDeath(
  effect: Extract<RetirementEffect, { kind: 'probe_death' }>,
  context: PerformContext,
): Promise<RetirementEvent> {
  const keys = await listed(context)
  // Where keys are not deleted they stay listed, and one that has expired is as good as gone.
  const isThere = keys?.some((one) => one.keyId === effect.keyId && !isPast(one.expiresAt, context))
  const listing = isThere === undefined ? 'unknown' : isThere ? 'present' : 'absent'
  const secret = await context.keyring.get(context.setup.name, effect.version)
  if (secret === undefined)
    return { kind: 'death_probed', listed: listing, verdict: undefined, at: context.deps.system.now() }
  const { verdict } = await probe(
    context.setup,
    context.state(),
    { secret, version: effect.version },
    context.deps,
  )
  return { kind: 'death_probed', listed: listing, verdict, at: context.deps.system.now() }
}

function isPast(expiresAt: number | undefined, { deps }: PerformContext): boolean {
  return expiresAt !== undefined && expiresAt <= deps.system.now()
}

async function destroy(version: VersionId, context: PerformContext): Promise<RetirementEvent> {
  // Already done but for a last key, which the store gives up only when another one is current.
  await context.setup.store.retire(context.setup.ref, { version, fence: context.state().fence })
  const how = await context.setup.store.destroy(context.setup.ref, version)
  context.keyring.drop(context.setup.name, version)
  return { kind: 'destroyed', how }
}
