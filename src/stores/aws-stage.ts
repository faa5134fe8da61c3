import { KeyturnError } from '../core/errors.ts'
import type { StageRequest } from '../core/ports.ts'
import type { AwsSecret } from './aws-calls.ts'
import {
  type AwsStore,
  currentLabel,
  fenceTags,
  holderOf,
  isToken,
  ownLabel,
  placeholderVersion,
  previousLabel,
  secretAbsentError,
  unlessDone,
} from './aws-labels.ts'
import { readFence, readVersionTags, tagKeysOf, versionsToForget, versionTags } from './aws-tags.ts'
import { assertVersionId } from './context.ts'
import { assertFence, otherSecretError, retiredError } from './shelf.ts'
import { assertStorable } from './values.ts'

/**
 * Puts a version there with the pending label and its own. AWS takes the same token with the same value for a repeat.
 * The tags go first: a version that is there has its metadata, whatever dies in between.
 */
export async function stageOnAws(store: AwsStore, ref: string, request: StageRequest): Promise<void> {
  const { calls, format, context, pendingLabel } = store
  const { version, secret, meta, fence } = request
  assertVersionId(version)
  if (!isToken(version))
    throw new KeyturnError(
      'bad_request',
      `AWS takes version ids of 32 to 64 characters: ${version} is none.`,
      {
        fix: 'Use a UUID.',
      },
    )
  assertStorable(ref, secret)
  const found = (await calls.describe(ref)) ?? (await create(store, ref))
  assertFence(ref, readFence(found.tags), fence)
  const tagged = readVersionTags(found.tags)
  if (tagged.get(version)?.isRetired === true) throw retiredError(ref, version)
  const tags = {
    ...fenceTags(found, fence),
    ...versionTags(ref, version, { stagedAt: context.system.now(), isRetired: false, meta }),
  }
  if (found.labels.has(version)) {
    await assertSameSecret(store, ref, request)
    if (!tagged.has(version)) await calls.tag(ref, tags)
    return
  }
  const start = found.labels.size === 0 ? await putPlaceholder(store, ref) : found
  await forgetOldest(store, ref, start)
  await calls.tag(ref, tags)
  const base = format.needsBase ? await calls.get(ref, { label: currentLabel }) : undefined
  const text = format.write(secret, base?.text, ref)
  await unlessDone(calls.put(ref, { version, text, labels: [pendingLabel, ownLabel(version)] }), async () => {
    const isThere = (await calls.describe(ref))?.labels.has(version) === true
    if (isThere) await assertSameSecret(store, ref, request)
    return isThere
  })
}

async function assertSameSecret(
  store: AwsStore,
  ref: string,
  { version, secret }: StageRequest,
): Promise<void> {
  const there = await store.calls.get(ref, { version })
  // Both sides go through the format, which leaves out a newline at the end.
  const same = store.format.read(store.format.write(secret, undefined, ref), ref)
  if (there === undefined || !store.format.read(there.text, ref).equals(same))
    throw otherSecretError(ref, version)
}

async function create(store: AwsStore, ref: string): Promise<AwsSecret> {
  const { calls, format, createIfAbsent } = store
  if (!createIfAbsent) throw secretAbsentError(store, ref)
  let made: AwsSecret | undefined
  // Another replica, or an attempt of ours whose answer was lost, may have made it.
  await unlessDone(calls.create(ref, { version: placeholderVersion, text: format.placeholder }), async () => {
    made = await calls.describe(ref)
    return made !== undefined
  })
  return made ?? { labels: new Map([[placeholderVersion, [currentLabel]]]), tags: new Map() }
}

/**
 * Gives a secret without any version a first one that is no key, because AWS would make a first pending key current.
 * AWSCURRENT is not asked for: should somebody put a real key there at this moment, it stays theirs.
 */
async function putPlaceholder(store: AwsStore, ref: string): Promise<AwsSecret> {
  await store.calls.put(ref, {
    version: placeholderVersion,
    text: store.format.placeholder,
    labels: [ownLabel(placeholderVersion)],
  })
  const now = await store.calls.describe(ref)
  return now ?? { labels: new Map(), tags: new Map() }
}

/** Tags are bounded: those of versions that AWS no longer names make room first. */
async function forgetOldest(
  { calls, pendingLabel }: AwsStore,
  ref: string,
  secret: AwsSecret,
): Promise<void> {
  const keep = new Set(
    [currentLabel, pendingLabel, previousLabel]
      .map((label) => holderOf(secret, label))
      .filter((version) => version !== undefined),
  )
  const forgotten = versionsToForget(
    readVersionTags(secret.tags),
    (version) => secret.labels.has(version),
    keep,
  )
  if (forgotten.length > 0) await calls.untag(ref, forgotten.flatMap(tagKeysOf))
}
