import { z } from 'zod'
import { allGrants } from '../core/grants.ts'
import { credentialNamePattern, versionIdPattern } from '../core/types.ts'
import type {
  AlertTestRequest,
  BringRequest,
  RejectionReport,
  RevocationRequest,
  RollbackRequest,
  RotationRequest,
  TokenRequest,
  TokenRotationRequest,
} from './types.ts'

/**
 * What may stand in a request, and how long it may be. Unknown fields are errors: a misspelt `isCompromised` that is
 * silently ignored would leave a stolen key alive.
 */
export const bodyLimits = {
  reasonChars: 500,
  apiKeyChars: 1_000,
  apiKeyCharsMin: 8,
  codeChars: 100,
  requestIdChars: 200,
  tokenNameChars: 64,
  tokenCredentials: 100,
  tokenOverlapSeconds: 2_592_000,
  /** Ten years. */
  tokenLifeSeconds: 315_360_000,
} as const

const reason = z
  .string()
  .max(bodyLimits.reasonChars)
  .describe('Why, for the log and the history. Never put a key in it.')
  .exactOptional()

const version = z.string().regex(versionIdPattern, 'expected a version id: 1 to 128 of A-Z a-z 0-9 . _ -')

export const rejectionReport = z
  .strictObject({
    version: version.describe('The version that was refused, as the hand-out named it.'),
    status: z.int().min(100).max(599).describe('The HTTP status of the refusal.'),
    code: z
      .string()
      .max(bodyLimits.codeChars)
      .describe('`error.code` of the answer, e.g. invalid_api_key.')
      .exactOptional(),
    requestId: z
      .string()
      .max(bodyLimits.requestIdChars)
      .describe('`x-request-id` of the answer.')
      .exactOptional(),
  })
  .meta({ id: 'RejectionReport' }) satisfies z.ZodType<RejectionReport>

export const rotationRequest = z
  .strictObject({
    mode: z.enum(['normal', 'emergency', 'rehearsal']).describe('Default: normal.').exactOptional(),
    reason,
    isCompromised: z
      .boolean()
      .describe('With mode emergency: the old key is revoked as soon as the new one is out. Needs `confirm`.')
      .exactOptional(),
    inBlackout: z
      .boolean()
      .describe('With mode normal: although the credential is in a blackout.')
      .exactOptional(),
    confirm: z
      .string()
      .max(64)
      .describe('The name of the credential, typed out; with isCompromised.')
      .exactOptional(),
  })
  .meta({ id: 'RotationRequest' }) satisfies z.ZodType<RotationRequest>

export const rollbackRequest = z
  .strictObject({
    to: z
      .string()
      .min(1)
      .max(128)
      .describe('A version id, a unique beginning of one, or a fingerprint. Default: the previous version.')
      .exactOptional(),
    reason,
  })
  .meta({ id: 'RollbackRequest' }) satisfies z.ZodType<RollbackRequest>

export const bringRequest = z
  .strictObject({
    apiKey: z
      .string()
      .min(bodyLimits.apiKeyCharsMin)
      .max(bodyLimits.apiKeyChars)
      .regex(/^[\x21-\x7e]*$/, 'expected visible ASCII without spaces or line breaks')
      .describe('The key itself. Never echoed.'),
    reason,
  })
  .meta({ id: 'BringRequest' }) satisfies z.ZodType<BringRequest>

export const revocationRequest = z
  .strictObject({
    reason,
    evenIfLast: z.boolean().describe('Revoke even the last working key. Needs `confirm`.').exactOptional(),
    confirm: z.string().max(64).describe('The name of the credential, typed out.').exactOptional(),
  })
  .meta({ id: 'RevocationRequest' }) satisfies z.ZodType<RevocationRequest>

/** A name of a credential with `*` for any characters. */
export const credentialPattern = /^[a-z0-9*-]{1,63}$/

export const tokenName = z
  .string()
  .max(bodyLimits.tokenNameChars)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._@/-]*$/,
    'expected letters, digits and . _ @ / -, beginning with one of the first two',
  )

export const tokenRequest = z
  .strictObject({
    name: tokenName.describe('Who will hold it, e.g. billing-worker. Shown in logs and leases.'),
    role: z
      .enum(['app', 'operator'])
      .describe('operator: every grant on everything. Default: app.')
      .exactOptional(),
    credentials: z
      .array(
        z.string().regex(credentialPattern, {
          error: 'expected the name of a credential, or a pattern such as team-* or *',
        }),
      )
      .min(1)
      .max(bodyLimits.tokenCredentials)
      .describe('On which credentials; names, or patterns such as team-* and *. Ignored for operators.')
      .exactOptional(),
    grants: z
      .array(z.enum(allGrants))
      .min(1)
      .max(allGrants.length)
      .describe('What may be done with them. Default: read.')
      .exactOptional(),
    expiresInSeconds: z
      .int()
      .min(1)
      .max(bodyLimits.tokenLifeSeconds)
      .describe('Default: the token does not expire.')
      .exactOptional(),
  })
  .meta({ id: 'TokenRequest' }) satisfies z.ZodType<TokenRequest>

export const tokenRotationRequest = z
  .strictObject({
    name: tokenName.describe('Of the token that is live.'),
    overlapSeconds: z
      .int()
      .min(0)
      .max(bodyLimits.tokenOverlapSeconds)
      .describe('How long the old one stays good. Default: an hour.')
      .exactOptional(),
  })
  .meta({ id: 'TokenRotationRequest' }) satisfies z.ZodType<TokenRotationRequest>

export const alertTestRequest = z
  .strictObject({
    channel: z
      .string()
      .regex(credentialNamePattern, { error: 'expected the name of a channel' })
      .describe('One of the channels. Default: all of them.')
      .exactOptional(),
  })
  .meta({ id: 'AlertTestRequest' }) satisfies z.ZodType<AlertTestRequest>

/** `?wait=` of the hand-out: whole seconds. */
export const waitSecondsMax = 60

/** For routes that take none: nothing, or an empty object. */
export const noBody = z.strictObject({})
