import { KeyturnError } from '../core/errors.ts'
import type { Fingerprint, VersionId } from '../core/types.ts'
import type { AwsCalls, AwsSecret, AwsValue, AwsVersionId } from './aws-calls.ts'
import { fenceTag, readFence, type TaggedVersion } from './aws-tags.ts'
import type { StoreContext } from './context.ts'
import type { ValueFormat } from './value-format.ts'

/** Of a version that somebody else wrote. Without a fingerprint: a document that has no key in its field. */
export interface KnownValue {
  readonly fingerprint?: Fingerprint
  /** It has no such field either, and others. */
  readonly withoutField?: KeyturnError
}

/** What the parts of the AWS driver share. */
export interface AwsStore {
  readonly calls: AwsCalls
  readonly format: ValueFormat
  readonly pendingLabel: string
  readonly createIfAbsent: boolean
  readonly context: StoreContext
  /** What is known of versions that somebody else wrote, by version and ref. Starts empty. */
  readonly known: Map<string, KnownValue>
}

export const currentLabel = 'AWSCURRENT'
export const previousLabel = 'AWSPREVIOUS'
/** Of AWS's own rotation: it puts it on the version that it has begun, which is empty until somebody fills it. */
export const rotationLabel = 'AWSPENDING'
/** AWS gives AWSCURRENT to the first version of a secret, whatever labels are asked for. This one takes it. */
export const placeholderVersion = 'keyturn-placeholder-before-the-first-key'
export const untagged: TaggedVersion = { stagedAt: 0, isRetired: false, meta: {} }

export function holderOf(secret: AwsSecret, label: string): AwsVersionId | undefined {
  for (const [version, labels] of secret.labels) if (labels.includes(label)) return version
  return undefined
}

/** What keeps AWS from forgetting a live version. */
export function ownLabel(version: VersionId): string {
  return `KEYTURN_${version}`
}

/** Which of ours a version of AWS carries, by its own label. The pending label begins like one and is too short for one. */
export function ownVersionIn(labels: readonly string[]): VersionId | undefined {
  const prefix = ownLabel('')
  const own = labels.find((label) => label.startsWith(prefix) && isToken(label.slice(prefix.length)))
  return own?.slice(prefix.length)
}

/** AWS takes request tokens of 32 to 64 characters, and so has versions of no other ids. */
export function isToken(version: VersionId): boolean {
  return version.length >= 32 && version.length <= 64
}

/** Nothing where it would not rise: a tag costs a call and a line in the audit trail. */
export function fenceTags(secret: AwsSecret, fence: number): Readonly<Record<string, string>> {
  return fence > readFence(secret.tags) ? { [fenceTag]: String(fence) } : {}
}

/** By its id, else by its own label, where other people's fields made AWS forget the version that was staged. */
export async function getVersion(
  { calls }: AwsStore,
  ref: string,
  version: VersionId,
): Promise<AwsValue | undefined> {
  return (await calls.get(ref, { version })) ?? calls.get(ref, { label: ownLabel(version) })
}

interface LabelOnVersion {
  readonly ref: string
  readonly label: string
  readonly version: AwsVersionId
}

/** Safe to repeat: where the label is not there any more, it was moved or taken off already. */
export async function removeLabel(calls: AwsCalls, { ref, label, version }: LabelOnVersion): Promise<void> {
  await unlessDone(
    calls.move(ref, { label, from: version }),
    async () => (await calls.describe(ref))?.labels.get(version)?.includes(label) !== true,
  )
}

/** Safe to repeat. For labels of one version alone: it is not taken from another. */
export async function addLabel(calls: AwsCalls, { ref, label, version }: LabelOnVersion): Promise<void> {
  await unlessDone(
    calls.move(ref, { label, to: version }),
    async () => (await calls.describe(ref))?.labels.get(version)?.includes(label) === true,
  )
}

/**
 * After any failure of a change, what AWS has now decides: an answer may be lost, and the SDK's own second attempt is
 * then refused for what its first one did. The failure is thrown where the change is not there, or nobody can tell.
 */
export async function unlessDone(change: Promise<unknown>, isDone: () => Promise<boolean>): Promise<void> {
  try {
    await change
  } catch (thrown) {
    if (!(await trueOrThrow(isDone, thrown))) throw thrown
  }
}

async function trueOrThrow(isDone: () => Promise<boolean>, thrown: unknown): Promise<boolean> {
  try {
    return await isDone()
  } catch {
    // The first failure is the one to report: the second says only that it could not be looked into.
    throw thrown
  }
}

export function secretAbsentError({ calls }: AwsStore, ref: string): KeyturnError {
  return new KeyturnError('store_absent', `AWS Secrets Manager has no secret ${ref} in ${calls.region}.`, {
    fix: `aws secretsmanager create-secret --name '${ref}' --region ${calls.region}, or set createIfAbsent: true for the store.`,
  })
}
