import { KeyturnError } from '../core/errors.ts'
import type { PromoteOutcome, PromoteRequest } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import {
  type AzureLook,
  type AzureStore,
  look,
  type Slot,
  siblingOf,
  slotsIn,
  turnsIn,
  versionOf,
} from './azure-look.ts'
import { tellWithinMs } from './azure-race.ts'
import { noteSilence, type OwnTurn, type Settled, settleTop } from './azure-settle.ts'
import { adopt, settled } from './azure-slot.ts'
import { contendersMax, readSlotTags, type TurnTags, turnTags } from './azure-tags.ts'
import { textWith } from './azure-text.ts'
import { type Attempt, leftMs, type Unfinished } from './azure-unfinished.ts'
import { assertFence } from './shelf.ts'
import { digestOf } from './slot-state.ts'

/**
 * Azure makes what was set last the newest for everybody and compares nothing, so that a promotion is written first and
 * decided afterwards: azure-race.ts says how, and why all replicas decide alike. The ledger's lease makes such races rare;
 * where one was lost, the winner's key is written back before this answers `conflict`.
 */
export async function promoteOnAzure(
  store: AzureStore,
  unfinished: Unfinished,
  ref: string,
  request: PromoteRequest,
): Promise<PromoteOutcome> {
  let attempt = unfinished.take(ref, request)
  try {
    return await settled(store, ref, async (within) => {
      if (attempt === undefined || leftMs(store.context.system, attempt) <= 0) {
        attempt = undefined
        const begun = await beginOrAnswer(within, ref, request)
        if (!('own' in begun)) return begun
        attempt = begun
      }
      const outcome = await carryOut(within, ref, attempt)
      if (outcome !== 'again') attempt = undefined
      return outcome === 'again' || outcome === 'anew' ? undefined : outcome
    })
  } catch (thrown) {
    // Of what can never succeed no key is kept.
    const mayPass = thrown instanceof KeyturnError && thrown.retryable
    if (mayPass && attempt !== undefined) unfinished.keep(ref, attempt)
    throw thrown
  }
}

/** `again`: the same attempt, to look what came of it. `anew`: with what is there now. */
async function carryOut(
  store: AzureStore,
  ref: string,
  attempt: Attempt,
): Promise<PromoteOutcome | 'again' | 'anew'> {
  await write(store, ref, attempt)
  await tell(store, ref, attempt)
  const outcome = await settleTop(store, ref, attempt.own)
  if (attempt.seen?.length !== 0) return outcomeOf(store, ref, attempt, outcome)
  return (await isToGiveBack(store, ref, attempt, outcome)) ? 'again' : { kind: 'gone' }
}

async function beginOrAnswer(
  store: AzureStore,
  ref: string,
  request: PromoteRequest,
): Promise<Attempt | PromoteOutcome> {
  const outcome = await settleTop(store, ref, undefined)
  const { top } = outcome
  const view = await look(store, ref, { top })
  assertFence(ref, view.fence, request.fence)
  const wasCurrent = view.current === request.to
  // Who died before it was decided may yet be overruled: the same key is promoted over it for good.
  const isFirm = outcome.kind !== 'open' || top?.turn === undefined
  if (wasCurrent && isFirm) return { kind: 'already' }
  const slot = view.slots.find(({ version }) => version === request.to)
  if (slot === undefined || slot.isRetired) return wasCurrent ? { kind: 'already' } : { kind: 'gone' }
  if (!wasCurrent && view.current !== request.expectCurrent)
    return { kind: 'conflict', current: view.current }
  const value = await valueOf(store, ref, slot)
  if (value === undefined) return { kind: 'gone' }
  return begin(store, ref, { request, view, slot, secret: value.secret, place: value.place, outcome })
}

async function begin(
  store: AzureStore,
  ref: string,
  from: {
    readonly request: PromoteRequest
    readonly view: AzureLook
    readonly slot: Slot
    readonly secret: Secret
    readonly place: string
    readonly outcome: Settled
  },
): Promise<Attempt> {
  const { request, view, slot, secret, place, outcome } = from
  const { field, context } = store
  const { system } = context
  const { top, current, lastTurn } = view
  const left = view.slots.find(({ version }) => version === current)
  if (top?.secret !== undefined && current !== undefined && left === undefined)
    await adopt(store, ref, { version: current, top, view, fence: request.fence, meta: {} })
  const base = top?.value
  const text = textWith(store, secret, { ref, base: base?.text })
  const wasCurrent = current === request.to
  const previous = wasCurrent ? view.previous : current
  const turn = 1 + Math.max(0, ...turnsIn(outcome.versions).map((each) => each.turn))
  const nonce = Buffer.from(system.bytes(4)).toString('hex')
  const tags: TurnTags = {
    version: request.to,
    previous,
    turn,
    nonce,
    edition: 1,
    fence: request.fence,
    slot: place,
    digest: digestOf(secret, system),
    settledAt: Math.max(lastTurn?.settledAt ?? 0, slot.stagedAt, left?.stagedAt ?? 0),
    seen: undefined,
  }
  const others = base?.tags ?? {}
  // Refused before anything is written where the tags are too many.
  turnTags(ref, { ...tags, seen: [nonce] }, others)
  const own: OwnTurn = {
    version: request.to,
    nonce,
    turn,
    fence: request.fence,
    beganAt: system.now(),
    slot: place,
    known: new Set(outcome.versions.map(({ id }) => id)),
    base: { value: base, key: top?.secret },
  }
  // Should it come to nothing, it need not be waited for any longer than others wait for it.
  noteSilence(store, nonce, own.beganAt)
  const contentType = base?.contentType ?? (field === undefined ? undefined : 'application/json')
  const { expiresAt } = slot.meta
  return { own, text, tags, others, contentType, expiresAt, wasCurrent, hasTold: false }
}

