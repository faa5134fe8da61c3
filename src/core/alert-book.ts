import type { AlertCode, Severity } from './alert-codes.ts'
import { type Alert, severityOfLevel } from './alerts.ts'

/**
 * What is remembered of alerts: which incidents are open, and how much of each every channel has been told. Channels are
 * told the difference between the two (alert-deliveries.ts), so that whatever was missed while a receiver was away is
 * told as it is now, once. Plain data, bounded, kept as one document of the ledger.
 */
export interface AlertBook {
  /** Counts incidents, for their ids. */
  readonly serial: number
  readonly incidents: readonly Incident[]
  readonly channels: Readonly<Record<string, ChannelState>>
  /** Incidents that were over and forgotten before every channel could be told. */
  readonly dropped: number
}

/** Alerts of one code that began together. They are told as one, and end one by one. */
export interface Incident {
  readonly id: string
  readonly code: AlertCode
  readonly openedAt: number
  /** Since when the first of them has been so. */
  readonly since: number
  /** Rises with everything that a channel could be told of. */
  readonly changes: number
  /** So many more fired with them, for which there was no room; they are told when there is. */
  readonly others: number
  /** Texts of the first few; the others say the same of other credentials. */
  readonly texts: readonly IncidentText[]
  readonly members: readonly Member[]
  /** Names of apps that hold the keys in question, as far as is known. */
  readonly apps: readonly string[]
  readonly told: Readonly<Record<string, Told>>
}

export interface IncidentText {
  readonly alert: string
  readonly summary: string
  readonly fix: string
}

/** There may be thousands, so that it holds nothing that follows from the rest. */
export interface Member {
  /** The id of the alert. */
  readonly alert: string
  readonly level: number
  /** How often it has become worse. Absent: never. */
  readonly rises?: number
  /** Not firing since then. */
  readonly awaySince?: number
  /** It has been away for long enough to be over: the how manieth of the incident, from 1. */
  readonly resolvedAs?: number
}

/** What one channel knows of an incident. */
export interface Told {
  readonly isOpened: boolean
  /** When it was told anything last. */
  readonly at: number
  /** Of the incident, when it was told last. */
  readonly changes: number
  readonly rises: number
  readonly resolvedThrough: number
  /** Of the latest notice that was tried; a repeat of the same has the same. */
  readonly sequence: number
  readonly tried?: string
  readonly tries: number
  readonly nextAt: number
  /** A try got no answer: it may have arrived. */
  readonly isUnsure?: boolean
  /** Why the last try failed. */
  readonly failure?: string
}

export interface ChannelState {
  /** When the latest notices went out, for the rate. */
  readonly sentAt: readonly number[]
  /** The receiver asked to be left in peace until then, whatever there is to tell. */
  readonly restsUntil?: number
  readonly deliveredAt?: number
  readonly failure?: { readonly since: number; readonly summary: string; readonly isPermanent: boolean }
}

export const emptyBook: AlertBook = { serial: 0, incidents: [], channels: {}, dropped: 0 }

/** Together they keep the book within the million characters that the ledger takes; a test fills it to the brim. */
export const bookLimits = {
  incidentsMax: 100,
  /** Of one incident, and of all. */
  membersMax: 500,
  membersTotalMax: 3_000,
  textsMax: 3,
  textCharsMax: 300,
  /** The more channels, the more there is to remember of each incident. */
  channelsMax: 10,
} as const

export interface StepPolicy {
  /** Part of every incident's id, so that installations that tell the same receiver are told apart. */
  readonly installation: string
  /** Alerts of one code that begin within this time are one incident; in a storm of them within longer. */
  readonly groupMs: number
  /** Away for so long, it is over; shorter absences are the same alert. What else ends within this is waited for, once. */
  readonly clearMs: number
}

/**
 * A thousand dead keys are found one after another. Each incident of a code makes the next of it gather for twice as long,
 * so that nobody is told of them fifty times, and none waits longer than its storm has lasted already.
 */
const storm = { ms: 600_000, gatherMsMax: 300_000 } as const
/** Ends that go on trickling in are waited for so many times `clearMs`. */
const endsGatherMax = 5

/** An alert that fires, with the instants that whoever looks has seen. */
export interface Firing extends Alert {
  readonly since: number
  /** When this process saw it first. */
  readonly seenAt: number
}

