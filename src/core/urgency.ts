import type { Urgency } from './budget.ts'
import { plan } from './duties.ts'
import { isPatrolled } from './store-look.ts'
import {
  type CredentialState,
  isAuthentic,
  type Policy,
  type VersionId,
  type VersionRecord,
} from './types.ts'

/** How pressing a check of this version is. */
export function urgencyOf(
  state: CredentialState,
  version: VersionId,
  { now, policy }: { readonly now: number; readonly policy: Policy },
): Urgency {
  const record = state.versions.find((one) => one.version === version)
  if (record === undefined || isSuspected(record, now)) return 'urgent'
  // A first key, a spare that was just made, one that somebody put there.
  if (record.verifiedAt === undefined || (record.stage !== 'current' && record.stage !== 'standby'))
    return 'close'
  const isYoung = record.promotedAt !== undefined && now < record.promotedAt + policy.verifyCloselyForMs
  const isUnsure = record.verdict === undefined || !isAuthentic(record.verdict.kind)
  return isYoung || isUnsure ? 'close' : 'routine'
}

function isSuspected({ suspectUntil, rejections, withdrawnAt }: VersionRecord, now: number): boolean {
  const isReported = suspectUntil !== undefined && suspectUntil > now
  // What was withdrawn already is only looked at again.
  return isReported || (rejections !== undefined && withdrawnAt === undefined)
}

/**
 * Of a credential that is due: how pressing it is as a whole. A check alone waits for its turn; as soon as anything else
 * is due with it, all of it goes on.
 */
export function urgencyNow(
  state: CredentialState,
  { now, policy }: { readonly now: number; readonly policy: Policy },
): { readonly urgency: Urgency; readonly checks: number } {
  const { duties } = plan(state, policy, now, new Set())
  const checks = duties.filter((one) => one.kind === 'verify')
  // A look that only confirms what is seen from memory presses nobody, least of all after a night, when all are due.
  const pressing = duties.filter(
    (one) => one.kind !== 'verify' && !(one.kind === 'look' && isPatrolled(state, policy)),
  )
  if (pressing.length > 0 || checks.length === 0) return { urgency: 'urgent', checks: 0 }
  const kinds = checks.map(({ version }) => urgencyOf(state, version, { now, policy }))
  const urgency = kinds.includes('urgent') ? 'urgent' : kinds.includes('close') ? 'close' : 'routine'
  return { urgency, checks: checks.length }
}
