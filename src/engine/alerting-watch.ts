import type { CredentialSummary } from '../api/types.ts'
import type { Firing } from '../core/alert-book.ts'
import { type Alert, type AlertThresholds, alertOfHappening, alertsOf } from '../core/alerts.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import type { CredentialEvent, CredentialName } from '../core/types.ts'

/** What of the service alerts are made of. */
export interface AlertedService {
  readonly names: readonly CredentialName[]
  summary(name: CredentialName): Promise<CredentialSummary>
  leases(name: CredentialName): Promise<readonly { readonly app: string }[]>
  onEvent(listener: (event: CredentialEvent) => void): Cancel
  onHandOut(listener: (name: CredentialName) => void): Cancel
}

/** All that fires, as this process sees it. */
export interface Watch {
  firing(): ReadonlyMap<string, Firing>
  /** Every credential was looked at since the start: what does not fire is away. */
  isComplete(): boolean
  /** Looks at what may have changed, and at a share of the others. */
  look(): Promise<void>
  /** Looks at all of them. False: not at each, so that what does not fire need not be away. */
  lookAtAll(): Promise<boolean>
  stop(): void
}

export const watchLimits = {
  /** Every credential is looked at this often although nothing was heard of it: some troubles begin by the clock. */
  roundMs: 60_000,
  /** Looks of one beat. */
  looksMax: 500,
  /** Things that happened once, kept as long as they are alerts. */
  happeningsMax: 1_000,
} as const

/**
 * Alerts follow from the states, not from events: an event only says which credential is worth a look. So whatever was
 * missed is seen at the next round, and ten thousand credentials cost a hundred and seventy looks a second.
 */
export function createWatch(options: {
  readonly service: AlertedService
  readonly thresholds: AlertThresholds
  /** What is wrong with this process itself. */
  readonly own: () => readonly Alert[]
  readonly system: Pick<System, 'now'>
  readonly log: Log
  readonly beatMs: number
  /** What fired when somebody looked before: by its id, since when. */
  readonly earlier?: () => ReadonlyMap<string, number>
}): Watch {
  const { service, thresholds, system, log } = options
  const share = Math.min(
    watchLimits.looksMax,
    Math.ceil((service.names.length * options.beatMs) / watchLimits.roundMs),
  )
  const dirty = new Set<CredentialName>()
  const firing = new Map<string, Firing>()
  const idsOf = new Map<string, readonly string[]>()
  let happenings: readonly CredentialEvent[] = []
  let next = 0
  let isComplete = service.names.length === 0
  const unlisten = [
    service.onEvent((event) => {
      dirty.add(event.credential)
      if (alertOfHappening(event, system.now(), thresholds) === undefined) return
      happenings = [...happenings, event].slice(-watchLimits.happeningsMax)
    }),
    service.onHandOut((name) => void dirty.add(name)),
  ]

  function put(of: string, alerts: readonly Alert[], now: number): void {
    const known = new Map((idsOf.get(of) ?? []).map((id) => [id, firing.get(id)]))
    for (const id of known.keys()) firing.delete(id)
    for (const alert of alerts) {
      const before = known.get(alert.id)
      const earlier = options.earlier?.().get(alert.id) ?? now
      // Some troubles count from the last check: what goes on began when it was first seen.
      const since = Math.min(before?.since ?? earlier, alert.since ?? now)
      firing.set(alert.id, { ...alert, since, seenAt: Math.min(before?.seenAt ?? earlier, now) })
    }
    if (alerts.length === 0) idsOf.delete(of)
    else
      idsOf.set(
        of,
        alerts.map(({ id }) => id),
      )
  }

  async function lookAt(name: CredentialName): Promise<boolean> {
    dirty.delete(name)
    try {
      const summary = await service.summary(name)
      const now = system.now()
      put(name, alertsOf(summary, now, thresholds), now)
      return true
    } catch (thrown) {
      log('error', 'a credential could not be looked at for alerts', { credential: name, error: thrown })
      return false
    }
  }

  function lookAtOthers(): void {
    const now = system.now()
    happenings = happenings.filter((event) => alertOfHappening(event, now, thresholds) !== undefined)
    const happened = happenings.flatMap((event) => alertOfHappening(event, now, thresholds) ?? [])
    put('', [...options.own(), ...happened], now)
  }

  return {
    firing: () => firing,
    isComplete: () => isComplete,
    async look() {
      for (const name of [...dirty].slice(0, watchLimits.looksMax)) await lookAt(name)
      const count = isComplete ? share : watchLimits.looksMax
      for (const name of service.names.slice(next, next + count)) await lookAt(name)
      next += count
      if (next >= service.names.length) {
        next = 0
        isComplete = true
      }
      lookAtOthers()
    },
    async lookAtAll() {
      let isWhole = true
      for (const name of service.names) isWhole = (await lookAt(name)) && isWhole
      lookAtOthers()
      isComplete = true
      return isWhole
    },
    stop() {
      for (const cancel of unlisten) cancel()
    },
  }
}
