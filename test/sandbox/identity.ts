import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Sandbox } from '../../src/sandbox/index.ts'

export interface TestIdentity {
  readonly provider: string
  readonly privateKey: KeyObject
  /** A token of the workload as its platform would sign it; good for ten minutes unless the claims say otherwise. */
  token(claims?: Readonly<Record<string, unknown>>, options?: { readonly signedBy?: KeyObject }): string
}

export const subject = 'system:serviceaccount:shop:api'
export const issuer = 'https://cluster.example.com'
export const audience = 'https://api.openai.com/v1'

/** An identity provider at the sandbox that trusts a key made here, and a mapping to the sandbox's service account. */
export function identityAt(sandbox: Sandbox, now: () => number = Date.now): TestIdentity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const provider = sandbox.createIdentityProvider({ issuer, audience, publicKeys: [pem] })
  sandbox.mapIdentity({ provider, subject })
  return {
    provider,
    privateKey,
    token(claims = {}, { signedBy = privateKey } = {}) {
      const seconds = Math.floor(now() / 1_000)
      const standard = { iss: issuer, aud: [audience], sub: subject, iat: seconds, exp: seconds + 600 }
      return signed({ alg: 'ES256', typ: 'JWT' }, { ...standard, ...claims }, signedBy)
    },
  }
}

export function signed(header: object, claims: object, key: KeyObject): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  const text = `${encode(header)}.${encode(claims)}`
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}
