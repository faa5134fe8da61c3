import type {
  BlastRadius,
  RejectionReport,
  ReportAnswer,
  RotationRequest,
  RotationSummary,
} from '../api/types.ts'
import { recordOf } from '../core/credential.ts'
import { type ErrorCode, KeyturnError } from '../core/errors.ts'
import type { ExchangeFailure } from '../core/exchange-failure.ts'
import { exchangeAsked } from '../core/federation.ts'
import type { Rotation } from '../core/types.ts'
import { holdersOf, type IsListening } from './blast-radius.ts'
import { type Federated, withHeld } from './federated.ts'
import { federatedLimits } from './federated-setup.ts'
import { reasonOf } from './operations.ts'
import { engineLimits } from './setup.ts'
import { rotationSummary } from './summaries.ts'

/** Asking to rotate a federated credential is an exchange now; it is shown as a rotation that is over. */
export async function exchangeNow(
  request: RotationRequest,
  by: string,
  { setup, keeper, journal, state, deps }: Federated,
): Promise<RotationSummary> {
  const { system } = deps
  const mode = request.mode ?? 'normal'
  const isCompromised = request.isCompromised ?? false
  if (isCompromised && mode !== 'emergency') {
    const fix = 'Send mode: emergency with it.'
    throw new KeyturnError('bad_request', 'isCompromised goes with mode emergency.', { fix })
  }
  const reason = reasonOf(request.reason, 'no reason given')
  const startedAt = system.now()
  const from = keeper.held()?.record
  const isRehearsal = mode === 'rehearsal'
  const failure = isRehearsal ? await keeper.rehearse() : await keeper.exchange({ by, why: reason })
  if (failure !== undefined) throw refusalOf(setup.name, failure)
  const now = system.now()
  const to = isRehearsal ? undefined : keeper.held()?.record
  const left = from?.meta.expiresAt
  const compromised =
    isCompromised && left !== undefined
      ? [`the token before cannot be revoked; it ends at ${new Date(left).toISOString()}`]
      : []
  const notes = isRehearsal
    ? ['a token was exchanged and proven; nobody got it, and it ends by itself']
    : ['the identity was exchanged', 'the token is proven and handed out', ...compromised]
  const rotation: Rotation = {
    id: system.uuid(),
    credential: setup.name,
    mode,
    reason,
    requestedBy: by,
    startedAt,
    phase: 'done',
    phaseAt: now,
    deadlineAt: now,
    wakeAt: now,
    paused: false,
    isCompromised,
    ...(from === undefined ? {} : { from: from.version }),
    attempts:
      to === undefined
        ? []
        : [{ number: 1, marker: to.version, version: to.version, startedAt, outcome: 'staged' }],
    confirmations: 1,
    retries: 0,
    outcome: isRehearsal ? 'rehearsed' : 'promoted',
    endedAt: now,
    steps: notes.map((note) => ({ at: now, phase: 'done', note })),
  }
  journal.write((before) => exchangeAsked(before, rotation, now))
  await journal.settled(federatedLimits.journalWaitMs)
  return rotationSummary(rotation, state())
}

function refusalOf(name: string, { isRefused, cause, summary, fix }: ExchangeFailure): KeyturnError {
  const away: ErrorCode = cause === 'exchange_throttled' ? 'issuer_throttled' : 'issuer_unreachable'
  const message = `No new token of ${name} could be had. ${summary}`
  return new KeyturnError(isRefused ? 'issuer_refused' : away, message, { fix, retryable: !isRefused })
}

/** An app's report makes us look at once, and is never evidence; answered with what that look brought, or after 3 s. */
export async function reportToken(told: RejectionReport, { keeper }: Federated): Promise<ReportAnswer> {
  const before = keeper.held()?.record
  if (before !== undefined && told.version === before.version) {
    keeper.checkSoon('reported')
    const isSettled = (): boolean => {
      const record = keeper.held()?.record
      if (record?.version !== before.version) return true
      return (record.checkedAt ?? 0) > (before.checkedAt ?? 0) && record.rejections === undefined
    }
    await keeper.until(isSettled, engineLimits.reportWaitMs)
  }
  const held = keeper.held()
  return {
    generation: keeper.handOut().generation,
    version: held?.record.version ?? null,
    verdict: held?.record.verdict?.kind ?? 'unknown',
  }
}

/** What is asked of a stored key cannot be had of a workload identity. */
export function noStoredKey(name: string, act: string): KeyturnError {
  return new KeyturnError(
    'federated_credential',
    `${name} has no stored key ${act}: its tokens are exchanged for the workload’s identity.`,
    {
      fix: `keyturn rotate ${name} exchanges a new token now. To end its access, disable the service account or its mapping at OpenAI; tokens end by their own expiry.`,
    },
  )
}

/** Who loses a token when it ends: asked before somebody says that it is in the wrong hands. */
export async function tokenRadius(
  one: Federated,
  version: string | undefined,
  isListening: IsListening,
): Promise<BlastRadius> {
  const { setup, deps } = one
  const state = withHeld(one)
  const target = recordOf(state, version ?? state.current)
  if (target === undefined) {
    if (version === undefined) throw noStoredKey(setup.name, 'to give up')
    const fix = `keyturn versions ${setup.name} lists them.`
    throw new KeyturnError('not_found', `${setup.name} has no such token.`, { fix })
  }
  const isCurrent = target.version === state.current
  const spare = isCurrent ? undefined : recordOf(state, state.current)
  return {
    credential: setup.name,
    version: target.version,
    fingerprint: target.fingerprint,
    stage: target.stage,
    keyId: null,
    isCurrent,
    createdAt: new Date(target.meta.createdAt ?? target.addedAt).toISOString(),
    // OpenAI lists keys with their last use, and no tokens.
    lastUse: 'unknown',
    lastUsedAt: null,
    holders: await holdersOf(state, { isCurrent, now: deps.system.now(), isListening }, { deps }),
    mirrors: [],
    sharedWith: [],
    spare:
      spare === undefined
        ? null
        : { version: spare.version, fingerprint: spare.fingerprint, stage: spare.stage },
  }
}

/** Checks what is handed out now; where there is nothing, tries to have it. */
export async function verifyToken({ keeper, deps }: Federated): Promise<void> {
  const askedAt = deps.system.now()
  const held = keeper.held()
  if (held === undefined || held.isDead) {
    await keeper.exchange({ by: 'operator', why: 'asked to verify, and there was no token' })
    return
  }
  const { version } = held.record
  keeper.checkSoon('asked')
  const isSettled = (): boolean => {
    const record = keeper.held()?.record
    return record?.version !== version || (record.checkedAt ?? 0) >= askedAt
  }
  await keeper.until(isSettled, engineLimits.probeWaitMs)
}
