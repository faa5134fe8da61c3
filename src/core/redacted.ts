import type { Secret } from './secret.ts'

/** How much of a key has to show before a match says anything: redacted values show a few characters of both ends. */
const shownMin = 6

/**
 * Whether a redacted value as the issuer lists it (`sk-abc...def`, dots or asterisks in the middle) can be this key.
 * Several keys may fit the same redacted value: the caller acts only where exactly one does.
 */
export function matchesRedacted(secret: Secret, redacted: string): boolean {
  const parts = redacted.split(/[.*…]{2,}|…/)
  const [start = '', end = ''] = [parts[0], parts.at(-1)]
  if (parts.length < 2 || start.length + end.length < shownMin) return false
  const value = secret.reveal()
  return value.length > start.length + end.length && value.startsWith(start) && value.endsWith(end)
}
