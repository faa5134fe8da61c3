import {
  type AlertsAnswer,
  type AlertTestResult,
  type ApprovalOutcome,
  type ApprovalSummary,
  type AuditHeads,
  type AuditPage,
  type BlastRadius,
  type BringRequest,
  type CredentialAnswer,
  type CredentialSummary,
  type InventoryAnswer,
  type LeaseSummary,
  type List,
  type RevocationRequest,
  type RollbackRequest,
  type RotationRequest,
  type RotationSummary,
  routes,
  type SignedReport,
  type SigningKeyAnswer,
  type TokenAnswer,
  type TokenRequest,
  type TokenRotationRequest,
  type TokenSummary,
  type VersionSummary,
} from '../api/types.ts'
import { readEvents } from '../client/sse.ts'
import { KeyturnError } from '../core/errors.ts'
import { redactKeys } from '../core/key-shape.ts'
import { nearest } from '../core/nearest.ts'
import { type Call, nameOf, open, send } from './http.ts'
import { malformed, refusal } from './refusal.ts'
import type { Address, Token } from './target.ts'

/** The service as the commands use it. Every method throws KeyturnErrors: the service's own refusals, with their fixes, or `service_*`. */
export interface Api {
  readonly where: string
  credential(name: string): Promise<CredentialAnswer>
  summaries(): Promise<readonly CredentialSummary[]>
  /** Only these, in as few requests as fit; names that are not there are left out. */
  summariesOf(names: readonly string[]): Promise<readonly CredentialSummary[]>
  summary(name: string): Promise<CredentialSummary>
  versions(name: string): Promise<readonly VersionSummary[]>
  verify(name: string): Promise<CredentialSummary>
  rotate(name: string, request: RotationRequest): Promise<RotationSummary>
  rotations(name: string): Promise<readonly RotationSummary[]>
  rotation(name: string, id: string): Promise<RotationSummary>
  rotationReport(name: string, id: string): Promise<SignedReport>
  versionReport(name: string, version: string): Promise<SignedReport>
  signingKey(): Promise<SigningKeyAnswer>
  act(name: string, id: string, act: 'pause' | 'resume' | 'abort'): Promise<RotationSummary>
  /** `version`: as for `revoke`. Default: what is current. */
  blastRadius(name: string, version?: string): Promise<BlastRadius>
  rollback(name: string, request: RollbackRequest): Promise<CredentialSummary>
  bring(name: string, request: BringRequest): Promise<VersionSummary>
  revoke(name: string, version: string, request: RevocationRequest): Promise<VersionSummary>
  approvals(name: string): Promise<readonly ApprovalSummary[]>
  approve(name: string, id: string): Promise<ApprovalOutcome>
  leases(name: string): Promise<readonly LeaseSummary[]>
  dropLease(name: string, instance: string): Promise<void>
  inventory(): Promise<InventoryAnswer>
  alerts(): Promise<AlertsAnswer>
  /** Default: every channel. */
  testAlerts(channel?: string): Promise<readonly AlertTestResult[]>
  audit(query: AuditFilter & { readonly after: number }): Promise<AuditPage>
  auditHeads(): Promise<AuditHeads>
  tokens(): Promise<readonly TokenSummary[]>
  createToken(request: TokenRequest): Promise<TokenAnswer>
  rotateToken(request: TokenRotationRequest): Promise<TokenAnswer>
  revokeToken(id: string): Promise<void>
  /** Calls back for every event of the credential until the signal; ends, with or without an error, when the stream does. */
  follow(name: string, listener: Listener, signal: AbortSignal): Promise<void>
}

export interface Listener {
  /** The stream is there, and will tell. */
  readonly onOpen?: () => void
  readonly onEvent: () => void
}

/** Which rows of the audit; what is absent lets all through. */
export type AuditFilter = Readonly<
  Partial<Record<'kind' | 'action' | 'outcome' | 'credential' | 'caller' | 'since' | 'until', string>>
>

/** More names than this are no help. */
const namesShownMax = 20

/** The service sends a sign of life more often than this. */
const streamSilenceMs = 60_000

export interface ApiOptions {
  readonly address: Address
  readonly token: Token
  /** Makes a repeated start of a rotation the same one. */
  readonly idempotencyKey: () => string
}

