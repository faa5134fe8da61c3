import { KeyturnError } from '../core/errors.ts'
import type { SecretStore, StoreCapabilities, StoreDescription, StoredVersion } from '../core/ports.ts'
import type { VersionMeta } from '../core/types.ts'
import {
  type AzureClientOptions,
  type AzureModules,
  loadAzureModules,
  openAzureCalls,
} from './azure-calls.ts'
import { checkAzure } from './azure-check.ts'
import {
  type AzureStore,
  kind,
  look,
  readTop,
  refPattern,
  type Slot,
  siblingOf,
  slotsIn,
  type Top,
  versionOf,
} from './azure-look.ts'
import { promoteOnAzure, valueOf } from './azure-promote.ts'
import { annotateOnAzure, destroyOnAzure, retireOnAzure, settled, stageOnAzure } from './azure-slot.ts'
import { readSlotTags } from './azure-tags.ts'
import { createUnfinished } from './azure-unfinished.ts'
import { type StoreContext, warn } from './context.ts'
import { type ValueOptions, valueFormat } from './value-format.ts'

export interface AzureKeyVaultOptions extends AzureClientOptions, ValueOptions {
  /** Attempts per call, 1 to 10. Default 3. */
  readonly maxAttempts?: number
}

const versionsMax = 100

const capabilities: StoreCapabilities = {
  kind,
  writable: true,
  staging: 'slot',
  // Races are decided after the write (azure-race.ts): a reader may see a loser's key for an instant.
  cas: 'lease',
  destroy: 'disable',
  // ASSUMPTION: Azure publishes no statement on consistency within a region; a minute is far above what is seen.
  propagationMs: 60_000,
}

/**
 * Azure Key Vault through its official SDK, `@azure/keyvault-secrets` 4.12 or later, with `@azure/identity`. `ref` is a
 * secret's name.
 *
 * Whatever is set last is the newest version for everybody, so that pending keys are in a sibling, `NAME-keyturn`: one
 * Azure version for each version of ours, told of by its tags. Promotion sets the secret itself. Azure has no
 * compare-and-swap: who races is found out after the write, and the loser's write is taken back.
 *
 * Error codes: `bad_request`, `file_unusable`, `package_missing` and all `store_*` codes but `store_read_only`.
 */
export async function openAzureKeyVaultStore(
  options: AzureKeyVaultOptions,
  context: StoreContext,
  load: () => Promise<AzureModules> = loadAzureModules,
): Promise<SecretStore> {
  const store: AzureStore = {
    calls: await openAzureCalls(options, context, load),
    format: valueFormat(options),
    field: options.format === 'json' ? (options.field ?? 'OPENAI_API_KEY') : undefined,
    context,
    failuresMax: (options.maxAttempts ?? 3) - 1,
    silentSince: new Map(),
    untilAt: Number.POSITIVE_INFINITY,
  }
  const unfinished = createUnfinished(context.system)
  const reader = createReader(store)
  return {
    capabilities,
    async read(ref, readOptions) {
      assertRef(ref)
      const version = readOptions?.version
      const found = await settled(store, ref, async (within) => ({
        is:
          version === undefined
            ? await reader.current(within, ref)
            : await reader.named(within, ref, version),
      }))
      return found.is
    },
    async describe(ref) {
      assertRef(ref)
      return (await settled(store, ref, async (within) => ({ is: await describeAzure(within, ref) }))).is
    },
    async stage(ref, request) {
      assertRef(ref)
      await settled(store, ref, (within) => stageOnAzure(within, ref, request))
    },
    async promote(ref, request) {
      assertRef(ref)
      return promoteOnAzure(store, unfinished, ref, request)
    },
    async retire(ref, request) {
      assertRef(ref)
      await settled(store, ref, (within) => retireOnAzure(within, ref, request))
    },
    async destroy(ref, version) {
      assertRef(ref)
      return settled(store, ref, (within) => destroyOnAzure(within, ref, version))
    },
    async annotate(ref, version, meta) {
      assertRef(ref)
      await settled(store, ref, (within) => annotateOnAzure(within, ref, { version, meta }))
    },
    async check(ref) {
      assertRef(ref)
      return settled(store, ref, (within) => checkAzure(within, ref))
    },
    async close() {
      unfinished.clear()
      store.calls.close()
    },
  }
}

