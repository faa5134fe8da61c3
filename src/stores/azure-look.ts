import type { System } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { AzureCalls, AzureValue, AzureVersion } from './azure-calls.ts'
import { type Contender, type Judgement, judge } from './azure-race.ts'
import { readSlotTags, readTurnTags, type SlotTags, type TurnTags } from './azure-tags.ts'
import { keyIn } from './azure-text.ts'
import type { StoreContext } from './context.ts'
import { digestOf, foreignVersion } from './slot-state.ts'
import type { ValueFormat } from './value-format.ts'

/** What the parts of the driver share. */
export interface AzureStore {
  readonly calls: AzureCalls
  readonly format: ValueFormat
  /** Of the JSON document; undefined where the value is the key alone. */
  readonly field: string | undefined
  readonly context: StoreContext
  /** Failures of one call that are lived through. */
  readonly failuresMax: number
  /** Since when promotions that have not told whom they saw are known, by nonce. */
  readonly silentSince: Map<string, number>
  /** When the call that is under way is over, by our clock: no request of it lasts longer. */
  readonly untilAt: number
}

export const kind = 'azure-key-vault'
const siblingSuffix = '-keyturn'

export function siblingOf(ref: string): string {
  return `${ref}${siblingSuffix}`
}

/** Azure takes 1 to 127 of these characters, without regard to case; the sibling's name must fit as well. */
export const refPattern = /^(?!.*-keyturn$)[0-9A-Za-z-]{1,119}$/i

/** One version as the sibling keeps it. */
export interface Slot extends SlotTags {
  /** Where its value is: Azure's ids, more than one where an answer was lost. Never empty. */
  readonly places: readonly AzureVersion[]
}

/** A version of the secret itself that Keyturn wrote. */
export interface Turn extends TurnTags {
  readonly id: string
  readonly createdAt: number
}

/** What everybody gets who reads the secret. */
export interface Top {
  readonly value: AzureValue
  /** Undefined where a document holds no key yet. */
  readonly secret: Secret | undefined
  /** Where Keyturn wrote it, and the key in it is the one of which the tags speak. */
  readonly turn: Turn | undefined
}

export interface AzureLook {
  /** Newest first. */
  readonly slots: readonly Slot[]
  readonly top: Top | undefined
  /** The newest turn where the top is somebody else's: what was current before. */
  readonly lastTurn: Turn | undefined
  readonly fence: number
  readonly current: VersionId | undefined
  readonly previous: VersionId | undefined
  readonly pending: VersionId | undefined
}

/** `known` is what was just read of the secret itself. */
export async function look(
  store: AzureStore,
  ref: string,
  known?: { readonly top: Top | undefined },
): Promise<AzureLook> {
  const { calls, context } = store
  const top = known === undefined ? await readTop(store, ref) : known.top
  const listed = await calls.list(siblingOf(ref))
  const slots = slotsIn(listed)
  // A sibling that is gone while the secret speaks of it: nothing may be concluded before it is known where it went.
  if (listed.length === 0 && (top === undefined || top.turn !== undefined))
    await calls.assertNotDeleted(siblingOf(ref))
  const isForeign = top !== undefined && top.turn === undefined
  const lastTurn = isForeign ? lastOf(turnsIn(await calls.list(ref))) : top?.turn
  const current = top === undefined ? undefined : versionOf(top, slots, context.system)
  const isLive = (version: VersionId | undefined): boolean =>
    version !== undefined &&
    version !== current &&
    slots.some((slot) => slot.version === version && !slot.isRetired)
  const previous = [...(isForeign ? [lastTurn?.version] : []), lastTurn?.previous].find(isLive)
  const latest = slots[0]
  const isPending =
    latest !== undefined && isLive(latest.version) && latest.stagedAt > (lastTurn?.settledAt ?? 0)
  return {
    slots,
    top,
    lastTurn,
    fence: Math.max(0, lastTurn?.fence ?? 0, ...slots.map(({ fence }) => fence)),
    current,
    previous,
    pending: isPending ? latest.version : undefined,
  }
}

