import { credentialOf, type Incident, type IncidentText, type Member } from './alert-book.ts'
import { type AlertCode, alertRules, type Severity } from './alert-codes.ts'
import type { Delivery, DeliveryKind, DeliveryOutcome } from './alert-deliveries.ts'

/** One message to one channel, complete: a driver only puts it into the form that its receiver knows. */
export interface AlertNotice {
  /** The same for every try, so that a receiver can tell that it has it already. */
  readonly id: string
  /** The same for all notices of one incident. */
  readonly incident: string
  readonly kind: DeliveryKind | 'test'
  readonly code: AlertCode | 'test'
  readonly severity: Severity
  /** Nothing of it goes on. */
  readonly isOver: boolean
  /** One line: what it is, and of what. */
  readonly title: string
  /** What happened, one sentence for each of the first few credentials. */
  readonly happened: readonly string[]
  /** What to do. Empty where it is over. */
  readonly fixes: readonly string[]
  /** Credentials that it goes on for, and those that it is over for, the first of them by name. */
  readonly credentials: readonly string[]
  readonly resolved: readonly string[]
  readonly credentialsCount: number
  readonly resolvedCount: number
  /** How many began together: the same for all notices of one incident. */
  readonly membersCount: number
  /** Apps that hold the keys in question, as far as is known. */
  readonly apps: readonly string[]
  /** Where a person looks. */
  readonly link?: string
  /** Since when it has been so: an expiry that is near, or a rotation that is late, long before it was told. */
  readonly since: number
  readonly openedAt: number
  /** When this was put into words. */
  readonly at: number
}

/**
 * Where people are told.
 *
 * The implementer owes: `deliver` ends within 45 s (three requests of 15 s), never rejects, makes one try, and tells nothing of addresses and
 * secrets in its outcome. A notice that says `isOver` closes what the others of its incident opened, where the receiver
 * knows such a thing. The caller owes: one notice at a time.
 */
export interface AlertChannel {
  readonly kind: string
  deliver(notice: AlertNotice): Promise<DeliveryOutcome>
  close(): Promise<void>
}

const testCode = 'test'
const namesMax = 20

export function noticeOf(delivery: Delivery, linkBase: string | undefined, now: number): AlertNotice {
  const { id, incident, kind, severity, isOver, isWhole, active, resolved } = delivery
  const shown = active.length > 0 ? active : resolved
  const told = textsOf(incident, shown)
  const link = linkOf(shown, linkBase)
  return {
    id,
    incident: incident.id,
    kind,
    code: incident.code,
    severity,
    isOver,
    title: titleOf(delivery, shown),
    happened: unique(told.map(({ summary }) => oneLine(summary))),
    fixes: isOver ? [] : unique(told.map(({ fix }) => oneLine(fix))),
    credentials: namesOf(active),
    resolved: namesOf(resolved),
    credentialsCount: active.length + (isOver ? 0 : incident.others),
    resolvedCount: resolved.length,
    membersCount: incident.members.length,
    // Of other credentials than this channel is told of they may be.
    apps: isWhole ? incident.apps.map(oneLine) : [],
    ...(link === undefined ? {} : { link }),
    since: incident.since,
    openedAt: incident.openedAt,
    at: now,
  }
}

export function testNotice(
  channel: string,
  { installation, linkBase, unique: number }: TestNotice,
  now: number,
): AlertNotice {
  const id = `keyturn-${installation}-test-${number}-${channel}`
  return {
    id,
    incident: id,
    kind: 'test',
    code: testCode,
    severity: 'note',
    isOver: false,
    title: 'A test of Keyturn’s alerts',
    happened: [`Somebody asked Keyturn to send a test to the channel ${channel}. It arrived.`],
    fixes: ['Nothing has to be done.'],
    credentials: [],
    resolved: [],
    credentialsCount: 0,
    resolvedCount: 0,
    membersCount: 0,
    apps: [],
    ...(linkBase === undefined ? {} : { link: linkBase }),
    since: now,
    openedAt: now,
    at: now,
  }
}

interface TestNotice {
  readonly installation: string
  readonly linkBase: string | undefined
  readonly unique: string
}

/** What it is, in lines without any markup, for receivers that show plain text. */
export function linesOf(notice: AlertNotice): readonly string[] {
  const { happened, fixes, apps, resolved, resolvedCount, credentials, credentialsCount, isOver } = notice
  const began = `Since ${new Date(notice.since).toISOString()}.`
  const also = !isOver && resolvedCount > 0
  return [
    ...happened.map((sentence) => (isOver ? `It was: ${sentence}` : sentence)),
    ...(credentialsCount > 1 ? [`Credentials: ${listed(credentials, credentialsCount)}.`] : []),
    ...(apps.length > 0 ? [`Apps that hold the key: ${listed(apps, apps.length)}.`] : []),
    ...(also ? [`Over for: ${listed(resolved, resolvedCount)}.`] : []),
    ...(isOver && resolvedCount > 1 ? [`Over for: ${listed(resolved, resolvedCount)}.`] : []),
    ...fixes.map((fix) => `What to do: ${fix}`),
    ...(notice.kind === 'test' ? [] : [isOver ? `${began} It is over.` : began]),
  ]
}

const words: Readonly<Record<DeliveryKind, string>> = {
  opened: '',
  worsened: 'Worse: ',
  resolved: 'Over: ',
  passed: 'Was, and is over: ',
  reminded: 'Still: ',
}

/** Where only a part is over, it names what goes on: a title is often all that is read. */
function titleOf({ kind, isOver, incident }: Delivery, shown: readonly Member[]): string {
  const [first] = shown
  const credential = first === undefined ? undefined : credentialOf(first)
  const count = shown.length + (isOver ? 0 : incident.others)
  const of = shown.length > 1 ? `${count} credentials` : credential
  const isPart = kind === 'resolved' && !isOver
  const word = isPart ? 'Over for some: ' : words[kind]
  const still = isPart ? 'still ' : ''
  return `${word}${alertRules[incident.code].title}${of === undefined ? '' : ` (${still}${of})`}`
}

/** Of thousands only the first few texts are kept: of the others there is said what is true of all of the code. */
function textsOf(
  { code, texts }: Incident,
  shown: readonly Member[],
): readonly Omit<IncidentText, 'alert'>[] {
  const alerts = new Set(shown.map(({ alert }) => alert))
  const known = texts.filter(({ alert }) => alerts.has(alert))
  if (known.length > 0) return known
  const names = namesOf(shown)
  const of = names.length === 0 ? '' : `: ${listed(names.slice(0, 3), shown.length)}`
  const fix = names[0] === undefined ? 'keyturn alerts list' : `keyturn status ${names[0]}`
  return [{ summary: `${alertRules[code].title}${of}.`, fix: `${fix} says why, and what to do.` }]
}

/** Nobody's words may look like a line of ours, a header, or text that runs the other way. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ')
}

/** To the credential where it is one, else to where all of them are. */
function linkOf(members: readonly Member[], linkBase: string | undefined): string | undefined {
  const [first] = members
  if (linkBase === undefined) return undefined
  const credential = first === undefined || members.length > 1 ? undefined : credentialOf(first)
  return credential === undefined ? linkBase : `${linkBase}/credentials/${encodeURIComponent(credential)}`
}

function namesOf(members: readonly Member[]): readonly string[] {
  return members.flatMap((one) => credentialOf(one) ?? []).slice(0, namesMax)
}

function listed(names: readonly string[], count: number): string {
  return `${names.join(', ')}${count > names.length ? ` and ${count - names.length} more` : ''}`
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].slice(0, 5)
}
