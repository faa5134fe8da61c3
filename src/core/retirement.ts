import { backoffMs } from './backoff.ts'
import { askedEvidence, type KeyFacts, type Note, withStep } from './evidence.ts'
import type { Evidence, RetirementContext, RetirementEffect, RetirementEvent } from './retirement-events.ts'
import {
  currentEvidence,
  deathEvidence,
  deletedEvidence,
  expiringEvidence,
  gateEvidence,
  gateNote,
  retiredEvidence,
  rulesOf,
  withProbe,
} from './retirement-evidence.ts'
import {
  type Halt,
  isAuthentic,
  type KeyId,
  type Retirement,
  type RetirementPhase,
  type Step,
  type VersionId,
} from './types.ts'

export type {
  Evidence,
  RetirementContext,
  RetirementEffect,
  RetirementEvent,
  RetirementEventKind,
} from './retirement-events.ts'

/**
 * One old version's walk from draining to proven dead, as a table in code. Like a rotation, its effects are derived
 * from its state, and each is safe to repeat.
 *
 * Revoking cannot be fenced at the issuer, so it is made terminal first: entering `retiring` takes the version out of
 * every rollback and failover (the caller sets its stage to `retired` in the same commit), the store is told, and the
 * version that stays is proven once again, before anything is deleted.
 */
const stepsMax = 40
/** The issuer stamps last use in whole seconds and late; a use this close to a probe of ours was the probe. */
const ownProbeToleranceMs = 2_000

export function newRetirement(
  request: {
    readonly id: string
    readonly version: VersionId
    readonly keyId: KeyId | undefined
    readonly isForced: boolean
    /** It was never handed out. */
    readonly wasSpare?: boolean
    /** Default: the policy's. */
    readonly overlapMs?: number
    readonly why: string
    readonly key?: KeyFacts
    readonly requestedBy?: string
    readonly reason?: string
    /** The rotation that sets it off. */
    readonly rotation?: string | undefined
  },
  context: RetirementContext,
): Retirement {
  const { now, policy } = context
  const { overlapMs = policy.overlapMs } = request
  const overlapUntil = request.isForced ? now : now + overlapMs
  const whom = policy.overlapBecause
  const isForSomebody = whom !== undefined && !request.isForced
  const because = isForSomebody
    ? `; it lives on until ${new Date(overlapUntil).toISOString()} for ${whom}`
    : ''
  const base: Retirement = {
    id: request.id,
    version: request.version,
    ...(request.keyId === undefined ? {} : { keyId: request.keyId }),
    ...(request.key === undefined ? {} : { key: request.key }),
    ...(request.rotation === undefined ? {} : { rotation: request.rotation }),
    ...(request.requestedBy === undefined ? {} : { requestedBy: request.requestedBy }),
    ...(request.reason === undefined ? {} : { reason: request.reason }),
    rules: rulesOf(policy),
    startedAt: now,
    phase: 'draining',
    phaseAt: now,
    wakeAt: overlapUntil,
    overlapUntil,
    limitAt: overlapUntil + policy.drainLimitMs,
    isForced: request.isForced,
    ...(request.wasSpare === true ? { wasSpare: true } : {}),
    isExpiring: false,
    isLimitAlerted: false,
    rejections: 0,
    retries: 0,
    steps: [{ at: now, phase: 'draining', note: `${request.why}${because}` }],
  }
  if (request.keyId !== undefined && policy.canMint) return base
  return end(
    base,
    'kept',
    context,
    'Keyturn cannot revoke this key: delete it by hand in OpenAI’s dashboard when nobody uses it any more',
  )
}

export function isWalking(retirement: Retirement): boolean {
  return retirement.endedAt === undefined
}

/** True from the point of no return on: no rollback or failover may choose the version any more. */
export function isTerminal(retirement: Retirement): boolean {
  return retirement.phase !== 'draining' && retirement.phase !== 'kept'
}

export function retirementEffectOf(retirement: Retirement): RetirementEffect | undefined {
  const { version, keyId } = retirement
  switch (retirement.phase) {
    case 'draining':
      return keyId === undefined ? undefined : { kind: 'gather', version, keyId }
    case 'retiring':
      return { kind: 'retire', version }
    case 'proving_current':
      return { kind: 'prove_current' }
    case 'revoking':
      return keyId === undefined ? undefined : { kind: 'revoke', version, keyId }
    case 'dying':
    case 'unproven':
      return keyId === undefined ? undefined : { kind: 'probe_death', version, keyId }
    case 'destroying':
      return { kind: 'destroy', version }
    case 'halted':
    case 'dead':
    case 'kept':
      return undefined
  }
}

