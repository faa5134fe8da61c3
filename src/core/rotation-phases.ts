import { adminFix, adminSummary, deletingFinding, mintingFinding } from './admin-permission.ts'
import { assert } from './errors.ts'
import { checkOf, type Note } from './evidence.ts'
import { thenRun } from './next-command.ts'
import type { RotationContext, RotationEvent } from './rotation-events.ts'
import {
  discardedEvidence,
  expiryEvidence,
  foundEvidence,
  mintedEvidence,
  permissionsOf,
  promotedEvidence,
  readBackEvidence,
  straysEvidence,
} from './rotation-evidence.ts'
import {
  discard,
  end,
  enter,
  goOn,
  halt,
  hold,
  keyAdded,
  pendingOf,
  retry,
  startMinting,
  startProving,
  withAttempt,
  withCheck,
  withFinding,
  withFound,
  withMore,
  withPermissions,
  withResidue,
} from './rotation-moves.ts'
import { isAuthentic, type Rotation, type Verdict } from './types.ts'

/** What an event makes of a rotation, phase by phase: the rows of the table in docs/architecture.md. */

export function stepChecking(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'checked':
      return startMinting(withPermissions(rotation, event.permissions), context, {
        text: 'store and issuer allow it',
        evidence: permissionsOf(event),
      })
    case 'check_failed':
      return halt(withPermissions(rotation, event.permissions), context, {
        ...event,
        fix: thenResume(event.fix, rotation),
      })
    case 'check_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

/** What is mended outside is not seen from here: a person says when, but for a spare, which is tried again in any case. */
function thenResume(fix: string, { credential, mode }: Rotation): string {
  if (mode === 'standby') return `${fix} It is tried again by itself.`.trim()
  const again =
    mode === 'rehearsal' ? `keyturn rotate ${credential} --rehearse` : `keyturn resume ${credential}`
  return thenRun(fix, again)
}

export function stepMinting(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'minted':
      return startProving(
        withAttempt(rotation, { outcome: 'staged', keyId: event.keyId, ...keyAdded(context) }),
        context,
        { text: 'a key was minted and staged', evidence: mintedEvidence(rotation, event, context) },
      )
    case 'mint_refused':
      if (event.verdict.kind === 'throttled')
        return retry(withAttempt(rotation, { isUnmade: true }), context, event.verdict.retryAfterMs)
      return halt(
        withFinding(withAttempt(rotation, { outcome: 'refused' }), mintingFinding(event.verdict)),
        context,
        {
          reason: 'minting_refused',
          summary: `OpenAI refused to make a key. ${adminSummary(event.verdict)}`,
          fix: thenResume(adminFix(event.verdict), rotation),
        },
        { kind: 'answer', check: checkOf(event.verdict, context.now) },
      )
    case 'mint_unsent':
      return retry(withAttempt(rotation, { isUnmade: true }), context)
    case 'mint_unknown': {
      const known = event.keyId === undefined ? rotation : withAttempt(rotation, { keyId: event.keyId })
      return enter(
        event.refusal === undefined ? known : { ...known, refusal: event.refusal },
        'reconciling',
        context,
        'nobody knows whether a key was made: looking for it',
        context.policy.retryBaseMs,
      )
    }
    case 'mint_begun':
      return withAttempt(rotation, { isUnmade: false })
    case 'resumed':
      // Turned away for certain: there is no key to look for, and the attempt waits for its time.
      if (rotation.attempts.at(-1)?.isUnmade === true) return rotation
      return enter(
        rotation,
        'reconciling',
        context,
        'minting was interrupted: looking for a key that may have been made',
      )
    default:
      return rotation
  }
}

export function stepReconciling(
  rotation: Rotation,
  event: RotationEvent,
  context: RotationContext,
): Rotation {
  switch (event.kind) {
    case 'reconciled': {
      const left = withResidue(rotation, event.residue)
      if (event.found !== undefined) {
        const found = withFound(left, event.found, context)
        const note = { text: 'the key was found in the store', evidence: foundEvidence(found) }
        if (rotation.discard !== undefined) return enter(found, 'discarding', context, note)
        return startProving(found, context, note)
      }
      const none = { text: 'no key was left behind', evidence: straysEvidence(event) }
      if (rotation.discard?.next === 'end')
        return end(left, rotation.discard.outcome ?? 'aborted', context, none)
      if (left.refusal !== undefined) {
        const { refusal, ...rest } = left
        const why = { ...refusal, fix: thenResume(refusal.fix, rotation) }
        return halt(rest, context, why, straysEvidence(event))
      }
      return startMinting(left, context, none)
    }
    case 'reconcile_failed':
      return retry(rotation, context)
    default:
      return rotation
  }
}

