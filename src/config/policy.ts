import { durationMs } from './duration.ts'
import type { CredentialFile } from './schema.ts'
import type { IssuerConfig, PolicyConfig, Report } from './types.ts'

type PolicyFile = CredentialFile['policy']

/** Pairs of which the first must not be longer than the second: a rotation could never get past the one otherwise. */
const orderedDurations: readonly (readonly [keyof PolicyFile, keyof PolicyFile])[] = [
  ['overlap', 'drainLimit'],
  ['retryBase', 'retryMax'],
  ['deadSpan', 'deadLimit'],
  ['provingSettle', 'phaseDeadline'],
  ['activationGrace', 'phaseDeadline'],
  ['phaseDeadline', 'pendingExpiry'],
  ['pendingExpiry', 'keyExpiry'],
]

/** The same for a key whose expiry is set once, when it is made. */
export const orderedForAdminKeys: typeof orderedDurations = [
  ...orderedDurations.filter((pair) => !pair.includes('pendingExpiry')),
  ['phaseDeadline', 'keyExpiry'],
]

export function checkPolicy(
  credential: Pick<CredentialFile, 'policy'>,
  at: readonly (string | number)[],
  report: Report,
  ordered = orderedDurations,
): void {
  for (const [shorter, longer] of ordered) {
    if (durationMs(credential.policy[shorter]) <= durationMs(credential.policy[longer])) continue
    report(
      [...at, 'policy', shorter],
      `${shorter} is longer than ${longer}`,
      `Make ${shorter} shorter than ${longer}, or ${longer} longer.`,
    )
  }
}

export function buildPolicy(policy: PolicyFile, issuer: Pick<IssuerConfig, 'kind'>): PolicyConfig {
  return {
    overlapMs: durationMs(policy.overlap),
    drainLimitMs: durationMs(policy.drainLimit),
    afterLimit: policy.afterLimit,
    quietMs: durationMs(policy.quiet),
    provingCount: policy.provingCount,
    provingSettleMs: durationMs(policy.provingSettle),
    activationGraceMs: durationMs(policy.activationGrace),
    attemptsMax: policy.attemptsMax,
    phaseDeadlineMs: durationMs(policy.phaseDeadline),
    retryBaseMs: durationMs(policy.retryBase),
    retryMaxMs: durationMs(policy.retryMax),
    verifyEveryMs: durationMs(policy.verifyEvery),
    verifyCloselyEveryMs: durationMs(policy.verifyCloselyEvery),
    verifyCloselyForMs: durationMs(policy.verifyCloselyFor),
    rejectionGapMs: durationMs(policy.rejectionGap),
    automaticPerDayMax: policy.automaticPerDay,
    deadProbes: policy.deadProbes,
    deadSpanMs: durationMs(policy.deadSpan),
    deadLimitMs: durationMs(policy.deadLimit),
    storePollMs: durationMs(policy.storePoll),
    pendingExpirySeconds: Math.ceil(durationMs(policy.pendingExpiry) / 1_000),
    keyExpirySeconds: Math.ceil(durationMs(policy.keyExpiry) / 1_000),
    expiryManaged: policy.manageExpiry ?? issuer.kind === 'openai',
    staleAfterMs: durationMs(policy.staleAfter),
    standby: policy.standby,
    standbyMaxAgeMs: durationMs(policy.standbyMaxAge),
  }
}