/** Total: an event that means nothing in a phase leaves the retirement as it is (the very same object). */
export function stepRetirement(
  retirement: Retirement,
  event: RetirementEvent,
  context: RetirementContext,
): Retirement {
  if (event.kind === 'forced') return force(retirement, event, context)
  if (event.kind === 'taken_back') {
    return retirement.phase === 'draining'
      ? end(retirement, 'kept', context, `taken back into use by ${event.by}`)
      : retirement
  }
  switch (retirement.phase) {
    case 'draining':
      return stepDraining(retirement, event, context)
    case 'retiring':
      return stepRetiring(retirement, event, context)
    case 'proving_current':
      return stepProvingCurrent(retirement, event, context)
    case 'revoking':
      return stepRevoking(retirement, event, context)
    case 'dying':
    case 'unproven':
      return event.kind === 'death_probed' ? stepDying(retirement, event, context) : retirement
    case 'destroying':
      if (event.kind === 'destroyed') return stepDestroyed(retirement, event, context)
      return event.kind === 'destroy_failed' ? retry(retirement, context) : retirement
    case 'halted':
    case 'dead':
    case 'kept':
      return retirement
  }
}

function stepDestroyed(
  retirement: Retirement,
  { how }: Extract<RetirementEvent, { kind: 'destroyed' }>,
  context: RetirementContext,
): Retirement {
  const { version } = retirement
  return end(retirement, 'dead', context, {
    text: 'its value left the store',
    evidence: { kind: 'destroyed', version, ...(how === undefined ? {} : { how }) },
  })
}

function force(
  retirement: Retirement,
  event: Extract<RetirementEvent, { kind: 'forced' }>,
  context: RetirementContext,
): Retirement {
  const { by } = event
  const evidence = askedEvidence(event)
  if (retirement.phase === 'halted' && retirement.halt !== undefined) {
    const { halt, ...rest } = retirement
    return enter({ ...rest, isForced: true }, halt.from as RetirementPhase, context, {
      text: `tried again by ${by}`,
      evidence,
    })
  }
  if (retirement.phase !== 'draining' || retirement.isForced) return retirement
  const note = { text: `revoked at once by ${by}`, evidence }
  return enter({ ...retirement, isForced: true }, 'retiring', context, note)
}

function stepDraining(
  retirement: Retirement,
  event: RetirementEvent,
  context: RetirementContext,
): Retirement {
  if (event.kind !== 'evidence' && event.kind !== 'evidence_unknown') return retirement
  if (context.now < retirement.overlapUntil) return { ...retirement, wakeAt: retirement.overlapUntil }
  // Evidence that would change nothing is not waited for.
  if (retirement.isForced)
    return enter(retirement, 'retiring', context, 'revoked at once: the gate was opened by hand')
  const blackout = context.policy.blackoutAt?.(context.now)
  if (blackout !== undefined) {
    const heldBy = `a blackout until ${new Date(blackout.until).toISOString()}`
    return { ...retirement, wakeAt: blackout.until, heldBy }
  }
  if (event.kind === 'evidence_unknown') {
    const unknown = retry(retirement, context)
    if (context.now < retirement.limitAt || retirement.isLimitAlerted) return unknown
    const heldBy = 'nobody can tell who still uses it: OpenAI’s list of keys cannot be read'
    const alerted = { ...unknown, heldBy, isLimitAlerted: true }
    return noted(alerted, context, `the limit has passed: ${heldBy}`)
  }
  const heldBy = holderOf(event.evidence, context)
  const gate = gateEvidence(retirement, event.evidence, context)
  if (heldBy === undefined)
    return enter(without(retirement), 'retiring', context, { text: gateNote(event.evidence), evidence: gate })
  if (context.now < retirement.limitAt) return waitFor(retirement, heldBy, context)
  if (context.policy.afterLimit === 'revoke') {
    return enter({ ...retirement, isPastLimit: true }, 'retiring', context, {
      text: `still held (${heldBy}), but the limit has passed and the policy says revoke`,
      evidence: { ...gate, heldBy },
    })
  }
  const alerted = retirement.isLimitAlerted
    ? retirement
    : noted({ ...retirement, isLimitAlerted: true }, context, `the limit has passed; still held: ${heldBy}`)
  return waitFor(alerted, heldBy, context)
}

