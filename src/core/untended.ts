import { type Change, type ChangeContext, recordOf, withRecord, withVersion } from './credential.ts'
import { newRetirement } from './retirement.ts'
import type { CredentialState, Fingerprint, KeyId, VersionId, VersionMeta } from './types.ts'

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
  const meta = { ...key.meta, keyId }
  const same = state.versions.filter((one) => one.fingerprint === fingerprint)
  const known = same.find(
    (one) => one.origin === 'found' && (one.stage === 'current' || one.stage === 'previous'),
  )
  if (known !== undefined) {
    const made = withRecord(state, known.version, { origin: 'minted', meta: { ...known.meta, ...meta } })
    return {
      state: known.stage === 'previous' ? drained(made, known.version, keyId, context) : made,
      events: [],
    }
  }
  const isMinded = same.length > 0 || recordOf(state, version) !== undefined || version === state.storeCurrent
  if (isMinded) return undefined
  const added = withVersion(state, { version, fingerprint, meta, origin: 'minted' }, context.now)
  const aside = withRecord(added, version, { stage: 'previous' })
  return { state: drained(aside, version, keyId, context), events: [] }
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