export function createApi(options: ApiOptions): Api {
  const { address, token } = options
  const call = async (request: Omit<Call, 'token'>): Promise<unknown> => {
    const reply = await send(address, { ...request, token: token.value })
    if (reply.status === 204) return undefined
    const isGood = reply.status >= 200 && reply.status < 300
    const value = parse(reply.text)
    if (isGood && value !== undefined) return value
    throw isGood ? malformed(options) : refusal(options, reply.status, value)
  }
  // The one place where an answer is believed to have the shape of the contract: both sides share its types.
  const get = async <Answer>(path: string): Promise<Answer> => (await call({ method: 'GET', path })) as Answer
  const post = async <Answer>(path: string, body: unknown, headers = {}): Promise<Answer> =>
    (await call({ method: 'POST', path, body, headers })) as Answer
  const items = async <Item>(path: string): Promise<readonly Item[]> => {
    const list = await get<List<Item>>(path)
    if (!Array.isArray(list.items)) throw malformed(options)
    return list.items
  }
  const summaries = (): Promise<readonly CredentialSummary[]> => items(routes.credentials)
  /** A name that is not there is told with those that are. */
  const of = async <Answer>(name: string, answer: Promise<Answer>): Promise<Answer> => {
    try {
      return await answer
    } catch (error) {
      const isAbsent = error instanceof KeyturnError && error.code === 'not_found'
      // Whatever goes wrong with this second question, the first refusal is what is told.
      const known = isAbsent ? await summaries().catch(() => undefined) : undefined
      if (known === undefined || known.some((summary) => summary.name === name)) throw error
      throw absent(name, known)
    }
  }
  return {
    where: nameOf(address),
    credential: (name) => of(name, get(routes.credential(name))),
    summaries,
    async summariesOf(names) {
      const found: CredentialSummary[] = []
      for (const part of inParts(names))
        found.push(...(await items<CredentialSummary>(`${routes.credentials}?names=${part.join(',')}`)))
      return found
    },
    async summary(name) {
      const all = await summaries()
      const found = all.find((summary) => summary.name === name)
      if (found === undefined) throw absent(name, all)
      return found
    },
    versions: (name) => of(name, items(routes.versions(name))),
    verify: (name) => of(name, post(routes.verifications(name), {})),
    rotate: (name, request) =>
      of(name, post(routes.rotations(name), request, { 'idempotency-key': options.idempotencyKey() })),
    rotations: (name) => of(name, items(routes.rotations(name))),
    rotation: (name, id) => get(routes.rotation(name, id)),
    rotationReport: (name, id) => get(routes.rotationReport(name, id)),
    versionReport: (name, version) => of(name, get(routes.versionReport(name, version))),
    signingKey: () => get(routes.signingKey),
    act: (name, id, act) => post(routes.rotationAct(name, id, act), {}),
    blastRadius: (name, version) =>
      of(
        name,
        get(
          `${routes.blastRadius(name)}${version === undefined ? '' : `?version=${encodeURIComponent(version)}`}`,
        ),
      ),
    rollback: (name, request) => of(name, post(routes.rollbacks(name), request)),
    bring: (name, request) => of(name, post(routes.versions(name), request)),
    revoke: (name, version, request) => of(name, post(routes.revocations(name, version), request)),
    approvals: (name) => of(name, items(routes.approvals(name))),
    approve: (name, id) => post(routes.approval(name, id), {}),
    leases: (name) => of(name, items(routes.leases(name))),
    async dropLease(name, instance) {
      await of(name, call({ method: 'DELETE', path: routes.lease(name, instance) }))
    },
    inventory: () => get(routes.inventory),
    alerts: () => get(routes.alerts),
    async testAlerts(channel) {
      const asked = channel === undefined ? {} : { channel }
      return (await post<List<AlertTestResult>>(routes.alertTests, asked)).items
    },
    audit: (query) => {
      const asked = new URLSearchParams()
      for (const [name, value] of Object.entries(query)) asked.set(name, String(value))
      return get(`${routes.audit}?${asked.toString()}`)
    },
    auditHeads: () => get(routes.auditHeads),
    tokens: () => items(routes.tokens),
    createToken: (request) => post(routes.tokens, request),
    rotateToken: (request) => post(routes.tokenRotations, request),
    async revokeToken(id) {
      await call({ method: 'DELETE', path: routes.token(id) })
    },
    async follow(name, { onOpen, onEvent }, signal) {
      const request: Call = {
        method: 'GET',
        path: routes.events(name),
        token: token.value,
        accept: 'text/event-stream',
        signal,
      }
      const message = await open(address, request, streamSilenceMs)
      if (message.statusCode !== 200) {
        message.destroy()
        throw refusal(options, message.statusCode ?? 0, undefined)
      }
      onOpen?.()
      for await (const event of readEvents(message)) if (event !== undefined) onEvent()
    },
  }
}

/** The service takes URLs of 2,048 characters. */
const namesCharsMax = 1_800

function inParts(names: readonly string[]): readonly (readonly string[])[] {
  const parts: string[][] = []
  let room = 0
  for (const name of names) {
    if (room < name.length + 1) {
      parts.push([])
      room = namesCharsMax
    }
    parts.at(-1)?.push(encodeURIComponent(name))
    room -= name.length + 1
  }
  return parts
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

function absent(name: string, all: readonly CredentialSummary[]): KeyturnError {
  const names = all.map((summary) => summary.name)
  const near = nearest(name, names)
  const guess = near === undefined ? '' : `Did you mean ${near}? `
  return new KeyturnError('not_found', `there is no credential named '${redactKeys(name)}'`, {
    fix: `${guess}${thereAre(names)}`,
  })
}

/** What a name that fits nothing may have been meant for. */
export function thereAre(names: readonly string[]): string {
  if (names.length === 0) return 'None is configured, or the token may read none; see docs/configuration.md.'
  const more = names.length > namesShownMax ? ', …' : ''
  return `There are: ${names.slice(0, namesShownMax).join(', ')}${more}.`
}
