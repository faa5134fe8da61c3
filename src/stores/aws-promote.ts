import { KeyturnError } from '../core/errors.ts'
import type { PromoteOutcome, PromoteRequest } from '../core/ports.ts'
import type { VersionId } from '../core/types.ts'
import type { AwsVersionId } from './aws-calls.ts'
import {
  type AwsStore,
  addLabel,
  currentLabel,
  fenceTags,
  holderOf,
  ownLabel,
  ownVersionIn,
  placeholderVersion,
  previousLabel,
  removeLabel,
  rotationLabel,
  unlessDone,
} from './aws-labels.ts'
import { type AwsView, carrierOf, lookAt } from './aws-look.ts'
import { readFence, readVersionTags } from './aws-tags.ts'
import { warn } from './context.ts'
import { assertFence } from './shelf.ts'

/** How often somebody else may write another field of the document between a look and the promotion. */
const roundsMax = 10

/**
 * Moves AWSCURRENT by UpdateSecretVersionStage with RemoveFromVersionId, which AWS refuses where somebody else moved
 * it first. AWS moves AWSPREVIOUS by itself. Where the answer is lost or is a refusal, what AWS has now decides: where
 * only other people's fields have changed, theirs are taken over and it is tried again.
 */
export async function promoteOnAws(
  store: AwsStore,
  ref: string,
  request: PromoteRequest,
): Promise<PromoteOutcome> {
  let view = await lookAt(store, ref)
  if (view === undefined) return { kind: 'gone' }
  assertFence(ref, readFence(view.tags), request.fence)
  for (let round = 0; round < roundsMax; round += 1) {
    const decided = decide(view, request)
    if (decided !== undefined) {
      if (decided.kind === 'already') await tidyPending(store, ref, { view, version: request.to })
      return decided
    }
    await prepare(store, ref, view, request)
    const carrier = await carry(store, ref, view, request.to)
    try {
      const from = view.holder === undefined ? {} : { from: view.holder }
      await store.calls.move(ref, { label: currentLabel, to: carrier, ...from })
    } catch (thrown) {
      const now = await lookOrThrow(store, ref, thrown)
      // Nothing has changed, and nothing says that another try would end otherwise.
      if (now.holder === view.holder && decide(now, request) === undefined) throw thrown
      view = now
      continue
    }
    if (await steppedBack(store, ref, { view, to: request.to, carrier })) return { kind: 'gone' }
    await tidyPending(store, ref, { view, version: request.to, carrier })
    return { kind: 'promoted' }
  }
  throw new KeyturnError('store_conflict', `${ref} is written by others all the time.`, {
    fix: 'Find out who writes to it that often; the key was not changed, and it is tried again.',
    retryable: true,
  })
}

/**
 * A mark in a tag is no part of AWS's compare-and-swap: the version may have been retired while the promotion was under
 * way, and whoever did so may have found it not current and go on to revoke the key. Then AWSCURRENT goes back.
 */
async function steppedBack(
  store: AwsStore,
  ref: string,
  { view, to, carrier }: { readonly view: AwsView; readonly to: VersionId; readonly carrier: AwsVersionId },
): Promise<boolean> {
  const { calls } = store
  const now = await calls.describe(ref)
  if (now === undefined || readVersionTags(now.tags).get(to)?.isRetired !== true) return false
  if (view.holder === undefined || holderOf(now, currentLabel) !== carrier) return true
  await unlessDone(
    calls.move(ref, { label: currentLabel, to: view.holder, from: carrier }),
    async () => (await lookAt(store, ref))?.holder !== carrier,
  )
  await removeLabel(calls, { ref, label: previousLabel, version: carrier })
  return true
}

/** Undefined: AWSCURRENT is to be moved. */
function decide(view: AwsView, { to, expectCurrent }: PromoteRequest): PromoteOutcome | undefined {
  if (view.current === to) return { kind: 'already' }
  // AWS names a version only while it has a label, and retired ones have lost theirs.
  const isThere = to !== placeholderVersion && carrierOf(view, to) !== undefined
  if (!isThere || view.tagged.get(to)?.isRetired === true) return { kind: 'gone' }
  return view.current === expectCurrent ? undefined : { kind: 'conflict', current: view.current }
}

/**
 * Both versions get labels of their own where they lack them (those that Keyturn did not make do): AWSPREVIOUS holds
 * the old one for one promotion only, and then AWS would forget it.
 */
