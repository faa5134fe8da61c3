import { z } from 'zod'
import { allGrants } from '../core/grants.ts'
import { eventKinds } from './events.ts'
import type {
  ApprovalOutcome,
  ApprovalSummary,
  BlastRadius,
  CheckSummary,
  CredentialAnswer,
  CredentialSummary,
  EventMessage,
  HaltSummary,
  InventoryAnswer,
  InventoryKeySummary,
  LeaseSummary,
  MirrorSummary,
  PermissionSummary,
  Problem,
  Readiness,
  ReportAnswer,
  RetirementSummary,
  RotationSummary,
  StandbySummary,
  StepSummary,
  TokenAnswer,
  TokenSummary,
  Trouble,
  VersionSummary,
} from './types.ts'

/**
 * The answers of api/types.ts once more as schemas, for /openapi.json. Nothing is validated with them at run time; each
 * is checked against its interface by the compiler, so the two cannot drift apart.
 */
const instant = z.iso.datetime().describe('ISO 8601 in UTC')
const instantOrNull = instant.nullable()
const text = z.string()
const textOrNull = text.nullable()
const generation = z.int().min(0).describe('Rises with every change of what is handed out.')

export const credentialAnswer = z
  .object({
    name: text,
    apiKey: text.describe('The secret. The only message, beside a new token, that holds one.'),
    organization: textOrNull,
    project: textOrNull,
    baseUrl: text,
    version: text,
    fingerprint: text.describe('First 12 hex digits of a prefixed SHA-256 of the key; safe to show.'),
    stage: text,
    verdict: text.describe('valid, restricted, throttled, exhausted, blocked, misconfigured or unknown.'),
    verifiedAt: instant,
    rotatesAt: instantOrNull,
    staleAfterSeconds: z.int().min(0),
    generation,
    isLastKnownGood: z
      .literal(true)
      .describe('The answer comes from the last-known-good file; verifiedAt says how old it is.')
      .exactOptional(),
  })
  .meta({ id: 'CredentialAnswer' }) satisfies z.ZodType<CredentialAnswer>

const lastKnownGoodSummary = z
  .object({ verifiedAt: instant.describe('When the key proved itself last.') })
  .describe('There where the answer comes from the last-known-good file.')

export const checkSummary = z
  .object({ verdict: text, cause: text, summary: text, fix: text, checkedAt: instant })
  .meta({ id: 'CheckSummary' }) satisfies z.ZodType<CheckSummary>

export const trouble = z
  .object({ code: text, summary: text, fix: text, since: instantOrNull })
  .meta({ id: 'Trouble' }) satisfies z.ZodType<Trouble>

export const versionSummary = z
  .object({
    version: text,
    stage: text,
    origin: text,
    fingerprint: text,
    keyId: textOrNull,
    organization: textOrNull,
    project: textOrNull,
    serviceAccount: textOrNull,
    addedAt: instant,
    createdAt: instantOrNull,
    expiresAt: instantOrNull,
    promotedAt: instantOrNull,
    verifiedAt: instantOrNull,
    withdrawnAt: instantOrNull,
    isCompromised: z.boolean(),
    check: checkSummary.nullable(),
  })
  .meta({ id: 'VersionSummary' }) satisfies z.ZodType<VersionSummary>

export const stepSummary = z
  .object({ at: instant, phase: text, note: text })
  .meta({ id: 'StepSummary' }) satisfies z.ZodType<StepSummary>

export const haltSummary = z
  .object({ from: text, reason: text, summary: text, fix: text, at: instant })
  .meta({ id: 'HaltSummary' }) satisfies z.ZodType<HaltSummary>

export const retirementSummary = z
  .object({
    id: text,
    version: text,
    fingerprint: textOrNull,
    phase: text,
    startedAt: instant,
    overlapUntil: instant,
    heldBy: textOrNull,
    endedAt: instantOrNull,
    halt: haltSummary.nullable(),
    steps: z.array(stepSummary),
  })
  .meta({ id: 'RetirementSummary' }) satisfies z.ZodType<RetirementSummary>

export const permissionSummary = z
  .object({ permission: text, resource: text, state: z.enum(['granted', 'missing', 'untested']), fix: text })
  .meta({ id: 'PermissionSummary' }) satisfies z.ZodType<PermissionSummary>

