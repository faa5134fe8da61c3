import { KeyturnError } from '../core/errors.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { AzureValue, AzureVersion } from './azure-calls.ts'
import { type AzureStore, headOf, readTop, type Top, type Turn, turnsIn } from './azure-look.ts'
import { giveUpAfterMs, longDeadMs } from './azure-race.ts'
import { othersIn, readTurnTags, turnTags } from './azure-tags.ts'
import { keyIn, mergedText } from './azure-text.ts'

/** A promotion that this process has begun to write. */
export interface OwnTurn {
  readonly version: VersionId
  readonly nonce: string
  readonly turn: number
  readonly fence: number
  readonly beganAt: number
  readonly slot: string
  /** Azure's ids of what was there before, and of what was dealt with since. */
  readonly known: Set<string>
  /** What it was made from. */
  readonly base: { readonly value: AzureValue | undefined; readonly key: Secret | undefined }
}

export type Settled =
  /** Decided, and what everybody reads is what was decided. */
  | {
      readonly kind: 'head'
      readonly turn: Turn
      readonly top: Top
      readonly versions: readonly AzureVersion[]
    }
  /** Somebody set it by hand, and that stands. */
  | { readonly kind: 'foreign'; readonly top: Top; readonly versions: readonly AzureVersion[] }
  /** Nothing of ours is there, or whoever wrote it died before it could be decided. */
  | { readonly kind: 'open'; readonly top: Top | undefined; readonly versions: readonly AzureVersion[] }

/** Waiting included; the time of the call that asks is a limit besides. */
const roundsMax = 80
const pauseMs = { base: 20, max: 1_000 }

/**
 * Waits until the newest turn is decided (azure-race.ts) and makes sure that what everybody reads is what was decided.
 * Whoever finds a loser on top writes the winner over it: the winner before it says so, the loser before it admits it, and
 * anybody who comes later and finds that one of them has died. After each write it looks again, so that one that was
 * overtaken meanwhile is put right as well. All within the time of the call: what it leaves undone, the next one goes on with.
 */
export async function settleTop(store: AzureStore, ref: string, own: OwnTurn | undefined): Promise<Settled> {
  const { calls } = store
  const silence = createSilence(store, ref)
  for (let round = 0; round < roundsMax; round += 1) {
    const versions = await calls.list(ref)
    const head = headOf(turnsIn(versions), silence.dead)
    if (head.kind === 'waiting') {
      await silence.wait(head.for, turnsIn(versions))
      continue
    }
    const top = await readTop(store, ref)
    // The list is older than what was read: judge with a newer one.
    if (top !== undefined && versions.every(({ id }) => id !== top.value.id)) continue
    const leaving = leavingOn(top, own, silence.dead)
    if (head.kind === 'nobody' && leaving !== undefined) {
      await silence.wait([leaving], turnsIn(versions))
      continue
    }
    if (top === undefined || head.kind === 'nobody') return openOr(own, top, versions)
    const { turn } = head
    const strangers = strangersIn(versions, top, own)
    if (own !== undefined && strangers.length > 0) {
      const dealt = await dealWithStrangers(store, ref, { own, strangers, turn, top })
      if (dealt !== undefined) return { kind: 'foreign', top: dealt, versions }
      continue
    }
    if (own === undefined && top.turn === undefined) return { kind: 'foreign', top, versions }
    if (top.turn?.nonce === turn.nonce && top.turn.edition === turn.edition)
      return { kind: 'head', turn, top, versions }
    const winner = await calls.get(ref, turn.id)
    if (winner === undefined) return openOr(own, top, versions)
    await writeEdition(store, ref, { turn, from: winner, text: winner.text })
  }
  throw new KeyturnError('store_conflict', `${ref} is being changed by others all the time.`, {
    fix: 'Find out who writes to it that often; it is tried again.',
    retryable: true,
  })
}

/** Who withdrew gives back what was there before, unless it died. */
function leavingOn(
  top: Top | undefined,
  own: OwnTurn | undefined,
  dead: ReadonlySet<string>,
): string | undefined {
  const turn = top?.turn
  if (turn?.seen?.length !== 0 || turn.nonce === own?.nonce || dead.has(turn.nonce)) return undefined
  return turn.nonce
}

function openOr(own: OwnTurn | undefined, top: Top | undefined, versions: readonly AzureVersion[]): Settled {
  const isForeign = top !== undefined && top.turn === undefined && own?.known.has(top.value.id) !== true
  return isForeign ? { kind: 'foreign', top, versions } : { kind: 'open', top, versions }
}

/** The same promotion once more: with the winner's own tags, so that nobody takes it for another. */
async function writeEdition(
  { calls }: AzureStore,
  ref: string,
  { turn, from, text }: { readonly turn: Turn; readonly from: AzureValue; readonly text: Secret },
): Promise<void> {
  await calls.set(ref, {
    text,
    tags: turnTags(ref, turn, from.tags),
    contentType: from.contentType,
    expiresAt: from.expiresAt,
  })
}

