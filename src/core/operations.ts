import { heldUntil } from './blackout.ts'
import {
  type Change,
  type ChangeContext,
  canMintNow,
  eventOf,
  type NewVersion,
  nextLive,
  recordOf,
  withRecord,
} from './credential.ts'
import { assert, KeyturnError } from './errors.ts'
import { keyFacts } from './evidence.ts'
import { resumeOrAbort } from './next-command.ts'
import { newRetirement } from './retirement.ts'
import { applyRetirement } from './retiring.ts'
import { isRunning, isSparing } from './rotation.ts'
import { makeByHand } from './self-minting.ts'
import { turnToSpare } from './sparing.ts'
import { readySpares } from './standby.ts'
import { takeOver } from './take-over.ts'
import { applyRotation, beginRotation, startRotation } from './turning.ts'
import type { CredentialState, KeyId, Policy, RotationMode, Steering, VersionId } from './types.ts'

/**
 * What people ask for. Each returns the change, or throws the refusal that they are told.
 */
export function askForRotation(
  state: CredentialState,
  request: {
    readonly mode: RotationMode
    readonly isCompromised: boolean
    readonly reason: string
    readonly requestedBy: string
    /** Whoever asks knows that there is a blackout. */
    readonly isInBlackout?: boolean
    /** The store's own schedule drives it. */
    readonly steering?: Steering
  },
  context: ChangeContext,
): Change {
  const { policy } = context
  if (!policy.storeWritable) {
    throw new KeyturnError(
      'store_read_only',
      `${state.name} cannot be turned: its store cannot be written.`,
      {
        fix: 'Replace the key in the store by hand and Keyturn takes it up, or configure a store that can be written.',
      },
    )
  }
  if (!policy.canMint && !policy.isManual) {
    throw new KeyturnError(
      'issuer_cannot_mint',
      `${state.name} cannot be turned: no admin key is configured, so no key can be minted.`,
      {
        fix: 'Configure the issuer’s admin key, project and service account, or bring a key: keyturn bring.',
      },
    )
  }
  const { rotation } = state
  if (policy.canMint && !canMintNow(state, policy) && !isRunning(rotation)) {
    throw new KeyturnError(
      'issuer_cannot_mint',
      `${state.name} cannot be turned: an admin key is made by one that works, and there is none.`,
      { fix: makeByHand(state.name) },
    )
  }
  const [spare] = request.isCompromised ? readySpares(state, policy, context.now) : []
  if (spare !== undefined) return turnToSpare(state, spare, request, context)
  const isSuperseded = isSparing(rotation) && request.mode !== 'rehearsal'
  if (!isRunning(rotation) || isSuperseded) {
    const { isInBlackout = false, ...asked } = request
    if (request.mode === 'normal' && !isInBlackout) assertNoBlackout(state, context)
    return beginRotation(state, { ...asked, isAutomatic: false }, context)
  }
  if (request.mode === 'emergency') {
    const { requestedBy: by, reason, isCompromised } = request
    return applyRotation(state, { kind: 'emergency_asked', by, reason, isCompromised }, context)
  }
  if (rotation.phase === 'halted') {
    throw new KeyturnError(
      'rotation_halted',
      `The last rotation of ${state.name} is halted: ${rotation.halt?.summary ?? ''}`,
      {
        fix: resumeOrAbort(rotation.halt?.fix ?? '', state.name),
      },
    )
  }
  const what = isSparing(rotation)
    ? `A spare of ${state.name} is being made`
    : `${state.name} is being turned already`
  throw new KeyturnError(
    'rotation_in_progress',
    `${what} (${rotation.phase}, since ${new Date(rotation.startedAt).toISOString()}).`,
    {
      fix: `Watch it with keyturn status ${state.name} --watch, or stop it with keyturn abort ${state.name}.`,
    },
  )
}

/** Emergencies and rehearsals are free of it: the one cannot wait, and the other moves nothing. */
function assertNoBlackout(state: CredentialState, { now, policy }: ChangeContext): void {
  const until = heldUntil(state, policy, now)
  if (until === undefined) return
  throw new KeyturnError(
    'blackout',
    `${state.name} is in a blackout until ${new Date(until).toISOString()}: its key is not turned now.`,
    {
      fix: `Wait until then; or if it cannot wait: keyturn rotate ${state.name} --in-blackout (inBlackout: true over HTTP).`,
    },
  )
}

