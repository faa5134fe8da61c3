import type { OperationId } from '../api/operations.ts'
import type { AuditHeads, AuditPage } from '../api/types.ts'
import type { AuditFilter } from '../core/audit.ts'
import { KeyturnError } from '../core/errors.ts'
import { parseInstant } from '../core/instant.ts'
import { credentialNamePattern } from '../core/types.ts'
import type { Handler } from './routes.ts'

/** The journal as those who may see it do. */
export interface AuditReader {
  page(query: AuditQuery): Promise<AuditPage>
  heads(): Promise<AuditHeads>
  status(): Omit<AuditHeads, 'items'>
}

export interface AuditQuery {
  readonly after: number
  readonly limit: number
  readonly filter: AuditFilter
}

const limitDefault = 100
const limitMax = 1_000

export function auditHandlers({ auditReader }: { readonly auditReader: AuditReader | undefined }) {
  const reader = (): AuditReader => {
    if (auditReader !== undefined) return auditReader
    throw new KeyturnError('not_found', 'This service keeps no audit journal.', {
      fix: 'Ask a service that was started with keyturn serve.',
    })
  }
  return {
    getAudit: async ({ request }) =>
      reader().page(queryOf(request.query as Readonly<Record<string, unknown>>)),
    getAuditHeads: async () => reader().heads(),
  } satisfies Partial<Record<OperationId, Handler>>
}

const wordPattern = /^[A-Za-z_]{1,64}$/
const callerPattern = /^\P{Cc}{1,200}$/u

/** `bad_request` where a parameter is not usable. */
export function queryOf(query: Readonly<Record<string, unknown>>): AuditQuery {
  const text = (name: string, pattern: RegExp): string | undefined => {
    const value = query[name]
    if (value === undefined) return undefined
    if (typeof value === 'string' && pattern.test(value)) return value
    throw unusable(name)
  }
  const whole = (name: string, otherwise: number, most: number): number => {
    const value = Number(text(name, /^\d{1,15}$/) ?? otherwise)
    if (value > most) throw unusable(name)
    return value
  }
  const instant = (name: string): string | undefined => {
    const value = text(name, /^[0-9TZ:.+-]{10,40}$/)
    if (value === undefined) return undefined
    const at = parseInstant(value)
    if (at === undefined) throw unusable(name)
    return new Date(at).toISOString()
  }
  const fields = {
    kind: text('kind', wordPattern),
    action: text('action', wordPattern),
    outcome: text('outcome', wordPattern),
    credential: text('credential', credentialNamePattern),
    caller: text('caller', callerPattern),
    since: instant('since'),
    until: instant('until'),
  }
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  return {
    after: whole('after', 0, Number.MAX_SAFE_INTEGER),
    limit: Math.max(1, whole('limit', limitDefault, limitMax)),
    filter: Object.fromEntries(given),
  }
}

function unusable(name: string): KeyturnError {
  return new KeyturnError('bad_request', `The parameter \`${name}\` is not usable.`, {
    fix: `docs/api.md lists the parameters of GET /v1/audit; limit is at most ${limitMax}, instants are ISO 8601, in UTC where they name no zone.`,
  })
}
