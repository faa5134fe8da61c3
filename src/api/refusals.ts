import type { ErrorCode } from '../core/errors.ts'
import type { Operation, OperationId } from './operations.ts'

/** What an operation refuses beside what its form says of itself (`refusalsOf`). */
const own: Partial<Readonly<Record<OperationId, readonly ErrorCode[]>>> = {
  getCredential: ['no_verified_key', 'stopping'],
  streamEvents: ['stopping'],
  bringVersion: ['conflict', 'rotation_in_progress', 'rotation_not_running', 'version_not_live'],
  startRotation: [
    'confirmation_needed',
    'approval_needed',
    'blackout',
    'rotation_in_progress',
    'rotation_halted',
    'store_read_only',
    'issuer_cannot_mint',
    'issuer_refused',
  ],
  pauseRotation: ['rotation_not_running'],
  resumeRotation: ['rotation_not_running'],
  abortRotation: ['rotation_not_running', 'conflict'],
  rollBack: ['conflict', 'rotation_in_progress', 'store_read_only', 'version_not_live'],
  revokeVersion: [
    'confirmation_needed',
    'approval_needed',
    'conflict',
    'last_working_key',
    'rotation_in_progress',
    'issuer_cannot_mint',
  ],
  getBlastRadius: ['no_verified_key'],
  approve: ['approval_needed', 'conflict'],
  createToken: ['conflict'],
  rotateToken: ['conflict'],
  revokeToken: ['conflict'],
  testAlerts: ['not_found'],
  listAlerts: ['ledger_unreachable'],
  getReadiness: ['stopping'],
}

/** What asks for a stored key, which a workload identity has none of. */
const ofStoredKeys: readonly OperationId[] = ['bringVersion', 'rollBack', 'revokeVersion', 'getBlastRadius']

/**
 * The codes that an operation answers with when it does not do what was asked, in the order of its checks. What any of them
 * can answer on a bad day (`internal`, `timeout`, `stopping`) is left out.
 */
export function refusalsOf(id: OperationId, operation: Operation): readonly ErrorCode[] {
  const isAsking = operation.access !== 'open'
  const isAct = operation.method !== 'GET'
  const takes = [operation.body, operation.query, operation.requestHeaders].some((one) => one !== undefined)
  const codes: readonly (readonly [ErrorCode, boolean])[] = [
    ['bad_request', takes],
    ['unauthenticated', isAsking],
    ['caller_unverifiable', isAsking],
    ['forbidden', isAsking],
    ['not_found', operation.path.includes('{')],
    ['payload_too_large', operation.body !== undefined],
    ['unsupported_media_type', operation.body !== undefined],
    ['idempotency_mismatch', operation.requestHeaders?.includes('Idempotency-Key') === true],
    ['too_many_requests', isAsking],
    ['federated_credential', ofStoredKeys.includes(id)],
    ['ledger_unreachable', isAct && isAsking],
    ['audit_unavailable', isAsking && (isAct || operation.isSecret === true)],
  ]
  const general = codes.filter(([, holds]) => holds).map(([code]) => code)
  return [...new Set([...general, ...(own[id] ?? [])])]
}
