import type { ApprovalSummary, RevocationRequest, RotationRequest } from '../api/types.ts'
import type { ApprovalRule } from '../core/access.ts'
import { assertConfirmed, assertLastConfirmed } from '../core/confirmation.ts'
import { KeyturnError } from '../core/errors.ts'
import { redactKeys } from '../core/key-shape.ts'
import { createMatcher } from '../core/patterns.ts'
import type { Ledger, System } from '../core/ports.ts'
import { type Caller, socketPerson } from './auth/caller.ts'

/** What a second person is asked to allow, as it will be done. */
export type PendingAct =
  | { readonly kind: 'emergency'; readonly request: RotationRequest }
  | { readonly kind: 'revocation'; readonly version: string; readonly request: RevocationRequest }

export interface Pending {
  readonly id: string
  readonly act: PendingAct
  readonly by: Pick<Caller, 'id' | 'name' | 'person' | 'kind'>
  readonly at: number
  readonly expiresAt: number
}

/**
 * Acts that need two persons. What the first one asks for waits in the ledger, where every replica finds it; a second one
 * approves it, and it is done once. Whether two callers are two persons: neither their names nor who made their tokens
 * are the same.
 */
export interface Approvals {
  /** Returns where one person is enough; else notes what was asked for and throws `approval_needed`. */
  need(name: string, act: PendingAct, by: Caller): Promise<void>
  list(name: string): Promise<readonly ApprovalSummary[]>
  /** Whether anything of the credential needs two persons; asks nobody. */
  mayWait(name: string): boolean
  /** Takes it out, so that it is done once: `not_found`, `approval_needed` for the person who asked. */
  take(name: string, id: string, by: Caller): Promise<Pending>
  /** False where there is no such one. */
  withdraw(name: string, id: string): Promise<boolean>
}

export interface ApprovalsOptions {
  /** Asked every time: they may change. */
  readonly rules: () => readonly ApprovalRule[]
  readonly documents: Pick<Ledger, 'document' | 'putDocument'>
  readonly system: Pick<System, 'now' | 'bytes'>
  /** Whether who asked would still be let in. */
  readonly isKnown: (by: Pending['by']) => boolean
}

/** Where nothing needs two persons. */
export const noApprovals: Pick<ApprovalsOptions, 'rules' | 'documents'> = {
  rules: () => [],
  documents: { document: async () => undefined, putDocument: async () => false },
}

const approvalMs = 900_000
/** Of one credential, and of one person: whoever asks for everything holds up no emergency of another. */
const pendingMax = 100
const perPersonMax = 5
const attemptsMax = 8

export function createApprovals({ rules, documents, system, isKnown }: ApprovalsOptions): Approvals {
  const read = async (name: string) => {
    const document = await documents.document(keyOf(name))
    const all = (document?.value as { readonly pending?: readonly Pending[] } | undefined)?.pending ?? []
    return {
      pending: all.filter(({ expiresAt }) => system.now() < expiresAt),
      revision: document?.revision ?? 0,
    }
  }
  /** By compare-and-swap: of two who change it at once one looks again. */
  const change = async <Result>(
    name: string,
    work: (pending: readonly Pending[]) => {
      readonly pending: readonly Pending[]
      readonly result: Result
    },
  ): Promise<Result> => {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const before = await read(name)
      const { pending, result } = work(before.pending)
      if (pending === before.pending) return result
      const value = { pending }
      if (await documents.putDocument({ key: keyOf(name), value, revision: before.revision })) return result
    }
    throw new KeyturnError('conflict', `The approvals of ${name} are being changed by others.`, {
      fix: 'Try again in a moment.',
      retryable: true,
    })
  }

  return {
    async need(name, act, by) {
      if (personsFor(rules(), name, act) < 2) return
      if (by.person === socketPerson) throw nobodyInParticular()
      // Else the second person would find out, when what they approved is gone.
      assertTyped(name, act)
      const kept = withoutKeys(act)
      const now = system.now()
      const waiting = await change(name, (pending) => {
        const same = pending.find((one) => sameAct(one.act, kept))
        if (same !== undefined) return { pending, result: same }
        const theirs = pending.filter((one) => isSamePerson(one.by, by)).length
        if (theirs >= perPersonMax || pending.length >= pendingMax) throw tooManyWait(name)
        const one: Pending = {
          id: `apr_${Buffer.from(system.bytes(6)).toString('hex')}`,
          act: kept,
          by: { id: by.id, name: by.name, person: by.person, kind: by.kind },
          at: now,
          expiresAt: now + approvalMs,
        }
        return { pending: [...pending, one], result: one }
      })
      throw needed(name, waiting)
    },
    mayWait: (name) =>
      rules().some(
        ({ credentials, emergency, revocation }) =>
          Math.max(emergency, revocation) > 1 && createMatcher(credentials).matches(name),
      ),
    async list(name) {
      return (await read(name)).pending.map(summaryOf)
    },
    take: (name, id, by) =>
      change(name, (pending) => {
        const found = pending.find((one) => one.id === id)
        if (found === undefined) throw absent()
        if (by.person === socketPerson) throw nobodyInParticular()
        if (isSamePerson(found.by, by))
          throw new KeyturnError('approval_needed', 'Who asked for it cannot approve it.', {
            fix: 'Another person approves it, with a token that neither of the two made for the other over the API.',
          })
        if (!isKnown(found.by))
          throw new KeyturnError('conflict', 'Who asked for it is no longer let in.', {
            fix: `Ask for it anew; DELETE the approval to be rid of it.`,
          })
        return { pending: pending.filter((one) => one !== found), result: found }
      }),
    withdraw: (name, id) =>
      change(name, (pending) => {
        const rest = pending.filter((one) => one.id !== id)
        return rest.length === pending.length ? { pending, result: false } : { pending: rest, result: true }
      }),
  }
}