async function prepare(
  { calls }: AwsStore,
  ref: string,
  view: AwsView,
  { to, expectCurrent, fence }: PromoteRequest,
): Promise<void> {
  const tags = fenceTags(view, fence)
  if (Object.keys(tags).length > 0) await calls.tag(ref, tags)
  for (const version of [to, expectCurrent]) {
    const carrier = version === undefined ? undefined : carrierOf(view, version)
    if (version === undefined || carrier === undefined) continue
    if (holderOf(view, ownLabel(version)) === undefined)
      await addLabel(calls, { ref, label: ownLabel(version), version: carrier })
  }
}

/**
 * The version of AWS that is to become current: the one that was staged, where its text is still what has to be there.
 * Where other people's fields have changed since, one with theirs, which takes over the labels. Its token follows from
 * what it is made of, so that a repeat, or another replica, makes the same one.
 */
async function carry(store: AwsStore, ref: string, view: AwsView, to: VersionId): Promise<AwsVersionId> {
  const { calls, context, format, pendingLabel } = store
  const carrier = carrierOf(view, to) ?? to
  if (!format.needsBase || view.holder === undefined || view.holder === placeholderVersion) return carrier
  const base = await calls.get(ref, { version: view.holder })
  const staged = await calls.get(ref, { version: carrier })
  if (base === undefined || staged === undefined) throw valueMissingError(ref)
  const text = format.write(format.read(staged.text, ref), base.text, ref)
  if (text === staged.text) return carrier
  const version = `keyturn-${context.system.sha256Hex(`${to} over ${view.holder}: ${text}`).slice(0, 48)}`
  const pending = holderOf(view, pendingLabel)
  const isPending = pending !== undefined && view.carried.get(pending) === to
  const labels = [ownLabel(to), ...(isPending ? [pendingLabel] : [])]
  let attached: readonly string[] = labels
  const put = calls.put(ref, { version, text, labels }).then((now) => {
    attached = now
  })
  await unlessDone(put, async () => isLabelled(store, ref, { version, label: ownLabel(to) }))
  // It may have been put long ago and lost its labels since.
  for (const label of labels.filter((each) => !attached.includes(each))) {
    const from = holderOf(view, label)
    const move = calls.move(ref, { label, to: version, ...(from === undefined ? {} : { from }) })
    await unlessDone(move, async () => isLabelled(store, ref, { version, label }))
  }
  return version
}

/** A copy of AWS that lags behind, or a version that went in this very moment: to guess would lose other people's fields. */
function valueMissingError(ref: string): KeyturnError {
  return new KeyturnError('store_unreachable', `AWS names a version of ${ref} and does not give its value.`, {
    fix: 'Nothing is to be done: it is tried again.',
    retryable: true,
  })
}

async function isLabelled(
  { calls }: AwsStore,
  ref: string,
  { version, label }: { readonly version: AwsVersionId; readonly label: string },
): Promise<boolean> {
  return (await calls.describe(ref))?.labels.get(version)?.includes(label) === true
}

async function lookOrThrow(store: AwsStore, ref: string, thrown: unknown): Promise<AwsView> {
  try {
    const now = await lookAt(store, ref)
    if (now !== undefined) return now
  } catch {
    // Nobody can tell what happened: the first failure is the one to report.
    throw thrown
  }
  throw thrown
}

/**
 * Not worth failing a promotion that happened: `describe` knows better than a label that was left behind. `carrier` is
 * given where the labels have moved since the look.
 */
async function tidyPending(
  { calls, context, pendingLabel }: AwsStore,
  ref: string,
  {
    view,
    version,
    carrier,
  }: { readonly view: AwsView; readonly version: VersionId; readonly carrier?: AwsVersionId },
): Promise<void> {
  for (const label of new Set([pendingLabel, rotationLabel])) {
    const holder = holderOf(view, label)
    if (holder === undefined || view.carried.get(holder) !== version) continue
    // On what somebody else put there it is their rotation's.
    if (label === rotationLabel && ownVersionIn(view.labels.get(holder) ?? []) !== version) continue
    // Only the pending label moves on to what carries the version now.
    const from = label === pendingLabel ? (carrier ?? holder) : holder
    try {
      await removeLabel(calls, { ref, label, version: from })
    } catch (thrown) {
      const code = thrown instanceof KeyturnError ? thrown.code : 'internal'
      warn(context, `The label ${label} could not be taken off the current version of ${ref}.`, { ref, code })
    }
  }
}