export const rotationSummary = z
  .object({
    id: text,
    credential: text,
    mode: z.enum(['normal', 'emergency', 'rehearsal', 'standby']),
    reason: text,
    requestedBy: text,
    phase: text,
    isPaused: z.boolean(),
    outcome: textOrNull,
    from: textOrNull,
    to: textOrNull,
    startedAt: instant,
    phaseAt: instant,
    deadlineAt: instantOrNull,
    endedAt: instantOrNull,
    halt: haltSummary.nullable(),
    failure: haltSummary.nullable().describe('Of a rehearsal: why a rotation would not go through.'),
    permissions: z.array(permissionSummary).describe('Of a rehearsal: what is allowed.'),
    residue: z.array(text).describe('Of a rehearsal: what stores and issuer keep of its keys.'),
    steps: z.array(stepSummary),
    retirement: retirementSummary.nullable(),
  })
  .meta({ id: 'RotationSummary' }) satisfies z.ZodType<RotationSummary>

const standbySummary = z
  .object({
    ready: z.int(),
    version: textOrNull,
    addedAt: instantOrNull,
    refreshAt: instantOrNull,
    reason: textOrNull,
    nextTryAt: instantOrNull,
  })
  .meta({ id: 'StandbySummary' }) satisfies z.ZodType<StandbySummary>

const mirrorSummary = z
  .object({
    id: text,
    store: text,
    current: textOrNull,
    isInLine: z.boolean(),
    readAt: instantOrNull,
  })
  .meta({ id: 'MirrorSummary' }) satisfies z.ZodType<MirrorSummary>

export const credentialSummary = z
  .object({
    name: text,
    isInternal: z.boolean().describe('Keyturn’s own, such as an admin key: handed out to nobody.'),
    generation,
    current: versionSummary.nullable(),
    versions: z.array(versionSummary),
    rotation: rotationSummary.nullable(),
    retirements: z.array(retirementSummary),
    rotatesAt: instantOrNull,
    blackoutUntil: instantOrNull.describe('Until then nothing moves that nobody asks for.'),
    troubles: z.array(trouble),
    store: text,
    standby: standbySummary.nullable(),
    mirrors: z.array(mirrorSummary),
    issuer: text,
    lastKnownGood: lastKnownGoodSummary.exactOptional(),
  })
  .meta({ id: 'CredentialSummary' }) satisfies z.ZodType<CredentialSummary>

const inventoryKey = z
  .object({
    keyId: text,
    kind: z.enum(['project', 'admin']),
    name: text,
    redacted: textOrNull.describe('As the issuer shows it: a few characters of both ends.'),
    project: textOrNull,
    projectName: textOrNull,
    owner: textOrNull,
    ownerKind: z.enum(['service_account', 'user', 'unknown']),
    createdAt: instantOrNull,
    lastUsedAt: instantOrNull,
    isNeverUsed: z.boolean().nullable(),
    expiresAt: instantOrNull,
    standing: z.enum(['suspect', 'unlisted', 'held', 'ending', 'unknown']),
    holders: z.array(z.object({ credential: text, version: text, stage: text })),
  })
  .meta({ id: 'InventoryKeySummary' }) satisfies z.ZodType<InventoryKeySummary>

export const inventoryAnswer = z
  .object({
    at: instant,
    items: z.array(inventoryKey),
    gaps: z.array(z.object({ what: text, summary: text, fix: text })),
  })
  .meta({ id: 'InventoryAnswer' }) satisfies z.ZodType<InventoryAnswer>

export const leaseSummary = z
  .object({ instance: text, app: text, generation, seenAt: instant })
  .meta({ id: 'LeaseSummary' }) satisfies z.ZodType<LeaseSummary>