export function askOfRotation(
  state: CredentialState,
  request: { readonly id: string; readonly act: 'pause' | 'resume' | 'abort'; readonly by: string },
  context: ChangeContext,
): Change {
  const { rotation } = state
  if (rotation?.id !== request.id || !isRunning(rotation)) {
    throw new KeyturnError('rotation_not_running', `That rotation of ${state.name} is not running.`, {
      fix: `keyturn status ${state.name} shows the one that is, if any.`,
    })
  }
  const change = applyRotation(state, { kind: `${request.act}_asked`, by: request.by }, context)
  if (change.state.rotation !== rotation) return change
  if (request.act !== 'abort') return change
  throw new KeyturnError(
    'conflict',
    `The rotation of ${state.name} is past the point where it can be aborted (${rotation.phase}).`,
    {
      fix: `Let it end, then go back with: keyturn rollback ${state.name}`,
    },
  )
}

/** `to` was verified a moment ago. A person may bring back what was withdrawn, but never what is retired or compromised. */
export function rollBack(
  state: CredentialState,
  to: VersionId,
  by: { readonly who: string; readonly why: string },
  context: ChangeContext,
): Change {
  assertCanGoBack(state, to, context.policy)
  const cleared = recordOf(state, to)?.withdrawnAt === undefined ? state : unwithdrawn(state, to)
  const record = recordOf(cleared, to)
  assert(record !== undefined, 'what is rolled back to is on record')
  const verified = withRecord(cleared, to, { verifiedAt: context.now, checkedAt: context.now })
  return takeOver(verified, to, { ...by, isInStore: verified.storeCurrent === to }, context)
}

function unwithdrawn(state: CredentialState, version: VersionId): CredentialState {
  return {
    ...state,
    versions: state.versions.map((one) => {
      if (one.version !== version) return one
      const { withdrawnAt: _withdrawn, rejections: _rejections, ...rest } = one
      return rest
    }),
  }
}

export function assertCanGoBack(state: CredentialState, to: VersionId, policy: Policy): void {
  // Going back in memory alone would last until the next start, and other readers of the store would never know.
  if (!policy.storeWritable)
    throw new KeyturnError('store_read_only', `${state.name} cannot go back: its store cannot be written.`, {
      fix: 'Put the earlier key into the store by hand; Keyturn takes it up by itself.',
    })
  const record = recordOf(state, to)
  if (record === undefined)
    throw new KeyturnError('not_found', `${state.name} has no version ${to}.`, {
      fix: `keyturn versions ${state.name} lists them.`,
    })
  if (to === state.current)
    throw new KeyturnError('conflict', `${to} is what ${state.name} hands out already.`, {
      fix: 'Nothing to do.',
    })
  if (record.stage === 'retired' || record.stage === 'pending' || record.compromised) {
    const why = record.compromised ? 'compromised' : record.stage
    throw new KeyturnError('version_not_live', `${to} is ${why} and can never be handed out again.`, {
      fix: `Turn the key instead: keyturn rotate ${state.name}`,
    })
  }
  const { rotation } = state
  if (isRunning(rotation) && rotation.phase !== 'halted' && !isSparing(rotation)) {
    throw new KeyturnError('rotation_in_progress', `${state.name} is being turned (${rotation.phase}).`, {
      fix: `Stop it first: keyturn abort ${state.name}`,
    })
  }
}

/** Opens a rotation that waits for the key a person is bringing; or uses the one that waits already. */
export function awaitBrought(
  state: CredentialState,
  request: { readonly reason: string; readonly requestedBy: string },
  context: ChangeContext,
): Change {
  if (!context.policy.storeWritable) {
    throw new KeyturnError(
      'store_read_only',
      `${state.name} cannot take a key: its store cannot be written.`,
      { fix: 'Replace the key in the store by hand; Keyturn takes it up by itself.' },
    )
  }
  if (state.rotation?.phase === 'awaiting') return { state, events: [] }
  if (isRunning(state.rotation)) {
    throw new KeyturnError(
      'rotation_in_progress',
      `${state.name} is being turned (${state.rotation.phase}).`,
      { fix: `Let it end, or stop it first: keyturn abort ${state.name}` },
    )
  }
  const manual: ChangeContext = { ...context, policy: { ...context.policy, isManual: true } }
  const started = startRotation(
    state,
    { mode: 'normal', isCompromised: false, ...request, isAutomatic: false },
    manual,
  )
  const waiting = applyRotation(started.state, { kind: 'checked' }, manual)
  return { state: waiting.state, events: [...started.events, ...waiting.events] }
}