/** Who keeps the gate shut; undefined when it is open. */
function holderOf(evidence: Evidence, context: RetirementContext): string | undefined {
  if (evidence.sharedWith !== undefined) return `credential ${evidence.sharedWith} holds the same key`
  const [store] = evidence.stores
  if (store !== undefined) return store
  if (evidence.holders.length > 0)
    return `still in use by ${evidence.holders.slice(0, 5).join(', ')}${evidence.holders.length > 5 ? ' and others' : ''}`
  const { lastUsedAt, ownProbeAt } = evidence
  if (typeof lastUsedAt !== 'number') return undefined
  const isOwnProbe = ownProbeAt !== undefined && Math.abs(lastUsedAt - ownProbeAt) <= ownProbeToleranceMs
  if (isOwnProbe || context.now - lastUsedAt >= context.policy.quietMs) return undefined
  return `OpenAI saw it used ${Math.max(0, Math.round((context.now - lastUsedAt) / 1000))} seconds ago`
}

function stepRetiring(
  retirement: Retirement,
  event: RetirementEvent,
  context: RetirementContext,
): Retirement {
  switch (event.kind) {
    case 'retired':
      return enter(retirement, 'proving_current', context, {
        text: 'retired in the store: it can never become current again',
        evidence: retiredEvidence(event),
      })
    case 'retire_failed':
      return retry(retirement, context)
    case 'retire_refused':
      return halt(retirement, context, {
        reason: 'store_changed',
        summary: 'The key that was to be revoked is current in the store again.',
        fix: 'Somebody moved it back by hand: promote another version in the store, then run keyturn revoke.',
      })
    default:
      return retirement
  }
}

function stepProvingCurrent(
  retirement: Retirement,
  event: RetirementEvent,
  context: RetirementContext,
): Retirement {
  if (event.kind === 'current_unknown') return heldByProof(retirement, 'nobody could be asked.', context)
  if (event.kind === 'current_absent') {
    const isMeant = retirement.isForced
    return isMeant
      ? enter(
          without(retirement),
          'revoking',
          context,
          'nothing else is handed out: revoked all the same, as was asked',
        )
      : heldByProof(retirement, 'there is none.', context)
  }
  if (event.kind !== 'current_proved') return retirement
  if (isAuthentic(event.verdict.kind) && event.isOurs) {
    return enter(without(retirement), 'revoking', context, {
      text: `the current key was proven once again (${event.verdict.kind})`,
      evidence: currentEvidence(event, context),
    })
  }
  return heldByProof(retirement, event.verdict.summary, context)
}

/** Nothing is deleted while the key that stays does not work. */
function heldByProof(retirement: Retirement, why: string, context: RetirementContext): Retirement {
  return waitingToRevoke(retirement, `the current key could not be proven: ${why}`, context)
}

/** A person is told once when that lasts. */
function waitingToRevoke(retirement: Retirement, heldBy: string, context: RetirementContext): Retirement {
  const waiting = retry({ ...retirement, heldBy }, context)
  const isOverdue = context.now >= retirement.phaseAt + context.policy.phaseDeadlineMs
  if (!isOverdue || retirement.isHeldAlerted === true) return waiting
  return noted({ ...waiting, isHeldAlerted: true }, context, `waits: ${heldBy}`)
}

function stepRevoking(
  retirement: Retirement,
  event: RetirementEvent,
  context: RetirementContext,
): Retirement {
  switch (event.kind) {
    case 'revoked':
      return enter(retirement, 'dying', context, {
        text: 'deleted at OpenAI',
        evidence: deletedEvidence(retirement, event),
      })
    case 'expiring':
      return enter({ ...retirement, isExpiring: true }, 'dying', context, {
        text: 'OpenAI would not delete it: an expiry of one second was set instead',
        evidence: expiringEvidence(retirement, event),
      })
    case 'revoke_refused':
      return halt(retirement, context, {
        reason: 'revoke_refused',
        summary: 'OpenAI will neither delete this key nor shorten its life.',
        fix: 'Delete it by hand in OpenAI’s dashboard, or give the admin key api.management.write; then run keyturn revoke.',
      })
    case 'revoke_unknown':
      return retry(retirement, context)
    case 'still_held':
      return waitingToRevoke(retirement, event.heldBy, context)
    default:
      return retirement
  }
}