/** The book after a look at all that fires. The very same object where nothing changed. */
export function stepAlerts(
  book: AlertBook,
  firing: ReadonlyMap<string, Firing>,
  now: number,
  policy: StepPolicy,
): AlertBook {
  const incidents = book.incidents.map((one) => withMembers(one, firing, now, policy))
  const opened = openNew(book, incidents, firing, now, policy)
  const isSame = opened.length === 0 && incidents.every((one, index) => one === book.incidents[index])
  if (isSame) return book
  return { ...book, serial: book.serial + opened.length, incidents: [...incidents, ...opened] }
}

function openNew(
  { serial }: AlertBook,
  incidents: readonly Incident[],
  firing: ReadonlyMap<string, Firing>,
  now: number,
  policy: StepPolicy,
): readonly Incident[] {
  const { incidentsMax, membersTotalMax } = bookLimits
  const all = incidents.flatMap(({ members }) => members)
  let room = membersTotalMax - all.length
  if (room <= 0 || incidents.length >= incidentsMax) return []
  const taken = new Set(all.filter(isActive).map(({ alert }) => alert))
  const fresh = [...firing.values()].filter(({ id }) => !taken.has(id))
  const opened: Incident[] = []
  const left = new Map<AlertCode, number>()
  for (const group of groups(fresh, incidents, now, policy)) {
    const hasRoom = incidents.length + opened.length < incidentsMax
    const fitting = group.slice(0, hasRoom ? room : 0)
    room -= fitting.length
    const [first] = group
    if (first !== undefined && fitting.length < group.length)
      left.set(first.code, (left.get(first.code) ?? 0) + group.length - fitting.length)
    if (fitting.length > 0) opened.push(open(fitting, { number: serial + opened.length + 1, now, policy }))
  }
  return opened.map((one, index) => {
    const isLast = !opened.slice(index + 1).some(({ code }) => code === one.code)
    return isLast ? { ...one, others: left.get(one.code) ?? 0 } : one
  })
}

export function isActive(member: Member): boolean {
  return member.resolvedAs === undefined
}

export function isOver(incident: Incident): boolean {
  return !incident.members.some(isActive)
}

/**
 * What is over and told is forgotten; where there is no more room, also what is over and was not told yet, the oldest
 * first. `isTold`: whether no channel has to be told anything of it any more.
 */
export function forgetOver(book: AlertBook, isTold: (incident: Incident) => boolean): AlertBook {
  const kept = book.incidents.filter((one) => !isOver(one) || !isTold(one))
  const surplus = kept.length - bookLimits.incidentsMax
  const lost = new Set(surplus >= 0 ? kept.filter(isOver).slice(0, surplus + 1) : [])
  if (kept.length === book.incidents.length && lost.size === 0) return book
  const incidents = kept.filter((one) => !lost.has(one))
  return { ...book, incidents, dropped: book.dropped + lost.size }
}

function withMembers(
  incident: Incident,
  firing: ReadonlyMap<string, Firing>,
  now: number,
  policy: StepPolicy,
): Incident {
  const away = incident.members
    .filter((one) => isActive(one) && !firing.has(one.alert))
    .map(({ awaySince }) => now - Math.min(awaySince ?? now, now))
  // Those that end together are told together, as those that began together were.
  const gatherMs = endsGatherMax * policy.clearMs
  const isGathering = away.some((ms) => ms < policy.clearMs) && !away.some((ms) => ms >= gatherMs)
  let over = incident.members.reduce((most, { resolvedAs = 0 }) => Math.max(most, resolvedAs), 0)
  const members = incident.members.map((member) => {
    if (!isActive(member)) return member
    const fires = firing.get(member.alert)
    if (fires !== undefined) return stillFiring(member, fires)
    const awaySince = Math.min(member.awaySince ?? now, now)
    if (isGathering || now - awaySince < policy.clearMs)
      return awaySince === member.awaySince ? member : { ...member, awaySince }
    over += 1
    return { ...member, awaySince, resolvedAs: over }
  })
  if (members.every((one, index) => one === incident.members[index])) return incident
  const hasRisen = members.some(({ rises }, index) => rises !== incident.members[index]?.rises)
  const hasEnded = members.some(({ resolvedAs }, index) => resolvedAs !== incident.members[index]?.resolvedAs)
  return {
    ...incident,
    members,
    ...(hasRisen || hasEnded ? { changes: incident.changes + 1 } : {}),
    ...(hasRisen ? { texts: textsOf(members, firing, incident.texts) } : {}),
  }
}

