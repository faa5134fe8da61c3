import { z } from 'zod'
import type { AuditHeads, AuditPage, SignedReport, SigningKeyAnswer } from './types.ts'

/** What is signed, or made to be looked through: the audit and the reports, as in answers.ts. */
const instant = z.iso.datetime().describe('ISO 8601 in UTC')
const text = z.string()
const base64url = text.describe('Text in base64url (RFC 4648, section 5), without padding.')

export const signedReport = z
  .object({
    payload: base64url.describe('The report as JSON in UTF-8, in base64url.'),
    protected: base64url.describe('The header: alg EdDSA, typ keyturn-report+json, kid, jwk.'),
    signature: base64url,
  })
  .meta({ id: 'SignedReport' }) satisfies z.ZodType<SignedReport>

export const signingKeyAnswer = z
  .object({
    keyId: text.describe('The thumbprint of the key (RFC 7638).'),
    jwk: z.object({ kty: text, crv: text, x: text }),
    pem: text,
  })
  .meta({ id: 'SigningKeyAnswer' }) satisfies z.ZodType<SigningKeyAnswer>

const signed = z.object({ payload: text, protected: text, signature: text })

export const auditPage = z
  .object({
    journal: text,
    items: z.array(
      z.looseObject({
        seq: z.int().min(1),
        at: instant,
        kind: text.describe('read, act, refusal or journal'),
        action: text,
        outcome: text,
        prev: text,
        hash: text,
      }),
    ),
    through: z.int().min(0).describe('Send it as `after` for the next page.'),
    isEnd: z.boolean(),
  })
  .meta({ id: 'AuditPage' }) satisfies z.ZodType<AuditPage>

export const auditHeads = z
  .object({
    journal: text,
    reads: text,
    seq: z.int().min(0),
    durable: z.int().min(0),
    sealed: z.int().min(0),
    refused: z.int().min(0),
    lost: z.int().min(0),
    sinks: z.array(
      z.object({ name: text, isTaking: z.boolean(), behind: z.int().min(0), missed: z.int().min(0) }),
    ),
    headTroubles: z.array(text),
    items: z.array(signed),
  })
  .meta({ id: 'AuditHeads' }) satisfies z.ZodType<AuditHeads>
