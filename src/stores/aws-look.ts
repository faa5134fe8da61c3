import { KeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { StoreDescription } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { Fingerprint, VersionId } from '../core/types.ts'
import type { AwsSecret, AwsVersionId } from './aws-calls.ts'
import {
  type AwsStore,
  currentLabel,
  holderOf,
  type KnownValue,
  ownVersionIn,
  placeholderVersion,
  previousLabel,
  untagged,
} from './aws-labels.ts'
import { readFence, readVersionTags, type TaggedVersion } from './aws-tags.ts'

/**
 * A secret of AWS as Keyturn's versions. Most have the same id in both. They part where the value is a document with the
 * key in one field: a promotion carries other people's fields, so its text is another one than was staged, and AWS never
 * changes a version. Then the label `KEYTURN_<version>` moves on to the version of AWS that carries it now. What somebody
 * else wrote has no such label: it is the version whose key it holds, or, where that is none, one under AWS's own id.
 */
export interface AwsView extends AwsSecret {
  readonly tagged: ReadonlyMap<VersionId, TaggedVersion>
  /** The version of AWS that has AWSCURRENT, whatever it holds. */
  readonly holder: AwsVersionId | undefined
  /** Undefined where AWSCURRENT holds no key yet. */
  readonly current: VersionId | undefined
  readonly pending: VersionId | undefined
  readonly previous: VersionId | undefined
  /** Every version of AWS that has a label, and which of ours it is. */
  readonly carried: ReadonlyMap<AwsVersionId, VersionId>
}

const versionsMax = 100
/** Fingerprints of other people's versions, which never change; more secrets than this are looked at again. */
const knownMax = 1_000

/** Undefined: AWS says that there is no such secret. */
export async function lookAt(store: AwsStore, ref: string): Promise<AwsView | undefined> {
  const secret = await store.calls.describe(ref)
  return secret === undefined ? undefined : viewOf(store, ref, secret)
}

export async function viewOf(store: AwsStore, ref: string, secret: AwsSecret): Promise<AwsView> {
  const tagged = readVersionTags(secret.tags)
  const carried = new Map<AwsVersionId, VersionId>()
  for (const [version, labels] of secret.labels) carried.set(version, ownVersionIn(labels) ?? version)
  const keyless = new Set<VersionId>([placeholderVersion])
  for (const label of [currentLabel, previousLabel]) {
    const holder = holderOf(secret, label)
    const labels = secret.labels.get(holder ?? '') ?? []
    if (holder === undefined || ownVersionIn(labels) !== undefined || tagged.has(holder)) continue
    // Nothing that it could be, and no field that it could lack: its value need not be looked at.
    if (!store.format.needsBase && !hasFingerprints(tagged)) continue
    const value = await lookInto(store, ref, holder)
    if (value === undefined) continue
    // Where a tag tells of a version of ours, Keyturn has been here before, and somebody took the field away.
    if (label === currentLabel && tagged.size === 0 && value.withoutField !== undefined)
      throw value.withoutField
    if (value.fingerprint === undefined) keyless.add(holder)
    else carried.set(holder, versionWith(tagged, value.fingerprint) ?? holder)
  }
  const versionAt = (label: string): VersionId | undefined => {
    const version = carried.get(holderOf(secret, label) ?? '')
    return version === undefined || keyless.has(version) ? undefined : version
  }
  for (const version of keyless) carried.delete(version)
  const current = versionAt(currentLabel)
  const unlessRetired = (version: VersionId | undefined): VersionId | undefined =>
    version !== undefined && tagged.get(version)?.isRetired === true ? undefined : version
  const pending = unlessRetired(versionAt(store.pendingLabel))
  const previous = unlessRetired(versionAt(previousLabel))
  return {
    ...secret,
    tagged,
    holder: holderOf(secret, currentLabel),
    current,
    // The label may still be on a version that was promoted, where taking it off failed.
    pending: pending === current ? undefined : pending,
    previous: previous === current ? undefined : previous,
    carried,
  }
}

/** The version of AWS to take for one of ours: the one with its own label, else another that holds its key. */
export function carrierOf(view: AwsView, version: VersionId): AwsVersionId | undefined {
  const carriers = [...view.carried].filter(([, carried]) => carried === version).map(([each]) => each)
  return carriers.find((each) => ownVersionIn(view.labels.get(each) ?? []) === version) ?? carriers[0]
}

export function describeAws({
  current,
  pending,
  previous,
  carried,
  tagged,
  tags,
}: AwsView): StoreDescription {
  const retired = [...tagged].filter(([, entry]) => entry.isRetired).map(([version]) => version)
  const versions = [...new Set([...carried.values(), ...retired])]
    .map((version) => ({ version, ...(tagged.get(version) ?? untagged) }))
    .sort((one, other) => other.stagedAt - one.stagedAt)
    .slice(0, versionsMax)
    .map(({ version, isRetired, meta }) => ({ version, isRetired, meta }))
  return {
    ...(current === undefined ? {} : { current }),
    ...(pending === undefined ? {} : { pending }),
    ...(previous === undefined ? {} : { previous }),
    fence: readFence(tags),
    versions,
  }
}

/** Which of ours has this key; a live one first, then the newest. */
export function versionWith(
  tagged: ReadonlyMap<VersionId, TaggedVersion>,
  wanted: Fingerprint,
): VersionId | undefined {
  return [...tagged]
    .filter(([, entry]) => entry.fingerprint === wanted)
    .sort(
      ([, one], [, other]) =>
        Number(one.isRetired) - Number(other.isRetired) || other.stagedAt - one.stagedAt,
    )[0]?.[0]
}

/** Undefined where the text holds no key that could be read. */
export function keyIn({ format }: AwsStore, ref: string, text: string): Secret | undefined {
  try {
    return format.read(text, ref)
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_malformed') return undefined
    throw thrown
  }
}

function hasFingerprints(tagged: ReadonlyMap<VersionId, TaggedVersion>): boolean {
  return [...tagged.values()].some((entry) => entry.fingerprint !== undefined)
}

/** Undefined: nothing that could be read, or gone by now. */
async function lookInto(
  store: AwsStore,
  ref: string,
  version: AwsVersionId,
): Promise<KnownValue | undefined> {
  const { calls, context, format, known } = store
  const name = `${version} ${ref}`
  const remembered = known.get(name)
  if (remembered !== undefined) return remembered
  const found = await calls.get(ref, { version })
  if (found === undefined) return undefined
  const isWithoutKey = format.isWithoutKey(found.text)
  const key = isWithoutKey ? undefined : keyIn(store, ref, found.text)
  if (key === undefined && !isWithoutKey) return undefined
  const withoutField = format.withoutField(found.text, ref)
  const value: KnownValue = {
    ...(key === undefined ? {} : { fingerprint: fingerprint(key, context.system) }),
    ...(withoutField === undefined ? {} : { withoutField }),
  }
  if (known.size >= knownMax) known.clear()
  known.set(name, value)
  return value
}
