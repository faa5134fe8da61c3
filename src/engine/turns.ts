import type { Urgency } from '../core/budget.ts'
import { dueAt } from '../core/duties.ts'
import { regularCheckAt } from '../core/schedule.ts'
import type { CredentialName, CredentialState, Policy } from '../core/types.ts'
import { urgencyNow } from '../core/urgency.ts'
import { createAgenda } from './agenda.ts'
import { organizationOf, type Pace } from './pace.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

/**
 * Whose turn it is to be claimed, of ten thousand: from memory, so that nobody asks the ledger for what is not due. Checks
 * wait for the pace of their organisation, each kind in a line of its own; all else goes at once.
 */
export interface Turns {
  /** Its state changed, or it is free again. */
  note(state: CredentialState): void
  /** Not before this instant. */
  rest(name: CredentialName, until: number): void
  /** Up to so many whose turn it is. Each is taken out: whoever takes it notes it again. */
  next(limit: number, isFree: (name: CredentialName) => boolean): readonly CredentialName[]
  /** Somebody else has it, or nobody could be asked: it comes again in a moment. */
  missed(names: readonly CredentialName[]): void
  /** It stands in a line. */
  isWaiting(name: CredentialName): boolean
  /** When it is worth to ask for the next. */
  nextAt(): number
}

type Waiting = Exclude<Urgency, 'urgent'>

/** What another replica has claimed, or a ledger that fails, is asked for again after this long. */
const againMs = 1_000
/** A regular check that is later than this part of its interval was held up, and so were others. */
const lateShare = 0.1
/** Of what comes round regularly, so much is made up for beside it: no minute has more than twice the mean. */
const catchUpShare = 0.5
const catchUpPerMinuteMax = 180
/** So many at once. */
const catchUpAtOnce = { least: 5, most: 30 } as const
const minuteMs = 60_000

export function createTurns(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  state: (name: CredentialName) => CredentialState,
  options: {
    readonly system: EngineDeps['system']
    readonly pace: Pace
    /** Regular checks that were held up are spread anew. Not where one process does all that is due and ends. */
    readonly isSpread: boolean
  },
): Turns {
  const { system, pace } = options
  const agenda = createAgenda()
  /** By organisation and kind, in the order of their coming. */
  const lines = new Map<
    string,
    { readonly organization: string; readonly urgency: Waiting; readonly names: Set<CredentialName> }
  >()
  const lineOf = new Map<CredentialName, Set<CredentialName>>()
  /** What each one that is out was given, to be given back where it is not used. */
  const taken = new Map<CredentialName, Waiting>()
  const catchUp = createCatchUp(setups, system)

  function leave(name: CredentialName): void {
    lineOf.get(name)?.delete(name)
    lineOf.delete(name)
  }

  function note(next: CredentialState): void {
    const setup = setups.get(next.name)
    if (setup === undefined) return
    leave(next.name)
    taken.delete(next.name)
    agenda.set(next.name, dueOf(next, setup.policy, system.now()))
  }

  /** Whether it goes now; else it has been put where it waits. */
  function goes(name: CredentialName, wasDueAt: number): boolean {
    const setup = setups.get(name)
    if (setup === undefined) return false
    const now = system.now()
    const { urgency, checks } = kindOf(state(name), setup, now)
    if (urgency === 'urgent' || checks === 0) return true
    if (urgency === 'routine' && isHeldUp(setup, wasDueAt, now)) return false
    const organization = organizationOf(setup)
    const key = `${urgency} ${organization}`
    const line = lines.get(key)
    if ((line === undefined || line.names.size === 0) && pace.take(organization, urgency)) {
      taken.set(name, urgency)
      return true
    }
    const waiting = line ?? { organization, urgency, names: new Set() }
    lines.set(key, waiting)
    waiting.names.add(name)
    lineOf.set(name, waiting.names)
    return false
  }

  /** After a start, an outage or a sleep very many are late at once: all but a few of them keep their places in the interval. */
  function isHeldUp({ name, policy }: CredentialSetup, wasDueAt: number, now: number): boolean {
    if (!options.isSpread || now - wasDueAt <= policy.verifyEveryMs * lateShare) return false
    if (catchUp(now)) return false
    agenda.set(name, regularCheckAt({ now, policy, fraction: system.fraction(), seed: name }))
    return true
  }

  function fromLines(limit: number, isFree: (name: CredentialName) => boolean): CredentialName[] {
    const found: CredentialName[] = []
    for (const { organization, urgency, names } of [...lines.values()].toSorted(byUrgency)) {
      for (const name of names) {
        if (found.length >= limit || !pace.take(organization, urgency)) break
        leave(name)
        if (isFree(name)) {
          taken.set(name, urgency)
          found.push(name)
        } else pace.giveBack(organization)
      }
    }
    return found
  }

  return {
    note,
    rest(name, until) {
      leave(name)
      agenda.set(name, until)
    },
    next(limit, isFree) {
      const found: CredentialName[] = []
      const now = system.now()
      while (found.length < limit) {
        const due = agenda.takeDue(now)
        if (due === undefined) break
        // One that is being worked on is noted again when that has ended.
        if (isFree(due.name) && goes(due.name, due.at)) found.push(due.name)
      }
      return [...found, ...fromLines(limit - found.length, isFree)]
    },
    missed(names) {
      for (const name of names) {
        const setup = setups.get(name)
        const urgency = taken.get(name)
        taken.delete(name)
        if (setup !== undefined && urgency !== undefined) pace.giveBack(organizationOf(setup))
        agenda.set(name, system.now() + againMs)
      }
    },
    isWaiting: (name) => lineOf.has(name),
    nextAt() {
      const waiting = [...lines.values()].filter(({ names }) => names.size > 0)
      return Math.min(
        agenda.nextAt(),
        ...waiting.map(({ organization, urgency }) => pace.takeAt(organization, urgency)),
      )
    },
  }
}

function byUrgency(one: { readonly urgency: Waiting }, other: { readonly urgency: Waiting }): number {
  return Number(one.urgency === 'routine') - Number(other.urgency === 'routine')
}

/** Of a state that cannot be worked with: now, so that the runner says so, and rests. */
export function dueOf(state: CredentialState, policy: Policy, now: number): number {
  try {
    return dueAt(state, policy, now)
  } catch {
    return now
  }
}

function kindOf(
  state: CredentialState,
  { policy }: CredentialSetup,
  now: number,
): ReturnType<typeof urgencyNow> {
  try {
    return urgencyNow(state, { now, policy })
  } catch {
    return { urgency: 'urgent', checks: 0 }
  }
}

/** Whether one more check that was held up may be made up for now. */
function createCatchUp(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  system: EngineDeps['system'],
): (now: number) => boolean {
  const regular = [...setups.values()].reduce((sum, { policy }) => sum + minuteMs / policy.verifyEveryMs, 0)
  const perMinute = Math.min(regular * catchUpShare, catchUpPerMinuteMax)
  const most = Math.min(catchUpAtOnce.most, Math.max(catchUpAtOnce.least, regular * catchUpShare))
  let left = most
  let at = system.now()
  return (now) => {
    left = Math.min(most, left + (Math.max(0, now - at) / minuteMs) * perMinute)
    at = now
    if (left < 1) return false
    left -= 1
    return true
  }
}
