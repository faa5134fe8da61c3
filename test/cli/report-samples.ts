import { generateKeyPairSync } from 'node:crypto'
import type { SignedReport, SigningKeyAnswer } from '../../src/api/types.ts'
import { publicJwk, thumbprint } from '../../src/audit/jwk.ts'
import { signDocument } from '../../src/audit/jws.ts'
import { type Report, reportType } from '../../src/core/report.ts'
import { instant } from './samples.ts'

/** The key of a service that is played; another one in every run. */
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const jwk = publicJwk(publicKey)

export const signingKey: SigningKeyAnswer = {
  keyId: thumbprint(jwk),
  jwk,
  pem: String(publicKey.export({ type: 'spki', format: 'pem' })),
}

export const report: Report = {
  format: 'keyturn-report/1',
  subject: 'rotation',
  installation: 'inst1',
  keyturn: '1.2.3',
  credential: 'openai',
  issuedAt: instant(0),
  summary: 'openai: the old key ba9876543210 is proven dead.',
  isFinal: true,
  open: [],
  remarks: [],
  rotation: null,
  retirements: [],
}

export function signedReport(change: Partial<Report> = {}): SignedReport {
  return signDocument(JSON.stringify({ ...report, ...change }), { privateKey, jwk, typ: reportType })
}
