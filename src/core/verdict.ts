import type { KeyKind } from './key-inspection.ts'
import type { Cause, Observation, Verdict } from './types.ts'
import { isAuthentic } from './types.ts'
import type { VerdictRow, When } from './verdict-row.ts'
import { verdictRows } from './verdict-rows.ts'

/** What is known besides the observation. All of it is optional and none of it is secret. */
export interface VerdictContext {
  /** The organisation and project headers that were sent with the key. */
  readonly sentOrganization?: string
  readonly sentProject?: string
  /** When the key expires, as far as is known. */
  readonly expiresAt?: number
  /** The instant of the observation; the issuer's own clock is preferred where it told it. */
  readonly now?: number
  /** What the key looked like, for a better sentence where it is rejected. */
  readonly keyKind?: KeyKind
}

/** Concludes from one observation. Total: every observation has a verdict, and what fits nothing is `unknown`. */
export function classify(observation: Observation, context: VerdictContext = {}): Verdict {
  const row = verdictRows.find((candidate) => candidate.when.some((when) => fits(when, observation, context)))
  return conclude(row ?? rowOf('answer_unexpected'), observation, { context })
}

/**
 * Whether this is the issuer's own word that the key is dead. Two of them, from two probes of our own at least 300 ms
 * apart, withdraw a key; nothing else does.
 */
export function isConclusiveRejection(verdict: Verdict): boolean {
  return verdict.kind === 'rejected'
}

/** Whether the key is genuine but less than what was declared: such a new key is not promoted. */
export function fallsShort(verdict: Verdict): boolean {
  return verdict.cause === 'declared_scope_missing' || verdict.cause === 'declared_model_missing'
}

export function rowOf(cause: Cause): VerdictRow {
  const row = verdictRows.find((candidate) => candidate.cause === cause)
  if (row === undefined) throw new TypeError(`there is no verdict row ${cause}`)
  return row
}

/** Makes the verdict that a row stands for. `missing` names scopes or models in its sentences. */
export function conclude(
  row: VerdictRow,
  observation: Observation | undefined,
  extra: { readonly context?: VerdictContext; readonly missing?: readonly string[] } = {},
): Verdict {
  const answer = observation?.kind === 'answer' ? observation : undefined
  const missing = extra.missing ?? answer?.missingScopes ?? []
  const context = extra.context ?? {}
  const fill = (text: string) => fillIn(text, missing, context)
  // What somebody else calls a code is no code of the issuer's.
  const code = answer?.isIssuers === true ? answer.code : undefined
  const isAboutScopes = row.cause === 'scope_missing' || row.cause === 'declared_scope_missing'
  return {
    kind: row.kind,
    cause: row.cause,
    summary: fill(row.summary) + aside(row, context.keyKind),
    fix: fill(row.fix),
    rotationCanHelp: row.rotationCanHelp,
    ...(answer === undefined ? {} : { status: answer.status }),
    ...(code === undefined ? {} : { code }),
    ...(answer?.requestId === undefined ? {} : { requestId: answer.requestId }),
    ...(answer?.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
    ...(isAboutScopes ? { missingScopes: missing } : {}),
  }
}

/** Whether a verdict says that the key is genuine. */
export function isGenuine(verdict: Verdict): boolean {
  return isAuthentic(verdict.kind)
}

function fits(when: When, observation: Observation, context: VerdictContext): boolean {
  if (observation.kind === 'no_answer') return when.failure === observation.failure
  if (when.failure !== undefined) return false
  if (observation.isIssuers !== (when.isIssuers ?? true)) return false
  if (when.status !== undefined && !isWithin(observation.status, when.status)) return false
  if (when.isExpired === true && !isExpired(observation, context)) return false
  return fitsName(when, observation)
}

function fitsName(when: When, observation: Extract<Observation, { kind: 'answer' }>): boolean {
  const { code = '', type = '', hint } = observation
  const { codes, codePrefixes, types, hints } = when
  if (codes === undefined && codePrefixes === undefined && types === undefined && hints === undefined)
    return true
  return (
    codes?.includes(code) === true ||
    types?.includes(type) === true ||
    (hint !== undefined && hints?.includes(hint) === true) ||
    codePrefixes?.some((prefix) => code.startsWith(prefix)) === true
  )
}

function isWithin(status: number, [from, to]: readonly [number, number]): boolean {
  return status >= from && status <= to
}

/** The issuer's clock decides where it told it: a local clock that is fast must not make a 401 conclusive. */
function isExpired(observation: Extract<Observation, { kind: 'answer' }>, context: VerdictContext): boolean {
  const at = observation.serverAt ?? context.now
  return context.expiresAt !== undefined && at !== undefined && at >= context.expiresAt
}

function fillIn(text: string, missing: readonly string[], context: VerdictContext): string {
  return text
    .replaceAll('{missing}', missing.length === 0 ? 'the missing permission' : missing.join(', '))
    .replaceAll('{organization}', context.sentOrganization ?? 'the organisation')
    .replaceAll('{project}', context.sentProject ?? 'the project')
}

/** One more half-sentence where the shape of a refused key explains the refusal. */
function aside(row: VerdictRow, keyKind: KeyKind | undefined): string {
  if (row.kind !== 'rejected') return ''
  if (keyKind === 'other_provider') return " It looks like another provider's key."
  if (keyKind === 'placeholder') return ' It looks like a placeholder that was never replaced.'
  if (keyKind === 'malformed') return ' It holds characters that do not belong to a key.'
  if (keyKind === 'admin') return ' It looks like an admin key, which cannot call models.'
  return ''
}
