import { createHash, type KeyObject } from 'node:crypto'
import { assert } from '../core/errors.ts'

/** The public half of an Ed25519 key (RFC 8037). */
export interface PublicJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
}

export function publicJwk(key: KeyObject): PublicJwk {
  const { kty, crv, x } = key.export({ format: 'jwk' })
  assert(kty === 'OKP' && crv === 'Ed25519' && x !== undefined, 'a signing key is one of Ed25519')
  return { kty, crv, x }
}

/** The key's id: its thumbprint as RFC 7638 has it, so that every tool for JOSE computes the same. */
export function thumbprint({ crv, kty, x }: PublicJwk): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url')
}

export function base64url(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}
