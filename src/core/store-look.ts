import {
  type Change,
  type ChangeContext,
  candidateOf,
  canMintNow,
  eventOf,
  handedOut,
  isOut,
  type NewVersion,
  recordOf,
  withRecord,
  withVersion,
} from './credential.ts'
import { isTurning } from './failover.ts'
import { makeByHand } from './self-minting.ts'
import { beginRotation, mayRotateByItself } from './turning.ts'
import type {
  CredentialName,
  CredentialState,
  Fingerprint,
  Policy,
  VersionId,
  VersionMeta,
  VersionOrigin,
} from './types.ts'

/** What one look at the primary store brought. */
export type StoreReading =
  | {
      readonly kind: 'read'
      readonly version: VersionId
      readonly fingerprint: Fingerprint
      readonly meta: VersionMeta
      /** Where the ledger knew none: what became of looking whose keys these are. Default: found ones, and no others. */
      readonly origin?: VersionOrigin
      readonly others?: readonly NewVersion[]
    }
  /** `where`: the kind of store and the name in it, for people. */
  | { readonly kind: 'absent'; readonly where?: string }
  | { readonly kind: 'failed'; readonly code: string; readonly summary: string; readonly fix: string }

/** What a look at the store means: nothing new, a first key, somebody else's change, or trouble. */
export function observeStore(
  state: CredentialState,
  reading: StoreReading,
  context: ChangeContext & { readonly fraction: number },
): Change {
  const { now, policy } = context
  const pollMs = policy.storePollMs * (0.9 + 0.2 * context.fraction)
  const looked: CredentialState = { ...state, storeReadAt: now, nextStoreReadAt: now + Math.round(pollMs) }
  if (reading.kind === 'failed') {
    const failed = storeFailed(looked, reading, now + Math.min(pollMs, policy.retryBaseMs * 10), now)
    return confirmedLater(failed, context)
  }
  const { storeTrouble: _mended, ...rest } = looked
  const healthy = state.storeTrouble?.code === 'store_changed' ? looked : rest
  if (reading.kind === 'absent') return storeEmpty(looked, reading.where, context)
  return confirmedLater(storeRead(healthy, reading, context), context)
}

function confirmedLater(
  change: Change,
  { now, policy, fraction }: ChangeContext & { readonly fraction: number },
): Change {
  if (policy.storeConfirmMs === undefined || !isPatrolled(change.state, policy)) return change
  const nextStoreReadAt = now + Math.round(policy.storeConfirmMs * (0.9 + 0.2 * fraction))
  return { ...change, state: { ...change.state, nextStoreReadAt } }
}

/**
 * Whether a look at the store can be made without a claim, since all that it is likely to find is what is known already:
 * the key that is handed out, or a store that fails as it did before.
 */
export function isPatrolled(state: CredentialState, policy: Pick<Policy, 'storeConfirmMs'>): boolean {
  const { storeTrouble, storeCurrent, current } = state
  const isContent = storeTrouble?.code === 'store_absent' || storeTrouble?.code === 'store_changed'
  return (
    policy.storeConfirmMs !== undefined &&
    !isContent &&
    storeCurrent === current &&
    state.isAlignmentDue !== true &&
    handedOut(state) !== undefined
  )
}

function storeFailed(
  state: CredentialState,
  reading: Extract<StoreReading, { kind: 'failed' }>,
  nextStoreReadAt: number,
  now: number,
): Change {
  const { code, summary, fix } = reading
  const isNew = state.storeTrouble?.code !== code
  const since = isNew ? now : (state.storeTrouble?.since ?? now)
  const troubled = { ...state, nextStoreReadAt, storeTrouble: { since, code, summary, fix } }
  return { state: troubled, events: isNew ? [eventOf(troubled, 'alert', now, { code, summary, fix })] : [] }
}

/** An empty store is a beginning where Keyturn can mint, and an outage where it cannot. */
function storeEmpty(state: CredentialState, where: string | undefined, context: ChangeContext): Change {
  const { storeCurrent: _none, storeTrouble, ...rest } = state
  if (state.current === undefined && isTurning(state)) return { state: rest, events: [] }
  if (state.current === undefined && mayRotateByItself(rest, context)) {
    return beginRotation(
      rest,
      {
        mode: 'normal',
        isCompromised: false,
        reason: 'the store holds no key yet',
        requestedBy: 'start',
        isAutomatic: true,
      },
      context,
    )
  }
  const isNew = storeTrouble?.code !== 'store_absent'
  const trouble = {
    since: isNew ? context.now : (storeTrouble?.since ?? context.now),
    code: 'store_absent',
    summary: `The store holds no key for ${state.name}${state.current === undefined ? '' : ' any more'}${where === undefined ? '' : ` (${where})`}.`,
    fix: context.policy.storeWritable
      ? `${backFix(state)}Bring one: keyturn bring ${state.name} < key.txt`
      : `Put the key where this store reads it from; ${takenUp}.`,
  }
  const { code, summary, fix } = trouble
  const empty = { ...rest, storeTrouble: trouble }
  return {
    state: empty,
    events: isNew ? [eventOf(empty, 'alert', context.now, { code, summary, fix })] : [],
  }
}

/** It was there: somebody emptied it, or the configuration names another place than before. */
function backFix({ current, name }: CredentialState): string {
  return current === undefined
    ? ''
    : `Put back what was there, or the store into the configuration that was there before; else turn the key: keyturn rotate ${name}. `
}

