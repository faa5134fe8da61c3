import { KeyturnError } from '../core/errors.ts'
import type { StageRequest } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId, VersionMeta } from '../core/types.ts'
import {
  type AzureLook,
  type AzureStore,
  look,
  type Slot,
  siblingOf,
  type Top,
  turnsIn,
} from './azure-look.ts'
import { settleTop } from './azure-settle.ts'
import { othersIn, type SlotTags, slotTags } from './azure-tags.ts'
import { assertSize } from './azure-text.ts'
import { assertVersionId } from './context.ts'
import { settle } from './settle.ts'
import {
  assertFence,
  isCurrentError,
  isPreviousError,
  otherSecretError,
  retiredError,
  versionAbsentError,
} from './shelf.ts'
import { digestOf, keyAlone } from './slot-state.ts'
import { assertStorable } from './values.ts'

/** Over all rounds and requests of one call. */
const callMs = 30_000
/** With less left than this, another round would come to nothing. */
const roundMs = 1_000

/**
 * The rounds of one call, each with a store whose requests end when the call does. Parallel writes to one secret are
 * refused by Azure, and cost a round and not a failure.
 */
export async function settled<Result>(
  store: AzureStore,
  ref: string,
  act: (within: AzureStore) => Promise<Result | undefined>,
): Promise<Result> {
  const { system } = store.context
  const untilAt = system.now() + callMs
  const within: AzureStore = { ...store, calls: store.calls.until(untilAt), untilAt }
  return settle(ref, system, { failuresMax: store.failuresMax }, async () => {
    try {
      const done = await act(within)
      return done === undefined ? undefined : { done }
    } catch (thrown) {
      const isConflict =
        thrown instanceof KeyturnError && thrown.code === 'store_conflict' && thrown.retryable
      if (isConflict && system.now() + roundMs < untilAt) return undefined
      throw thrown
    }
  })
}

/**
 * One Azure version of the sibling per version of ours: nothing is ever written over, so that no two replicas can lose
 * each other's keys. What a lost answer leaves twice counts once.
 */
export async function stageOnAzure(
  store: AzureStore,
  ref: string,
  { version, secret, meta, fence }: StageRequest,
): Promise<true> {
  assertVersionId(version)
  assertStorable(ref, secret)
  const key = keyAlone(secret)
  assertSize(ref, key)
  const view = await look(store, ref)
  assertFence(ref, view.fence, fence)
  const { system } = store.context
  const digest = digestOf(key, system)
  const there = view.slots.find((slot) => slot.version === version)
  if (there?.isRetired === true) throw retiredError(ref, version)
  if (there?.digest === digest) return true
  if (there !== undefined) throw otherSecretError(ref, version)
  // Later than all others by any replica's clock: the newest one is the pending one.
  const stagedAt = Math.max(system.now(), (view.slots[0]?.stagedAt ?? 0) + 1)
  await put(store, ref, key, { version, fence, stagedAt, isRetired: false, digest, meta })
  return true
}

export async function retireOnAzure(
  store: AzureStore,
  ref: string,
  { version, fence }: { readonly version: VersionId; readonly fence: number },
): Promise<true> {
  const view = await look(store, ref)
  assertFence(ref, view.fence, fence)
  const slot = view.slots.find((each) => each.version === version)
  const isHeld = view.current === version
  if (slot === undefined || (isHeld && view.top?.turn === undefined)) {
    if (isHeld) throw isCurrentError(ref, version, 'retired')
    return true
  }
  if (!isHeld && !slot.isRetired) await tag(store, ref, slot, { ...slot, isRetired: true, fence })
  if (!isHeld && !(await becomesCurrent(store, ref, version))) return true
  // Also what an earlier attempt marked, and was cut off before it looked again.
  if (slot.isRetired || !isHeld) await tag(store, ref, slot, { ...slot, isRetired: false })
  throw isCurrentError(ref, version, 'retired')
}

