import {
  checkOf,
  type DeathEvidence,
  evidenceNames,
  type GateEvidence,
  type StepEvidence,
  tallied,
} from './evidence.ts'
import type { Evidence, RetirementContext, RetirementEvent } from './retirement-events.ts'
import type { Policy, Retirement } from './types.ts'

/** What the steps of a retirement rest on. */
export function rulesOf({
  drainLimitMs,
  afterLimit,
  quietMs,
  deadProbes,
  deadSpanMs,
}: Policy): NonNullable<Retirement['rules']> {
  return { drainLimitMs, afterLimit, quietMs, deadProbes, deadSpanMs }
}

export function gateEvidence(
  { overlapUntil }: Retirement,
  evidence: Evidence,
  { policy }: RetirementContext,
): GateEvidence {
  const { holders, movedOn = [], silent = [], lastUsedAt, ownProbeAt, isListed, asked } = evidence
  return {
    kind: 'gate',
    overlapUntil,
    quietMs: policy.quietMs,
    leases: {
      total: holders.length + movedOn.length + silent.length,
      movedOn: evidenceNames(movedOn),
      silent: evidenceNames(silent),
      holding: evidenceNames(holders),
    },
    ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
    ...(ownProbeAt === undefined ? {} : { ownProbeAt }),
    isListed,
    ...(asked === undefined ? {} : { asked: evidenceNames(asked) }),
  }
}

export function gateNote(evidence: Evidence): string {
  const use =
    typeof evidence.lastUsedAt === 'number'
      ? `last used ${new Date(evidence.lastUsedAt).toISOString()}`
      : 'no use on record'
  return `the overlap is over, every known app has moved on, ${use}`
}

export function retiredEvidence({
  places,
}: Extract<RetirementEvent, { kind: 'retired' }>): StepEvidence | undefined {
  return places === undefined ? undefined : { kind: 'retired', places: evidenceNames(places) }
}

export function currentEvidence(
  { verdict, isOurs, version }: Extract<RetirementEvent, { kind: 'current_proved' }>,
  { now }: RetirementContext,
): StepEvidence {
  const check = checkOf(verdict, now, isOurs)
  return version === undefined
    ? { kind: 'answer', check }
    : { kind: 'verifications', version, checks: [check], total: 1 }
}

export function deletedEvidence(
  { keyId }: Retirement,
  { requestId }: Extract<RetirementEvent, { kind: 'revoked' }>,
): StepEvidence | undefined {
  if (keyId === undefined) return undefined
  return { kind: 'deleted', keyId, ...(requestId === undefined ? {} : { requestId }) }
}

export function expiringEvidence(
  { keyId }: Retirement,
  { expiresAt, requestId }: Extract<RetirementEvent, { kind: 'expiring' }>,
): StepEvidence | undefined {
  if (keyId === undefined) return undefined
  return {
    kind: 'expiry',
    keyId,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

export function withProbe(
  retirement: Retirement,
  { listed, verdict, at: answeredAt }: Extract<RetirementEvent, { kind: 'death_probed' }>,
  { now }: RetirementContext,
): Retirement {
  const at = answeredAt ?? now
  const probe = { at, listed, ...(verdict === undefined ? {} : { check: checkOf(verdict, at) }) }
  return { ...retirement, probes: tallied(retirement.probes, probe) }
}

export function deathEvidence({ keyId, probes, rejections, rejectedSince }: Retirement): DeathEvidence {
  return {
    kind: 'death',
    ...(keyId === undefined ? {} : { keyId }),
    probes: probes?.latest ?? [],
    total: probes?.total ?? 0,
    rejections,
    ...(rejectedSince === undefined ? {} : { since: rejectedSince }),
  }
}
