import { KeyturnError } from '../core/errors.ts'
import { aboveFence } from '../core/fences.ts'
import { isDocument } from '../core/key-inspection.ts'
import type { IssuedKey, PermissionFinding } from '../core/ports.ts'
import { matchesRedacted } from '../core/redacted.ts'
import type { RotationEvent } from '../core/rotation.ts'
import type { CredentialState, VersionRecord } from '../core/types.ts'
import { assertFit } from './fit.ts'
import { listed, type PerformContext, type Performed } from './performing.ts'
import { engineLimits } from './setup.ts'

/** Proves before anything is minted that store, mirrors and issuer allow what a rotation needs. */
export async function performCheck(context: PerformContext): Promise<Performed> {
  const { setup } = context
  if (!setup.store.capabilities.writable) {
    throw new KeyturnError(
      'store_read_only',
      `The ${setup.store.capabilities.kind} store of ${setup.name} cannot be written.`,
      {
        fix: 'Keep the credential in a store that can be written, or replace the key there by hand: Keyturn takes it up.',
      },
    )
  }
  const findings = [
    ...(await setup.store.check(setup.ref)),
    ...((await setup.issuer.check?.({ forSpare: context.state().rotation?.mode === 'standby' })) ?? []),
    ...(await checkMirrors(context)),
  ]
  const missing = findings.filter((one) => one.state === 'missing')
  if (missing.length === 0) {
    const read = await setup.store.read(setup.ref)
    if (read !== undefined && isDocument(read.secret))
      assertFit(read.secret, `The store of ${setup.name}`, setup)
    if (!(await isFenceTaken(context))) return { event: { kind: 'check_unknown' } }
    const event = await massRejection(context)
    return { event: event.kind === 'checked' ? { ...event, permissions: findings } : event }
  }
  const summary = `Not allowed: ${missing.map((one) => `${one.permission} on ${one.resource}`).join('; ')}.`
  // Several permissions often miss for one reason, which is said once.
  const fix = [...new Set(missing.map((one) => one.fix ?? `Grant ${one.permission}.`))].join(' ')
  return {
    event: { kind: 'check_failed', reason: 'permission_missing', summary, fix, permissions: findings },
  }
}

/**
 * Changes nothing, since there is no such version, and says whether the store takes anything under our fence. False: it
 * has seen a higher one that can be believed, and ours is raised above it before this is tried again.
 */
async function isFenceTaken({ setup, deps, state }: PerformContext): Promise<boolean> {
  try {
    await setup.store.retire(setup.ref, { version: deps.system.uuid(), fence: state().fence })
    return true
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'store_conflict')) throw thrown
    const seen = (await setup.store.describe(setup.ref))?.fence ?? 0
    if (aboveFence(state(), seen, deps.system.now()) === state()) throw thrown
    return false
  }
}

/**
 * What a mirror does not allow is said before anything is minted. One that cannot be asked, whatever the reason, holds
 * nothing up, since it is reported and kept in line by itself; nor does any in an emergency, or before there is a first key.
 */
async function checkMirrors(context: PerformContext): Promise<readonly PermissionFinding[]> {
  const { setup, deps } = context
  const { rotation } = context.state()
  // A spare is in no mirror.
  if (rotation?.mode === 'emergency' || rotation?.mode === 'standby' || rotation?.from === undefined)
    return []
  const findings = await Promise.all(
    setup.mirrors.map(async ({ id, store, ref }) => {
      try {
        const findings = await store.check(ref)
        return findings.map((one) => ({ ...one, resource: `${one.resource} (mirror ${id})` }))
      } catch (thrown) {
        deps.log('warn', 'a mirror could not be asked what is allowed there', {
          credential: setup.name,
          mirror: id,
          error: thrown,
        })
        return []
      }
    }),
  )
  return findings.flat()
}

/**
 * Invariant 5: keys of several service accounts that are rejected together while the issuer still lists them are no
 * loss of keys, and minting more would not help. Only rotations that nobody asked for are held back.
 */
async function massRejection(context: PerformContext): Promise<RotationEvent> {
  const { setup, deps } = context
  const state = context.state()
  const { requestedBy, mode } = state.rotation ?? {}
  if (requestedBy !== 'failover' && mode !== 'standby') return { kind: 'checked' }
  const since = deps.system.now() - engineLimits.massRejectionMs
  const own = rejectedSince(state, since)
  const alsoHit = context
    .others()
    .filter((other) => rejectedSince(other, since).some((one) => own.some((mine) => isApart(mine, one))))
  if (alsoHit.length === 0 && !areOnSeveral(own)) return { kind: 'checked' }
  const keys = await listed(context)
  if (keys === undefined) return { kind: 'check_unknown' }
  const now = deps.system.now()
  const alive = keys.filter((one) => (one.expiresAt ?? Number.POSITIVE_INFINITY) > now)
  const kept = own.filter((record) => alive.some((key) => isKeyOf(record, key, context)))
  const isMass = alsoHit.length > 0 ? kept.length > 0 : areOnSeveral(kept)
  if (!isMass) return { kind: 'checked' }
  const names = alsoHit.map((one) => one.name).join(', ') || 'its spare'
  return {
    kind: 'check_failed',
    reason: 'mass_rejection',
    summary: `OpenAI rejects the keys of ${setup.name} and of ${names} though it still lists them: no more keys are made.`,
    fix: `Look at OpenAI’s status page and at the account. To mint all the same: keyturn rotate ${setup.name} --emergency.`,
  }
}

function rejectedSince(state: CredentialState, since: number): readonly VersionRecord[] {
  return state.versions.filter(({ withdrawnAt, rejections }) => {
    // A first key that is dead was never handed out, so there was nothing to withdraw.
    const deadAt = withdrawnAt ?? ((rejections?.count ?? 0) > 1 ? rejections?.lastAt : undefined)
    return deadAt !== undefined && deadAt >= since
  })
}

/** By its id, and where a person made it, by what the list shows of it. */
function isKeyOf(record: VersionRecord, key: IssuedKey, { setup, keyring }: PerformContext): boolean {
  if (record.meta.keyId !== undefined) return record.meta.keyId === key.keyId
  const secret = keyring.peek(setup.name, record.version)
  return secret !== undefined && matchesRedacted(secret, key.redacted)
}

/** A key and its spare. Of keys whose account nobody knows, as people put them there, this cannot be said. */
function areOnSeveral(records: readonly VersionRecord[]): boolean {
  const accounts = records.map(({ meta }) => meta.serviceAccount).filter((one) => one !== undefined)
  return new Set(accounts).size > 1
}

/** Of another service account, as far as is known; the same key under two names is one loss. */
function isApart(one: VersionRecord, other: VersionRecord): boolean {
  if (one.fingerprint === other.fingerprint) return false
  const account = one.meta.serviceAccount
  return account === undefined || account !== other.meta.serviceAccount
}