function stepDying(
  before: Retirement,
  event: Extract<RetirementEvent, { kind: 'death_probed' }>,
  context: RetirementContext,
): Retirement {
  const retirement = withProbe(before, event, context)
  const isGone = event.listed === 'absent' || (retirement.isExpiring && event.listed === 'present')
  // Where the value is lost nobody can ask the key itself, and only its absence speaks.
  const isRejected =
    event.verdict === undefined ? event.listed === 'absent' : event.verdict.kind === 'rejected'
  const gapMs = Math.ceil(context.policy.deadSpanMs / Math.max(1, context.policy.deadProbes - 1))
  if (isGone && isRejected) {
    const at = event.at ?? context.now
    if (retirement.rejectedAt === at) return before
    const rejectedSince = retirement.rejectedSince ?? at
    const rejections = retirement.rejections + 1
    const probed = { ...retirement, rejections, rejectedSince, rejectedAt: at, retries: 0 }
    const isProven =
      probed.rejections >= context.policy.deadProbes && at - rejectedSince >= context.policy.deadSpanMs
    if (!isProven) return overdue({ ...probed, wakeAt: context.now + gapMs }, context)
    const { probes: _told, ...rest } = probed
    return enter(rest, 'destroying', context, {
      text: `proven dead: gone from the list and refused ${probed.rejections} times`,
      evidence: deathEvidence(probed),
    })
  }
  const isAlive = event.verdict !== undefined && isAuthentic(event.verdict.kind)
  if (!isAlive) return overdue(retry(retirement, context), context)
  const { rejectedSince: _since, ...rest } = retirement
  return overdue(retry({ ...rest, rejections: 0 }, context), context)
}

function overdue(retirement: Retirement, context: RetirementContext): Retirement {
  if (retirement.phase === 'unproven' || context.now < retirement.phaseAt + context.policy.deadLimitMs)
    return retirement
  const note = { text: 'not proven dead in time: probing goes on', evidence: deathEvidence(retirement) }
  const { wakeAt } = retirement
  return { ...enter(retirement, 'unproven', context, note), wakeAt, rejections: retirement.rejections }
}

function waitFor(retirement: Retirement, heldBy: string, context: RetirementContext): Retirement {
  const waitMs = Math.min(
    context.policy.retryMaxMs,
    Math.max(context.policy.retryBaseMs, context.policy.quietMs / 4),
  )
  const waiting = { ...retirement, heldBy, wakeAt: context.now + waitMs }
  return heldBy === retirement.heldBy ? waiting : noted(waiting, context, `waits: ${heldBy}`)
}

function without(retirement: Retirement): Retirement {
  const { heldBy: _heldBy, ...rest } = retirement
  return rest
}

function enter(
  retirement: Retirement,
  phase: RetirementPhase,
  context: RetirementContext,
  note: Note,
): Retirement {
  return noted({ ...retirement, phase, phaseAt: context.now, wakeAt: context.now, retries: 0 }, context, note)
}

function end(
  retirement: Retirement,
  phase: 'dead' | 'kept',
  context: RetirementContext,
  note: Note,
): Retirement {
  return { ...enter(retirement, phase, context, note), endedAt: context.now }
}

function halt(
  retirement: Retirement,
  context: RetirementContext,
  why: { readonly reason: string; readonly summary: string; readonly fix: string },
): Retirement {
  const halted: Halt = { from: retirement.phase, ...why, at: context.now }
  return enter({ ...retirement, halt: halted }, 'halted', context, `${why.reason}: ${why.summary}`)
}

function retry(retirement: Retirement, context: RetirementContext): Retirement {
  const delayMs = backoffMs(context.policy, retirement.retries)
  return { ...retirement, retries: retirement.retries + 1, wakeAt: context.now + delayMs }
}

function noted(retirement: Retirement, context: RetirementContext, note: Note): Retirement {
  const { text, evidence } = typeof note === 'string' ? { text: note, evidence: undefined } : note
  const line: Step = {
    at: context.now,
    phase: retirement.phase,
    note: text,
    ...(evidence === undefined ? {} : { evidence }),
  }
  return { ...retirement, ...withStep(retirement, line, stepsMax) }
}