function storeRead(
  state: CredentialState,
  reading: Extract<StoreReading, { kind: 'read' }>,
  context: ChangeContext,
): Change {
  const { now } = context
  const same = sameKey(state, reading)
  if (same !== undefined) return storeRead(renamed(state, same, reading.version), reading, context)
  const known = recordOf(state, reading.version)
  const isSwapped = known !== undefined && known.fingerprint !== reading.fingerprint
  if (isSwapped)
    return alarm(
      state,
      reading.version,
      'The value of a known version changed in the store: somebody overwrote it.',
      context,
    )
  const { version, fingerprint, meta, origin = 'found' } = reading
  const isRebuilt = state.versions.length === 0 && (origin === 'minted' || (reading.others ?? []).length > 0)
  const base = isRebuilt ? withOthers(state, reading.others ?? [], now) : state
  const added = known === undefined ? withVersion(base, { version, fingerprint, meta, origin }, now) : base
  const seen: CredentialState = { ...added, storeCurrent: reading.version }
  if (reading.version === state.current) return { state: clearChanged(seen), events: [] }
  const candidate = candidateOf(seen)
  if (candidate !== undefined) {
    return {
      state: withRecord(seen, candidate.version, { nextCheckAt: candidate.nextCheckAt ?? now }),
      events: [],
    }
  }
  // Seen there before, it is what we left behind ourselves: in a store that cannot be written, or having nothing better.
  const isLeft = state.storeCurrent === reading.version && state.storeTrouble?.code !== 'store_changed'
  const isOurs = isLeft && (!context.policy.storeWritable || handedOut(state) === undefined)
  const record = recordOf(seen, reading.version)
  if (record === undefined || !isOut(record) || isOurs || seen.isAlignmentDue)
    return { state: seen, events: [] }
  return alarm(
    seen,
    reading.version,
    'Somebody made a retired or withdrawn key current in the store.',
    context,
  )
}

/**
 * The key that is handed out, or one in reserve, under an id that is new: a store draws ids from values where the document
 * beside it was lost, and people copy a key over itself. It is the same version, or the one would be revoked as the other.
 */
function sameKey(
  state: CredentialState,
  { version, fingerprint }: Extract<StoreReading, { kind: 'read' }>,
): VersionId | undefined {
  if (recordOf(state, version) !== undefined) return undefined
  const same = state.versions.filter((one) => one.fingerprint === fingerprint && one.stage !== 'pending')
  return (same.find((one) => one.version === state.current) ?? same.at(-1))?.version
}

function renamed(state: CredentialState, from: VersionId, to: VersionId): CredentialState {
  const { rotation } = state
  const named = <Id extends VersionId | undefined>(version: Id): Id | VersionId =>
    version === from ? to : version
  return {
    ...state,
    ...(state.current === undefined ? {} : { current: named(state.current) }),
    ...(state.storeCurrent === undefined ? {} : { storeCurrent: named(state.storeCurrent) }),
    // The version is part of what is handed out, and apps tell by the generation that it changed.
    generation: state.generation + (state.current === from ? 1 : 0),
    versions: state.versions.map((one) => ({ ...one, version: named(one.version) })),
    retirements: state.retirements.map((one) => ({ ...one, version: named(one.version) })),
    ...(rotation === undefined
      ? {}
      : {
          rotation: {
            ...rotation,
            ...(rotation.from === undefined ? {} : { from: named(rotation.from) }),
            ...(rotation.compromised === undefined ? {} : { compromised: named(rotation.compromised) }),
          },
        }),
    ...(state.mirrors === undefined
      ? {}
      : {
          mirrors: state.mirrors.map((mirror) => ({
            ...mirror,
            ...(mirror.current === undefined ? {} : { current: named(mirror.current) }),
            holds: mirror.holds.map((one) => ({ ...one, version: named(one.version) })),
          })),
        }),
  }
}

/** What a lost ledger knew of besides the current version: it drains anew, one whole overlap from the first hand-out on. */
function withOthers(state: CredentialState, others: readonly NewVersion[], now: number): CredentialState {
  // What a rotation staged meanwhile is no old key.
  const attempts = [...(state.rotation?.attempts ?? []), ...state.openAttempts].map(({ version }) => version)
  const old = others.filter(({ version }) => !attempts.includes(version))
  return old.toReversed().reduce((before, one) => {
    const added = withVersion(before, one, now)
    return withRecord(added, one.version, { stage: 'previous' })
  }, state)
}

function clearChanged(state: CredentialState): CredentialState {
  if (state.storeTrouble?.code !== 'store_changed') return state
  const { storeTrouble: _over, ...rest } = state
  return rest
}

export function alarm(
  state: CredentialState,
  version: VersionId,
  summary: string,
  context: ChangeContext,
): Change {
  const { policy } = context
  const fix =
    canMintNow(state, policy) && policy.storeWritable
      ? `It is not handed out. Put the right key back, or run: keyturn rotate ${state.name}`
      : `It is not handed out. ${remedy(state.name, policy)}`
  const isNew = state.storeTrouble?.code !== 'store_changed'
  const since = isNew ? context.now : (state.storeTrouble?.since ?? context.now)
  const alarmed = { ...state, storeTrouble: { since, code: 'store_changed', summary, fix } }
  return {
    state: alarmed,
    events: isNew
      ? [eventOf(alarmed, 'alert', context.now, { code: 'store_changed', version, summary, fix })]
      : [],
  }
}

/** How a working key gets in, in the words of what this set-up can do: not every store takes one from Keyturn. */
export function remedy(name: CredentialName, policy: Policy): string {
  if (!policy.storeWritable) return `Put a working key where the store of ${name} reads it from; ${takenUp}.`
  if (policy.isSelfMinting === true) return makeByHand(name)
  const bringing = `bring a working key: keyturn bring ${name} < key.txt`
  return policy.canMint
    ? `Turn the key: keyturn rotate ${name} --emergency; or ${bringing}`
    : upperFirst(bringing)
}

const takenUp = 'it is taken up by itself, a variable of the environment after a restart'

function upperFirst(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