function stillFiring(member: Member, { level }: Firing): Member {
  const { awaySince, ...rest } = member
  if (level > member.level) return { ...rest, level, rises: (member.rises ?? 0) + 1 }
  return awaySince === undefined ? member : rest
}

/** By code, the worst first; of each only what has been so for long enough, and not before others could join. */
function groups(
  pending: readonly Firing[],
  incidents: readonly Incident[],
  now: number,
  policy: StepPolicy,
): readonly (readonly Firing[])[] {
  const byCode = new Map<AlertCode, Firing[]>()
  for (const one of pending)
    if (now >= one.since + one.holdMs) byCode.set(one.code, [...(byCode.get(one.code) ?? []), one])
  const ripe = [...byCode].flatMap(([code, all]) => {
    const gatherMs = gatherMsOf(code, incidents, now, policy)
    return all.some((one) => isRipe(one, now, gatherMs)) ? [all] : []
  })
  return ripe
    .flatMap((all) => inParts(all.toSorted((a, b) => (a.id < b.id ? -1 : 1))))
    .toSorted((a, b) => levelOfGroup(b) - levelOfGroup(a))
}

function gatherMsOf(
  code: AlertCode,
  incidents: readonly Incident[],
  now: number,
  { groupMs }: StepPolicy,
): number {
  const lately = incidents.filter((one) => one.code === code && now - one.openedAt < storm.ms).length
  return Math.max(groupMs, Math.min(storm.gatherMsMax, groupMs * 2 ** Math.min(lately, 20)))
}

/** A clock that was set back must not hold an alert up. */
function isRipe({ seenAt, since, holdMs }: Firing, now: number, gatherMs: number): boolean {
  const heldAt = Math.max(seenAt, since + holdMs)
  return now >= heldAt + gatherMs || now < seenAt
}

function inParts(all: readonly Firing[]): readonly (readonly Firing[])[] {
  const { membersMax } = bookLimits
  return Array.from({ length: Math.ceil(all.length / membersMax) }, (_none, part) =>
    all.slice(part * membersMax, (part + 1) * membersMax),
  )
}

function levelOfGroup(group: readonly Firing[]): number {
  return group.reduce((most, { level }) => Math.max(most, level), 0)
}

function open(
  group: readonly Firing[],
  { number, now, policy }: { readonly number: number; readonly now: number; readonly policy: StepPolicy },
): Incident {
  const members = group.map(({ id, level }) => ({ alert: id, level }))
  return {
    id: `keyturn-${policy.installation}-${number}`,
    code: group[0]?.code ?? 'other_trouble',
    openedAt: now,
    since: group.reduce((earliest, { since }) => Math.min(earliest, since), now),
    changes: 0,
    others: 0,
    texts: textsOf(members, new Map(group.map((one) => [one.id, one])), []),
    members,
    apps: [],
    told: {},
  }
}

/** The newest words for each, the worst first. */
function textsOf(
  members: readonly Member[],
  firing: ReadonlyMap<string, Firing>,
  former: readonly IncidentText[],
): readonly IncidentText[] {
  const { textsMax, textCharsMax } = bookLimits
  const known = new Map(former.map((one) => [one.alert, one]))
  return members
    .toSorted((a, b) => Number(isActive(b)) - Number(isActive(a)) || b.level - a.level)
    .flatMap(({ alert }) => {
      const fires = firing.get(alert)
      if (fires === undefined) return known.get(alert) ?? []
      const cut = (text: string): string =>
        text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}…`
      return { alert, summary: cut(fires.summary), fix: cut(fires.fix) }
    })
    .slice(0, textsMax)
}

export function severityOf(members: readonly Member[]): Severity {
  return severityOfLevel(members.reduce((most, { level }) => Math.max(most, level), 0))
}

/** Of which credential an alert is; undefined where it is of none. */
export function credentialOf({ alert }: Pick<Member, 'alert'>): string | undefined {
  const name = alert.slice(0, alert.indexOf('/'))
  return name === '' ? undefined : name
}
