import { KeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { VersionId } from '../core/types.ts'
import { type AwsClientOptions, type AwsSdkModule, loadAwsSdk, openAwsCalls } from './aws-calls.ts'
import { checkAws } from './aws-check.ts'
import {
  type AwsStore,
  currentLabel,
  fenceTags,
  getVersion,
  isToken,
  ownLabel,
  ownVersionIn,
  placeholderVersion,
  previousLabel,
  removeLabel,
  rotationLabel,
  untagged,
} from './aws-labels.ts'
import { type AwsView, carrierOf, describeAws, lookAt, versionWith } from './aws-look.ts'
import { promoteOnAws } from './aws-promote.ts'
import { stageOnAws } from './aws-stage.ts'
import { readFence, readVersionTags, type TaggedVersion, versionTags } from './aws-tags.ts'
import { type StoreContext, warn } from './context.ts'
import { assertFence, isCurrentError, isPreviousError, versionAbsentError } from './shelf.ts'
import { type ValueOptions, valueFormat } from './value-format.ts'

export interface AwsSecretsManagerOptions extends AwsClientOptions, ValueOptions {
  /** The label of a version that is not proven yet. Default `KEYTURN_PENDING`, so that AWS's own rotation is left alone. */
  readonly pendingLabel?: string
  /** Makes the secret with its first version where there is none. Default false. */
  readonly createIfAbsent?: boolean
}

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
 * A version's id is the request token it was staged with (a UUID; aws-look.ts says where AWS knows it under another). Each
 * version of ours holds a label of its own for as long as it lives, because AWS forgets versions without one, besides the pending label, AWSCURRENT and AWSPREVIOUS.
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
    known: new Map(),
  }
  const { calls, format } = store
  const tagsOf = tagReader(store)
  return {
    capabilities,
    async read(ref, readOptions) {
      const wanted = readOptions?.version
      if (wanted !== undefined && !isToken(wanted)) return undefined
      const found =
        wanted === undefined
          ? await calls.get(ref, { label: currentLabel })
          : await getVersion(store, ref, wanted)
      if (found === undefined || found.version === placeholderVersion) return undefined
      if (format.isWithoutKey(found.text)) {
        const withoutField = format.withoutField(found.text, ref)
        if (withoutField === undefined || (await tagsOf(ref)).size > 0) return undefined
        throw withoutField
      }
      const secret = format.read(found.text, ref)
      const tagged = await tagsOf(ref)
      const known = tagged.has(found.version) ? found.version : undefined
      const version =
        wanted ??
        ownVersionIn(found.labels) ??
        known ??
        versionWith(tagged, fingerprint(secret, context.system)) ??
        found.version
      return { version, secret, meta: tagged.get(version)?.meta ?? {} }
    },
    async describe(ref) {
      const view = await lookAt(store, ref)
      return view === undefined ? undefined : describeAws(view)
    },
    stage: (ref, request) => stageOnAws(store, ref, request),
    promote: (ref, request) => promoteOnAws(store, ref, request),
    async retire(ref, { version, fence }) {
      const view = await lookAt(store, ref)
      if (view === undefined) return
      assertFence(ref, readFence(view.tags), fence)
      if (view.current === version) throw isCurrentError(ref, version, 'retired')
      await retireVersion(store, { ref, view, version, tags: fenceTags(view, fence) })
    },
    async destroy(ref, version) {
      const view = await lookAt(store, ref)
      if (view === undefined) return 'unlabelled'
      if (view.current === version) throw isCurrentError(ref, version, 'destroyed')
      if (view.previous === version) throw isPreviousError(ref, version)
      await retireVersion(store, { ref, view, version, tags: {} })
      return 'unlabelled'
    },
    async annotate(ref, version, meta) {
      const view = await lookAt(store, ref)
      const tagged = view?.tagged.get(version)
      const isThere =
        view !== undefined && (carrierOf(view, version) !== undefined || tagged?.isRetired === true)
      if (!isThere) throw versionAbsentError(ref, version)
      await calls.tag(ref, versionTags(ref, version, { ...(tagged ?? untagged), meta }))
    },
    check: (ref) => checkAws(store, ref),
    async close() {
      calls.close()
    },
  }
}

/**
 * First the mark, which `promote` minds, then the labels: a crash in between leaves it refused. In between it is looked
 * at once more, for a promotion that was under way and did not see the mark; one that ends later looks for it itself.
 */
async function retireVersion(
  store: AwsStore,
  request: {
    readonly ref: string
    readonly view: AwsView
    readonly version: VersionId
    readonly tags: Readonly<Record<string, string>>
  },
): Promise<void> {
  const { calls, context, pendingLabel } = store
  const { ref, view, version, tags } = request
  const tagged = view.tagged.get(version)
  const carriers = [...view.carried].filter(([, carried]) => carried === version)
  if (carriers.length === 0 && tagged === undefined) return
  if (tagged?.isRetired !== true) {
    const entry = tagged ?? { ...untagged, stagedAt: context.system.now() }
    await calls.tag(ref, { ...tags, ...versionTags(ref, version, { ...entry, isRetired: true }) })
    if ((await lookAt(store, ref))?.current === version) {
      await calls.tag(ref, versionTags(ref, version, entry))
      throw isCurrentError(ref, version, 'retired')
    }
  }
  const own = ownLabel(version)
  for (const [carrier] of carriers) {
    const labels = view.labels.get(carrier) ?? []
    const isRotated = ownVersionIn(labels) === version
    // By its own label a repeat knows what else is left to do: it goes last.
    const ours = [pendingLabel, previousLabel, ...(isRotated ? [rotationLabel] : []), own]
    for (const label of ours)
      if (labels.includes(label)) await removeLabel(calls, { ref, label, version: carrier })
  }
}

/** A reader that may only get values still gets them, without metadata, and this is said once. */
function tagReader({
  calls,
  context,
}: AwsStore): (ref: string) => Promise<ReadonlyMap<VersionId, TaggedVersion>> {
  const warned = new Set<string>()
  return async (ref) => {
    try {
      const secret = await calls.describe(ref)
      return secret === undefined ? new Map() : readVersionTags(secret.tags)
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError && thrown.code === 'store_denied')) throw thrown
      if (!warned.has(ref)) {
        warned.add(ref)
        warn(context, `${ref} is read without its metadata: secretsmanager:DescribeSecret is not allowed.`, {
          ref,
        })
      }
      return new Map()
    }
  }
}
