import { KeyturnError } from '../core/errors.ts'
import type { SecretStore, StoreCapabilities, StoreDescription } from '../core/ports.ts'
import type { VersionId, VersionMeta } from '../core/types.ts'
import {
  type AwsClientOptions,
  type AwsSdkModule,
  type AwsSecret,
  loadAwsSdk,
  openAwsCalls,
} from './aws-calls.ts'
import { checkAws } from './aws-check.ts'
import {
  type AwsStore,
  currentLabel,
  fenceTags,
  holderOf,
  isToken,
  ownLabel,
  placeholderVersion,
  previousLabel,
  removeLabel,
  untagged,
} from './aws-labels.ts'
import { promoteOnAws } from './aws-promote.ts'
import { stageOnAws } from './aws-stage.ts'
import { readFence, readVersionTags, versionTags } from './aws-tags.ts'
import { type StoreContext, warn } from './context.ts'
import { assertFence, isCurrentError, isPreviousError, versionAbsentError } from './shelf.ts'
import { type ValueOptions, valueFormat } from './value-format.ts'

export interface AwsSecretsManagerOptions extends AwsClientOptions, ValueOptions {
  /** The label of a version that is not proven yet. Default `KEYTURN_PENDING`, so that AWS's own rotation is left alone. */
  readonly pendingLabel?: string
  /** Makes the secret with its first version where there is none. Default false. */
  readonly createIfAbsent?: boolean
}

const versionsMax = 100

const capabilities: StoreCapabilities = {
  kind: 'aws-secrets-manager',
  writable: true,
  staging: 'native',
  cas: 'native',
  destroy: 'unlabel',
  // ASSUMPTION: AWS publishes no statement on consistency; a minute is far above what is seen.
  propagationMs: 60_000,
}

/**
 * AWS Secrets Manager through its official SDK, version 3. `ref` is a secret's name or ARN.
 *
 * A version's id is the request token it was put with (a UUID). Each version of ours holds a label of its own for as
 * long as it lives, because AWS forgets versions without one, besides the pending label, AWSCURRENT and AWSPREVIOUS.
 * Promotion moves AWSCURRENT by compare-and-swap. Retired versions lose their labels and are marked in a tag. AWS can
 * neither compare-and-swap a tag nor delete a version: the fence is a check before the change, and a destroyed
 * version's value goes when AWS tidies up.
 *
 * Error codes: `bad_request`, `config_missing`, `package_missing` and all `store_*` codes but `store_read_only`.
 */
export async function openAwsSecretsManagerStore(
  options: AwsSecretsManagerOptions,
  context: StoreContext,
  load: () => Promise<AwsSdkModule> = loadAwsSdk,
): Promise<SecretStore> {
  const store: AwsStore = {
    calls: await openAwsCalls(options, context, load),
    format: valueFormat(options),
    pendingLabel: options.pendingLabel ?? 'KEYTURN_PENDING',
    createIfAbsent: options.createIfAbsent ?? false,
    context,
  }
  const { calls, format } = store
  const metaOf = metaReader(store)
  return {
    capabilities,
    async read(ref, readOptions) {
      const wanted = readOptions?.version
      if (wanted !== undefined && !isToken(wanted)) return undefined
      const found = await calls.get(ref, wanted === undefined ? { label: currentLabel } : { version: wanted })
      if (found === undefined || found.version === placeholderVersion) return undefined
      const secret = format.read(found.text, ref)
      return { version: found.version, secret, meta: await metaOf(ref, found.version) }
    },
    async describe(ref) {
      const secret = await calls.describe(ref)
      return secret === undefined ? undefined : describeAws(secret, store.pendingLabel)
    },
    stage: (ref, request) => stageOnAws(store, ref, request),
    promote: (ref, request) => promoteOnAws(store, ref, request),
    async retire(ref, { version, fence }) {
      const secret = await calls.describe(ref)
      if (secret === undefined) return
      assertFence(ref, readFence(secret.tags), fence)
      if (holderOf(secret, currentLabel) === version) throw isCurrentError(ref, version, 'retired')
      await retireVersion(store, { ref, secret, version, tags: fenceTags(secret, fence) })
    },
    async destroy(ref, version) {
      const secret = await calls.describe(ref)
      if (secret === undefined) return 'unlabelled'
      if (holderOf(secret, currentLabel) === version) throw isCurrentError(ref, version, 'destroyed')
      const isRetired = readVersionTags(secret.tags).get(version)?.isRetired === true
      if (holderOf(secret, previousLabel) === version && !isRetired) throw isPreviousError(ref, version)
      await retireVersion(store, { ref, secret, version, tags: {} })
      return 'unlabelled'
    },
    async annotate(ref, version, meta) {
      const secret = await calls.describe(ref)
      const tagged = secret === undefined ? undefined : readVersionTags(secret.tags).get(version)
      if (secret === undefined || !(secret.labels.has(version) || tagged?.isRetired === true))
        throw versionAbsentError(ref, version)
      await calls.tag(ref, versionTags(ref, version, { ...(tagged ?? untagged), meta }))
    },
    check: (ref) => checkAws(store, ref),
    async close() {
      calls.close()
    },
  }
}

