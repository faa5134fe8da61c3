import type { Secret } from './secret.ts'

/** How much of a key has to show before a match says anything: redacted values show a few characters of both ends. */
const shownMin = 6
/** And of a key no more than this is ever shown. */
const shownMax = 32

/**
 * Whether a redacted value as the issuer lists it (`sk-abc...def`, dots or asterisks in the middle) can be this key.
 * Several keys may fit the same redacted value: the caller acts only where exactly one does.
 */
export function matchesRedacted(secret: Secret, redacted: string): boolean {
  const shown = shownOf(redacted)
  if (shown === undefined) return false
  const { start, end } = shown
  const value = secret.reveal()
  return value.length > start.length + end.length && value.startsWith(start) && value.endsWith(end)
}

/** Whether it shows enough: one that does not matches no key, which must not be taken for a key that is nowhere. */
export function isTelling(redacted: string): boolean {
  return shownOf(redacted) !== undefined
}

/** Whether most of it is hidden, as in whatever an issuer calls redacted. */
export function isRedacted(text: string): boolean {
  const parts = text.split(/[.*…]{2,}|…/)
  return parts.length > 1 && parts.join('').length <= shownMax
}

function shownOf(redacted: string): { readonly start: string; readonly end: string } | undefined {
  const parts = redacted.split(/[.*…]{2,}|…/)
  const [start = '', end = ''] = [parts[0], parts.at(-1)]
  return parts.length < 2 || start.length + end.length < shownMin ? undefined : { start, end }
}
