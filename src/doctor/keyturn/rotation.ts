import type { CredentialSummary, HaltSummary } from '../../api/types.ts'
import type { Check } from '../check.ts'
import type { KeyturnCredential } from '../facts.ts'
import type { Finding } from '../finding.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** A scheduled rotation begins late by its jitter, and waits for an outage to be over. */
const lateMs = 6 * hourMs
/** The same where only the age of the key tells: the longest jitter that can be configured is below it. */
const ageSlackMs = 2 * dayMs

/** T32: a rotation that waits for a person, and a key older than its schedule allows. */
export const rotation: Check = {
  name: 'rotation',
  needsNetwork: false,
  run: async ({ keyturn }, { system }) =>
    keyturn?.credentials.flatMap((one) => findingsOf(one, system.now())) ?? [],
}

function findingsOf(credential: KeyturnCredential, now: number): readonly Finding[] {
  const halts = haltsOf(credential.status)
  // Why it is late is what the halt says.
  if (halts.length > 0) return halts.map((halt) => halted(credential, halt))
  return [...overdue(credential, now)]
}

function haltsOf(status: CredentialSummary | undefined): readonly HaltSummary[] {
  if (status === undefined) return []
  const walks = [status.rotation, ...status.retirements]
  return walks.map((walk) => (walk?.endedAt === null ? walk.halt : null)).filter((halt) => halt !== null)
}

function halted({ name, store }: KeyturnCredential, { from, summary, fix, at }: HaltSummary): Finding {
  return {
    code: 'rotation_halted',
    severity: 'error',
    seen: `halted in ${from.replaceAll('_', ' ')} since ${at}: ${summary.replace(/\.$/, '')}`,
    cause: 'A rotation met what only a person can decide or mend, and the old key stays until then.',
    fix: `${fix}\nkeyturn resume ${name}`,
    place: { kind: 'credential', name, store },
  }
}

function overdue(credential: KeyturnCredential, now: number): readonly Finding[] {
  const { name, store, status, stored, rotatesEveryMs } = credential
  const late = (seen: string): readonly Finding[] => [
    {
      code: 'rotation_overdue',
      severity: 'warning',
      seen,
      cause:
        status === undefined
          ? 'No service has turned it: none runs, or it may not.'
          : 'The service has not turned it in time: look at its troubles.',
      fix: `keyturn rotate ${name} --wait`,
      place: { kind: 'credential', name, store },
    },
  ]
  if (status !== undefined) {
    const dueAt = status.rotatesAt === null ? Number.NaN : Date.parse(status.rotatesAt)
    const isIdle = status.rotation === null || status.rotation.endedAt !== null
    const isLate = isIdle && status.blackoutUntil === null && now - dueAt > lateMs
    return isLate ? late(`its rotation was due at ${status.rotatesAt}`) : []
  }
  if (rotatesEveryMs === undefined || stored.kind !== 'found' || stored.createdAt === undefined) return []
  const ageMs = now - stored.createdAt
  if (ageMs <= rotatesEveryMs + ageSlackMs) return []
  return late(`the key is ${days(ageMs)} days old, and is turned every ${days(rotatesEveryMs)} days at least`)
}

function days(ms: number): number {
  return Math.floor(ms / dayMs)
}
