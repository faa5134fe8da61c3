// The subject token of an exchange: is it signed by the provider, for us, and still good?

import { createPublicKey, verify } from 'node:crypto'
import { isObject } from './input.ts'
import type { IdentityProviderRecord } from './records.ts'

/** Clocks of the workload and of OpenAI may differ by this much. */
const LEEWAY_MS = 30_000

/** The subject of a good token, or what is wrong with it, without a word of it. */
export function jwtProblem(
  token: string,
  provider: IdentityProviderRecord,
  at: number,
): { readonly subject: string } | { readonly problem: string } {
  const problem = (text: string) => ({ problem: `The subject token ${text}.` })
  const parts = token.split('.')
  const [head = '', body = '', signature = ''] = parts
  const header = decode(head)
  const claims = decode(body)
  if (parts.length !== 3 || header === undefined || claims === undefined) return problem('is no JWT')
  if (!isSigned(`${head}.${body}`, { signature, algorithm: header['alg'] }, provider.publicKeys))
    return problem('is not signed by the identity provider')
  const { iss, aud, exp, nbf, sub } = claims
  if (iss !== provider.issuer) return problem('is of another issuer')
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(provider.audience)) return problem('is for another audience')
  if (typeof exp !== 'number' || exp * 1_000 + LEEWAY_MS <= at) return problem('has expired')
  if (typeof nbf === 'number' && nbf * 1_000 - LEEWAY_MS > at) return problem('is not valid yet')
  return typeof sub === 'string' && sub !== '' ? { subject: sub } : problem('has no subject')
}

/** By algorithm, so that no token can choose how a key is used: `none` and HMAC are not among them. */
const algorithms: Readonly<Record<string, { readonly hash: string | undefined; readonly keyType: string }>> =
  {
    RS256: { hash: 'sha256', keyType: 'rsa' },
    ES256: { hash: 'sha256', keyType: 'ec' },
    EdDSA: { hash: undefined, keyType: 'ed25519' },
  }

function isSigned(
  signed: string,
  { signature, algorithm }: { readonly signature: string; readonly algorithm: unknown },
  publicKeys: readonly string[],
): boolean {
  const known =
    typeof algorithm === 'string' && Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined
  if (known === undefined) return false
  return publicKeys.some((pem) => {
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType !== known.keyType) return false
    const bytes = Buffer.from(signature, 'base64url')
    return verify(known.hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, bytes)
  })
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
