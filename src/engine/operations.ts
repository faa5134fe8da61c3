import type {
  RejectionReport,
  ReportAnswer,
  RevocationRequest,
  RollbackRequest,
  RotationRequest,
} from '../api/types.ts'
import { assertConfirmed, assertLastConfirmed } from '../core/confirmation.ts'
import { candidateOf, currentOf, recordOf, withRecord } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import { redactKeys } from '../core/key-shape.ts'
import {
  askForRotation,
  askOfRotation,
  assertCanGoBack,
  revokeVersion,
  rollBack,
} from '../core/operations.ts'
import { matchesRedacted } from '../core/redacted.ts'
import {
  type CredentialState,
  isAuthentic,
  type KeyId,
  type VersionId,
  type VersionRecord,
} from '../core/types.ts'
import { suspect } from '../core/verification.ts'
import { warnSharers } from './blast-radius.ts'
import type { Book } from './book.ts'
import type { Keyring } from './keyring.ts'
import { probe } from './probe.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

export interface OperationsContext {
  readonly setup: CredentialSetup
  readonly book: Book
  readonly keyring: Keyring
  readonly deps: EngineDeps
  /** The states of the other credentials. */
  readonly others: () => readonly CredentialState[]
  /** Tells the worker that something is due for this credential. */
  readonly wake: () => void
}

const reasonMax = 500

/** People quote the key that leaked; the reason is kept and shown, the key is not. */
export function reasonOf(reason: string | undefined, otherwise: string): string {
  return redactKeys((reason ?? '').trim()).slice(0, reasonMax) || otherwise
}

export async function rotate(
  request: RotationRequest,
  by: string,
  context: OperationsContext,
): Promise<CredentialState> {
  const asked = {
    mode: request.mode ?? 'normal',
    isCompromised: request.isCompromised ?? false,
    reason: reasonOf(request.reason, 'no reason given'),
    requestedBy: by,
    isInBlackout: request.inBlackout ?? false,
  }
  if (asked.isCompromised && asked.mode !== 'emergency') {
    throw new KeyturnError('bad_request', 'isCompromised goes with mode emergency.', {
      fix: 'Send mode: emergency with it.',
    })
  }
  if (asked.isCompromised) {
    assertConfirmed(context.setup.name, request.confirm)
    await warnSharers(context)
  }
  const state = await context.book.change(context.setup.name, (before, change) =>
    askForRotation(before, asked, change),
  )
  context.wake()
  return state
}

export async function actOnRotation(
  id: string,
  act: 'pause' | 'resume' | 'abort',
  by: string,
  context: OperationsContext,
): Promise<CredentialState> {
  const state = await context.book.change(context.setup.name, (before, change) =>
    askOfRotation(before, { id, act, by }, change),
  )
  context.wake()
  return state
}

/** Proves the target first: what does not work is not gone back to. */
export async function rollback(
  request: RollbackRequest,
  by: string,
  context: OperationsContext,
): Promise<CredentialState> {
  const { setup, book, keyring, deps } = context
  const target = targetOf(book.state(setup.name), request.to)
  assertCanGoBack(book.state(setup.name), target.version, setup.policy)
  const secret = await keyring.get(setup.name, target.version)
  if (secret === undefined) {
    throw new KeyturnError('version_not_live', `The store no longer holds ${target.version}.`, {
      fix: `Turn the key instead: keyturn rotate ${setup.name}`,
    })
  }
  const { verdict, isOurs } = await probe(
    setup,
    book.state(setup.name),
    { secret, version: target.version },
    deps,
  )
  if (!isAuthentic(verdict.kind) || !isOurs) {
    throw new KeyturnError(
      'version_not_live',
      `${target.version} does not work, so nothing was changed. ${verdict.summary}`,
      { fix: verdict.fix, retryable: verdict.kind === 'unknown' },
    )
  }
  const why = reasonOf(request.reason, 'rolled back by an operator')
  const state = await book.change(setup.name, (before, change) =>
    rollBack(before, target.version, { who: by, why }, change),
  )
  context.wake()
  return state
}

/** By id, by a unique beginning of it, or by fingerprint; without a name, what was current before. */
function targetOf(state: CredentialState, to: string | undefined): VersionRecord {
  if (to === undefined) {
    const previous = state.versions
      .filter((one) => one.stage === 'previous')
      .toSorted((a, b) => (b.promotedAt ?? 0) - (a.promotedAt ?? 0))[0]
    if (previous !== undefined) return previous
    throw new KeyturnError('version_not_live', `${state.name} has no earlier version that is still alive.`, {
      fix: `keyturn versions ${state.name} lists what there is.`,
    })
  }
  return findVersion(state, to)
}

/** What a question is about: the current version, or the named one. */
export function targetedBy(state: CredentialState, text: string | undefined): VersionRecord {
  if (text !== undefined) return findVersion(state, text)
  const current = currentOf(state)
  if (current !== undefined) return current
  throw new KeyturnError('no_verified_key', `${state.name} hands out no key.`, {
    fix: `keyturn versions ${state.name} lists what there is.`,
  })
}

function findVersion(state: CredentialState, text: string): VersionRecord {
  const exact = recordOf(state, text)
  if (exact !== undefined) return exact
  const found =
    text.length < 4
      ? []
      : state.versions.filter((one) => one.version.startsWith(text) || one.fingerprint === text)
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  const message =
    found.length > 1
      ? `More than one version of ${state.name} begins like that.`
      : `${state.name} has no such version.`
  throw new KeyturnError('not_found', message, { fix: `keyturn versions ${state.name} lists them.` })
}

