import { currentOf, eventOf, handedOut, isDoubtful, isLive, isOut, withRecord } from './credential.ts'
import { marginFor } from './expiry-margin.ts'
import { isRunning } from './rotation.ts'
import type {
  CredentialState,
  Discard,
  NewCredentialEvent,
  Policy,
  VersionId,
  VersionRecord,
} from './types.ts'

/**
 * The spare: a key that is proven and waits, on another service account than the current one, so that whatever ends the
 * current one leaves it alive. It is handed out by a failover and by an emergency with a compromised key, and replaced
 * before it ages. Like a mirror it has no schedule: when another is to be made follows from the state at any moment.
 */

const minuteMs = 60_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Between one begun and the next, where those that were made did not last or could not be made: doubling. */
const pauseMs = { first: minuteMs, longest: 6 * hourMs } as const
export const startedMax = 24

export function sparesOf(state: CredentialState): readonly VersionRecord[] {
  return state.versions.filter((one) => one.stage === 'standby')
}

/** Those that could take over now, the best first. */
export function readySpares(state: CredentialState, policy: Policy, now: number): readonly VersionRecord[] {
  return byFreshness(state, policy).filter(
    (one) => isLive(one, now) && !isDoubtful(one) && isApart(one, state),
  )
}

/** Until when it needs no replacement; -Infinity where it is no spare (any more) that would outlive the current key. */
export function freshUntil(record: VersionRecord, state: CredentialState, policy: Policy): number {
  if (isOut(record) || record.verifiedAt === undefined || !isApart(record, state))
    return Number.NEGATIVE_INFINITY
  const margin = marginFor(record, policy)
  const expiresAt = margin === undefined ? Number.POSITIVE_INFINITY : margin.expiresAt - margin.ms
  return Math.min(record.addedAt + policy.standbyMaxAgeMs, expiresAt)
}

/** On another service account than the current key, as far as is known. */
function isApart(record: VersionRecord, state: CredentialState): boolean {
  const account = currentOf(state)?.meta.serviceAccount
  return account === undefined || account !== record.meta.serviceAccount
}

function byFreshness(state: CredentialState, policy: Policy): readonly VersionRecord[] {
  return sparesOf(state).toSorted(
    (a, b) => freshUntil(b, state, policy) - freshUntil(a, state, policy) || b.addedAt - a.addedAt || 0,
  )
}

/** Those that are dead, and those that a better one is there beside: they are retired. */
export function surplusSpares(state: CredentialState, policy: Policy): readonly VersionRecord[] {
  const spares = byFreshness(state, policy)
  if (!policy.standby) return spares
  const [best] = spares
  return spares.filter((one) => one !== best || isOut(one))
}

/** When something is to be done about the spare: another one made, or one retired. Undefined: not while things are as they are. */
export function spareDueAt(state: CredentialState, policy: Policy): number | undefined {
  // What is left when nothing is handed out is not taken away, and what it could stand behind is not there.
  if (isRunning(state.rotation) || handedOut(state) === undefined) return undefined
  if (surplusSpares(state, policy).length > 0) return 0
  if (!policy.standby) return undefined
  const until = sparesOf(state).map((one) => freshUntil(one, state, policy))
  return Math.max(0, pausedUntil(state), ...until)
}

function pausedUntil({ standby }: CredentialState): number {
  const last = standby?.startedAt.at(-1)
  if (standby === undefined || last === undefined) return 0
  const doublings = standby.startedAt.length - 1
  return last + Math.min(pauseMs.longest, pauseMs.first * 2 ** doublings)
}

/** The instants that make the next pause longer; none of them where a spare has lived its time. */
export function withStarted(state: CredentialState, policy: Policy, now: number): CredentialState {
  const hasLasted = sparesOf(state).some((one) => Number.isFinite(freshUntil(one, state, policy)))
  const earlier = hasLasted ? [] : (state.standby?.startedAt ?? []).filter((at) => at > now - dayMs)
  const startedAt = [...earlier, now].slice(-startedMax)
  return { ...state, standby: { ...state.standby, startedAt } }
}

/** It waits from now on, and is looked at as the current key is. */
export function withSpare(state: CredentialState, version: VersionId, now: number): CredentialState {
  const { startedAt = [] } = state.standby ?? {}
  return withRecord({ ...state, standby: { startedAt } }, version, { stage: 'standby', nextCheckAt: now })
}

/** Making one was given up: remembered for the status, and told once. */
export function withoutSpare(
  state: CredentialState,
  { reason, summary, fix }: Pick<Discard, 'reason' | 'summary' | 'fix'>,
  now: number,
): { readonly state: CredentialState; readonly events: readonly NewCredentialEvent[] } {
  const { startedAt = [], trouble: earlier } = state.standby ?? {}
  const trouble = { since: earlier?.since ?? now, reason, summary, fix }
  const troubled = { ...state, standby: { startedAt, trouble } }
  const data = { code: 'standby_failed', reason, summary, fix }
  return { state: troubled, events: [eventOf(troubled, 'alert', now, data)] }
}
