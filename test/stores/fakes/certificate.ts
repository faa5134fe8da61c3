import { generateKeyPairSync, sign } from 'node:crypto'
import { der, ecdsaWithSha256, oid, pem, sequence, set } from './der.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Who signs, and for whom. */
export interface CertificateBy {
  /** Absent: itself. */
  readonly authority?: Certificate & { readonly commonName: string }
  /** For this name alone. */
  readonly host?: string
}

/**
 * A certificate for localhost and 127.0.0.1, self-signed where no authority signs it, valid from 2020 to 2049, made at run time so that no private key
 * lies in the repository. It may be an authority, and is good for servers and clients alike.
 */
export function makeCertificate(commonName: string, { authority, host }: CertificateBy = {}): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nameOf = (text: string): Buffer =>
    sequence(set(sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(text)))))
  const names = sequence(
    der(0x82, Buffer.from(host ?? 'localhost')),
    ...(host === undefined ? [der(0x87, Buffer.from([127, 0, 0, 1]))] : []),
  )
  const extensions = sequence(
    sequence(oid(0x55, 0x1d, 0x11), der(0x04, names)),
    sequence(
      oid(0x55, 0x1d, 0x13),
      der(0x01, Buffer.from([0xff])),
      der(0x04, sequence(der(0x01, Buffer.from([0xff])))),
    ),
  )
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    nameOf(authority?.commonName ?? commonName),
    sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
    nameOf(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = sign('sha256', body, authority?.key ?? privateKey)
  const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  return {
    cert: pem(whole),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
