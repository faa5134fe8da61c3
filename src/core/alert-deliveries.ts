import {
  type AlertBook,
  type ChannelState,
  credentialOf,
  type Incident,
  isActive,
  isOver,
  type Member,
  severityOf,
  type Told,
} from './alert-book.ts'
import type { Severity } from './alert-codes.ts'
import { worstOf } from './alerts.ts'

/** Which alerts a channel is told of, and when. */
export interface ChannelRule {
  readonly name: string
  readonly severities: ReadonlySet<Severity>
  /** Undefined: an alert that is of no single credential. */
  takes(credential: string | undefined): boolean
  /** Whether people want to be left in peace then, for all but what is critical. */
  isQuiet(at: number): boolean
}

export interface DeliveryPolicy {
  readonly channels: readonly ChannelRule[]
  /** What goes on is told again after this long; notes never are. */
  readonly remindMs: number
  /** Notices of one channel a minute. What is beyond waits, and is told as it is then. */
  readonly perMinute: number
}

/**
 * opened: it has begun. worsened: it is worse than was told. resolved: some or all of it is over. passed: it has begun
 * and is over, and nobody could be told before. reminded: it still goes on.
 */
export type DeliveryKind = 'opened' | 'worsened' | 'resolved' | 'passed' | 'reminded'

/** What a channel is to be told of an incident now. */
export interface Delivery {
  /** The same for each try of the same notice, so that a receiver can tell that it has it already. */
  readonly id: string
  readonly channel: string
  readonly incident: Incident
  readonly kind: DeliveryKind
  /** Nothing of it goes on. */
  readonly isOver: boolean
  readonly severity: Severity
  readonly active: readonly Member[]
  /** The channel is told of all of the incident, not of a part for want of the other credentials. */
  readonly isWhole: boolean
  /** Those that are over and were not told to be. */
  readonly resolved: readonly Member[]
  readonly rises: number
  readonly resolvedThrough: number
  readonly tries: number
}

export type DeliveryOutcome =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'failed'
      /** Why, in words of ours: no answer of the receiver, and nothing of its address that could be a secret. */
      readonly summary: string
      /** Trying again does not help as long as nobody changes anything. */
      readonly isPermanent: boolean
      /** It may have arrived all the same. */
      readonly isUnsure: boolean
      readonly retryAfterMs?: number
    }

/** A try whose end nobody wrote down is over after this long: drivers end long before. */
const claimMs = 60_000
const backoffMs = { first: 5_000, longest: 300_000 } as const
/** What a receiver will not take is offered again this often: somebody may have mended it. */
const permanentMs = 3_600_000
/** Who asks for a year gets an hour: a receiver that is well again must not stay untold. */
export const retryAfterMsMax = 3_600_000
const minuteMs = 60_000
/** It is kept for each incident and channel; the channel itself keeps all of it. */
const failureCharsMax = 100
const untold: Told = {
  isOpened: false,
  at: 0,
  changes: 0,
  rises: 0,
  resolvedThrough: 0,
  sequence: 0,
  tries: 0,
  nextAt: 0,
}

/**
 * Picks what goes out now, at most one notice for each channel, and writes down that it was tried. The caller keeps the
 * book before it sends anything: after a crash each of them is sent at most once more, under the same id.
 */
export function claimDeliveries(
  book: AlertBook,
  now: number,
  policy: DeliveryPolicy,
  isFree: (channel: string) => boolean,
): { readonly book: AlertBook; readonly deliveries: readonly Delivery[] } {
  const deliveries = policy.channels.flatMap((channel) => {
    const state = book.channels[channel.name]
    if (!isFree(channel.name) || isResting(state, now) || !isWithinRate(state, now, policy)) return []
    const wanted = book.incidents
      .map((incident) => wantedBy(channel, incident, now, policy))
      .filter((one) => one !== undefined)
    const due = inTurn(wanted).filter((one) => isDue(one, channel, now))
    return due
      .toSorted(byUrgency)
      .map(({ delivery }) => delivery)
      .slice(0, 1)
  })
  if (deliveries.length === 0) return { book, deliveries }
  return { book: deliveries.reduce((next, one) => withTry(next, one, now), book), deliveries }
}

