import { type Change, type ChangeContext, recordOf, withRecord, withVersion } from './credential.ts'
import { newRetirement } from './retirement.ts'
import { isRunning } from './rotation.ts'
import type { CredentialState, Fingerprint, KeyId, VersionId, VersionMeta, VersionRecord } from './types.ts'

/**
 * Takes up an old key of ours that lives in a store and that a rebuilt ledger could not make out, or did not see: it
 * drains for a whole overlap, as every old key does, and is ended with all that is looked at before that. Undefined: it
 * is minded already.
 */
export function tend(
  state: CredentialState,
  key: {
    readonly version: VersionId
    readonly fingerprint: Fingerprint
    readonly keyId: KeyId
    readonly meta: VersionMeta
  },
  context: ChangeContext,
): Change | undefined {
  const { version, fingerprint, keyId } = key
  // The first look at the store rebuilds it.
  if (state.versions.length === 0) return undefined
  const same = state.versions.filter((one) => one.fingerprint === fingerprint)
  const known = same.find((one) => isUntended(one, state))
  if (known === undefined && (same.length > 0 || recordOf(state, version) !== undefined)) return undefined
  const as = known?.version ?? version
  // What somebody put there is verified first; what becomes of it is seen at the next look.
  if (known?.stage !== 'current' && isJudged(state, as)) return undefined
  const meta = { ...known?.meta, ...key.meta, keyId }
  const added = withVersion(state, { version: as, fingerprint, meta, origin: 'minted' }, context.now)
  const made = withRecord(added, as, { origin: 'minted' })
  if (known?.stage === 'current' || known?.stage === 'standby') return { state: made, events: [] }
  return { state: drained(withRecord(made, as, { stage: 'previous' }), as, keyId, context), events: [] }
}

/**
 * Whether nobody ends it: it counts as found, which is left to its owner, or it was taken up for current and another key
 * was made current before it was proven.
 */
export function isUntended({ version, origin, stage }: VersionRecord, state: CredentialState): boolean {
  const { rotation, openAttempts } = state
  const attempts = [...(isRunning(rotation) ? rotation.attempts : []), ...openAttempts]
  const isAttempt = attempts.some((one) => one.version === version)
  return (
    !isAttempt && stage !== 'retired' && (origin === 'found' || (origin === 'minted' && stage === 'pending'))
  )
}

/** It is current in the store or in a mirror, and it is still to be found out whether it may be. */
function isJudged(state: CredentialState, version: VersionId): boolean {
  const foreign = (state.mirrors ?? []).map((one) => one.foreign?.version)
  return [state.storeCurrent, ...foreign].includes(version)
}

/** A walk to the end in place of none, or of one that was left to its owner. */
function drained(
  state: CredentialState,
  version: VersionId,
  keyId: KeyId,
  context: ChangeContext,
): CredentialState {
  const why = 'an old key of ours, found in the store after the ledger was lost'
  const walk = newRetirement({ id: context.uuid(), version, keyId, isForced: false, why }, context)
  return { ...state, retirements: [...state.retirements.filter((one) => one.version !== version), walk] }
}
