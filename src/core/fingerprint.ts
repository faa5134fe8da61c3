import type { Hash } from './ports.ts'
import type { Secret } from './secret.ts'
import type { Fingerprint } from './types.ts'

/** Part of the format: another prefix would give every known key a new fingerprint. */
const prefix = 'keyturn-fingerprint-v1:'
const hexDigits = 12

/**
 * What may be shown of a key: the first 12 hex digits of SHA-256 over a fixed prefix and the secret. Keys are random
 * enough that it cannot be turned back, and it is equal wherever the same key is found.
 */
export function fingerprint(secret: Secret, hash: Hash): Fingerprint {
  return hash.sha256Hex(prefix + secret.reveal()).slice(0, hexDigits)
}
