import type { ErrorCode } from './errors.ts'

/** critical: apps fail, or soon will. warning: a person has to do something. note: good to know. */
export type Severity = 'critical' | 'warning' | 'note'

export const severities: readonly Severity[] = ['critical', 'warning', 'note']

export interface AlertRule {
  readonly severity: Severity
  /** What it is called above a message. */
  readonly title: string
  /** It has to be so for this long, in milliseconds, before anybody is told. */
  readonly holdMs: number
}

const seconds = 1_000
const minutes = 60_000

/** Every alert that there is. The codes are stable; docs/alerts.md has a row for each, and a test keeps the two equal. */
export const alertRules = {
  no_verified_key: rule('critical', 'No key can be handed out', 5 * seconds),
  key_rejected: rule('critical', 'OpenAI rejects the key', 0),
  key_compromised: rule('critical', 'A key in the wrong hands is still in use', 0),
  quota_exhausted: rule('critical', 'The quota is exhausted', 30 * seconds),
  account_blocked: rule('critical', 'The account is blocked', 0),
  key_misconfigured: rule('critical', 'OpenAI refuses the way it is asked', 60 * seconds),
  key_restricted: rule('warning', 'The key lacks a scope', 60 * seconds),
  key_throttled: rule('note', 'OpenAI throttles the key', 10 * minutes),
  failover: rule('warning', 'Another key took over', 0),
  key_expiring: rule('warning', 'The key expires', 0),
  rotation_due_soon: rule('note', 'The key is turned soon', 0),
  rotation_overdue: rule('warning', 'The key was not turned in time', 0),
  rotation_halted: rule('warning', 'A rotation is halted', 0),
  rotation_waiting: rule('warning', 'A rotation waits for a key', 0),
  retirement_halted: rule('warning', 'An old key cannot be retired', 0),
  retirement_unproven: rule('warning', 'A revoked key is still accepted', 0),
  old_key_in_use: rule('warning', 'An old key is still in use', 0),
  drift: rule('warning', 'A store or mirror differs', 2 * minutes),
  standby_missing: rule('warning', 'There is no spare key', 5 * minutes),
  admin_key_expiring: rule('warning', 'The admin key expires', 0),
  admin_key_ageing: rule('warning', 'The admin key is old', 0),
  store_unreachable: rule('warning', 'A store does not answer', 5 * minutes),
  store_unusable: rule('warning', 'A store refuses, or holds no usable key', 60 * seconds),
  ledger_unreachable: rule('critical', 'The ledger does not answer', 30 * seconds),
  issuer_unreachable: rule('warning', 'OpenAI cannot be asked', 10 * minutes),
  clock_wrong: rule('warning', 'The clock of a machine is off', 30 * seconds),
  audit_unavailable: rule('critical', 'The audit journal cannot be written', 30 * seconds),
  orphan_revoked: rule('note', 'A key that nobody held was revoked', 0),
  revoke_by_hand: rule('warning', 'A key has to be deleted by hand', 0),
  key_vanished: rule('warning', 'A key was deleted at OpenAI', 0),
  last_known_good: rule('warning', 'A key comes from the last-known-good file', 60 * seconds),
  last_known_good_unwritten: rule('warning', 'The last-known-good file is not kept', 5 * minutes),
  exchange_refused: rule('critical', 'OpenAI declines the exchange of an identity', 30 * seconds),
  exchange_failing: rule('warning', 'The exchange of an identity gets no answer', 5 * minutes),
  verification_stretched: rule('note', 'Keys are verified less often than configured', 5 * minutes),
  other_trouble: rule('warning', 'Something is wrong', 60 * seconds),
} as const satisfies Readonly<Record<string, AlertRule>>

export type AlertCode = keyof typeof alertRules

export const alertCodes = Object.keys(alertRules) as readonly AlertCode[]

function rule(severity: Severity, title: string, holdMs: number): AlertRule {
  return { severity, title, holdMs }
}

export function isAlertCode(text: string): text is AlertCode {
  return Object.hasOwn(alertRules, text)
}