/** What a channel should know of an incident and does not; undefined: it knows all of it. */
export function wantedBy(
  channel: ChannelRule,
  incident: Incident,
  now: number,
  { remindMs }: Pick<DeliveryPolicy, 'remindMs'>,
): Delivery | undefined {
  const told = incident.told[channel.name] ?? untold
  // Of thousands of members nothing has changed at most beats.
  const isKnown = told.isOpened && told.changes === incident.changes
  if (isKnown && now - told.at < remindMs) return undefined
  const mine = incident.members.filter((one) => channel.takes(credentialOf(one)))
  const severity = severityOf(mine)
  if (mine.length === 0 || !(told.isOpened || channel.severities.has(severity))) return undefined
  const active = mine.filter(isActive)
  const resolved = mine.filter(({ resolvedAs = 0 }) => resolvedAs > told.resolvedThrough)
  const rises = mine.reduce((sum, one) => sum + (one.rises ?? 0), 0)
  const state = { isOver: active.length === 0, hasEnded: resolved.length > 0, hasRisen: rises > told.rises }
  const isLong = state.isOver || severity === 'note' ? false : now - told.at >= remindMs
  const kind = kindOf(told, { ...state, isLong })
  if (kind === undefined) return undefined
  const resolvedThrough = Math.max(told.resolvedThrough, ...resolved.map(({ resolvedAs = 0 }) => resolvedAs))
  const key = `${kind} ${rises} ${resolvedThrough}`
  const isRepeat = told.tried === key
  const sequence = isRepeat ? told.sequence : told.sequence + 1
  return {
    id: `${incident.id}-${sequence}-${channel.name}`,
    channel: channel.name,
    incident,
    kind,
    isOver: state.isOver,
    severity,
    active,
    isWhole: mine.length === incident.members.length,
    resolved,
    rises,
    resolvedThrough,
    tries: told.tries,
  }
}

function kindOf(
  { isOpened, isUnsure }: Told,
  is: {
    readonly isOver: boolean
    readonly hasEnded: boolean
    readonly hasRisen: boolean
    readonly isLong: boolean
  },
): DeliveryKind | undefined {
  if (!isOpened) {
    if (!is.isOver) return 'opened'
    // Its beginning may have arrived, so that its end is what is missing.
    return isUnsure === true ? 'resolved' : 'passed'
  }
  if (is.isOver) return is.hasEnded ? 'resolved' : undefined
  if (is.hasRisen) return 'worsened'
  if (is.hasEnded) return 'resolved'
  return is.isLong ? 'reminded' : undefined
}

interface Turn {
  readonly delivery: Delivery
  /** As urgent as the most urgent one that waits for it. */
  readonly severity: Severity
}

/** That an alert is over is told before it is told to have begun again. What has to wait for that is left out. */
function inTurn(wanted: readonly Delivery[]): readonly Turn[] {
  const endOf = new Map<string, number>()
  const turns: (Turn | undefined)[] = []
  for (const [index, delivery] of wanted.entries()) {
    const before = new Set(
      delivery.active.map(({ alert }) => endOf.get(alert)).filter((at) => at !== undefined),
    )
    for (const at of before) {
      const turn = turns[at]
      if (turn !== undefined) turns[at] = { ...turn, severity: worstOf([turn.severity, delivery.severity]) }
    }
    turns.push(before.size > 0 ? undefined : { delivery, severity: delivery.severity })
    for (const { alert } of delivery.resolved) endOf.set(alert, index)
  }
  return turns.filter((one) => one !== undefined)
}

function isDue({ delivery, severity }: Turn, channel: ChannelRule, now: number): boolean {
  const { nextAt } = delivery.incident.told[channel.name] ?? untold
  // A clock that was set back must not keep it waiting.
  const isWaiting = now < nextAt && nextAt - now <= retryAfterMsMax
  return !isWaiting && (severity === 'critical' || !channel.isQuiet(now))
}

