import type { z } from 'zod'
import * as alertAnswers from './alert-answers.ts'
import * as answers from './answers.ts'
import * as evidence from './evidence-answers.ts'
import type { Grant } from './types.ts'
import * as bodies from './validators.ts'

/**
 * open: nobody is asked. seen: any grant on the credential will do; without a credential in the path, any caller. Else one
 * of the grants: on the credential in the path, or on the service as a whole where there is none.
 */
export type Access = 'open' | 'seen' | Grant | readonly Grant[]

export interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'OPTIONS'
  /** In the notation of OpenAPI: `{name}`. */
  readonly path: string
  readonly access: Access
  /** The grant on any credential will do; its handler looks at each. */
  readonly isOnAny?: boolean
  /** Bodies may be CloudEvents. */
  readonly takesCloudEvents?: boolean
  readonly summary: string
  /** A secret goes in or out: refused to anything that a browser sends for a page. */
  readonly isSecret?: boolean
  readonly body?: z.ZodType<object>
  readonly isBodyRequired?: boolean
  readonly query?: readonly string[]
  readonly requestHeaders?: readonly string[]
  readonly status: number
  readonly answer?: z.ZodType
  /** Where it is not `application/json`. */
  readonly mediaType?: string
}

const named = '/v1/credentials/{name}'
const leaseHeaders = ['Keyturn-Instance', 'Keyturn-Generation-In-Flight'] as const

