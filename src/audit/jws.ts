import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { isRecord, parseJson } from '../core/json.ts'
import type { SignedDocument } from '../core/ports.ts'
import { base64url, type PublicJwk, thumbprint } from './jwk.ts'

/**
 * A document signed as a flattened JWS (RFC 7515, section 7.2.2) with Ed25519 (RFC 8037), over its exact bytes: nothing has to
 * be brought into a canonical form, and any tool for JOSE can check it. Written with node:crypto alone: it is two calls, and
 * what verifies has to refuse more than a library does.
 */
const algorithm = 'EdDSA'

export interface Header {
  readonly alg: typeof algorithm
  readonly typ: string
  /** The thumbprint of the key (RFC 7638). */
  readonly kid: string
  /** Says which key it was, and proves nothing: whoever forges a document brings a key along. */
  readonly jwk: PublicJwk
}

export function signDocument(
  payload: string,
  { privateKey, jwk, typ }: { readonly privateKey: KeyObject; readonly jwk: PublicJwk; readonly typ: string },
): SignedDocument {
  const header: Header = { alg: algorithm, typ, kid: thumbprint(jwk), jwk }
  const head = base64url(JSON.stringify(header))
  const body = base64url(payload)
  const signature = sign(null, Buffer.from(`${head}.${body}`), privateKey)
  return { payload: body, protected: head, signature: signature.toString('base64url') }
}

export type Opened =
  | { readonly kind: 'document'; readonly document: SignedDocument; readonly header: Header }
  | { readonly kind: 'malformed'; readonly why: string }

/** Reads a signed document without believing any of it. */
export function openDocument(text: string, typ: string): Opened {
  const malformed = (why: string): Opened => ({ kind: 'malformed', why })
  const value = parseObject(text)
  if (value === undefined) return malformed('it is no JSON')
  const { payload, protected: head, signature, ...rest } = value
  if (typeof payload !== 'string' || typeof head !== 'string' || typeof signature !== 'string')
    return malformed('it has no payload, protected header and signature')
  const [extra] = Object.keys(rest)
  if (extra !== undefined) return malformed('it has fields that no signature covers')
  if (![payload, head, signature].every(isExact))
    return malformed('it is not encoded as a signed document is')
  const header = headerOf(head, typ)
  if (typeof header === 'string') return malformed(header)
  return { kind: 'document', document: { payload, protected: head, signature }, header }
}

/** The very text that was signed, or undefined where the signature does not fit the key. */
export function verifiedPayload(document: SignedDocument, jwk: PublicJwk): string | undefined {
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  const signed = Buffer.from(`${document.protected}.${document.payload}`)
  return verify(null, signed, key, Buffer.from(document.signature, 'base64url'))
    ? Buffer.from(document.payload, 'base64url').toString('utf8')
    : undefined
}

function headerOf(head: string, typ: string): Header | string {
  const value = parseObject(Buffer.from(head, 'base64url').toString('utf8'))
  if (value === undefined) return 'its header is no JSON'
  if (value['typ'] !== typ) return 'it is a signed document of another kind'
  if (value['alg'] !== algorithm) return `it is not signed with ${algorithm}`
  // `crit`, `b64` and whatever else could change what the signature means.
  if (Object.keys(value).some((name) => !['alg', 'typ', 'kid', 'jwk'].includes(name)))
    return 'its header has fields that are not known'
  const jwk = jwkOf(value['jwk'])
  if (jwk === undefined || value['kid'] !== thumbprint(jwk)) return 'its header does not name its key'
  return { alg: algorithm, typ, kid: thumbprint(jwk), jwk }
}

export function jwkOf(value: unknown): PublicJwk | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { kty, crv, x } = value as Readonly<Record<string, unknown>>
  const isKey = kty === 'OKP' && crv === 'Ed25519' && typeof x === 'string' && /^[A-Za-z0-9_-]{43}$/.test(x)
  return isKey && isExact(x) ? { kty, crv, x } : undefined
}

/** Base64 has several texts for the same bytes; only the one that we write is taken. */
function isExact(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  const value = parseJson(text)
  return isRecord(value) ? value : undefined
}