export function takeBrought(state: CredentialState, added: NewVersion, context: ChangeContext): Change {
  return applyRotation(state, { kind: 'brought', version: added.version }, context, added)
}

/**
 * Revokes one version at once. `keyId` is the issuer's id where it is known or was found; what is current is replaced
 * first, and where nothing could replace it, only a typed confirmation lets it go.
 */
export function revokeVersion(
  state: CredentialState,
  request: {
    readonly version: VersionId
    readonly keyId: KeyId | undefined
    readonly by: string
    readonly reason: string
    readonly isEvenIfLast: boolean
  },
  context: ChangeContext,
): Change {
  const { version, by, keyId } = request
  const record = recordOf(state, version)
  if (record === undefined)
    throw new KeyturnError('not_found', `${state.name} has no version ${version}.`, {
      fix: `keyturn versions ${state.name} lists them.`,
    })
  if (isRunning(state.rotation) && state.rotation.attempts.some((one) => one.version === version)) {
    throw new KeyturnError(
      'rotation_in_progress',
      `${version} is the new key of a rotation that is under way.`,
      { fix: `keyturn abort ${state.name} takes it back.` },
    )
  }
  if (keyId === undefined) {
    throw new KeyturnError(
      'issuer_cannot_mint',
      `Keyturn does not know OpenAI’s id of ${version}, so it cannot revoke it.`,
      {
        fix:
          'Delete the key by hand in OpenAI’s dashboard; its fingerprint here is ' + record.fingerprint + '.',
      },
    )
  }
  const replaced = version === state.current ? replaceCurrent(state, request, context) : { state, events: [] }
  // What was in reserve until now is chosen after all others.
  const stage = record.stage === 'standby' ? 'previous' : undefined
  const known = withRecord(replaced.state, version, {
    meta: { ...record.meta, keyId },
    ...(stage === undefined ? {} : { stage }),
  })
  const walking = known.retirements.find((one) => one.version === version && one.phase !== 'kept')
  if (walking !== undefined) {
    const forced = applyRetirement(known, walking.id, { kind: 'forced', by, reason: request.reason }, context)
    return { state: forced.state, events: [...replaced.events, ...forced.events] }
  }
  const retirement = newRetirement(
    {
      id: context.uuid(),
      version,
      keyId,
      isForced: true,
      why: `${request.reason} (asked for by ${by})`,
      key: keyFacts({ ...record, meta: { ...record.meta, keyId } }),
      requestedBy: by,
      reason: request.reason,
    },
    context,
  )
  const others = known.retirements.filter((one) => one.version !== version)
  return { state: { ...known, retirements: [...others, retirement] }, events: replaced.events }
}

function replaceCurrent(
  state: CredentialState,
  request: {
    readonly version: VersionId
    readonly by: string
    readonly reason: string
    readonly isEvenIfLast: boolean
  },
  context: ChangeContext,
): Change {
  const next = nextLive(state, context.now)
  if (next !== undefined) {
    return takeOver(
      state,
      next.version,
      { who: request.by, why: request.reason, isInStore: state.storeCurrent === next.version },
      context,
    )
  }
  if (context.policy.isSelfMinting === true) {
    throw new KeyturnError(
      'last_working_key',
      `${request.version} is the last working key of ${state.name}: without it no key of anything can be made or ended.`,
      {
        fix: `Turn it (keyturn rotate ${state.name}), or bring another one first; or delete it by hand at OpenAI.`,
      },
    )
  }
  if (!request.isEvenIfLast) {
    throw new KeyturnError(
      'last_working_key',
      `${request.version} is the last working key of ${state.name}: revoking it leaves the apps without one.`,
      {
        fix: `Turn it at once instead: keyturn rotate ${state.name} --emergency --compromised. If you mean it: keyturn revoke ${state.name} ${request.version} --even-if-last`,
      },
    )
  }
  const { current: _gone, ...rest } = state
  const summary = `The last key of ${state.name} was revoked by ${request.by}.`
  const fix = `Turn or bring a key: keyturn rotate ${state.name}`
  const versions = state.versions.map((one) =>
    one.version === request.version ? { ...one, stage: 'previous' as const, withdrawnAt: context.now } : one,
  )
  const out: CredentialState = {
    ...rest,
    versions,
    generation: state.generation + 1,
    isAlignmentDue: false,
    outage: { since: context.now, summary, fix },
  }
  return { state: out, events: [eventOf(out, 'outage', context.now, { summary, fix })] }
}