export function stepProving(before: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  if (event.kind === 'pending_lost') {
    return discardLost(before, context)
  }
  if (event.kind !== 'proved') return before
  const { verdict } = event
  const rotation = withCheck(before, event, context)
  if (isAuthentic(verdict.kind) && !event.isOurs) {
    return discard(rotation, context, {
      next: 'halt',
      reason: 'foreign_key',
      summary: 'The new key answers for another organisation or project than the configured one.',
      fix: 'Compare organization and project of the credential with those of the service account that mints.',
    })
  }
  if (event.lacksDeclared) {
    return discard(rotation, context, {
      next: 'halt',
      reason: 'scope_missing',
      summary: verdict.summary,
      fix: verdict.fix,
    })
  }
  if (isAuthentic(verdict.kind))
    return confirmOnce(rotation, context, { verdict, at: event.at ?? context.now })
  switch (verdict.kind) {
    case 'rejected':
      return refusedWhileProving(rotation, context, verdict)
    case 'blocked':
    case 'misconfigured':
      return halt(rotation, context, {
        reason: `proving_${verdict.kind}`,
        summary: verdict.summary,
        fix: verdict.fix,
      })
    default:
      return retry(rotation, context, verdict.retryAfterMs)
  }
}

function confirmOnce(
  rotation: Rotation,
  context: RotationContext,
  { verdict, at }: { readonly verdict: Verdict; readonly at: number },
): Rotation {
  if (rotation.confirmedAt === at) return rotation
  // An emergency with a key that still works is no reason to hand out one that half of the issuer may not know yet.
  const isUrgent = context.isOutage === true || rotation.from === undefined
  const needed = isUrgent ? 1 : context.policy.provingCount
  const settleMs = isUrgent ? 0 : context.policy.provingSettleMs
  const provingSince = rotation.provingSince ?? at
  const confirmations = rotation.confirmations + 1
  const proven = { ...rotation, confirmations, provingSince, confirmedAt: at, retries: 0 }
  const isSettled = at - provingSince >= settleMs
  if (proven.confirmations < needed || !isSettled) {
    const gapMs = Math.max(context.policy.retryBaseMs / 10, settleMs / Math.max(1, needed - 1))
    return { ...proven, wakeAt: context.now + Math.ceil(gapMs) }
  }
  const note = `proven ${proven.confirmations === 1 ? 'once' : `${proven.confirmations} times`} (${verdict.kind})`
  const isMinted = pendingOf(rotation)?.keyId !== undefined
  if (isMinted && context.policy.expiryManaged) return enter(proven, 'extending', context, note)
  return whenGood(proven, context, note)
}

/** The key is as good as promoted, and whether it is depends on what it was made for. */
function whenGood(rotation: Rotation, context: RotationContext, note: Note): Rotation {
  switch (rotation.mode) {
    case 'rehearsal':
      return takeBack(rotation, context, note)
    case 'standby':
      return end(rotation, 'standby', context, withMore(note, ': the spare is ready'))
    default:
      return enter(rotation, 'promoting', context, note)
  }
}

/** All but the promotion went well. That the life of a key may be lengthened is part of it: organisations limit it. */
function takeBack(rotation: Rotation, context: RotationContext, note: Note): Rotation {
  const summary = 'The rehearsal went through.'
  const why = { next: 'end', outcome: 'rehearsed', reason: 'rehearsed', summary, fix: '' } as const
  return discard(rotation, context, why, note)
}

/** A new key may be refused for a while by some of the issuer's edges; only a rejection that outlasts the grace is believed. */
function refusedWhileProving(rotation: Rotation, context: RotationContext, verdict: Verdict): Rotation {
  const stagedAt = rotation.attempts.at(-1)?.startedAt ?? rotation.phaseAt
  if (context.now < stagedAt + context.policy.activationGraceMs) {
    const { provingSince: _since, ...rest } = rotation
    return retry({ ...rest, confirmations: 0 }, context)
  }
  return discard(rotation, context, {
    next: isBrought(rotation) ? 'halt' : 'mint',
    reason: 'key_rejected',
    summary: `The new key does not work. ${verdict.summary}`,
    fix: isBrought(rotation)
      ? 'Resume it (keyturn resume), then bring a key that works (keyturn bring); or give it up (keyturn abort).'
      : verdict.fix,
  })
}

