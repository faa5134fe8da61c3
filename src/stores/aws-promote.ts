import { KeyturnError } from '../core/errors.ts'
import type { PromoteOutcome, PromoteRequest } from '../core/ports.ts'
import type { VersionId } from '../core/types.ts'
import type { AwsSecret } from './aws-calls.ts'
import {
  type AwsStore,
  addLabel,
  currentLabel,
  fenceTags,
  holderOf,
  ownLabel,
  placeholderVersion,
  removeLabel,
} from './aws-labels.ts'
import { readFence, readVersionTags } from './aws-tags.ts'
import { warn } from './context.ts'
import { assertFence } from './shelf.ts'

/**
 * Moves AWSCURRENT by UpdateSecretVersionStage with RemoveFromVersionId, which AWS refuses where somebody else moved
 * it first. AWS moves AWSPREVIOUS by itself. Where the answer is lost or is a refusal, what AWS has now decides.
 */
export async function promoteOnAws(
  store: AwsStore,
  ref: string,
  request: PromoteRequest,
): Promise<PromoteOutcome> {
  const { calls } = store
  const before = await calls.describe(ref)
  if (before === undefined) return { kind: 'gone' }
  assertFence(ref, readFence(before.tags), request.fence)
  const holder = holderOf(before, currentLabel)
  if (holder === request.to) {
    await tidyPending(store, ref, before, request.to)
    return { kind: 'already' }
  }
  if (!isPromotable(before, request.to)) return { kind: 'gone' }
  const current = holder === placeholderVersion ? undefined : holder
  if (current !== request.expectCurrent) return { kind: 'conflict', current }
  await prepare(store, ref, { before, request })
  try {
    const from = holder === undefined ? {} : { from: holder }
    await calls.move(ref, { label: currentLabel, to: request.to, ...from })
  } catch (thrown) {
    return settleMove(store, ref, { request, thrown })
  }
  await tidyPending(store, ref, before, request.to)
  return { kind: 'promoted' }
}

/** AWS names a version only while it has a label, and retired ones have lost theirs. */
function isPromotable(secret: AwsSecret, version: VersionId): boolean {
  return (
    version !== placeholderVersion &&
    secret.labels.has(version) &&
    readVersionTags(secret.tags).get(version)?.isRetired !== true
  )
}

/**
 * Both versions get labels of their own where they lack them (those that Keyturn did not make do): AWSPREVIOUS holds
 * the old one for one promotion only, and then AWS would forget it.
 */
async function prepare(
  { calls }: AwsStore,
  ref: string,
  { before, request }: { readonly before: AwsSecret; readonly request: PromoteRequest },
): Promise<void> {
  const tags = fenceTags(before, request.fence)
  if (Object.keys(tags).length > 0) await calls.tag(ref, tags)
  for (const version of [request.to, request.expectCurrent]) {
    if (version === undefined || before.labels.get(version)?.includes(ownLabel(version)) === true) continue
    await addLabel(calls, { ref, label: ownLabel(version), version })
  }
}

/** After any failure: it may have happened, or never will, or be worth another try. */
async function settleMove(
  store: AwsStore,
  ref: string,
  { request, thrown }: { readonly request: PromoteRequest; readonly thrown: unknown },
): Promise<PromoteOutcome> {
  const now = await describeOrThrow(store, ref, thrown)
  const holder = holderOf(now, currentLabel)
  if (holder === request.to) {
    await tidyPending(store, ref, now, request.to)
    return { kind: 'already' }
  }
  if (!isPromotable(now, request.to)) return { kind: 'gone' }
  const current = holder === placeholderVersion ? undefined : holder
  if (current !== request.expectCurrent) return { kind: 'conflict', current }
  throw thrown
}

async function describeOrThrow({ calls }: AwsStore, ref: string, thrown: unknown): Promise<AwsSecret> {
  try {
    const now = await calls.describe(ref)
    if (now !== undefined) return now
  } catch {
    // Nobody can tell what happened: the first failure is the one to report.
    throw thrown
  }
  throw thrown
}

/** Not worth failing a promotion that happened: `describe` knows better than a label that was left behind. */
async function tidyPending(
  store: AwsStore,
  ref: string,
  secret: AwsSecret,
  version: VersionId,
): Promise<void> {
  const { calls, context, pendingLabel } = store
  if (secret.labels.get(version)?.includes(pendingLabel) !== true) return
  try {
    await removeLabel(calls, { ref, label: pendingLabel, version })
  } catch (thrown) {
    const code = thrown instanceof KeyturnError ? thrown.code : 'internal'
    warn(context, `The label ${pendingLabel} could not be taken off the current version of ${ref}.`, {
      ref,
      code,
    })
  }
}
