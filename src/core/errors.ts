/**
 * Every way in which Keyturn can fail, as one class with a stable code.
 *
 * Expected outcomes are values, not errors; what is thrown is a fault or a refusal that a person or a program has to
 * act on. The code never changes its meaning; docs/errors.md has a line for each, and a test keeps the two equal.
 */
export const errorCodes = [
  // What a caller of the API or the command line did wrong, or may not do.
  'bad_request',
  'unauthenticated',
  'caller_unverifiable',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'conflict',
  'precondition_failed',
  'idempotency_mismatch',
  'payload_too_large',
  'unsupported_media_type',
  'too_many_requests',
  'usage',
  'confirmation_needed',
  'approval_needed',
  // What stands in the way of handing out or turning a credential.
  'no_verified_key',
  'rotation_in_progress',
  'rotation_halted',
  'rotation_not_running',
  'rehearsal_failed',
  'blackout',
  'version_not_live',
  'last_working_key',
  'store_read_only',
  'issuer_cannot_mint',
  'federated_credential',
  // What is wrong with the set-up.
  'config_invalid',
  'config_missing',
  'package_missing',
  'node_too_old',
  'permissions_lax',
  'file_unusable',
  'home_in_use',
  'address_in_use',
  // The secret store.
  'store_denied',
  'store_absent',
  'store_disabled',
  'store_throttled',
  'store_unreachable',
  'store_malformed',
  'store_conflict',
  'store_too_large',
  // The issuer.
  'issuer_denied',
  'issuer_throttled',
  'issuer_unreachable',
  'issuer_refused',
  'issuer_malformed',
  // The ledger.
  'ledger_newer',
  'ledger_behind',
  'ledger_unreachable',
  'ledger_corrupt',
  // The audit.
  'audit_unavailable',
  'audit_broken',
  // A signed report.
  'report_invalid',
  'signing_key_unknown',
  // The service as a client sees it.
  'service_unreachable',
  'service_malformed',
  'stopping',
  'timeout',
  'internal',
] as const

export type ErrorCode = (typeof errorCodes)[number]

export interface KeyturnErrorOptions {
  /** What to do about it, as one sentence or a command. Never holds a secret. */
  readonly fix?: string
  /** Whether the same call can succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean
  /** How long to wait before a retry, in milliseconds, where the other side said so. */
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/** The one error class. `message` says what failed and on which name; `fix` says what to do. */
export class KeyturnError extends Error {
  readonly code: ErrorCode
  readonly fix: string | undefined
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: KeyturnErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'KeyturnError'
    this.code = code
    this.fix = options.fix
    this.retryable = options.retryable ?? false
    this.retryAfterMs = options.retryAfterMs
  }
}

/** An invariant that does not hold is a bug of ours: stop rather than go on with a wrong belief. */
export function assert(holds: boolean, claim: string): asserts holds {
  if (!holds)
    throw new KeyturnError('internal', `invariant broken: ${claim}`, {
      fix: 'Please report this with the message above.',
    })
}

/** Turns whatever was thrown into the one class, keeping ours as it is. */
export function toKeyturnError(thrown: unknown, context: string): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  const what = thrown instanceof Error ? thrown.name : typeof thrown
  return new KeyturnError('internal', `${context}: ${what}`, { cause: thrown })
}