function discardLost(rotation: Rotation, context: RotationContext): Rotation {
  return discard(rotation, context, {
    next: isBrought(rotation) ? 'halt' : 'mint',
    reason: 'pending_lost',
    summary: 'The new key vanished from the store before it was promoted.',
    fix: 'Find out who else writes to this secret.',
  })
}

/** Another key in place of one that a person brought can only come from a person. */
function isBrought(rotation: Rotation): boolean {
  return pendingOf(rotation)?.keyId === undefined
}

export function stepDiscarding(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  if (event.kind === 'discard_failed') return retry(rotation, context)
  if (event.kind !== 'discarded') return rotation
  const why = rotation.discard
  assert(why !== undefined, 'a rotation that discards says why')
  const ended = withFinding(withAttempt(rotation, { outcome: 'gone' }), deletingFinding(event.how))
  const { discard: _discard, ...rest } = withResidue(ended, event.residue)
  const evidence = discardedEvidence(rotation, event)
  const note = { text: 'the pending key is gone', evidence }
  switch (why.next) {
    case 'end':
      return end(rest, why.outcome ?? 'aborted', context, note)
    case 'halt':
      return halt(rest, context, why, evidence)
    case 'mint':
      return startMinting(rest, context, note, why)
  }
}

export function stepExtending(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'extended':
      return whenGood(withAttempt(rotation, keyAdded(context)), context, {
        text: 'its life was extended and confirmed',
        evidence: expiryEvidence(rotation, event, context),
      })
    case 'extend_refused':
      return halt(rotation, context, {
        reason: 'expiry_not_extended',
        summary:
          'OpenAI refused to lengthen the life of the new key, which would die too soon to be handed out.',
        fix: thenResume(
          'Set keyExpiry to the organisation’s limit at most, or manageExpiry: false where keys cannot be updated.',
          rotation,
        ),
      })
    case 'extend_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

export function stepPromoting(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'promoted':
      return goOn(rotation, 'confirming', context, {
        text: 'moved to current in the store',
        evidence: promotedEvidence(rotation, context),
      })
    case 'promote_lost':
      return goOn(rotation, 'inspecting', context, 'somebody else changed what is current: looking at it')
    case 'promote_gone':
      return discardLost(rotation, context)
    case 'promote_unknown':
      return retry(rotation, context)
    case 'held':
      return hold(rotation, event.until, context)
    default:
      return rotation
  }
}

export function stepConfirming(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  switch (event.kind) {
    case 'confirmed':
      return end(rotation, 'promoted', context, {
        text: 'read back from the store',
        evidence: readBackEvidence(rotation),
      })
    case 'confirm_lost':
      return goOn(rotation, 'inspecting', context, 'the store reads back something else: looking at it')
    case 'confirm_unknown':
      return retry(rotation, context)
    default:
      return rotation
  }
}

export function stepInspecting(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  if (event.kind === 'inspect_unknown') return retry(rotation, context)
  if (event.kind !== 'inspected') return rotation
  switch (event.finding) {
    case 'ours':
      return goOn(rotation, 'confirming', context, 'it is ours after all', context.policy.retryBaseMs)
    case 'unchanged':
      return goOn(rotation, 'promoting', context, 'nobody changed it after all', context.policy.retryBaseMs)
    case 'adopted':
      return discard(rotation, context, {
        next: 'end',
        outcome: 'superseded',
        reason: 'superseded',
        summary: 'Somebody put another working key into the store meanwhile; it was adopted.',
        fix: '',
      })
    case 'dead':
    case 'renamed': {
      const against = { ...rotation, from: event.current }
      const why = event.finding === 'dead' ? 'dead, and apps need a key' : 'the old key under another id'
      return goOn(
        against,
        'promoting',
        context,
        `what is there is ${why}: it is replaced`,
        context.policy.retryBaseMs,
      )
    }
    case 'foreign':
      return halt(rotation, context, {
        reason: 'store_changed',
        summary: 'Somebody put another key into the store meanwhile, and it does not work or is not ours.',
        fix: 'Put the right key back into the store, or run keyturn rollback; then resume or abort this rotation.',
      })
  }
}
