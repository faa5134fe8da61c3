import type { IssuedKey } from './ports.ts'
import type { VersionMeta } from './types.ts'

/**
 * What is known of a key of ours whose record was lost: what stands beside its value in the store, where others can write
 * too, and above it what the issuer says itself. Or whoever writes there would have keys turned at will, and spares made on
 * the account that they are to stand apart from.
 */
export function toldMeta(beside: VersionMeta, told: IssuedKey): VersionMeta {
  const { keyId, serviceAccount, createdAt, expiresAt } = told
  return {
    ...beside,
    keyId,
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}
