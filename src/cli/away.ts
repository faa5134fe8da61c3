import type { ErrorCode } from '../core/errors.ts'

/** The service is away, or cannot tell now who asks: whoever watches waits for it to come back. */
const away: readonly ErrorCode[] = ['service_unreachable', 'timeout', 'stopping', 'caller_unverifiable']

export function passesByItself(code: ErrorCode): boolean {
  return away.includes(code)
}
