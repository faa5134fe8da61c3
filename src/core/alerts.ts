import { type AlertCode, alertOfEvent, alertOfTrouble, alertRules, type Severity } from './alert-codes.ts'
import type { CredentialEvent } from './types.ts'

/** Something that a person is told of for as long as it is so. */
export interface Alert {
  /** The same for as long as it is the same alert: `openai/key_expiring`. */
  readonly id: string
  readonly code: AlertCode
  /** Absent: it is of no single credential. */
  readonly credential?: string
  readonly severity: Severity
  /** Told anew when it rises. */
  readonly level: number
  readonly summary: string
  readonly fix: string
  /** Undefined: whoever looks knows since when it has been so. */
  readonly since?: number
  /** It has to be so for this long before anybody is told. */
  readonly holdMs: number
}

/** What of a credential's summary alerts are made of. */
export interface AlertedCredential {
  readonly name: string
  readonly isInternal: boolean
  readonly current: {
    readonly version: string
    readonly addedAt: string
    readonly createdAt: string | null
    readonly promotedAt: string | null
    readonly expiresAt: string | null
  } | null
  readonly versions: readonly {
    readonly version: string
    readonly fingerprint: string
    readonly withdrawnAt: string | null
    readonly isCompromised: boolean
    readonly check: { readonly verdict: string; readonly summary: string; readonly fix: string } | null
  }[]
  readonly rotation: {
    readonly phase: string
    readonly mode: string
    readonly phaseAt: string
    readonly deadlineAt: string | null
  } | null
  readonly rotatesAt: string | null
  readonly blackoutUntil: string | null
  readonly troubles: readonly {
    readonly code: string
    readonly summary: string
    readonly fix: string
    readonly since: string | null
  }[]
}

export interface AlertThresholds {
  /** How long before its expiry a key that nothing turns before is told of, longest first. */
  readonly expiryLeadsMs: readonly number[]
  readonly rotationSoonMs: number
  readonly rotationLateMs: number
  /** An admin key that no schedule turns is old after this long. */
  readonly adminKeyAgeMs: number
  /** How long something that happened once stays an alert. */
  readonly momentaryMs: number
}

/** A key that expires within this long leaves no time for a ticket. */
const urgentMs = 26 * 3_600_000
/** Nothing was verified yet: at a start that is no news. */
const startMs = 60_000

/** All that fires for one credential at an instant; at most one alert of each code. */
export function alertsOf(
  credential: AlertedCredential,
  now: number,
  thresholds: AlertThresholds,
): readonly Alert[] {
  const found = [
    ...fromTroubles(credential, now),
    ...fromExpiry(credential, now, thresholds),
    ...fromWithdrawn(credential, now, thresholds),
    ...fromRotation(credential, now, thresholds),
    ...fromAge(credential, now, thresholds),
  ]
  const worst = new Map<string, Alert>()
  for (const one of found) {
    const known = worst.get(one.id)
    if (known === undefined || one.level > known.level) worst.set(one.id, one)
  }
  return [...worst.values()]
}

function fromTroubles(credential: AlertedCredential, now: number): readonly Alert[] {
  return credential.troubles.flatMap(({ code, summary, fix, since }) => {
    // Of the ledger as a whole: whoever asks it tells of it, once for all credentials.
    if (alertOfTrouble(code) === 'ledger_unreachable') return []
    if (code === 'key_expiring') return expiring(credential, { now, summary, fix, since: instant(since) })
    const isEmergency = code === 'rotation_halted' && credential.rotation?.mode === 'emergency'
    return made(credential, alertOfTrouble(code), {
      summary,
      fix,
      since: instant(since),
      ...(isEmergency ? { severity: 'critical' as const } : {}),
      ...(code === 'no_verified_key' && since === null ? { holdMs: startMs } : {}),
    })
  })
}

/** Where Keyturn turns it in time there is nothing to do, however near the expiry is. */
function fromExpiry(
  credential: AlertedCredential,
  now: number,
  { expiryLeadsMs }: AlertThresholds,
): readonly Alert[] {
  const expiresAt = instant(credential.current?.expiresAt)
  if (expiresAt === undefined || expiresAt - now > Math.max(0, ...expiryLeadsMs)) return []
  const turnsAt = instant(credential.rotatesAt)
  if (turnsAt !== undefined && turnsAt < expiresAt && now < expiresAt) return []
  const summary = `The key of ${credential.name} ${now < expiresAt ? 'expires' : 'expired'} at ${iso(expiresAt)}, and nothing turns it before.`
  const fix = `Turn it now: keyturn rotate ${credential.name}; or bring another: keyturn bring ${credential.name} < key.txt`
  const passed = expiryLeadsMs.filter((leadMs) => expiresAt - now <= leadMs).length
  return [expiring(credential, { now, summary, fix, since: expiresAt - Math.max(...expiryLeadsMs), passed })]
}

function expiring(
  credential: AlertedCredential,
  {
    now,
    passed = 0,
    ...told
  }: {
    readonly now: number
    readonly summary: string
    readonly fix: string
    readonly since?: number | undefined
    readonly passed?: number
  },
): Alert {
  const expiresAt = instant(credential.current?.expiresAt) ?? Number.POSITIVE_INFINITY
  const severity: Severity = expiresAt - now <= urgentMs ? 'critical' : 'warning'
  const code = credential.isInternal ? 'admin_key_expiring' : 'key_expiring'
  return made(credential, code, { ...told, severity, step: passed })
}

/**
 * A key that OpenAI said no to was withdrawn; whether another one took its place is what matters to people. Where nothing can be
 * handed out, that is the alert, with what OpenAI said of the key: one cause wakes nobody twice.
 */
