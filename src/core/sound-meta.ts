import { looksLikeKey } from './key-shape.ts'
import type { VersionMeta } from './types.ts'

/** Ids and names of issuers are a few dozen characters; a store that somebody else writes may hold anything. */
const textMax = 256
/** The last instant that a Date can be (ECMA-262, 21.4.1.1). */
const instantMax = 8.64e15

/**
 * Metadata as it may be kept: what is no short printable text and no instant is left out. It comes from stores, where
 * others can write, and goes into the ledger, into answers and before people's eyes. The ledger takes nothing that looks
 * like a key: one there would keep everything else about the credential from being written down.
 */
export function soundMeta(meta: VersionMeta): VersionMeta {
  const sound = Object.entries(meta).filter(([field, value]: readonly [string, unknown]) =>
    instants.has(field) ? isInstant(value) : texts.has(field) && isText(value),
  )
  return Object.fromEntries(sound)
}

const instants: ReadonlySet<string> = new Set<keyof VersionMeta>(['createdAt', 'expiresAt'])
const texts: ReadonlySet<string> = new Set<keyof VersionMeta>([
  'keyId',
  'serviceAccount',
  'organization',
  'project',
  'marker',
])

function isInstant(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= instantMax
}

function isText(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > textMax || looksLikeKey(value)) return false
  return /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u.test(value)
}