// ------------------------------------------------------------------ those who have not told yet

interface Silence {
  readonly dead: ReadonlySet<string>
  wait(nonces: readonly string[], turns: readonly Turn[]): Promise<void>
}

function createSilence({ context: { system }, silentSince, untilAt }: AzureStore, ref: string): Silence {
  const dead = new Set<string>()
  const count = (nonce: string, isOld: boolean): void => {
    const since = silentSince.get(nonce)
    if (isOld || (since !== undefined && system.now() - since >= giveUpAfterMs)) dead.add(nonce)
  }
  for (const nonce of silentSince.keys()) count(nonce, false)
  let pauses = 0
  return {
    dead,
    async wait(nonces, turns) {
      const now = system.now()
      const before = dead.size
      for (const nonce of nonces) {
        noteSilence({ silentSince }, nonce, now)
        count(
          nonce,
          turns.some((turn) => turn.nonce === nonce && turn.createdAt + longDeadMs < now),
        )
      }
      if (dead.size > before) return
      const delayMs = Math.min(pauseMs.base * 2 ** Math.min(pauses, 10), pauseMs.max)
      pauses += 1
      if (system.now() + delayMs > untilAt) throw stillWaiting(ref)
      await new Promise<void>((resolve) => void system.after(delayMs, resolve))
    },
  }
}

const silentMax = 1_000

/** The oldest ones go first: they have been given up, or are as old as that by Azure's clock. */
export function noteSilence(
  { silentSince }: Pick<AzureStore, 'silentSince'>,
  nonce: string,
  at: number,
): void {
  if (silentSince.has(nonce)) return
  for (const oldest of silentSince.keys()) if (silentSince.size >= silentMax) silentSince.delete(oldest)
  silentSince.set(nonce, at)
}

function stillWaiting(ref: string): KeyturnError {
  return new KeyturnError(
    'store_conflict',
    `A replica that was promoting ${ref} has not been heard of, and is waited for.`,
    { fix: 'Nothing is to be done: it is tried again, and then does without that replica.', retryable: true },
  )
}

// ------------------------------------------------------------------ what others set by hand meanwhile

function strangersIn(
  versions: readonly AzureVersion[],
  top: Top,
  own: OwnTurn | undefined,
): readonly AzureVersion[] {
  if (own === undefined) return []
  return versions
    .filter(
      ({ id, tags }) => readTurnTags(tags) === undefined || (id === top.value.id && top.turn === undefined),
    )
    .filter(({ id, isEnabled }) => isEnabled && !own.known.has(id))
    .toSorted((one, other) => one.createdAt - other.createdAt)
}

interface Strange {
  readonly own: OwnTurn
  readonly strangers: readonly AzureVersion[]
  /** Who won, be it ours or not. */
  readonly turn: Turn
  readonly top: Top
}

/**
 * Somebody who is not Keyturn set the secret while this promotion was written. Where only other fields of the document
 * changed, they are taken over; a key that was set by hand stands, and is given back should a write of ours lie on it.
 * The top that stands is given; undefined: look again.
 */
async function dealWithStrangers(store: AzureStore, ref: string, strange: Strange): Promise<Top | undefined> {
  const { calls, field } = store
  const { own, strangers, turn, top } = strange
  const winner = await calls.get(ref, turn.id)
  if (winner === undefined) return undefined
  const winnersKey = keyIn(store, winner.text, ref)
  let { text } = winner
  for (const { id, createdAt } of strangers) {
    own.known.add(id)
    // A loser looks only at what is not older than the winner, which has dealt with the rest.
    if (turn.nonce !== own.nonce && createdAt < turn.createdAt) continue
    const value = await calls.get(ref, id)
    if (value === undefined) continue
    const key = keyIn(store, value.text, ref)
    const isTop = id === top.value.id
    if (isSame(key, winnersKey) || (isSame(key, own.base.key) && !(isTop && field === undefined))) {
      if (field !== undefined)
        text = mergedText(field, { onto: text, base: own.base.value?.text, changed: value.text })
      continue
    }
    if (isTop) return top
    // ASSUMPTION: the last one of them is meant; Azure's clock tells no less than seconds apart.
    const { contentType, expiresAt } = value
    const given = await calls.set(ref, {
      text: value.text,
      tags: othersIn(value.tags),
      contentType,
      expiresAt,
    })
    own.known.add(given.id)
    return { value: { ...given, text: value.text }, secret: key, turn: undefined }
  }
  if (!text.equals(winner.text) || top.turn === undefined)
    await writeEdition(store, ref, { turn: { ...turn, edition: turn.edition + 1 }, from: winner, text })
  return undefined
}

function isSame(one: Secret | undefined, other: Secret | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other)
}
