import type { StandbySummary, Trouble } from '../api/types.ts'
import { handedOut } from '../core/credential.ts'
import { isRunning, isSparing } from '../core/rotation.ts'
import { freshUntil, readySpares, spareDueAt, sparesOf } from '../core/standby.ts'
import type { CredentialState, Policy } from '../core/types.ts'

/** What there is in reserve, and where there is nothing, why and until when. Null: none is kept. */
export function standbySummary(state: CredentialState, policy: Policy, now: number): StandbySummary | null {
  if (!policy.standby && sparesOf(state).length === 0) return null
  const ready = readySpares(state, policy, now)
  const [best] = ready
  if (best === undefined) {
    const dueAt = spareDueAt(state, policy)
    const nextTryAt = dueAt === undefined ? null : new Date(Math.max(dueAt, now)).toISOString()
    const reason = whyNone(state)
    return { ready: 0, version: null, addedAt: null, refreshAt: null, reason, nextTryAt }
  }
  const until = freshUntil(best, state, policy)
  return {
    ready: ready.length,
    version: best.version,
    addedAt: new Date(best.addedAt).toISOString(),
    refreshAt: Number.isFinite(until) ? new Date(until).toISOString() : null,
    reason: null,
    nextTryAt: null,
  }
}

function whyNone(state: CredentialState): string {
  const { rotation, standby } = state
  if (isSparing(rotation)) return `it is being made (${rotation.phase})`
  if (standby?.trouble !== undefined) return standby.trouble.summary
  if (isRunning(rotation)) return 'it is made when the rotation is over'
  return handedOut(state) === undefined
    ? 'it is made when a verified key is handed out'
    : 'it is about to be made'
}

/** A person is told of a spare that is missing where the making of one has failed, not while it is being made. */
export function standbyTroubles(state: CredentialState, policy: Policy, now: number): readonly Trouble[] {
  const trouble = state.standby?.trouble
  if (!policy.standby || trouble === undefined || readySpares(state, policy, now).length > 0) return []
  const { since, summary, fix } = trouble
  const told = `There is no spare key. ${summary}`
  return [{ code: 'standby_missing', summary: told, fix, since: new Date(since).toISOString() }]
}
