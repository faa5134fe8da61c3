import type { CredentialSummary, LastKnownGoodSummary, Trouble } from '../api/types.ts'
import type { FileTrouble } from './last-known-good.ts'
import type { HandOut, NoHandOut } from './service.ts'

/** For summaries and readiness: there where a hand-out comes from the last-known-good file. */
export function lastKnownGoodOf(given: HandOut | NoHandOut | undefined): {
  readonly lastKnownGood?: LastKnownGoodSummary
} {
  if (given?.kind !== 'available' || given.isLastKnownGood !== true) return {}
  return { lastKnownGood: { verifiedAt: new Date(given.verifiedAt).toISOString() } }
}

/**
 * A summary with what is so in this process alone, whatever the ledger says: that it has no key to give, that it cannot reach the
 * ledger, that its answer comes from the file, or that the file cannot be written.
 */
export function withLastKnownGood(
  summary: CredentialSummary,
  {
    handOut,
    ledger,
    file,
    now,
  }: {
    readonly handOut: HandOut | NoHandOut | undefined
    readonly ledger?: Trouble | undefined
    readonly file: FileTrouble | undefined
    readonly now: number
  },
): CredentialSummary {
  const isGiven = handOut?.kind === 'available' && handOut.isLastKnownGood === true
  // A ledger that knows of no key yet is no reason to say that there is none.
  const troubles = summary.troubles.filter(({ code }) => !isGiven || code !== 'no_verified_key')
  if (ledger !== undefined) troubles.unshift(ledger)
  // What the ledger knows to be wrong explains it better; where all is well there, this process alone has no key.
  if (handOut?.kind === 'unavailable' && !summary.isInternal && summary.troubles.length === 0) {
    const since = new Date(handOut.since).toISOString()
    troubles.unshift({ code: 'no_verified_key', summary: handOut.summary, fix: handOut.fix, since })
  }
  if (isGiven) troubles.push(lastKnownGoodTrouble(handOut, now))
  if (file !== undefined && !summary.isInternal)
    troubles.push({
      code: 'last_known_good_unwritten',
      summary: file.summary,
      fix: file.fix,
      since: new Date(file.since).toISOString(),
    })
  return { ...summary, troubles, ...lastKnownGoodOf(handOut) }
}

export function lastKnownGoodTrouble({ verifiedAt }: HandOut, now: number): Trouble {
  const age = ageText(now - verifiedAt)
  return {
    code: 'last_known_good',
    summary: `Answered from the last-known-good file: the key proved itself ${age} ago, and nobody could be asked since.`,
    fix: 'Bring the ledger, the store or OpenAI back; nothing else has to be done.',
    since: new Date(verifiedAt).toISOString(),
  }
}

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}
