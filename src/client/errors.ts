import type { ErrorCode } from '../core/errors.ts'

export interface KeyturnClientErrorOptions {
  /** What to do about it, as one sentence. */
  readonly fix?: string | undefined
  /** Whether the same call can succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean
  /** The HTTP status that Keyturn answered with, where it did. */
  readonly status?: number
  /** How long Keyturn asked to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * What every call of the client fails with. `message` says what failed, on which credential, and ends in the fix;
 * `code` is one of the stable codes of docs/errors.md. Neither ever holds a key or a token.
 */
export class KeyturnClientError extends Error {
  readonly code: ErrorCode
  readonly fix: string | undefined
  readonly retryable: boolean
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: KeyturnClientErrorOptions = {}) {
    // SDKs wrap what a key function throws and show only the message, so the fix has to be in it.
    const said = /[.!?]$/.test(message) ? message : `${message}.`
    const sentence = options.fix === undefined ? said : `${said} ${options.fix}`
    super(sentence, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'KeyturnClientError'
    this.code = code
    this.fix = options.fix
    this.retryable = options.retryable ?? false
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Keeps ours as it is and turns anything else into one, without its text, which may hold what was sent. */
export function toClientError(thrown: unknown, context: string): KeyturnClientError {
  if (thrown instanceof KeyturnClientError) return thrown
  const what = thrown instanceof Error ? thrown.name : typeof thrown
  return new KeyturnClientError('internal', `${context}: ${what}.`, { cause: thrown })
}
