import { evidenceNames, type StepEvidence } from './evidence.ts'
import type { RotationContext, RotationEvent } from './rotation-events.ts'
import { pendingOf } from './rotation-moves.ts'
import type { PermissionFinding, Rotation } from './types.ts'

/** What the steps of a rotation rest on. */
export function permissionsOf({
  permissions,
}: Extract<RotationEvent, { kind: 'checked' }>): StepEvidence | undefined {
  if (permissions === undefined) return undefined
  const named = (state: PermissionFinding['state']): readonly string[] =>
    evidenceNames(
      permissions
        .filter((one) => one.state === state)
        .map(({ permission, resource }) => `${permission} on ${resource}`),
    )
  return {
    kind: 'permissions',
    granted: named('granted'),
    untested: named('untested'),
    total: permissions.length,
  }
}

export function mintedEvidence(
  rotation: Rotation,
  { keyId, requestId }: Extract<RotationEvent, { kind: 'minted' }>,
  { added }: RotationContext,
): StepEvidence {
  return {
    kind: 'minted',
    key: added ?? { keyId },
    marker: rotation.attempts.at(-1)?.marker ?? '',
    ...(requestId === undefined ? {} : { requestId }),
  }
}

export function foundEvidence(rotation: Rotation): StepEvidence | undefined {
  const attempt = pendingOf(rotation)
  return attempt?.keyId === undefined
    ? undefined
    : { kind: 'minted', key: attempt.key ?? { keyId: attempt.keyId }, marker: attempt.marker }
}

export function straysEvidence({
  strays = [],
}: Extract<RotationEvent, { kind: 'reconciled' }>): StepEvidence | undefined {
  return strays.length === 0 ? undefined : { kind: 'strays', ended: evidenceNames(strays) }
}

export function discardedEvidence(
  rotation: Rotation,
  event: Extract<RotationEvent, { kind: 'discarded' }>,
): StepEvidence | undefined {
  const pending = pendingOf(rotation)
  if (pending === undefined) return undefined
  const { version, keyId } = pending
  const { residue: _told, ...ending } = event
  return { ...ending, version, ...(keyId === undefined ? {} : { keyId }) }
}

export function expiryEvidence(
  rotation: Rotation,
  { requestId }: Extract<RotationEvent, { kind: 'extended' }>,
  { added }: RotationContext,
): StepEvidence | undefined {
  const keyId = pendingOf(rotation)?.keyId
  if (keyId === undefined) return undefined
  return {
    kind: 'expiry',
    keyId,
    ...(added?.expiresAt === undefined ? {} : { expiresAt: added.expiresAt }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

export function promotedEvidence(rotation: Rotation, { fence }: RotationContext): StepEvidence | undefined {
  const to = pendingOf(rotation)?.version
  return to === undefined
    ? undefined
    : { kind: 'promoted', from: rotation.from ?? null, to, ...(fence === undefined ? {} : { fence }) }
}

/** The value that was read back has this fingerprint: it was compared. */
export function readBackEvidence(rotation: Rotation): StepEvidence | undefined {
  const pending = pendingOf(rotation)
  if (pending === undefined) return undefined
  const { version, key } = pending
  return { kind: 'read_back', version, ...(key === undefined ? {} : { fingerprint: key.fingerprint }) }
}