function assertRef(ref: string): void {
  if (refPattern.test(ref)) return
  throw new KeyturnError('bad_request', `Azure Key Vault has no secret names like ${JSON.stringify(ref)}.`, {
    fix: 'Use 1 to 119 of A-Z, a-z, 0-9 and hyphen, not ending in -keyturn, under which pending keys are kept.',
  })
}

async function describeAzure(store: AzureStore, ref: string): Promise<StoreDescription | undefined> {
  const { slots, top, fence, current, previous, pending } = await look(store, ref)
  if (top === undefined && slots.length === 0) return undefined
  const isListed = (slot: Slot): boolean =>
    slot.version === current || slot.places.some(({ isEnabled }) => isEnabled)
  const versions = slots
    .filter(isListed)
    .map(({ version, isRetired, meta }) => ({ version, isRetired, meta }))
  const isFound = current !== undefined && versions.every(({ version }) => version !== current)
  const found = isFound ? [{ version: current, isRetired: false, meta: {} }] : []
  return {
    ...(current === undefined ? {} : { current }),
    ...(pending === undefined ? {} : { pending }),
    ...(previous === undefined ? {} : { previous }),
    fence,
    versions: [...found, ...versions].slice(0, versionsMax),
  }
}

// ------------------------------------------------------------------ reading

interface Reader {
  current(within: AzureStore, ref: string): Promise<StoredVersion | undefined>
  named(within: AzureStore, ref: string, version: string): Promise<StoredVersion | undefined>
}

/** For so long the sibling is not asked for again: each refusal is a line in somebody's audit log. */
const refusedForMs = 5 * 60_000
const refusedMax = 20_000

/**
 * The key is one call, its metadata a second one. A reader that may not see the sibling, where all other keys are, still
 * gets the key: without metadata. This is said once per ref.
 */
function createReader({ context }: Pick<AzureStore, 'context'>): Reader {
  const refused = new Map<string, number>()

  /** Undefined where the sibling may not be seen. */
  const unlessRefused = async <Found>(ref: string, ask: () => Promise<Found>): Promise<Found | undefined> => {
    const refusedAt = refused.get(ref)
    if (refusedAt !== undefined && context.system.now() < refusedAt + refusedForMs) return undefined
    try {
      const found = await ask()
      refused.delete(ref)
      return found
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError && thrown.code === 'store_denied')) throw thrown
      const slot = siblingOf(ref)
      if (refusedAt === undefined)
        warn(context, `${ref} is read without its metadata: ${slot} may not be read.`, { ref, slot })
      if (refused.size >= refusedMax) refused.clear()
      refused.set(ref, context.system.now())
      return undefined
    }
  }

  const metaAt = async ({ calls }: AzureStore, ref: string, place: string): Promise<VersionMeta> => {
    const found = await unlessRefused(ref, () => calls.get(siblingOf(ref), place).catch(unlessDisabled))
    return (found === undefined ? undefined : readSlotTags(found.tags)?.meta) ?? {}
  }

  const stored = async (within: AzureStore, ref: string, top: Top): Promise<StoredVersion | undefined> => {
    const { secret, turn } = top
    if (secret === undefined) return undefined
    if (turn !== undefined)
      return { version: turn.version, secret, meta: await metaAt(within, ref, turn.slot) }
    const slots = slotsIn((await unlessRefused(ref, () => within.calls.list(siblingOf(ref)))) ?? [])
    const version = versionOf(top, slots, context.system)
    const meta = slots.find((slot) => slot.version === version)?.meta ?? {}
    return version === undefined ? undefined : { version, secret, meta }
  }

  return {
    async current(within, ref) {
      const top = await readTop(within, ref)
      return top === undefined ? undefined : stored(within, ref, top)
    },
    async named(within, ref, version) {
      const listed = await unlessRefused(ref, () => within.calls.list(siblingOf(ref)))
      const slot = slotsIn(listed ?? []).find((each) => each.version === version)
      const value = slot === undefined ? undefined : await valueOf(within, ref, slot)
      if (slot !== undefined && value !== undefined) return { version, secret: value.secret, meta: slot.meta }
      const top = await readTop(within, ref)
      const current = top === undefined ? undefined : await stored(within, ref, top)
      return current?.version === version ? current : undefined
    },
  }
}

function unlessDisabled(thrown: unknown): undefined {
  if (!(thrown instanceof KeyturnError && thrown.code === 'store_disabled')) throw thrown
  return undefined
}