/** Every route of the service, once: the server routes by it, /openapi.json and the tests of docs/api.md are made of it. */
export const operations = {
  listCredentials: {
    method: 'GET',
    path: '/v1/credentials',
    access: 'seen',
    summary: 'What the caller may read, without secrets',
    query: ['names'],
    status: 200,
    answer: answers.credentialList,
  },
  getCredential: {
    method: 'GET',
    path: named,
    access: 'read',
    isSecret: true,
    summary: 'The current verified credential',
    query: ['wait'],
    requestHeaders: ['If-None-Match', ...leaseHeaders],
    status: 200,
    answer: answers.credentialAnswer,
  },
  streamEvents: {
    method: 'GET',
    path: `${named}/events`,
    access: 'seen',
    summary: 'What happens to the credential, as server-sent events',
    requestHeaders: ['Last-Event-ID', ...leaseHeaders],
    status: 200,
    answer: answers.eventMessage,
    mediaType: 'text/event-stream',
  },
  reportRejection: {
    method: 'POST',
    path: `${named}/reports`,
    access: 'read',
    summary: 'An app says that its key was refused',
    body: bodies.rejectionReport,
    isBodyRequired: true,
    status: 200,
    answer: answers.reportAnswer,
  },
  listVersions: {
    method: 'GET',
    path: `${named}/versions`,
    access: ['operate', 'audit'],
    summary: 'The versions of a credential, without secrets',
    status: 200,
    answer: answers.versionList,
  },
  bringVersion: {
    method: 'POST',
    path: `${named}/versions`,
    access: 'operate',
    isSecret: true,
    summary: "Brings an operator's key",
    body: bodies.bringRequest,
    isBodyRequired: true,
    status: 201,
    answer: answers.versionSummary,
  },
  verifyCredential: {
    method: 'POST',
    path: `${named}/verifications`,
    access: 'operate',
    summary: 'Verifies the current version now',
    status: 200,
    answer: answers.credentialSummary,
  },
  listRotations: {
    method: 'GET',
    path: `${named}/rotations`,
    access: ['operate', 'audit'],
    summary: 'Running and ended rotations, newest first',
    status: 200,
    answer: answers.rotationList,
  },
  startRotation: {
    method: 'POST',
    path: `${named}/rotations`,
    access: 'operate',
    summary: 'Starts a rotation',
    body: bodies.rotationRequest,
    requestHeaders: ['Idempotency-Key'],
    status: 202,
    answer: answers.rotationSummary,
  },
  getRotation: {
    method: 'GET',
    path: `${named}/rotations/{id}`,
    access: ['operate', 'audit'],
    summary: 'One rotation, with its steps',
    status: 200,
    answer: answers.rotationSummary,
  },
  getRotationReport: {
    method: 'GET',
    path: `${named}/rotations/{id}/report`,
    access: ['operate', 'audit'],
    summary: 'The signed report of a rotation and of all it set off; as text with Accept: text/plain',
    status: 200,
    answer: evidence.signedReport,
  },
  pauseRotation: rotationAct('pause', 'Pauses a rotation before its next step'),
  resumeRotation: rotationAct('resume', 'Lets a paused or halted rotation go on'),
  abortRotation: rotationAct('abort', 'Ends a rotation and discards its pending key'),
  rollBack: {
    method: 'POST',
    path: `${named}/rollbacks`,
    access: 'operate',
    summary: 'Makes another live version the current one',
    body: bodies.rollbackRequest,
    status: 200,
    answer: answers.credentialSummary,
  },
  revokeVersion: {
    method: 'POST',
    path: `${named}/versions/{version}/revocations`,
    access: 'operate',
    summary: 'Revokes a version at the issuer',
    body: bodies.revocationRequest,
    status: 202,
    answer: answers.versionSummary,
  },
  getVersionReport: {
    method: 'GET',
    path: `${named}/versions/{version}/report`,
    access: ['operate', 'audit'],
    summary: 'The signed report of how an old key was retired; as text with Accept: text/plain',
    status: 200,
    answer: evidence.signedReport,
  },
  getBlastRadius: {
    method: 'GET',
    path: `${named}/blast-radius`,
    access: ['operate', 'audit'],
    summary: 'Who loses what when a key is revoked now',
    query: ['version'],
    status: 200,
    answer: answers.blastRadius,
  },
  listApprovals: {
    method: 'GET',
    path: `${named}/approvals`,
    access: ['operate', 'audit'],
    summary: 'Acts that wait for a second person',
    status: 200,
    answer: answers.approvalList,
  },
  approve: {
    method: 'POST',
    path: `${named}/approvals/{id}`,
    access: 'operate',
    summary: 'Approves what another person asked for, and does it',
    status: 202,
    answer: answers.approvalOutcome,
  },
  withdrawApproval: {
    method: 'DELETE',
    path: `${named}/approvals/{id}`,
    access: 'operate',
    summary: 'Takes back what waits for a second person',
    status: 204,
  },
  listLeases: {
    method: 'GET',
    path: `${named}/leases`,
    access: 'seen',
    summary: 'Who uses which generation; an app sees its own',
    status: 200,
    answer: answers.leaseList,
  },
  dropLease: {
    method: 'DELETE',
    path: `${named}/leases/{instance}`,
    access: ['operate', 'read'],
    summary: 'Forgets an instance that will not come back; an app ends its own',
    requestHeaders: ['Keyturn-Instance'],
    status: 204,
  },
  getInventory: {
    method: 'GET',
    path: '/v1/inventory',
    access: 'operate',
    summary: 'Every key of the organisation, and who holds it',
    status: 200,
    answer: answers.inventoryAnswer,
  },
  listTokens: {
    method: 'GET',
    path: '/v1/tokens',
    access: 'operate',
    isSecret: true,
    summary: 'The tokens, without their secrets',
    status: 200,
    answer: answers.tokenList,
  },
  createToken: {
    method: 'POST',
    path: '/v1/tokens',
    access: 'operate',
    isSecret: true,
    summary: 'Makes a token; the answer shows it this once',
    body: bodies.tokenRequest,
    isBodyRequired: true,
    status: 201,
    answer: answers.tokenAnswer,
  },
  rotateToken: {
    method: 'POST',
    path: '/v1/tokens/rotations',
    access: 'operate',
    isSecret: true,
    summary: 'Makes a second token of a name, and lets the first one end',
    body: bodies.tokenRotationRequest,
    isBodyRequired: true,
    status: 201,
    answer: answers.tokenAnswer,
  },
  revokeToken: {
    method: 'DELETE',
    path: '/v1/tokens/{id}',
    access: 'operate',
    isSecret: true,
    summary: 'Revokes a token at once',
    status: 204,
  },
  listAlerts: {
    method: 'GET',
    path: '/v1/alerts',
    access: ['operate', 'audit'],
    summary: 'What fires, who was told, and what waits and why',
    status: 200,
    answer: alertAnswers.alertsAnswer,
  },
  testAlerts: {
    method: 'POST',
    path: '/v1/alerts/tests',
    access: 'operate',
    summary: 'Sends a test to one channel for alerts, or to all',
    body: bodies.alertTestRequest,
    status: 200,
    answer: alertAnswers.alertTestResults,
  },
  getAudit: {
    method: 'GET',
    path: '/v1/audit',
    access: 'audit',
    summary: 'Rows of the audit journal of this replica, oldest first',
    query: ['after', 'limit', 'kind', 'action', 'outcome', 'credential', 'caller', 'since', 'until'],
    status: 200,
    answer: evidence.auditPage,
  },
  getAuditHeads: {
    method: 'GET',
    path: '/v1/audit/heads',
    access: 'audit',
    summary: 'How the audit journal does, and its newest signed heads',
    status: 200,
    answer: evidence.auditHeads,
  },
  getSigningKey: {
    method: 'GET',
    path: '/v1/signing-key',
    access: 'open',
    summary: 'The public key that reports are signed with',
    status: 200,
    answer: evidence.signingKeyAnswer,
  },
  getHealth: {
    method: 'GET',
    path: '/healthz',
    access: 'open',
    summary: 'Whether the process turns',
    status: 200,
    answer: answers.health,
  },
  getReadiness: {
    method: 'GET',
    path: '/readyz',
    access: 'open',
    query: ['scope'],
    summary: 'Whether every credential can be handed out; 503 where one cannot',
    status: 200,
    answer: answers.readiness,
  },
  getMetrics: {
    method: 'GET',
    path: '/metrics',
    access: 'metrics',
    summary: 'Metrics in the text format of Prometheus',
    status: 200,
    mediaType: 'text/plain',
  },
  getOpenApi: {
    method: 'GET',
    path: '/openapi.json',
    access: 'open',
    summary: 'This contract as OpenAPI 3.1',
    status: 200,
  },
  getIndex: {
    method: 'GET',
    path: '/',
    access: 'dashboard',
    summary: 'What runs here, for people',
    status: 200,
    mediaType: 'text/plain',
  },
} as const satisfies Readonly<Record<string, Operation>>

export type OperationId = keyof typeof operations

function rotationAct<Act extends 'pause' | 'resume' | 'abort'>(act: Act, summary: string) {
  return {
    method: 'POST',
    path: `${named}/rotations/{id}/${act}`,
    access: 'operate',
    summary,
    status: 200,
    answer: answers.rotationSummary,
  } as const
}