function isWithinRate(state: ChannelState | undefined, now: number, { perMinute }: DeliveryPolicy): boolean {
  const recent = (state?.sentAt ?? []).filter((at) => at <= now && now - at < minuteMs)
  return recent.length < perMinute
}

/** A clock that was set back must not make the rest longer. */
function isResting({ restsUntil = 0 }: ChannelState = { sentAt: [] }, now: number): boolean {
  return now < restsUntil && restsUntil - now <= retryAfterMsMax
}

const order: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, note: 2 }

function byUrgency(a: Turn, b: Turn): number {
  const [one, other] = [a.delivery, b.delivery]
  return (
    order[a.severity] - order[b.severity] ||
    one.tries - other.tries ||
    one.incident.openedAt - other.incident.openedAt
  )
}

function withTry(book: AlertBook, delivery: Delivery, now: number): AlertBook {
  const { kind, rises, resolvedThrough } = delivery
  const tried = `${kind} ${rises} ${resolvedThrough}`
  const state = book.channels[delivery.channel] ?? { sentAt: [] }
  const sentAt = [...state.sentAt.filter((at) => at <= now && now - at < minuteMs), now]
  const next = withTold(book, delivery, (told) => ({
    ...told,
    sequence: told.tried === tried ? told.sequence : told.sequence + 1,
    tried,
    tries: told.tries + 1,
    nextAt: now + claimMs,
  }))
  return { ...next, channels: { ...next.channels, [delivery.channel]: { ...state, sentAt } } }
}

/** What came of a try. What has happened since then is told next. */
export function settleDelivery(
  book: AlertBook,
  delivery: Delivery,
  outcome: DeliveryOutcome,
  now: number,
): AlertBook {
  const state = book.channels[delivery.channel] ?? { sentAt: [] }
  const { failure: former, restsUntil: _over, ...rest } = state
  if (outcome.kind === 'delivered') {
    const { rises, resolvedThrough } = delivery
    const next = withTold(book, delivery, ({ sequence }) => ({
      isOpened: true,
      at: now,
      changes: delivery.incident.changes,
      rises,
      resolvedThrough,
      sequence,
      tries: 0,
      nextAt: 0,
    }))
    return { ...next, channels: { ...next.channels, [delivery.channel]: { ...rest, deliveredAt: now } } }
  }
  const { summary, isPermanent, isUnsure, retryAfterMs } = outcome
  const resting =
    retryAfterMs === undefined ? {} : { restsUntil: now + Math.min(retryAfterMsMax, retryAfterMs) }
  const next = withTold(book, delivery, (told) => ({
    ...told,
    nextAt: now + pauseMs(told.tries, outcome),
    failure: summary.slice(0, failureCharsMax),
    ...(isUnsure ? { isUnsure } : {}),
  }))
  const failure = { since: former?.since ?? now, summary, isPermanent }
  return { ...next, channels: { ...next.channels, [delivery.channel]: { ...rest, ...resting, failure } } }
}

function pauseMs(
  tries: number,
  { isPermanent, retryAfterMs = 0 }: Extract<DeliveryOutcome, { kind: 'failed' }>,
): number {
  if (isPermanent) return permanentMs
  const backedOff = Math.min(backoffMs.longest, backoffMs.first * 2 ** Math.min(Math.max(0, tries - 1), 20))
  return Math.min(retryAfterMsMax, Math.max(backedOff, retryAfterMs))
}

function withTold(book: AlertBook, { incident, channel }: Delivery, change: (told: Told) => Told): AlertBook {
  const incidents = book.incidents.map((one) =>
    one.id === incident.id
      ? { ...one, told: { ...one.told, [channel]: change(one.told[channel] ?? untold) } }
      : one,
  )
  return { ...book, incidents }
}

/** Whether no channel has to be told anything of it any more. */
export function isToldOfAll(incident: Incident, now: number, policy: DeliveryPolicy): boolean {
  return (
    isOver(incident) &&
    policy.channels.every((channel) => wantedBy(channel, incident, now, policy) === undefined)
  )
}
