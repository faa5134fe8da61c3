import { generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { publicJwk, thumbprint } from '../../src/audit/jwk.ts'
import { signDocument } from '../../src/audit/jws.ts'
import { readPublicKey, verifyReport } from '../../src/audit/verify-report.ts'
import { type Report, reportType } from '../../src/core/report.ts'

const report: Report = {
  format: 'keyturn-report/1',
  subject: 'rotation',
  installation: 'inst1',
  keyturn: '1.2.3',
  credential: 'openai',
  issuedAt: '2026-11-21T01:00:00.000Z',
  summary: 'openai was turned; „täglich“.',
  isFinal: true,
  open: [],
  remarks: [],
  rotation: null,
  retirements: [],
}

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const jwk = publicJwk(publicKey)
const keyId = thumbprint(jwk)
const trust = { kind: 'key', jwk } as const

function signed(change: { readonly payload?: string; readonly typ?: string; readonly key?: KeyObject } = {}) {
  const { payload = JSON.stringify(report), typ = reportType, key = privateKey } = change
  return signDocument(payload, { privateKey: key, jwk, typ })
}

const text = JSON.stringify(signed())

describe('a report as it was signed', () => {
  it('is valid for whoever trusts the key or its id, and comes out as it went in', () => {
    for (const trusted of [trust, { kind: 'id', keyId } as const])
      expect(verifyReport(text, trusted)).toEqual({ kind: 'valid', keyId, report })
  })

  it('is not valid on the word of the key that travels with it', () => {
    expect(verifyReport(text, { kind: 'nobody' })).toEqual({ kind: 'untrusted', keyId })
  })

  it('is not valid for whoever trusts another key', () => {
    const other = publicJwk(generateKeyPairSync('ed25519').publicKey)
    expect(verifyReport(text, { kind: 'key', jwk: other })).toEqual({
      kind: 'other_key',
      keyId,
      trusted: thumbprint(other),
    })
  })

  it('is a flattened JWS that another implementation verifies over its exact bytes', async () => {
    const { payload, protected: head, signature } = signed()
    const key = await webcrypto.subtle.importKey('jwk', { ...jwk }, 'Ed25519', false, ['verify'])
    const bytes = (part: string) => Buffer.from(part, 'base64url')
    const isGood = await webcrypto.subtle.verify(
      'Ed25519',
      key,
      bytes(signature),
      Buffer.from(`${head}.${payload}`),
    )
    expect(isGood).toBe(true)
    expect(JSON.parse(bytes(head).toString())).toEqual({ alg: 'EdDSA', typ: reportType, kid: keyId, jwk })
    expect(bytes(payload).toString()).toBe(JSON.stringify(report))
  })

  it('is told by the thumbprint of RFC 7638, as in the example of RFC 8037', () => {
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
    expect(thumbprint({ kty: 'OKP', crv: 'Ed25519', x })).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })
})

describe('a report that was changed', () => {
  it('is refused, whichever byte it is and whatever is put in its place', () => {
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
        const bytes = Buffer.from(text)
        bytes[index] = (bytes[index] ?? 0) ^ flip
        for (const trusted of [trust, { kind: 'id', keyId } as const])
          expect(verifyReport(bytes.toString('latin1'), trusted).kind).not.toBe('valid')
      }),
      { numRuns: 500 },
    )
  })

  it('is refused, cut off or grown at any place', () => {
    for (let length = 0; length < text.length; length += 7)
      expect(verifyReport(text.slice(0, length), trust).kind).toBe('invalid')
    fc.assert(
      fc.property(fc.nat(text.length - 2), fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/), (index, more) => {
        const grown = text.slice(0, index + 1) + more + text.slice(index + 1)
        expect(verifyReport(grown, trust).kind).not.toBe('valid')
      }),
      { numRuns: 200 },
    )
  })

  it.each([
    ['another payload under the same signature', { payload: signed({ payload: '{}' }).payload }],
    ['another header', { protected: Buffer.from('{"alg":"none"}').toString('base64url') }],
    ['no signature', { signature: '' }],
    ['a field beside the signed ones', { note: 'approved' }],
    ['an unprotected header', { header: { alg: 'EdDSA' } }],
    ['another spelling of the same bytes', { signature: `${signed().signature}=` }],
    ['a payload that is no text', { payload: 7 }],
  ])('is refused with %s', (_what, change) => {
    const changed = JSON.stringify({ ...signed(), ...change })
    expect(verifyReport(changed, trust)).toMatchObject({ kind: 'invalid' })
  })

  it('is refused where the header names the key and another one has signed', () => {
    const forged = JSON.stringify(signed({ key: generateKeyPairSync('ed25519').privateKey }))
    expect(verifyReport(forged, trust)).toMatchObject({
      kind: 'invalid',
      why: expect.stringContaining('changed'),
    })
    expect(verifyReport(forged, { kind: 'nobody' }).kind).toBe('invalid')
  })

  it('is refused where it is a signed document of another kind, or what was signed is no report', () => {
    expect(verifyReport(JSON.stringify(signed({ typ: 'JWT' })), trust)).toMatchObject({
      why: expect.stringContaining('another kind'),
    })
    for (const payload of ['{}', 'null', '7', 'no JSON', '{"format":"keyturn-report/9"}'])
      expect(verifyReport(JSON.stringify(signed({ payload })), trust)).toMatchObject({
        kind: 'invalid',
        why: 'what was signed is not a report',
      })
  })

  it('never throws, whatever it is', () => {
    const some = fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(fc.oneof(some, fc.record({ payload: some, protected: some, signature: some })), (value) => {
        const file = typeof value === 'string' ? value : JSON.stringify(value)
        expect(verifyReport(file, trust).kind).toBe('invalid')
      }),
    )
  })
})

describe('a public key', () => {
  const pem = String(publicKey.export({ type: 'spki', format: 'pem' }))

  it.each([
    ['PEM', pem],
    ['JWK', JSON.stringify(jwk)],
    ['what the service tells', JSON.stringify({ keyId, jwk, pem })],
  ])('is read as %s', (_what, given) => {
    expect(readPublicKey(given)).toEqual(jwk)
  })

  it.each([
    ['a private key', String(privateKey.export({ type: 'pkcs8', format: 'pem' }))],
    ['a private JWK', JSON.stringify(privateKey.export({ format: 'jwk' }))],
    [
      'a key of another kind',
      String(
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }),
      ),
    ],
    ['nothing', ''],
    ['rubbish', 'ssh-ed25519 AAAA'],
    ['broken JSON', '{"kty":'],
  ])('is not read from %s', (_what, given) => {
    expect(readPublicKey(given)).toBeUndefined()
  })
})