function describeAws(secret: AwsSecret, pendingLabel: string): StoreDescription {
  const tagged = readVersionTags(secret.tags)
  const retired = [...tagged].filter(([, entry]) => entry.isRetired).map(([version]) => version)
  const current = unlessPlaceholder(holderOf(secret, currentLabel))
  const pending = unlessPlaceholder(holderOf(secret, pendingLabel))
  const previous = unlessPlaceholder(holderOf(secret, previousLabel))
  const isLive = (version: VersionId): boolean => tagged.get(version)?.isRetired !== true
  const versions = [...new Set([...secret.labels.keys(), ...retired])]
    .filter((version) => version !== placeholderVersion)
    .map((version) => ({ version, ...(tagged.get(version) ?? untagged) }))
    .sort((one, other) => other.stagedAt - one.stagedAt)
    .slice(0, versionsMax)
    .map(({ version, isRetired, meta }) => ({ version, isRetired, meta }))
  return {
    ...(current === undefined ? {} : { current }),
    // The label may still be on a version that was promoted, where taking it off failed.
    ...(pending === undefined || pending === current || !isLive(pending) ? {} : { pending }),
    ...(previous === undefined || !isLive(previous) ? {} : { previous }),
    versions,
  }
}

function unlessPlaceholder(version: VersionId | undefined): VersionId | undefined {
  return version === placeholderVersion ? undefined : version
}

/** First the mark, which `promote` minds, then the labels: a crash in between leaves it refused. */
async function retireVersion(
  { calls, context, pendingLabel }: AwsStore,
  request: {
    readonly ref: string
    readonly secret: AwsSecret
    readonly version: VersionId
    readonly tags: Readonly<Record<string, string>>
  },
): Promise<void> {
  const { ref, secret, version, tags } = request
  const tagged = readVersionTags(secret.tags).get(version)
  const labels = secret.labels.get(version) ?? []
  if (labels.length === 0 && tagged === undefined) return
  if (tagged?.isRetired !== true) {
    const entry = tagged ?? { ...untagged, stagedAt: context.system.now() }
    await calls.tag(ref, { ...tags, ...versionTags(ref, version, { ...entry, isRetired: true }) })
  }
  const ours = [pendingLabel, ownLabel(version), previousLabel]
  for (const label of labels) if (ours.includes(label)) await removeLabel(calls, { ref, label, version })
}

/** A reader that may only get values still gets them, without metadata, and this is said once. */
function metaReader({ calls, context }: AwsStore): (ref: string, version: VersionId) => Promise<VersionMeta> {
  const warned = new Set<string>()
  return async (ref, version) => {
    try {
      const secret = await calls.describe(ref)
      return secret === undefined ? {} : (readVersionTags(secret.tags).get(version)?.meta ?? {})
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError && thrown.code === 'store_denied')) throw thrown
      if (!warned.has(ref)) {
        warned.add(ref)
        warn(context, `${ref} is read without its metadata: secretsmanager:DescribeSecret is not allowed.`, {
          ref,
        })
      }
      return {}
    }
  }
}
