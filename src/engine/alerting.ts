import type { AlertChannelSummary, AlertsAnswer, AlertTestResult } from '../api/alert-types.ts'
import {
  type AlertBook,
  credentialOf,
  emptyBook,
  type Firing,
  forgetOver,
  isActive,
  type StepPolicy,
  stepAlerts,
} from '../core/alert-book.ts'
import { alertRules, isLocal, severities } from '../core/alert-codes.ts'
import {
  type ChannelRule,
  claimDeliveries,
  type Delivery,
  type DeliveryOutcome,
  type DeliveryPolicy,
  isToldOfAll,
  settleDelivery,
} from '../core/alert-deliveries.ts'
import { type AlertChannel, noticeOf, testNotice } from '../core/alert-notice.ts'
import { type Alert, type AlertThresholds, levelOf } from '../core/alerts.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel, Ledger, Log, System } from '../core/ports.ts'
import { createShelf, isBook } from './alerting-shelf.ts'
import { channelSummary, incidentSummary } from './alerting-summary.ts'
import { type AlertedService, createWatch } from './alerting-watch.ts'
import { within } from './within.ts'

export interface AlertingOptions {
  readonly service: AlertedService
  readonly documents: Pick<Ledger, 'document' | 'putDocument'>
  readonly channels: readonly (ChannelRule & { readonly channel: AlertChannel })[]
  readonly thresholds: AlertThresholds
  readonly step: StepPolicy
  readonly delivery: Omit<DeliveryPolicy, 'channels'>
  readonly linkBase?: string
  /** What is wrong with this process itself, beside the ledger. */
  readonly own: () => readonly Alert[]
  /** Where this process keeps what it alone tells, so that a restart goes on with it. Neither may throw. */
  readonly memory: LocalMemory
  /** Of this replica; the same after a restart where one process has the ledger to itself. */
  readonly owner: string
  readonly system: System
  readonly log: Log
}

export interface LocalMemory {
  /** As it was written; undefined: there is nothing, or nothing that can be read. */
  read(): unknown
  write(value: object): void
}

/** Tells people what is wrong, once, and when it is over. */
export interface Alerting {
  /** Refusals: `ledger_unreachable`. */
  list(): Promise<AlertsAnswer>
  /** Tries the channel, or all of them, now. Refusals: `not_found`. */
  test(channel?: string): Promise<readonly AlertTestResult[]>
  start(): void
  beat(): Promise<void>
  /**
   * Looks at all there is and tells what is due, for whoever runs one beat and is gone; nothing where another replica leads.
   * What is critical does not wait, nor what is over; how long anything else has to last counts from the beat that saw it
   * first. What no receiver has taken by then, the next beat tells under the same id. Never rejects.
   */
  once(withinMs: number): Promise<void>
  stop(): Promise<void>
}

export const alertingLimits = { beatMs: 1_000, stopMs: 10_000, appsMax: 20, leasesMax: 10 } as const

