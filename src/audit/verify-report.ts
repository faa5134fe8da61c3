import { createPublicKey } from 'node:crypto'
import { type Report, reportFormat, reportType } from '../core/report.ts'
import { type PublicJwk, publicJwk, thumbprint } from './jwk.ts'
import { jwkOf, openDocument, verifiedPayload } from './jws.ts'

/** Whom the reader trusts: a key, or the id of one, which he got otherwise than with the document. */
export type Trust =
  | { readonly kind: 'key'; readonly jwk: PublicJwk }
  | { readonly kind: 'id'; readonly keyId: string }
  | { readonly kind: 'nobody' }

export type Verification =
  | { readonly kind: 'valid'; readonly keyId: string; readonly report: Report }
  /** It was changed, or never was what it claims to be. */
  | { readonly kind: 'invalid'; readonly why: string }
  /** Signed by a key, and not by the trusted one. */
  | { readonly kind: 'other_key'; readonly keyId: string; readonly trusted: string }
  /** Nothing is wrong with it, and nobody says that its key is the installation's. */
  | { readonly kind: 'untrusted'; readonly keyId: string }

/** Needs nothing but the document and whom to trust: no service, no network, no clock. */
export function verifyReport(text: string, trust: Trust): Verification {
  const opened = openDocument(text, reportType)
  if (opened.kind === 'malformed') return { kind: 'invalid', why: opened.why }
  const { document, header } = opened
  const { kid: keyId } = header
  const trusted = trustedId(trust)
  if (trusted !== undefined && trusted !== keyId) return { kind: 'other_key', keyId, trusted }
  // The key in the header has this very id, so it is the trusted one, or the one that nobody vouches for.
  const payload = verifiedPayload(document, header.jwk)
  if (payload === undefined) return { kind: 'invalid', why: 'its signature does not fit: it was changed' }
  const report = reportOf(payload)
  if (report === undefined) return { kind: 'invalid', why: 'what was signed is not a report' }
  return trusted === undefined ? { kind: 'untrusted', keyId } : { kind: 'valid', keyId, report }
}

function trustedId(trust: Trust): string | undefined {
  if (trust.kind === 'key') return thumbprint(trust.jwk)
  return trust.kind === 'id' ? trust.keyId : undefined
}

function reportOf(payload: string): Report | undefined {
  try {
    const value = JSON.parse(payload) as Partial<Report> | null
    return value?.format === reportFormat ? (value as Report) : undefined
  } catch {
    return undefined
  }
}

/** A public key as PEM, as JWK, or as the service tells it; undefined for anything else, private keys included. */
export function readPublicKey(text: string): PublicJwk | undefined {
  if (text.includes('PRIVATE KEY')) return undefined
  try {
    const trimmed = text.trim()
    if (trimmed.startsWith('{')) {
      const value = JSON.parse(trimmed) as Readonly<Record<string, unknown>>
      return 'd' in value ? undefined : (jwkOf(value) ?? jwkOf(value['jwk']))
    }
    const key = createPublicKey(trimmed)
    return key.asymmetricKeyType === 'ed25519' ? publicJwk(key) : undefined
  } catch {
    return undefined
  }
}