/** The codes of troubles that are no error codes, as src/engine makes them. */
type OwnTroubleCode =
  | 'key_expiring'
  | 'key_compromised'
  | 'key_still_used'
  | 'key_not_dead'
  | 'retirement_held'
  | 'retirement_halted'
  | 'store_changed'
  | 'mirror_behind'
  | 'mirror_drift'
  | 'standby_missing'
  | 'verification_stretched'
  | 'exchange_refused'
  | 'exchange_failing'
  | 'last_known_good'
  | 'last_known_good_unwritten'
  | `key_${'restricted' | 'throttled' | 'exhausted' | 'blocked' | 'misconfigured'}`
  | `check_${'restricted' | 'throttled' | 'exhausted' | 'blocked' | 'misconfigured' | 'rejected' | 'unknown'}`

/** The compiler sees to it that none of these is forgotten, a test that there are no others. */
const ownTroubles: Readonly<Record<OwnTroubleCode, AlertCode>> = {
  key_expiring: 'key_expiring',
  key_compromised: 'key_compromised',
  key_still_used: 'old_key_in_use',
  key_not_dead: 'retirement_unproven',
  retirement_held: 'retirement_halted',
  retirement_halted: 'retirement_halted',
  store_changed: 'drift',
  mirror_behind: 'drift',
  mirror_drift: 'drift',
  standby_missing: 'standby_missing',
  verification_stretched: 'verification_stretched',
  exchange_refused: 'exchange_refused',
  exchange_failing: 'exchange_failing',
  last_known_good: 'last_known_good',
  last_known_good_unwritten: 'last_known_good_unwritten',
  key_restricted: 'key_restricted',
  key_throttled: 'key_throttled',
  key_exhausted: 'quota_exhausted',
  key_blocked: 'account_blocked',
  key_misconfigured: 'key_misconfigured',
  check_restricted: 'key_restricted',
  check_throttled: 'key_throttled',
  check_exhausted: 'quota_exhausted',
  check_blocked: 'account_blocked',
  check_misconfigured: 'key_misconfigured',
  check_rejected: 'key_rejected',
  check_unknown: 'issuer_unreachable',
}

/** A store, an issuer or a ledger that fails is a trouble under the code of its error. */
const errorTroubles: Readonly<Partial<Record<ErrorCode, AlertCode>>> = {
  no_verified_key: 'no_verified_key',
  rotation_halted: 'rotation_halted',
  store_unreachable: 'store_unreachable',
  store_throttled: 'store_unreachable',
  store_denied: 'store_unusable',
  store_absent: 'store_unusable',
  store_disabled: 'store_unusable',
  store_malformed: 'store_unusable',
  store_conflict: 'store_unusable',
  store_too_large: 'store_unusable',
  store_read_only: 'store_unusable',
  ledger_unreachable: 'ledger_unreachable',
  ledger_newer: 'ledger_unreachable',
  ledger_behind: 'ledger_unreachable',
  ledger_corrupt: 'ledger_unreachable',
  issuer_unreachable: 'issuer_unreachable',
  issuer_throttled: 'issuer_unreachable',
  audit_unavailable: 'audit_unavailable',
  audit_broken: 'audit_unavailable',
}

const troubles: Readonly<Record<string, AlertCode>> = { ...errorTroubles, ...ownTroubles }

/** The alert that a trouble is. What no rule names is told all the same. */
export function alertOfTrouble(code: string): AlertCode {
  return Object.hasOwn(troubles, code) ? (troubles[code] ?? 'other_trouble') : 'other_trouble'
}

/** What is true of one process and not of the installation: each replica tells its own. */
const localCodes: ReadonlySet<AlertCode> = new Set([
  'ledger_unreachable',
  'clock_wrong',
  'audit_unavailable',
  'last_known_good',
  'last_known_good_unwritten',
])

export function isLocal(code: AlertCode): boolean {
  return localCodes.has(code)
}

/** Events that stand for an alert of their own, because no state shows them afterwards. */
const momentary: Readonly<Record<string, AlertCode>> = {
  orphan_revoked: 'orphan_revoked',
  stray_key_revoked: 'orphan_revoked',
  revoke_by_hand: 'revoke_by_hand',
  key_vanished: 'key_vanished',
}

export function alertOfEvent(code: unknown): AlertCode | undefined {
  return typeof code === 'string' && Object.hasOwn(momentary, code) ? momentary[code] : undefined
}
