import { KeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { StageRequest } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { AwsSecret, AwsValue, AwsVersionId } from './aws-calls.ts'
import {
  type AwsStore,
  addLabel,
  currentLabel,
  fenceTags,
  getVersion,
  isToken,
  ownLabel,
  placeholderVersion,
  rotationLabel,
  secretAbsentError,
  unlessDone,
  untagged,
} from './aws-labels.ts'
import { type AwsView, carrierOf, keyIn, lookAt, viewOf } from './aws-look.ts'
import { readFence, type TaggedVersion, tagKeysOf, versionsToForget, versionTags } from './aws-tags.ts'
import { assertVersionId } from './context.ts'
import { assertFence, otherSecretError, retiredError } from './shelf.ts'
import { assertStorable } from './values.ts'

/**
 * Puts a version there with the pending label and its own. AWS takes the same token with the same value for a repeat.
 * The tags go first: a version that is there has its metadata, whatever dies in between.
 */
export async function stageOnAws(store: AwsStore, ref: string, request: StageRequest): Promise<void> {
  const { calls, format, context, pendingLabel } = store
  const { version, secret, meta, fence, token = version } = request
  assertVersionId(version)
  for (const id of [version, token])
    if (!isToken(id))
      throw new KeyturnError('bad_request', `AWS takes version ids of 32 to 64 characters: ${id} is none.`, {
        fix: 'Use a UUID.',
      })
  assertStorable(ref, secret)
  // What a reader will get, which leaves out a newline at the end.
  const key = format.read(format.write(secret, undefined, ref), ref)
  const found = (await lookAt(store, ref)) ?? (await create(store, ref))
  assertFence(ref, readFence(found.tags), fence)
  const { tagged } = found
  if (tagged.get(version)?.isRetired === true) throw retiredError(ref, version)
  const staged: TaggedVersion = {
    stagedAt: context.system.now(),
    isRetired: false,
    fingerprint: fingerprint(key, context.system),
    meta,
  }
  if (carrierOf(found, version) !== undefined) {
    await assertSameKey(store, ref, { version, key })
    if (!tagged.has(version)) await calls.tag(ref, versionTags(ref, version, staged))
    return
  }
  const start = found.labels.size === 0 ? await putPlaceholder(store, ref) : found
  const base = format.needsBase ? await calls.get(ref, { label: currentLabel }) : undefined
  const text = format.write(secret, base?.text, ref)
  const theirs = base === undefined ? undefined : unknownIn(store, ref, { view: start, base })
  await forgetOldest(store, ref, start, theirs === undefined ? 1 : 2)
  await calls.tag(ref, { ...fenceTags(found, fence), ...theirs, ...versionTags(ref, version, staged) })
  if (token !== version) return fill(store, ref, { version, token, text })
  await unlessDone(calls.put(ref, { version, text, labels: [pendingLabel, ownLabel(version)] }), async () => {
    const isThere = (await calls.describe(ref))?.labels.has(version) === true
    if (isThere) await assertSameKey(store, ref, { version, key })
    return isThere
  })
}

/**
 * Into the version that AWS's own rotation has begun, and that is empty so far. The labels that it has are AWS's; ours
 * is put on it behind the value, where AWS left it out.
 */
async function fill(
  store: AwsStore,
  ref: string,
  {
    version,
    token,
    text,
  }: { readonly version: VersionId; readonly token: AwsVersionId; readonly text: string },
): Promise<void> {
  const { calls } = store
  const label = ownLabel(version)
  const isFilled = async (): Promise<boolean> => {
    const there = await calls.get(ref, { version: token })
    if (there !== undefined && there.text !== text) throw otherSecretError(ref, token)
    return there !== undefined
  }
  // AWS would take it for a repeat and say nothing, and emulators write over it.
  if (!(await isFilled()))
    await unlessDone(calls.put(ref, { version: token, text, labels: [rotationLabel, label] }), isFilled)
  const labels = (await calls.describe(ref))?.labels.get(token)
  if (labels?.includes(label) !== true) await addLabel(calls, { ref, label, version: token })
}

/**
 * The tags by which a current key that somebody else put there is known again, when they change another field of their
 * document before it is replaced.
 */
function unknownIn(
  store: AwsStore,
  ref: string,
  { view, base }: { readonly view: AwsView; readonly base: AwsValue },
): Readonly<Record<string, string>> | undefined {
  const version = view.carried.get(base.version)
  if (version === undefined || view.tagged.get(version)?.fingerprint !== undefined) return undefined
  const key = keyIn(store, ref, base.text)
  if (key === undefined) return undefined
  const entry = view.tagged.get(version) ?? untagged
  return versionTags(ref, version, { ...entry, fingerprint: fingerprint(key, store.context.system) })
}

async function assertSameKey(
  store: AwsStore,
  ref: string,
  { version, key }: { readonly version: VersionId; readonly key: Secret },
): Promise<void> {
  const there = await getVersion(store, ref, version)
  if (there === undefined || !store.format.read(there.text, ref).equals(key))
    throw otherSecretError(ref, version)
}

async function create(store: AwsStore, ref: string): Promise<AwsView> {
  const { calls, format, createIfAbsent } = store
  if (!createIfAbsent) throw secretAbsentError(store, ref)
  let made: AwsSecret | undefined
  // Another replica, or an attempt of ours whose answer was lost, may have made it.
  await unlessDone(calls.create(ref, { version: placeholderVersion, text: format.placeholder }), async () => {
    made = await calls.describe(ref)
    return made !== undefined
  })
  const fresh: AwsSecret = { labels: new Map([[placeholderVersion, [currentLabel]]]), tags: new Map() }
  return viewOf(store, ref, made ?? fresh)
}

/**
 * Gives a secret without any version a first one that is no key, because AWS would make a first pending key current.
 * AWSCURRENT is not asked for: should somebody put a real key there at this moment, it stays theirs.
 */
async function putPlaceholder(store: AwsStore, ref: string): Promise<AwsView> {
  await store.calls.put(ref, {
    version: placeholderVersion,
    text: store.format.placeholder,
    labels: [ownLabel(placeholderVersion)],
  })
  const now = await store.calls.describe(ref)
  return viewOf(store, ref, now ?? { labels: new Map(), tags: new Map() })
}

/** Tags are bounded: those of versions that AWS no longer names make room first. */
async function forgetOldest({ calls }: AwsStore, ref: string, view: AwsView, added: number): Promise<void> {
  const forgotten = versionsToForget(view.tagged, {
    added,
    isNamed: (version) => carrierOf(view, version) !== undefined,
    keep: new Set([view.current, view.pending, view.previous]),
  })
  if (forgotten.length > 0) await calls.untag(ref, forgotten.flatMap(tagKeysOf))
}
