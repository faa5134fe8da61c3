import { recordOf } from './credential.ts'
import { type KeyFacts, keyFacts } from './evidence.ts'
import { plainly } from './report-plain.ts'
import { attemptFates, remarksOn, stillOpen, summaryOf } from './report-words.ts'
import { pendingOf } from './rotation.ts'
import type { Aftermath, CredentialState, Retirement, Rotation, Step, VersionId } from './types.ts'

/**
 * What an auditor asks for: who turned a key, why, what was done when, and what each step rests on. Pure: composed of what
 * the ledger holds, so that it says the same whenever it is asked for, until something happens.
 *
 * Plain data that survives JSON: instants are ISO 8601 in UTC, durations are seconds. A field may be added; none changes its
 * meaning without another `format`.
 */
export const reportFormat = 'keyturn-report/1'
/** What a signed report is marked with, so that no other document signed by the same key passes for one. */
export const reportType = 'keyturn-report+json'

export interface Report {
  readonly format: typeof reportFormat
  /** retirement: of a key that no rotation replaced, e.g. after a failover, a rollback or `keyturn revoke`. */
  readonly subject: 'rotation' | 'retirement'
  readonly installation: string
  /** Keyturn's version. */
  readonly keyturn: string
  readonly credential: string
  readonly issuedAt: string
  readonly summary: string
  /** Nothing of it goes on: the rotation has ended, and so has the walk of every old key. */
  readonly isFinal: boolean
  /** What goes on; empty exactly where it is final. */
  readonly open: readonly string[]
  /** What a reader should not miss: a key that lives, a gate that was forced, steps that are no longer kept. */
  readonly remarks: readonly string[]
  readonly rotation: ReportedRotation | null
  readonly retirements: readonly ReportedRetirement[]
}

export interface ReportedRotation {
  readonly id: string
  readonly mode: string
  readonly reason: string
  readonly requestedBy: string
  readonly isCompromised: boolean
  readonly phase: string
  readonly outcome: string | null
  readonly startedAt: string
  readonly endedAt: string | null
  readonly tookSeconds: number | null
  readonly from: ReportedKey | null
  readonly to: ReportedKey | null
  readonly rules: Plain | null
  readonly halt: Plain | null
  /** Of a rehearsal: what it would have stumbled over, what is allowed, and what stores and issuer keep of its key. */
  readonly failure: Plain | null
  readonly permissions: readonly Plain[]
  readonly residue: readonly string[]
  readonly attempts: readonly ReportedAttempt[]
  readonly stepsDropped: number
  readonly steps: readonly ReportedStep[]
}

export interface ReportedAttempt {
  readonly number: number
  readonly startedAt: string
  /** The name its key has at the issuer. */
  readonly marker: string
  readonly version: string
  readonly keyId: string | null
  readonly fingerprint: string | null
  readonly fate: AttemptFate
}

/**
 * promoted, pending, spare, discarded and refused as they say; none: no key was made, or none turned up in time; late: it landed
 * late and was revoked; in_use: somebody put it to use; searched: still looked for; unknown: nobody can tell any more.
 */
export type AttemptFate =
  | 'promoted'
  | 'pending'
  | 'spare'
  | 'discarded'
  | 'refused'
  | 'none'
  | 'late'
  | 'in_use'
  | 'searched'
  | 'unknown'

export interface ReportedRetirement {
  readonly id: string
  readonly key: ReportedKey
  readonly rotation: string | null
  readonly requestedBy: string | null
  readonly reason: string | null
  readonly phase: string
  readonly isProvenDead: boolean
  readonly startedAt: string
  readonly overlapUntil: string
  readonly endedAt: string | null
  readonly tookSeconds: number | null
  readonly heldBy: string | null
  readonly rules: Plain | null
  readonly halt: Plain | null
  readonly stepsDropped: number
  readonly steps: readonly ReportedStep[]
}

export interface ReportedKey {
  readonly version: string
  readonly fingerprint: string | null
  readonly keyId: string | null
  readonly origin: string | null
  readonly serviceAccount: string | null
  readonly createdAt: string | null
  readonly expiresAt: string | null
}

export interface ReportedStep {
  readonly at: string
  readonly phase: string
  readonly note: string
  /** Until the next step of the same walk. */
  readonly lastedSeconds: number | null
  readonly evidence: Plain | null
}

/** Data whose shape is told by docs/reports.md. */
export type Plain = Readonly<Record<string, unknown>>

export interface ReportSource {
  readonly installation: string
  readonly keyturn: string
  readonly now: number
  readonly state: CredentialState
  /** What of it has left the state, or is in it as well. */
  readonly aftermath: readonly Aftermath[]
}

export function rotationReport(rotation: Rotation, source: ReportSource): Report {
  const retirements = retirementsOf(rotation, source)
  const facts = { rotation, retirements, source }
  const open = stillOpen(facts)
  return {
    ...heading(source),
    subject: 'rotation',
    summary: summaryOf(facts),
    isFinal: open.length === 0,
    open,
    remarks: remarksOn(facts),
    rotation: reportedRotation(rotation, source),
    retirements: retirements.map((one) => reportedRetirement(one, source)),
  }
}