function fromWithdrawn(
  credential: AlertedCredential,
  now: number,
  { momentaryMs }: AlertThresholds,
): readonly Alert[] {
  if (credential.troubles.some(({ code }) => code === 'no_verified_key')) return []
  return credential.versions.flatMap(({ version, fingerprint, withdrawnAt, isCompromised, check }) => {
    const at = instant(withdrawnAt)
    if (at === undefined || isCompromised || now - at >= momentaryMs) return []
    if (check?.verdict !== 'rejected') return []
    const { current, name } = credential
    if (current === null || current.version === version) {
      const { summary, fix } = check
      return [made(credential, 'key_rejected', { summary, fix, since: at })]
    }
    // Later than the end of the other, where it had to be made or brought first.
    const tookAt = Math.max(at, instant(current.promotedAt) ?? at)
    const summary = `The key ${fingerprint} of ${name} was rejected by OpenAI, and another live one took its place at ${iso(tookAt)}. Apps have it.`
    const fix = `Find out who ended it: keyturn versions ${name}. Nothing else has to be done.`
    return [made(credential, 'failover', { summary, fix, since: at })]
  })
}

function fromRotation(
  credential: AlertedCredential,
  now: number,
  { rotationSoonMs, rotationLateMs }: AlertThresholds,
): readonly Alert[] {
  const { name, rotation, rotatesAt, blackoutUntil } = credential
  if (rotation?.phase === 'awaiting') {
    const until = rotation.deadlineAt === null ? '' : ` until ${rotation.deadlineAt}`
    const summary = `The rotation of ${name} waits for a key that a person brings${until}.`
    const fix = `Make one in OpenAI’s dashboard, then: keyturn bring ${name} < key.txt`
    return [made(credential, 'rotation_waiting', { summary, fix, since: instant(rotation.phaseAt) })]
  }
  const isRunning = rotation !== null && rotation.phase !== 'done'
  const at = instant(rotatesAt)
  if (at === undefined || isRunning || blackoutUntil !== null) return []
  if (now >= at + rotationLateMs) {
    const summary = `The key of ${name} was to be turned at ${iso(at)}, and it was not.`
    const fix = `See what holds it up: keyturn status ${name}; or turn it now: keyturn rotate ${name}`
    return [made(credential, 'rotation_overdue', { summary, fix, since: at + rotationLateMs })]
  }
  if (now < at && at - now <= rotationSoonMs) {
    const summary = `The key of ${name} is turned at ${iso(at)}.`
    const fix = `Nothing has to be done. Before a bad day for it: a blackout, see docs/configuration.md.`
    return [made(credential, 'rotation_due_soon', { summary, fix, since: at - rotationSoonMs })]
  }
  return []
}

function fromAge(
  credential: AlertedCredential,
  now: number,
  { adminKeyAgeMs }: AlertThresholds,
): readonly Alert[] {
  const { current, isInternal, rotatesAt, name } = credential
  const madeAt = instant(current?.createdAt ?? current?.addedAt)
  if (!isInternal || rotatesAt !== null || madeAt === undefined || now - madeAt < adminKeyAgeMs) return []
  const days = Math.floor((now - madeAt) / 86_400_000)
  const summary = `The admin key ${name} is ${days} days old, and no schedule turns it.`
  const fix = `Turn it: keyturn rotate ${name}; or give it a schedule (docs/admin-key.md).`
  return [made(credential, 'admin_key_ageing', { summary, fix, since: madeAt + adminKeyAgeMs })]
}

/** Undefined for what is no alert, and for what happened too long ago. */
export function alertOfHappening(
  { id, credential, at, kind, data }: CredentialEvent,
  now: number,
  { momentaryMs }: Pick<AlertThresholds, 'momentaryMs'>,
): Alert | undefined {
  const code = kind === 'alert' ? alertOfEvent(data['code']) : undefined
  if (code === undefined || now - at >= momentaryMs) return undefined
  const text = (field: unknown, otherwise: string): string =>
    typeof field === 'string' && field !== '' ? field : otherwise
  const { severity, title } = alertRules[code]
  return {
    id: `${credential}/${code}#${id}`,
    code,
    credential,
    severity,
    level: levelOf(severity, 0),
    summary: text(data['summary'], `${title}, of ${credential}.`),
    fix: text(data['fix'], `Nothing has to be done; keyturn audit list --credential ${credential} has more.`),
    since: at,
    holdMs: alertRules[code].holdMs,
  }
}

interface Made {
  readonly summary: string
  readonly fix: string
  readonly since?: number | undefined
  readonly holdMs?: number
  readonly severity?: Severity
  /** How far it has come within its severity. */
  readonly step?: number
}

function made(
  { name }: AlertedCredential,
  code: AlertCode,
  { since, severity = alertRules[code].severity, step = 0, holdMs = alertRules[code].holdMs, ...told }: Made,
): Alert {
  const level = levelOf(severity, step)
  const is = since === undefined ? {} : { since }
  return { id: `${name}/${code}`, code, credential: name, severity, level, ...told, ...is, holdMs }
}

const weight: Readonly<Record<Severity, number>> = { note: 0, warning: 1, critical: 2 }
const stepsMax = 10

export function levelOf(severity: Severity, step: number): number {
  return weight[severity] * stepsMax + Math.min(step, stepsMax - 1)
}

export function severityOfLevel(level: number): Severity {
  return level >= levelOf('critical', 0) ? 'critical' : level >= levelOf('warning', 0) ? 'warning' : 'note'
}

export function worstOf(all: readonly Severity[]): Severity {
  return all.reduce<Severity>((worst, one) => (weight[one] > weight[worst] ? one : worst), 'note')
}

function instant(text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Date.parse(text)
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
