import { assert } from './errors.ts'
import { askedEvidence } from './evidence.ts'
import { stepAsked } from './rotation-asked.ts'
import type { RotationContext, RotationEffect, RotationEvent } from './rotation-events.ts'
import { pastDeadline, pendingOf, startProving, withBrought } from './rotation-moves.ts'
import {
  stepChecking,
  stepConfirming,
  stepDiscarding,
  stepExtending,
  stepInspecting,
  stepMinting,
  stepPromoting,
  stepProving,
  stepReconciling,
} from './rotation-phases.ts'
import type { Policy, Rotation, RotationMode, Steering, VersionId } from './types.ts'

export type { RotationContext, RotationEffect, RotationEvent, RotationEventKind } from './rotation-events.ts'
export { pendingOf } from './rotation-moves.ts'

/**
 * One rotation, as a table in code: `step` says what an event makes of it, `effectOf` says what it wants done now.
 *
 * Effects are derived from the state and not returned by `step`: whoever finds a rotation after a crash knows what it
 * wants without knowing how it came there. Every effect is safe to repeat, with one exception, `mint`; that is why a
 * rotation found in `minting` by anybody but the one who is minting goes to `reconciling` (event `resumed`).
 */
export function newRotation(
  request: {
    readonly id: string
    readonly credential: string
    readonly mode: RotationMode
    readonly isCompromised: boolean
    readonly reason: string
    readonly requestedBy: string
    readonly from: VersionId | undefined
    readonly steering?: Steering | undefined
  },
  context: Pick<RotationContext, 'now' | 'policy'>,
): Rotation {
  const { from, steering, ...rest } = request
  return {
    ...rest,
    ...(from === undefined ? {} : { from }),
    ...(steering === undefined ? {} : { steering }),
    startedAt: context.now,
    phase: 'checking',
    phaseAt: context.now,
    deadlineAt: context.now + context.policy.phaseDeadlineMs,
    wakeAt: context.now,
    paused: false,
    attempts: [],
    confirmations: 0,
    retries: 0,
    rules: rulesOf(context.policy),
    steps: [
      {
        at: context.now,
        phase: 'checking',
        note: `asked for by ${request.requestedBy}: ${request.reason}`,
        evidence: askedEvidence({ ...request, by: request.requestedBy }),
      },
    ],
  }
}

function rulesOf({
  overlapMs,
  provingCount,
  provingSettleMs,
  attemptsMax,
}: Policy): NonNullable<Rotation['rules']> {
  return { overlapMs, provingCount, provingSettleMs, attemptsMax }
}

export function isRunning(rotation: Rotation | undefined): rotation is Rotation {
  return rotation !== undefined && rotation.phase !== 'done'
}

/** A walk that makes a spare: any other rotation supersedes it. */
export function isSparing(
  rotation: Rotation | undefined,
): rotation is Rotation & { readonly mode: 'standby' } {
  return isRunning(rotation) && rotation.mode === 'standby'
}

/** What the rotation wants done now; undefined while it waits for a person or has ended. The caller minds `wakeAt` and `paused`. */
export function effectOf(rotation: Rotation): RotationEffect | undefined {
  const attempt = rotation.attempts.at(-1)
  const pending = pendingOf(rotation)
  switch (rotation.phase) {
    case 'checking':
      return { kind: 'check' }
    case 'minting':
      assert(attempt?.outcome === 'open', 'a rotation that mints has an open attempt')
      return { kind: 'mint', attempt }
    case 'reconciling':
      return { kind: 'reconcile', attempts: rotation.attempts.filter((one) => one.outcome === 'open') }
    case 'awaiting':
    case 'halted':
    case 'done':
      return undefined
    case 'discarding':
      assert(pending !== undefined, 'a rotation that discards has a pending version')
      return pending.keyId === undefined
        ? { kind: 'discard', version: pending.version }
        : { kind: 'discard', version: pending.version, keyId: pending.keyId }
    case 'extending':
      assert(pending?.keyId !== undefined, 'a rotation that extends knows the key id')
      return { kind: 'extend', version: pending.version, keyId: pending.keyId }
    case 'proving':
    case 'promoting':
    case 'confirming':
    case 'inspecting':
      assert(pending !== undefined, `a rotation in ${rotation.phase} has a pending version`)
      return pendingEffect(rotation.phase, rotation.from, pending.version)
  }
}

function pendingEffect(
  phase: 'proving' | 'promoting' | 'confirming' | 'inspecting',
  from: VersionId | undefined,
  to: VersionId,
): RotationEffect {
  switch (phase) {
    case 'proving':
      return { kind: 'prove', version: to }
    case 'promoting':
      return { kind: 'promote', from, to }
    case 'confirming':
      return { kind: 'confirm', to }
    case 'inspecting':
      return { kind: 'inspect', from, to }
  }
}

/** Total: an event that means nothing in a phase leaves the rotation as it is (the very same object). */
export function step(rotation: Rotation, event: RotationEvent, context: RotationContext): Rotation {
  const asked = stepAsked(rotation, event, context)
  if (asked !== undefined) return asked
  if (event.kind === 'deadline_passed') return pastDeadline(rotation, context)
  switch (rotation.phase) {
    case 'checking':
      return stepChecking(rotation, event, context)
    case 'minting':
      return stepMinting(rotation, event, context)
    case 'reconciling':
      return stepReconciling(rotation, event, context)
    case 'awaiting':
      return event.kind === 'brought'
        ? startProving(withBrought(rotation, event.version, context), context, 'the operator brought a key')
        : rotation
    case 'proving':
      return stepProving(rotation, event, context)
    case 'discarding':
      return stepDiscarding(rotation, event, context)
    case 'extending':
      return stepExtending(rotation, event, context)
    case 'promoting':
      return stepPromoting(rotation, event, context)
    case 'confirming':
      return stepConfirming(rotation, event, context)
    case 'inspecting':
      return stepInspecting(rotation, event, context)
    case 'halted':
    case 'done':
      return rotation
  }
}
