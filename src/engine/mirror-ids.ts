import type { Hash } from '../core/ports.ts'
import type { VersionId } from '../core/types.ts'

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/**
 * What a mirror calls a version. Keyturn's own ids are UUIDs, which every store takes; those of keys that were found in a
 * store are whatever that store has, and get a UUID drawn from it (version 8, RFC 9562), so that every replica and every
 * restart gives the same one.
 */
export function mirroredAs(version: VersionId, hash: Hash): VersionId {
  if (uuidPattern.test(version)) return version
  const hex = hash.sha256Hex(`keyturn mirrored version:${version}`)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
