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

/** A summary with what the file has to do with it: that the answer comes from there, or that it cannot be written. */
export function withLastKnownGood(
  summary: CredentialSummary,
  {
    handOut,
    file,
    now,
  }: {
    readonly handOut: HandOut | NoHandOut | undefined
    readonly file: FileTrouble | undefined
    readonly now: number
  },
): CredentialSummary {
  const isGiven = handOut?.kind === 'available' && handOut.isLastKnownGood === true
  // A ledger that knows of no key yet is no reason to say that there is none.
  const troubles = summary.troubles.filter(({ code }) => !isGiven || code !== 'no_verified_key')
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