export function retirementReport(retirement: Retirement, source: ReportSource): Report {
  const facts = { rotation: undefined, retirements: [retirement], source }
  const open = stillOpen(facts)
  return {
    ...heading(source),
    subject: 'retirement',
    summary: summaryOf(facts),
    isFinal: open.length === 0,
    open,
    remarks: remarksOn(facts),
    rotation: null,
    retirements: [reportedRetirement(retirement, source)],
  }
}

function heading({ installation, keyturn, now, state }: ReportSource) {
  return { format: reportFormat, installation, keyturn, credential: state.name, issuedAt: iso(now) } as const
}

/**
 * Those that it set off, and the one of the key it replaced where that was walking already, or was written down before
 * retirements knew their rotation.
 */
function retirementsOf(rotation: Rotation, source: ReportSource): readonly Retirement[] {
  const { endedAt = source.now, from, outcome } = rotation
  return knownRetirements(source)
    .filter((one) => {
      if (one.rotation !== undefined) return one.rotation === rotation.id
      const isLater = one.endedAt === undefined || one.endedAt >= endedAt
      return outcome === 'promoted' && from !== undefined && one.version === from && isLater
    })
    .toSorted((a, b) => a.startedAt - b.startedAt)
}

/** The latest walk of a version, whatever set it off. */
export function latestRetirement(version: VersionId, source: ReportSource): Retirement | undefined {
  return knownRetirements(source)
    .filter((one) => one.version === version)
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .at(-1)
}

/** What the state has is newer than what was kept of it. */
function knownRetirements({ state, aftermath }: ReportSource): readonly Retirement[] {
  const kept = aftermath.flatMap((one) => (one.kind === 'retirement' ? [one.retirement] : []))
  return [...new Map([...kept, ...state.retirements].map((one) => [one.id, one])).values()]
}

function reportedRotation(rotation: Rotation, source: ReportSource): ReportedRotation {
  const { id, mode, reason, requestedBy, isCompromised, phase, outcome, rules, halt } = rotation
  const pending = pendingOf(rotation)
  const fates = attemptFates(rotation, source)
  return {
    id,
    mode,
    reason,
    requestedBy,
    isCompromised,
    phase,
    outcome: outcome ?? null,
    startedAt: iso(rotation.startedAt),
    endedAt: isoOrNull(rotation.endedAt),
    tookSeconds: secondsBetween(rotation.startedAt, rotation.endedAt),
    from: rotation.from === undefined ? null : reportedKey(rotation.from, rotation.old, source),
    to: pending === undefined ? null : reportedKey(pending.version, pending.key, source),
    rules: rules === undefined ? null : plainly(rules),
    halt: halt === undefined ? null : plainly(halt),
    failure: rotation.failure === undefined ? null : plainly(rotation.failure),
    permissions: (rotation.permissions ?? []).map(plainly),
    residue: rotation.residue ?? [],
    attempts: fates.map(({ number, attempt, fate, keyId }) => ({
      number,
      startedAt: iso(attempt.startedAt),
      marker: attempt.marker,
      version: attempt.version,
      keyId: keyId ?? null,
      fingerprint: attempt.key?.fingerprint ?? null,
      fate,
    })),
    stepsDropped: rotation.stepsDropped ?? 0,
    steps: reportedSteps(rotation.steps),
  }
}

function reportedRetirement(retirement: Retirement, source: ReportSource): ReportedRetirement {
  const { id, phase, rules, halt } = retirement
  return {
    id,
    key: reportedKey(retirement.version, retirement.key, source),
    rotation: retirement.rotation ?? null,
    requestedBy: retirement.requestedBy ?? null,
    reason: retirement.reason ?? null,
    phase,
    isProvenDead: phase === 'dead' || phase === 'destroying',
    startedAt: iso(retirement.startedAt),
    overlapUntil: iso(retirement.overlapUntil),
    endedAt: isoOrNull(retirement.endedAt),
    tookSeconds: secondsBetween(retirement.startedAt, retirement.endedAt),
    heldBy: retirement.heldBy ?? null,
    rules: rules === undefined ? null : plainly(rules),
    halt: halt === undefined ? null : plainly(halt),
    stepsDropped: retirement.stepsDropped ?? 0,
    steps: reportedSteps(retirement.steps),
  }
}

function reportedSteps(steps: readonly Step[]): readonly ReportedStep[] {
  return steps.map(({ at, phase, note, evidence }, index) => ({
    at: iso(at),
    phase,
    note,
    lastedSeconds: secondsBetween(at, steps[index + 1]?.at),
    evidence: evidence === undefined ? null : plainly(evidence),
  }))
}

/** Walks of older versions did not write down which key they were about: what is still known of it is told. */
function reportedKey(version: VersionId, facts: KeyFacts | undefined, { state }: ReportSource): ReportedKey {
  const record = recordOf(state, version)
  const known = facts ?? (record === undefined ? undefined : keyFacts(record))
  return {
    version,
    fingerprint: known?.fingerprint ?? null,
    keyId: known?.keyId ?? null,
    origin: known?.origin ?? null,
    serviceAccount: known?.serviceAccount ?? null,
    createdAt: isoOrNull(known?.createdAt),
    expiresAt: isoOrNull(known?.expiresAt),
  }
}

function secondsBetween(fromAt: number, toAt: number | undefined): number | null {
  return toAt === undefined ? null : Math.max(0, toAt - fromAt) / 1_000
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

function isoOrNull(at: number | undefined): string | null {
  return at === undefined ? null : iso(at)
}
