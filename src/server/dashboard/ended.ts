import { sessionMs } from './sessions.ts'

/** A session that was signed out before its time. */
export interface EndedSession {
  readonly id: string
  /** Whose it was: the id of the caller. */
  readonly by: string
  readonly startedAt: number
}

/** What replicas tell one another of it. */
export interface EndedContent {
  readonly sessions: readonly EndedSession[]
  /** All sessions of a caller that began until then are over; `*`: of every caller. */
  readonly floors: Readonly<Record<string, number>>
}

/** The sessions that were signed out, of which a copied cookie would still be good. */
export interface Ended {
  has(session: EndedSession): boolean
  add(session: EndedSession, now: number): void
  /** Takes up what another replica knows; whatever is no such content teaches nothing. */
  merge(content: unknown, now: number): void
  /** In an order of its own: the same for replicas that know the same. */
  content(): EndedContent
}

/** So many are told apart per caller, and of all callers together. */
const perCallerMax = 20
const sessionsMax = 2_000
const floorsMax = 1_000
const everybody = '*'
/** The clocks of two replicas may differ: what is over by one is not yet by the other. */
const slackMs = 60_000

/**
 * None is forgotten before its time: where there are too many, the oldest is covered by a floor that ends all older ones of
 * the same caller with it. So who signs out without end signs himself out and brings back no session of anybody.
 */
export function createEnded(): Ended {
  let sessions = new Map<string, EndedSession>()
  let floors = new Map<string, number>()
  const raise = (by: string, startedAt: number): void => {
    floors.set(by, Math.max(startedAt, floors.get(by) ?? startedAt))
  }
  const isBelow = ({ by, startedAt }: EndedSession): boolean =>
    startedAt <= Math.max(floors.get(by) ?? -1, floors.get(everybody) ?? -1)
  const settle = (now: number): void => {
    const isPast = (startedAt: number): boolean => startedAt + sessionMs + slackMs <= now
    for (const [by, at] of floors) if (isPast(at)) floors.delete(by)
    const kept = new Map<string, EndedSession>()
    const counts = new Map<string, number>()
    for (const one of [...sessions.values()].toSorted(newestFirst)) {
      const count = (counts.get(one.by) ?? 0) + 1
      counts.set(one.by, count)
      if (isPast(one.startedAt)) continue
      if (count > perCallerMax || kept.size >= sessionsMax) raise(one.by, one.startedAt)
      else kept.set(one.id, one)
    }
    const highest = [...floors]
      .filter(([by]) => by !== everybody)
      .toSorted(([, one], [, other]) => other - one)
    for (const [by, at] of highest.slice(floorsMax)) {
      raise(everybody, at)
      floors.delete(by)
    }
    sessions = new Map([...kept].filter(([, one]) => !isBelow(one)))
    const lowest = floors.get(everybody) ?? -1
    floors = new Map([...floors].filter(([by, at]) => by === everybody || at > lowest))
  }
  return {
    has: (session) => sessions.has(session.id) || isBelow(session),
    add(session, now) {
      const { id, by, startedAt } = session
      sessions.set(id, { id, by, startedAt })
      settle(now)
    },
    merge(content, now) {
      const told = readContent(content)
      for (const one of told.sessions) sessions.set(one.id, one)
      for (const [by, at] of Object.entries(told.floors)) raise(by, at)
      settle(now)
    },
    content: () => ({
      sessions: [...sessions.values()].toSorted(newestFirst),
      floors: Object.fromEntries([...floors].toSorted(([one], [other]) => (one < other ? -1 : 1))),
    }),
  }
}

function newestFirst(one: EndedSession, other: EndedSession): number {
  return other.startedAt - one.startedAt || (one.id < other.id ? -1 : 1)
}

function readContent(value: unknown): EndedContent {
  const { sessions, floors } = (value ?? {}) as Partial<Record<keyof EndedContent, unknown>>
  return {
    sessions: Array.isArray(sessions) ? sessions.filter(isEndedSession) : [],
    floors: Object.fromEntries(Object.entries(floors ?? {}).filter(([, at]) => Number.isFinite(at))),
  }
}

function isEndedSession(value: unknown): value is EndedSession {
  const { id, by, startedAt } = (value ?? {}) as Partial<Record<keyof EndedSession, unknown>>
  return typeof id === 'string' && typeof by === 'string' && Number.isFinite(startedAt)
}