export async function revoke(
  versionText: string,
  request: RevocationRequest,
  by: string,
  context: OperationsContext,
): Promise<VersionRecord> {
  const { setup, book } = context
  const target = findVersion(book.state(setup.name), versionText)
  const isEvenIfLast = request.evenIfLast === true
  if (isEvenIfLast) assertLastConfirmed(setup.name, request.confirm)
  const sharer = context
    .others()
    .find((other) => other.versions.some((one) => isInUse(one) && one.fingerprint === target.fingerprint))
  if (sharer !== undefined && !isEvenIfLast) {
    throw new KeyturnError(
      'conflict',
      `${sharer.name} holds this very key: revoking it here ends it there.`,
      {
        fix: `Turn ${sharer.name} first, or if you mean it: keyturn revoke ${setup.name} ${target.version} --even-if-last`,
      },
    )
  }
  // Of a key that was found in the store, the metadata is the word of whoever put it there.
  const keyId =
    target.origin === 'minted'
      ? target.meta.keyId
      : (knownKeyId(target.version, context) ?? (await findKeyId(target.version, context)))
  const reason = reasonOf(request.reason, 'revoked by an operator')
  const state = await book.change(setup.name, (before, change) =>
    revokeVersion(before, { version: target.version, keyId, by, reason, isEvenIfLast }, change),
  )
  context.wake()
  return recordOf(state, target.version) ?? target
}

function isInUse({ stage, withdrawnAt }: VersionRecord): boolean {
  return stage !== 'retired' && stage !== 'pending' && withdrawnAt === undefined
}

/** Asked for once more, it may be gone from the list by then. */
function knownKeyId(version: VersionId, { setup, book }: OperationsContext): KeyId | undefined {
  return book.state(setup.name).retirements.find((one) => one.version === version)?.keyId
}

/** A key that Keyturn did not make is found by its redacted value, and only where exactly one fits. */
async function findKeyId(
  version: VersionId,
  { setup, keyring }: OperationsContext,
): Promise<KeyId | undefined> {
  const secret = await keyring.get(setup.name, version)
  const listed = await setup.issuer.list?.()
  if (secret === undefined || listed?.kind !== 'listed') return undefined
  const fitting = listed.keys.filter((one) => matchesRedacted(secret, one.redacted))
  return fitting.length === 1 ? fitting[0]?.keyId : undefined
}

/** Verifies what is handed out (or waits to be) now, and waits for the conclusion. */
export async function verifyNow(context: OperationsContext): Promise<void> {
  const { setup, book, deps } = context
  const { name } = setup
  const askedAt = deps.system.now()
  const target = currentOf(book.state(name)) ?? candidateOf(book.state(name))
  if (target === undefined) {
    await book.change(name, (before) => ({ state: { ...before, nextStoreReadAt: askedAt }, events: [] }))
    context.wake()
    await until(context, (state) => (state.storeReadAt ?? 0) >= askedAt, engineLimits.probeWaitMs)
    return
  }
  const { version } = target
  await book.change(name, (before) => ({
    state: { ...withRecord(before, version, { nextCheckAt: askedAt }), nextStoreReadAt: askedAt },
    events: [],
  }))
  context.wake()
  await until(
    context,
    (state) => (recordOf(state, version)?.checkedAt ?? 0) >= askedAt,
    engineLimits.probeWaitMs,
  )
}

/** An app's report makes us look at once; it is answered with what that look brought, or with what is known after 3 s. */
export async function report(told: RejectionReport, context: OperationsContext): Promise<ReportAnswer> {
  const { setup, book, deps } = context
  const before = book.state(setup.name)
  if (told.version === before.current) {
    const checkedAt = recordOf(before, told.version)?.checkedAt ?? 0
    await book.change(setup.name, (state) => noteSuspicion(state, told.version, deps.system.now()))
    context.wake()
    const isSettled = (state: CredentialState): boolean => {
      const record = recordOf(state, told.version)
      const isChecked = (record?.checkedAt ?? 0) > checkedAt && record?.rejections === undefined
      return state.generation !== before.generation || isChecked || record?.withdrawnAt !== undefined
    }
    await until(context, isSettled, engineLimits.reportWaitMs)
  }
  const after = book.state(setup.name)
  return {
    generation: after.generation,
    version: after.current ?? null,
    verdict: currentOf(after)?.verdict?.kind ?? 'unknown',
  }
}

function noteSuspicion(
  state: CredentialState,
  version: VersionId,
  now: number,
): { state: CredentialState; events: [] } | undefined {
  const record = recordOf(state, version)
  // Ten thousand reports of one outage are one change of the ledger a second.
  if (record?.suspectUntil !== undefined && record.suspectUntil > now + 59_000) return undefined
  return { state: suspect(state, version, now), events: [] }
}

/** Resolves when the state fulfils the claim, or after the time, whichever comes first. */
export function until(
  context: Pick<OperationsContext, 'book' | 'setup' | 'deps'>,
  isSo: (state: CredentialState) => boolean,
  withinMs: number,
): Promise<void> {
  const { book, setup, deps } = context
  return new Promise((resolve) => {
    const end = (): void => {
      stopListening()
      cancel()
      resolve()
    }
    const stopListening = book.onCommit((state) => {
      if (state.name === setup.name && isSo(state)) end()
    })
    // Whoever waits holds a connection open; the wait itself must not keep a process alive.
    const cancel = deps.system.after(withinMs, end, { background: true })
    if (isSo(book.state(setup.name))) end()
  })
}