/** A promotion of it that was under way when it was marked either withdraws or has won: whichever, it is waited for. */
async function becomesCurrent(store: AzureStore, ref: string, version: VersionId): Promise<boolean> {
  const { top } = await settleTop(store, ref, undefined)
  return top?.turn?.version === version
}

/**
 * Azure deletes no single version: its value can be enabled and read again by whoever may set attributes. Never the newest
 * version of the secret itself, since nobody could read the secret any more.
 */
export async function destroyOnAzure(
  store: AzureStore,
  ref: string,
  version: VersionId,
): Promise<'disabled'> {
  const { calls, field } = store
  const view = await look(store, ref)
  if (view.current === version) throw isCurrentError(ref, version, 'destroyed')
  if (view.previous === version) throw isPreviousError(ref, version)
  const slot = view.slots.find((each) => each.version === version)
  if (slot === undefined) return 'disabled'
  // The history first. A document is other people's as well, and stays.
  if (field === undefined && slot.places.some(({ isEnabled }) => isEnabled)) {
    const versions = await calls.list(ref)
    const ours = turnsIn(versions).filter((turn) => turn.version === version || turn.digest === slot.digest)
    const ids = new Set([...ours.map(({ id }) => id), slot.found])
    for (const { id, isEnabled } of versions)
      if (isEnabled && ids.has(id) && id !== view.top?.value.id)
        await calls.update(ref, id, { isEnabled: false })
  }
  for (const place of slot.places)
    if (place.isEnabled)
      await calls.update(siblingOf(ref), place.id, {
        tags: { ...othersIn(place.tags), ...slotTags(ref, { ...slot, isRetired: true }) },
        isEnabled: false,
      })
  return 'disabled'
}

export async function annotateOnAzure(
  store: AzureStore,
  ref: string,
  { version, meta }: { readonly version: VersionId; readonly meta: VersionMeta },
): Promise<true> {
  const view = await look(store, ref)
  const { top } = view
  const slot = view.slots.find((each) => each.version === version)
  if (slot !== undefined) await tag(store, ref, slot, { ...slot, meta })
  else if (top !== undefined && view.current === version)
    await adopt(store, ref, { version, top, view, fence: view.fence, meta })
  else throw versionAbsentError(ref, version)
  const { expiresAt } = meta
  if (view.current === version && top?.turn !== undefined && expiresAt !== undefined)
    await store.calls.update(ref, top.value.id, { expiresAt })
  return true
}

/** Keeps a key that somebody else had set: it is what a rollback goes to once another one is on top. */
export async function adopt(
  store: AzureStore,
  ref: string,
  from: {
    readonly version: VersionId
    readonly top: Top
    readonly view: AzureLook
    readonly fence: number
    readonly meta: VersionMeta
  },
): Promise<void> {
  const { version, top, view, fence, meta } = from
  if (top.secret === undefined) return
  const latest = view.slots[0]?.stagedAt ?? top.value.createdAt
  await put(store, ref, top.secret, {
    version,
    fence,
    // It is not pending, and does not hide what is.
    stagedAt: Math.max(0, Math.min(top.value.createdAt, latest - 1)),
    isRetired: false,
    digest: digestOf(top.secret, store.context.system),
    meta,
    ...(top.turn === undefined ? { found: top.value.id } : {}),
  })
}

async function put({ calls }: AzureStore, ref: string, key: Secret, slot: SlotTags): Promise<void> {
  await calls.set(siblingOf(ref), { text: key, tags: slotTags(ref, slot) })
}

/** Tags are replaced as a whole: those of others that were read go with ours. */
async function tag({ calls }: AzureStore, ref: string, slot: Slot, next: SlotTags): Promise<void> {
  const tags = slotTags(ref, next)
  for (const place of slot.places)
    await calls.update(siblingOf(ref), place.id, { tags: { ...othersIn(place.tags), ...tags } })
}