export function createAlerting(options: AlertingOptions): Alerting {
  const { service, channels, thresholds, step, system, log, linkBase } = options
  const shelf = createShelf(options)
  let earlier: ReadonlyMap<string, number> = new Map()
  const watch = createWatch({
    ...options,
    thresholds,
    beatMs: alertingLimits.beatMs,
    own: ownAlerts,
    earlier: () => earlier,
  })
  const policy: DeliveryPolicy = { ...options.delivery, channels }
  const kept = keptOf(options.memory.read())
  /** Part of the ids of what this replica tells alone: they must never be those of others, or of an earlier one. */
  const replica = kept?.replica ?? system.uuid().slice(0, 8)
  const localStep: StepPolicy = { ...step, installation: `${step.installation}-${replica}` }
  let local: AlertBook = kept?.book ?? emptyBook
  const busy = new Map<string, Promise<void>>()
  let cancel: Cancel = () => undefined
  let beating: Promise<void> | undefined
  let isStopped = false

  function ownAlerts(): readonly Alert[] {
    const trouble = shelf.trouble()
    if (trouble === undefined) return options.own()
    const { since, error } = trouble
    return [...options.own(), ledgerAlert(error, since)]
  }

  async function beatNow(): Promise<void> {
    await watch.look()
    const isLeading = channels.length > 0 && (await shelf.leads())
    if (!watch.isComplete()) return
    const { own, shared } = shares()
    const now = system.now()
    const told = advance(local, own, now, { step: localStep })
    keep(told.book)
    send(told.deliveries, async (settle) => keep(settle(local)))
    if (isLeading) await tell(shared, now, step)
  }

  /** How many notices went out. */
  async function tell(firing: ReadonlyMap<string, Firing>, now: number, by: StepPolicy): Promise<number> {
    const apps = await appsOf(stepAlerts(shelf.book(), firing, now, by))
    let deliveries: readonly Delivery[] = []
    const isKept = await shelf.change((book) => {
      const next = advance(book, firing, now, { step: by, apps })
      ;({ deliveries } = next)
      return next.book
    })
    if (!isKept) return 0
    send(deliveries, async (settle) => void (await shelf.change(settle)))
    return deliveries.length
  }

  async function tellOnce(): Promise<void> {
    if (channels.length === 0 || !(await shelf.leads())) return
    earlier = await shelf.seen()
    if (!(await watch.lookAtAll())) return
    const begun = activeIn(shelf.book())
    const found = [...watch.firing()].filter(([, { code }]) => !isLocal(code))
    const isLasting = ([id, { severity, since, holdMs }]: (typeof found)[number]): boolean =>
      severity === 'critical' || begun.has(id) || system.now() >= since + holdMs
    const lasting = found.filter(isLasting)
    const pending = found.filter((one) => !isLasting(one))
    await shelf.keepSeen(new Map(pending.map(([id, { since }]) => [id, since])))
    const firing = new Map(lasting.map(([id, one]) => [id, { ...one, holdMs: 0 }]))
    const atOnce: StepPolicy = { ...step, groupMs: 0, clearMs: 0 }
    while (!isStopped && (await tell(firing, system.now(), atOnce)) > 0) await Promise.all(busy.values())
  }

  function keep(book: AlertBook): void {
    if (book !== local) options.memory.write({ replica, book })
    local = book
  }

  /** While the ledger is away, what apps feel is told from here; whoever began to tell of something ends it. */
  function shares() {
    const isAway = shelf.trouble() !== undefined
    const begun = activeIn(local)
    const own = new Map<string, Firing>()
    const shared = new Map<string, Firing>()
    for (const [id, one] of watch.firing()) {
      const isOwn = isLocal(one.code) || begun.has(id) || (isAway && one.code === 'no_verified_key')
      ;(isOwn ? own : shared).set(id, one)
    }
    return { own, shared }
  }

  function advance(
    book: AlertBook,
    firing: ReadonlyMap<string, Firing>,
    now: number,
    by: { readonly step: StepPolicy; readonly apps?: ReadonlyMap<string, readonly string[]> },
  ): { readonly book: AlertBook; readonly deliveries: readonly Delivery[] } {
    const stepped = withApps(stepAlerts(book, firing, now, by.step), by.apps)
    const claimed = claimDeliveries(stepped, now, policy, (name) => !busy.has(name))
    const kept = forgetOver(claimed.book, (one) => isToldOfAll(one, now, policy))
    if (kept.dropped > book.dropped)
      log('error', 'alerts were over and forgotten before every channel could be told', {
        count: kept.dropped - book.dropped,
        fix: 'keyturn alerts list says which channel takes nothing, and why.',
      })
    return { book: kept, deliveries: claimed.deliveries }
  }

  /** Who is affected, of those that begin now. */
  async function appsOf(next: AlertBook): Promise<ReadonlyMap<string, readonly string[]>> {
    const known = new Set(shelf.book().incidents.map(({ id }) => id))
    const found = new Map<string, readonly string[]>()
    for (const { id, members } of next.incidents.filter((one) => !known.has(one.id))) {
      const names = members.flatMap((one) => credentialOf(one) ?? []).slice(0, alertingLimits.leasesMax)
      const leases = await Promise.all(names.map((name) => service.leases(name).catch(() => [])))
      const apps = new Set(leases.flat().map(({ app }) => app))
      found.set(id, [...apps].toSorted().slice(0, alertingLimits.appsMax))
    }
    return found
  }

  function send(
    deliveries: readonly Delivery[],
    settle: (work: (book: AlertBook) => AlertBook) => Promise<void>,
  ): void {
    for (const delivery of deliveries) {
      const done = deliver(delivery)
        .then((outcome) => {
          note(delivery, outcome)
          return settle((book) => settleDelivery(book, delivery, outcome, system.now()))
        })
        .catch((thrown: unknown) =>
          log('error', 'what became of an alert could not be kept', { notice: delivery.id, error: thrown }),
        )
        .finally(() => busy.delete(delivery.channel))
      busy.set(delivery.channel, done)
    }
  }

  async function deliver(delivery: Delivery): Promise<DeliveryOutcome> {
    const found = channels.find(({ name }) => name === delivery.channel)
    if (found === undefined)
      return { kind: 'failed', summary: 'it is not configured', isPermanent: true, isUnsure: false }
    return await found.channel.deliver(noticeOf(delivery, linkBase, system.now()))
  }

  /** One line for each thing that is wrong with a channel, not one for each try. */
  function note(delivery: Delivery, outcome: DeliveryOutcome): void {
    const { channel, id: notice, kind, incident } = delivery
    if (outcome.kind === 'delivered') {
      log('info', 'an alert was told', { channel, notice, kind, code: incident.code })
      return
    }
    const before = (shelf.book().channels[channel] ?? local.channels[channel])?.failure
    if (before?.summary === outcome.summary) return
    const fix = outcome.isPermanent
      ? `Correct alerts.channels.${channel}, then: keyturn alerts test ${channel}`
      : 'Nothing is lost: it is told as soon as the receiver takes it.'
    const level = outcome.isPermanent ? 'error' : 'warn'
    log(level, 'a channel did not take an alert', { channel, notice, why: outcome.summary, fix })
  }

  function again(): void {
    if (isStopped) return
    cancel = system.after(alertingLimits.beatMs, () => void beat().finally(again), { background: true })
  }

  /** One at a time. Never rejects. */
  function beat(): Promise<void> {
    beating ??= beatNow()
      .catch(notLookedAfter)
      .finally(() => (beating = undefined))
    return beating
  }

  function notLookedAfter(thrown: unknown): void {
    const error = toKeyturnError(thrown, 'looking after alerts')
    log('error', 'alerts could not be looked after; trying again', { error })
  }

  return {
    async list() {
      if (channels.length === 0) await watch.lookAtAll()
      const now = system.now()
      const unheld = { ...step, groupMs: 0 }
      const shared =
        channels.length === 0 ? stepAlerts(emptyBook, watch.firing(), now, unheld) : await shelf.read()
      const incidents = [...local.incidents, ...shared.incidents]
      const states = channels.map(({ name, channel, severities }): AlertChannelSummary => {
        const states = [shared.channels[name], local.channels[name]]
        return channelSummary({ name, kind: channel.kind, severities }, states)
      })
      const items = incidents.map((one) => incidentSummary(one, now, policy))
      return { items: items.toSorted(byWorst), channels: states }
    },
    async test(name) {
      const asked = channels.filter((one) => name === undefined || one.name === name)
      if (asked.length === 0) throw noChannel(channels)
      const unique = system.uuid().slice(0, 8)
      const { installation } = step
      return await Promise.all(
        asked.map(async (one): Promise<AlertTestResult> => {
          const notice = testNotice(one.name, { installation, linkBase, unique }, system.now())
          const outcome = await one.channel.deliver(notice)
          const isDelivered = outcome.kind === 'delivered'
          const failure = isDelivered ? null : outcome.summary
          return { channel: one.name, kind: one.channel.kind, isDelivered, failure }
        }),
      )
    },
    start: again,
    beat,
    once: async (withinMs) => {
      await within(system, withinMs, tellOnce().catch(notLookedAfter))
    },
    async stop() {
      isStopped = true
      cancel()
      watch.stop()
      await within(system, alertingLimits.stopMs, Promise.all([beating, ...busy.values()]))
      await shelf.leave()
      for (const { channel } of channels) await channel.close()
    },
  }
}