/** The most that any rule asks for: a narrow rule cannot take away what a wide one protects. */
export function personsFor(rules: readonly ApprovalRule[], name: string, act: PendingAct): number {
  const matching = rules.filter(({ credentials }) => createMatcher(credentials).matches(name))
  // An emergency for a key in the wrong hands revokes the old one, whoever uses it.
  const isRevocation =
    act.kind === 'revocation' || (act.kind === 'emergency' && act.request.isCompromised === true)
  return Math.max(
    1,
    ...matching.map(({ emergency, revocation }) =>
      Math.max(act.kind === 'emergency' ? emergency : 1, isRevocation ? revocation : 1),
    ),
  )
}

export function isSamePerson(
  one: Pick<Caller, 'name' | 'person'>,
  other: Pick<Caller, 'name' | 'person'>,
): boolean {
  return [one.name, one.person].some((each) => each === other.name || each === other.person)
}

function assertTyped(name: string, act: PendingAct): void {
  const { request } = act
  if (act.kind === 'emergency' && act.request.isCompromised === true) assertConfirmed(name, request.confirm)
  if (act.kind === 'revocation' && act.request.evenIfLast === true) assertLastConfirmed(name, request.confirm)
}

/** People quote the key that leaked; what waits lies in the ledger, which takes no keys, and is shown. */
function withoutKeys<Act extends PendingAct>(act: Act): Act {
  const { reason, confirm } = act.request
  return {
    ...act,
    request: {
      ...act.request,
      ...(reason === undefined ? {} : { reason: redactKeys(reason) }),
      ...(confirm === undefined ? {} : { confirm: redactKeys(confirm) }),
    },
  }
}

/** Reasons may differ: they are told, and change nothing of what is done. */
function sameAct(one: PendingAct, other: PendingAct): boolean {
  return JSON.stringify(bare(one)) === JSON.stringify(bare(other))
}

function bare(act: PendingAct): readonly unknown[] {
  const { reason: _reason, ...request } = act.request
  const entries = Object.entries(request).sort(([left], [right]) => (left < right ? -1 : 1))
  return [act.kind, act.kind === 'revocation' ? act.version : '', entries]
}

function summaryOf({ id, act, by, at, expiresAt }: Pending): ApprovalSummary {
  return {
    id,
    act: act.kind,
    version: act.kind === 'revocation' ? act.version : null,
    isCompromised: act.kind === 'emergency' && act.request.isCompromised === true,
    isEvenIfLast: act.kind === 'revocation' && act.request.evenIfLast === true,
    reason: act.request.reason ?? null,
    requestedBy: by.name,
    requestedAt: new Date(at).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  }
}

function needed(name: string, { id, act }: Pending): KeyturnError {
  const what = act.kind === 'emergency' ? 'An emergency rotation' : 'Revoking a version'
  return new KeyturnError('approval_needed', `${what} of ${name} needs a second person; it waits as ${id}.`, {
    fix: `Have another operator run 'keyturn approve ${name} ${id}' within 15 minutes (POST /v1/credentials/${name}/approvals/${id}).`,
  })
}

function tooManyWait(name: string): KeyturnError {
  return new KeyturnError(
    'too_many_requests',
    `Too many acts wait for approval already: at most ${perPersonMax} of one person, and ${pendingMax} of all.`,
    { fix: `Approve or withdraw some: keyturn approve ${name}` },
  )
}

/** Whoever has a token and can reach the socket would be two persons by leaving the token out. */
function nobodyInParticular(): KeyturnError {
  return new KeyturnError(
    'forbidden',
    'This needs two persons, and over the socket none is told from another.',
    {
      fix: 'Ask with a token, a web token or a certificate of your own; a token that was made over the socket is none.',
    },
  )
}

function absent(): KeyturnError {
  return new KeyturnError('not_found', 'Nothing waits for approval under this id.', {
    fix: 'It may have been approved, withdrawn, or be older than 15 minutes: list what waits.',
  })
}

function keyOf(name: string): string {
  return `approvals:${name}`
}
