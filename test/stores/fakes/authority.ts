import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { der, ecdsaWithSha256, oid, pem, sequence, set } from './der.ts'

export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface Names {
  readonly cn?: string
  readonly dns?: readonly string[]
  readonly uris?: readonly string[]
  readonly ips?: readonly (readonly [number, number, number, number])[]
}

export interface Authority {
  readonly cert: string
  /** `until`: as YYMMDD, e.g. `200601`. */
  issue(names: Names, until?: string): Issued
}

let serial = 1

/** An authority for tests, made at run time so that no private key lies in the repository. */
export function makeAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = nameOf(name)
  const isAuthority = sequence(
    oid(0x55, 0x1d, 0x13),
    der(0x01, Buffer.from([0xff])),
    der(0x04, sequence(der(0x01, Buffer.from([0xff])))),
  )
  return {
    cert: certificate({ issuer, subject: issuer, publicKey, signer: privateKey, extensions: [isAuthority] }),
    issue({ cn, dns = [], uris = [], ips = [] }, until = '491231') {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const names = [
        ...dns.map((one) => der(0x82, Buffer.from(one))),
        ...uris.map((one) => der(0x86, Buffer.from(one))),
        ...ips.map((one) => der(0x87, Buffer.from(one))),
      ]
      const extensions =
        names.length === 0 ? [] : [sequence(oid(0x55, 0x1d, 0x11), der(0x04, sequence(...names)))]
      return {
        cert: certificate({
          issuer,
          subject: cn === undefined ? sequence() : nameOf(cn),
          publicKey: pair.publicKey,
          signer: privateKey,
          extensions,
          until,
        }),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
  }
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(commonName)))))
}

function certificate(input: {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
  readonly until?: string
}): string {
  const { issuer, subject, publicKey, signer, extensions, until = '491231' } = input
  serial += 1
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1, serial >> 8, serial & 0xff])),
    ecdsaWithSha256,
    issuer,
    sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from(`${until}235959Z`))),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  )
  const signature = sign('sha256', body, signer)
  return pem(sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature]))))
}
