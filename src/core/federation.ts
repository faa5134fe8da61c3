import { backoffMs } from './backoff.ts'
import { type Change, endedMax, eventOf, recordOf, withRecord } from './credential.ts'
import { isRunning } from './rotation.ts'
import type { Belonging, CredentialState, Policy, Rotation, VersionId, VersionRecord } from './types.ts'

/**
 * A credential whose key is no stored one: a workload identity is exchanged for short-lived tokens, one after another.
 * Their values are in memory only, each replica has its own, and what the ledger keeps is the record: metadata of the
 * versions, the generation, events, and whom the first token answered for. No lanes of stores, rotations and
 * retirements run for it; a token ends by its own expiry.
 */
export interface Tenure {
  /** When the exchange was asked for: its lifetime counts from there, so that a slow answer never makes it too long. */
  readonly takenAt: number
  readonly expiresAt: number
}

/** Nothing is gained by an exchange earlier than at half of a token's life, however long the buffer is. */
const bufferShareMax = 0.5
const jitterShare = 0.1

/** When the next exchange is due: the buffer before the expiry, a little earlier by chance, so that replicas spread. */
export function refreshAt({ takenAt, expiresAt }: Tenure, refreshBufferMs: number, fraction: number): number {
  const bufferMs = Math.min(refreshBufferMs, (expiresAt - takenAt) * bufferShareMax)
  return Math.round(expiresAt - bufferMs * (1 + jitterShare * fraction))
}

/** How often within a token's life the time is told anew for which clients may keep it. */
const tellings = 8
/** A client is told whole seconds, and at least one. */
const tellingMsMin = 1_000

/**
 * For how long a client that hears nothing more may go on with a token. It counts from whenever the client heard, so it
 * is what is left at the end of the stretch in which this is told: nobody keeps a token beyond its expiry, but for the
 * last second.
 */
export function keepFor(
  { takenAt, expiresAt }: Tenure,
  now: number,
  staleAfterMs: number,
): { readonly staleAfterMs: number; readonly untilAt: number } {
  // Whole milliseconds, or the end of a stretch could round to an instant that has passed already.
  const stretchMs = Math.max(tellingMsMin, Math.ceil((expiresAt - takenAt) / tellings))
  const passed = Math.floor(Math.max(0, now - takenAt) / stretchMs) + 1
  const untilAt = Math.min(expiresAt, takenAt + passed * stretchMs)
  return { staleAfterMs: Math.max(tellingMsMin, Math.min(staleAfterMs, expiresAt - untilAt)), untilAt }
}

/** Half of the pause is drawn by chance: all replicas lose the exchange at once, and must not come back at once. */
export function retryDelayMs(
  policy: Pick<Policy, 'retryBaseMs' | 'retryMaxMs'>,
  failures: number,
  fraction: number,
): number {
  return Math.round(backoffMs(policy, failures) * (0.5 + fraction / 2))
}

/**
 * Begins at the clock, like a fence: above all that was given out before, whichever replica did, also where the ledger
 * could not be written to or was lost.
 */
export function nextGeneration(latest: number, now: number): number {
  return Math.max(latest + 1, now)
}

/** What is written down when a token is handed out. `record` is of stage current and proven. */
export function tokenTaken(
  state: CredentialState,
  taken: {
    readonly record: VersionRecord
    readonly generation: number
    readonly belonging: Belonging | undefined
    readonly by: string
    readonly why: string
  },
  now: number,
): Change {
  const { record, belonging } = taken
  const { outage: _outage, ...rest } = state
  const next: CredentialState = {
    ...rest,
    versions: [...state.versions.map((one) => succeeded(one, now)), record].slice(-endedMax),
    current: record.version,
    generation: Math.max(state.generation + 1, taken.generation),
    ...(state.belonging === undefined && belonging !== undefined ? { belonging } : {}),
  }
  const { version, fingerprint } = record
  const promoted = { version, fingerprint, by: taken.by, why: taken.why }
  return { state: next, events: [eventOf(next, 'promoted', now, promoted)] }
}

/** The token before may still be in use; when it has expired, it is over. */
function succeeded(record: VersionRecord, now: number): VersionRecord {
  if (record.stage === 'retired') return record
  const { nextCheckAt: _none, ...rest } = record
  // A key of the time before the credential was federated is none of ours to end.
  if (record.origin !== 'exchanged')
    return record.stage === 'current' ? { ...rest, stage: 'previous' } : record
  const isOver = (record.meta.expiresAt ?? 0) <= now || record.withdrawnAt !== undefined
  return isOver ? { ...rest, stage: 'retired', retiredAt: now } : { ...rest, stage: 'previous' }
}

/** What a check of the token that is handed out saw. Told where the kind of verdict is another than before. */
export function tokenChecked(
  state: CredentialState,
  checked: { readonly record: VersionRecord; readonly isNews: boolean },
  now: number,
): Change {
  const { record, isNews } = checked
  const { version, verdict } = record
  const known = recordOf(state, version)
  if (known === undefined || known.stage === 'retired') return { state, events: [] }
  const next = withRecord(state, version, { ...record, stage: known.stage })
  if (!isNews || verdict === undefined) return { state: next, events: [] }
  const { kind, cause, summary, fix } = verdict
  return {
    state: next,
    events: [eventOf(next, 'verdict', now, { version, verdict: kind, cause, summary, fix })],
  }
}

/** Nothing can be handed out any more: the last token expired or was rejected, and no other could be had. */
export function tokenLost(
  state: CredentialState,
  lost: {
    readonly version: VersionId | undefined
    readonly isRejected: boolean
    readonly generation: number
    readonly summary: string
    readonly fix: string
  },
  now: number,
): Change {
  const { version, summary, fix } = lost
  const versions = state.versions.map((one): VersionRecord => {
    if (one.version !== version || one.stage === 'retired') return one
    const { nextCheckAt: _none, ...rest } = one
    return { ...rest, stage: 'retired', retiredAt: now, ...(lost.isRejected ? { withdrawnAt: now } : {}) }
  })
  const { current, ...rest } = state
  const isCurrent = current === version || current === undefined
  const next: CredentialState = {
    ...rest,
    // Another replica's token may be current in the ledger by now, and it is none of ours to take back.
    ...(isCurrent ? {} : { current }),
    versions,
    generation: Math.max(state.generation + 1, lost.generation),
    outage: { since: state.outage?.since ?? now, summary, fix },
  }
  return { state: next, events: [eventOf(next, 'outage', now, { summary, fix })] }
}

/** Refreshing fails while the token before is still good: somebody has to be told before it expires. */
export function exchangeAlerted(
  state: CredentialState,
  alert: { readonly code: string; readonly summary: string; readonly fix: string },
  now: number,
): Change {
  return { state: { ...state }, events: [eventOf(state, 'alert', now, { ...alert })] }
}

/** An exchange that a person asked for is shown as a rotation, which is over when it is written down. */
export function exchangeAsked(state: CredentialState, rotation: Rotation, now: number): Change {
  // One of the time before, when there was a stored key, is not forgotten for it.
  const next = isRunning(state.rotation) ? { ...state } : { ...state, rotation }
  const { id, phase, mode, confirmations, outcome, paused } = rotation
  const data = { id, phase, mode, confirmations, outcome: outcome ?? null, paused }
  return { state: next, events: [eventOf(next, 'rotation', now, data)] }
}