export const blastRadius = z
  .object({
    credential: text,
    version: text,
    fingerprint: text,
    stage: text,
    keyId: textOrNull,
    isCurrent: z.boolean(),
    createdAt: instant,
    lastUse: z.enum(['told', 'never', 'unknown']).describe('Whether the issuer tells when it was last used.'),
    lastUsedAt: instantOrNull,
    holders: z.array(
      z.object({
        app: text,
        instance: text,
        generation,
        seenAt: instant,
        isSilent: z.boolean().describe('Not heard of for ten minutes.'),
        isListening: z.boolean().describe('It has an event stream open and is told at once.'),
      }),
    ),
    mirrors: z.array(z.object({ id: text, store: text })),
    sharedWith: z.array(text).describe('Other credentials that hold the very same key.'),
    spare: z
      .object({ version: text, fingerprint: text, stage: text })
      .nullable()
      .describe('What can be handed out in its place at once.'),
  })
  .meta({ id: 'BlastRadius' }) satisfies z.ZodType<BlastRadius>

export const reportAnswer = z
  .object({ generation, version: textOrNull, verdict: text })
  .meta({ id: 'ReportAnswer' }) satisfies z.ZodType<ReportAnswer>

const tokenFields = {
  id: text,
  name: text,
  role: z.enum(['app', 'operator']),
  credentials: z.array(text).describe('What may be read.'),
  grants: z.array(z.object({ credentials: z.array(text), may: z.array(z.enum(allGrants)) })),
  createdAt: instant,
  expiresAt: instantOrNull,
  lastUsedAt: instantOrNull,
}

export const tokenSummary = z
  .object(tokenFields)
  .meta({ id: 'TokenSummary' }) satisfies z.ZodType<TokenSummary>

export const tokenAnswer = z
  .object({ ...tokenFields, token: text.describe('The token itself; it is shown this once.') })
  .meta({ id: 'TokenAnswer' }) satisfies z.ZodType<TokenAnswer>

export const eventMessage = z
  .object({
    credential: text,
    kind: z.enum(Object.keys(eventKinds)),
    generation,
    at: instant,
    data: z.record(text, z.unknown()),
  })
  .meta({ id: 'EventMessage' }) satisfies z.ZodType<EventMessage>

export const readiness = z
  .object({
    ready: z.boolean(),
    isInService: z.boolean(),
    version: text,
    isSandbox: z.boolean(),
    credentials: z.array(
      z.object({
        name: text,
        isInternal: z.boolean(),
        ready: z.boolean(),
        verdict: textOrNull,
        trouble: textOrNull,
        lastKnownGood: lastKnownGoodSummary.exactOptional(),
      }),
    ),
  })
  .meta({ id: 'Readiness' }) satisfies z.ZodType<Readiness>

export const health = z.object({ status: z.literal('ok') }).meta({ id: 'Health' })

export const problem = z
  .object({
    type: text.describe('urn:keyturn:error:<code>'),
    title: text,
    status: z.int(),
    code: text.describe('Stable; docs/errors.md has a line for each.'),
    detail: text,
    fix: text.exactOptional(),
    instance: text.describe('urn:keyturn:request:<x-request-id>').exactOptional(),
  })
  .meta({ id: 'Problem' }) satisfies z.ZodType<Problem>

export const approvalSummary = z
  .object({
    id: text,
    act: z.enum(['emergency', 'revocation']),
    version: textOrNull.describe('Which version is to be revoked; null for an emergency.'),
    isCompromised: z.boolean(),
    isEvenIfLast: z.boolean(),
    reason: textOrNull,
    requestedBy: text,
    requestedAt: instant,
    expiresAt: instant,
  })
  .meta({ id: 'ApprovalSummary' }) satisfies z.ZodType<ApprovalSummary>

export const approvalOutcome = z
  .object({ id: text, rotation: rotationSummary.nullable(), version: versionSummary.nullable() })
  .meta({ id: 'ApprovalOutcome' }) satisfies z.ZodType<ApprovalOutcome>

export const approvalList = listOf(approvalSummary, 'ApprovalList')
export const credentialList = listOf(credentialSummary, 'CredentialList')
export const versionList = listOf(versionSummary, 'VersionList')
export const rotationList = listOf(rotationSummary, 'RotationList')
export const leaseList = listOf(leaseSummary, 'LeaseList')
export const tokenList = listOf(tokenSummary, 'TokenList')

function listOf<Item extends z.ZodType>(item: Item, id: string) {
  return z.object({ items: z.array(item) }).meta({ id })
}