/** One call where the secret is there. Always what Azure has now. */
export async function readTop(store: AzureStore, ref: string): Promise<Top | undefined> {
  const value = await store.calls.get(ref)
  if (value === undefined) {
    await store.calls.assertNotDeleted(ref)
    return undefined
  }
  const secret = keyIn(store, value.text, ref)
  const turn = turnOf(value)
  const isOurs = secret !== undefined && turn?.digest === digestOf(secret, store.context.system)
  return { value, secret, turn: isOurs ? turn : undefined }
}

/** What was set by hand is known again where it is a key of the sibling; else it gets an id drawn from it. */
export function versionOf(top: Top, slots: readonly Slot[], system: System): VersionId | undefined {
  if (top.turn !== undefined) return top.turn.version
  if (top.secret === undefined) return undefined
  const digest = digestOf(top.secret, system)
  const same = slots.filter((slot) => slot.digest === digest)
  const known = same.find((slot) => !slot.isRetired) ?? same[0]
  return known?.version ?? foreignVersion(kind, top.secret, system)
}

// ------------------------------------------------------------------ lists

export function slotsIn(versions: readonly AzureVersion[]): readonly Slot[] {
  const slots = new Map<VersionId, Slot>()
  const tagged = versions
    .map((place) => ({ place, tags: readSlotTags(place.tags) }))
    .filter((each) => each.tags !== undefined)
    .map(({ place, tags }) => ({ place, tags: tags as SlotTags }))
    .sort((one, other) => one.tags.stagedAt - other.tags.stagedAt || (one.place.id < other.place.id ? -1 : 1))
  for (const { place, tags } of tagged) {
    const there = slots.get(tags.version)
    // The first one counts; another key under the same id is none of it.
    if (there !== undefined && there.digest !== tags.digest) continue
    slots.set(tags.version, {
      ...(there ?? tags),
      places: [...(there?.places ?? []), place],
      isRetired: tags.isRetired || there?.isRetired === true,
      fence: Math.max(tags.fence, there?.fence ?? 0),
    })
  }
  return [...slots.values()].toReversed()
}

export function turnsIn(versions: readonly AzureVersion[]): readonly Turn[] {
  return versions.map(turnOf).filter((turn) => turn !== undefined)
}

function turnOf({ id, tags, createdAt }: AzureVersion): Turn | undefined {
  const turn = readTurnTags(tags)
  return turn === undefined ? undefined : { ...turn, id, createdAt }
}

export type Head =
  /** `turn` is the latest edition of the promotion that won. */
  { readonly kind: 'won'; readonly turn: Turn } | Exclude<Judgement, { readonly kind: 'won' }>

/** Who won the newest turn; `nobody` also where there is none. */
export function headOf(turns: readonly Turn[], dead: ReadonlySet<string>): Head {
  const newest = Math.max(0, ...turns.map(({ turn }) => turn))
  const contenders = new Map<string, Contender>()
  const group = turns.filter(({ turn }) => turn === newest)
  // What is written again for a promotion is no contender of its own, whichever of them has told.
  for (const { nonce, seen } of group)
    if (contenders.get(nonce)?.seen === undefined) contenders.set(nonce, { nonce, seen })
  const judgement = judge([...contenders.values()], dead)
  if (judgement.kind !== 'won') return judgement
  const [latest] = group
    .filter(({ nonce }) => nonce === judgement.nonce)
    .sort((one, other) => other.edition - one.edition)
  if (latest === undefined) return { kind: 'nobody' }
  return { kind: 'won', turn: { ...latest, seen: contenders.get(judgement.nonce)?.seen } }
}

/** What was current last, as far as anybody can tell by now. */
function lastOf(turns: readonly Turn[]): Turn | undefined {
  const silent = new Set(turns.map(({ nonce }) => nonce))
  const head = headOf(turns, silent)
  if (head.kind === 'won') return head.turn
  return turns.toSorted((one, other) => other.turn - one.turn)[0]
}