function activeIn({ incidents }: AlertBook): ReadonlySet<string> {
  return new Set(incidents.flatMap(({ members }) => members.filter(isActive).map(({ alert }) => alert)))
}

function keptOf(value: unknown): { readonly replica: string; readonly book: AlertBook } | undefined {
  const { replica, book } = (value ?? {}) as { readonly replica?: unknown; readonly book?: unknown }
  return typeof replica === 'string' && isBook(book) ? { replica, book } : undefined
}

function ledgerAlert({ message, fix }: KeyturnError, since: number): Alert {
  const told = { summary: message, fix: fix ?? 'Bring the ledger back; see docs/outages.md.' }
  const { severity, holdMs } = alertRules.ledger_unreachable
  const code = 'ledger_unreachable'
  return { id: `/${code}`, code, severity, level: levelOf(severity, 0), ...told, since, holdMs }
}

function withApps(book: AlertBook, apps: ReadonlyMap<string, readonly string[]> | undefined): AlertBook {
  if (apps === undefined || apps.size === 0) return book
  const incidents = book.incidents.map((one) => {
    const found = one.apps.length > 0 ? undefined : apps.get(one.id)
    return found === undefined || found.length === 0 ? one : { ...one, apps: found }
  })
  return { ...book, incidents }
}

function byWorst(
  a: { readonly severity: string; readonly since: string },
  b: { readonly severity: string; readonly since: string },
): number {
  const place = (severity: string): number => severities.findIndex((one) => one === severity)
  return place(a.severity) - place(b.severity) || (a.since < b.since ? -1 : 1)
}

function noChannel(channels: readonly ChannelRule[]): KeyturnError {
  if (channels.length === 0)
    return new KeyturnError('not_found', 'No channel for alerts is configured.', {
      fix: 'Add one under alerts.channels in keyturn.yaml; docs/alerts.md has one of each kind.',
    })
  return new KeyturnError('not_found', 'There is no such channel for alerts.', {
    fix: `There are: ${channels.map((one) => one.name).join(', ')}.`,
  })
}