/** Safe to repeat: after an answer that was lost it is looked for before it is written again. */
async function write({ calls }: AzureStore, ref: string, attempt: Attempt): Promise<void> {
  if (attempt.id !== undefined) return
  const { own, text, tags, others, contentType, expiresAt } = attempt
  const isRepeat = own.known.has(own.nonce)
  if (isRepeat) {
    const there = turnsIn(await calls.list(ref)).find(({ nonce }) => nonce === own.nonce)
    if (there !== undefined) {
      attempt.id = there.id
      return
    }
  }
  // Never an id of Azure's, which are longer: it says that the write was tried.
  own.known.add(own.nonce)
  const made = await calls.set(ref, { text, tags: turnTags(ref, tags, others), contentType, expiresAt })
  attempt.id = made.id
}

/** Whom it saw, in a list that began after its own write was known to be there. Once and for all. */
async function tell(store: AzureStore, ref: string, attempt: Attempt): Promise<void> {
  const { calls } = store
  const { own, tags, others, id } = attempt
  if (attempt.hasTold || id === undefined) return
  if (attempt.seen === undefined) {
    const nonces = turnsIn(await calls.list(ref))
      .filter(({ turn }) => turn === own.turn)
      .map(({ nonce }) => nonce)
    const seen = [...new Set([own.nonce, ...nonces])].sort()
    if (seen.length > contendersMax)
      throw new KeyturnError('store_conflict', `${seen.length} replicas promote ${ref} at the same moment.`, {
        fix: 'Find out why the lease of the ledger does not keep them apart; it is tried again.',
        retryable: true,
      })
    attempt.seen = (await isRetiredNow(store, ref, own)) ? [] : seen
  }
  const change = { tags: turnTags(ref, { ...tags, seen: attempt.seen }, others) }
  if (attempt.seen.length === 0) {
    // Whoever withdraws cannot be too late.
    await calls.update(ref, id, change)
    attempt.hasTold = true
    return
  }
  const { system } = store.context
  // Too late: others may already count it out, and so does this one.
  if (leftMs(system, attempt) <= 0) return
  await calls.until(own.beganAt + tellWithinMs).update(ref, id, change)
  // The answer can have been waited for in vain until now, e.g. by a machine that stood still.
  attempt.hasTold = leftMs(system, attempt) > 0
}

async function isRetiredNow({ calls }: AzureStore, ref: string, { slot }: OwnTurn): Promise<boolean> {
  try {
    const place = await calls.get(siblingOf(ref), slot)
    return place === undefined || readSlotTags(place.tags)?.isRetired === true
  } catch (thrown) {
    // Destroyed already.
    if (thrown instanceof KeyturnError && thrown.code === 'store_disabled') return true
    throw thrown
  }
}

/**
 * Where nobody else won, a promotion that withdrew gives back what was there, or a value that is no key where nothing was:
 * Azure cannot take a first version away. True: look again what came of it.
 */
async function isToGiveBack(
  { calls, format }: AzureStore,
  ref: string,
  { own }: Attempt,
  outcome: Settled,
): Promise<boolean> {
  if (outcome.kind !== 'open' || outcome.top?.turn?.nonce !== own.nonce) return false
  const nothing = {
    text: new Secret(format.placeholder),
    tags: {},
    contentType: undefined,
    expiresAt: undefined,
  }
  const { text, tags, contentType, expiresAt } = own.base.value ?? nothing
  const given = await calls.set(ref, { text, tags, contentType, expiresAt })
  own.known.add(given.id)
  return true
}

async function outcomeOf(
  store: AzureStore,
  ref: string,
  { own, wasCurrent, hasTold }: Attempt,
  outcome: Settled,
): Promise<PromoteOutcome | 'anew'> {
  if (outcome.kind === 'head') {
    const isOurs = outcome.turn.nonce === own.nonce
    // Told too late, it does not go by its own judgement: it looks at what was decided, as any other does.
    if (isOurs && !hasTold) return 'anew'
    if (isOurs) return { kind: wasCurrent ? 'already' : 'promoted' }
    if (outcome.turn.version === own.version) return { kind: 'already' }
    return { kind: 'conflict', current: outcome.turn.version }
  }
  // It died by its own clock: begin anew with what is there now.
  if (outcome.kind === 'open') return 'anew'
  const slots = slotsIn(await store.calls.list(siblingOf(ref)))
  const current = versionOf(outcome.top, slots, store.context.system)
  return current === own.version ? { kind: 'already' } : { kind: 'conflict', current }
}

/** Of a version in the sibling, from the first of its places that can be read. */
export async function valueOf(
  { calls }: AzureStore,
  ref: string,
  slot: Slot,
): Promise<{ readonly secret: Secret; readonly place: string } | undefined> {
  for (const { id, isEnabled } of slot.places) {
    const value = isEnabled ? await calls.get(siblingOf(ref), id) : undefined
    if (value !== undefined) return { secret: value.text, place: id }
  }
  return undefined
}
