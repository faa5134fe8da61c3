import type { Change } from './credential.ts'
import type { CredentialState, VersionRecord } from './types.ts'

/** What a look or a check changes that found everything as it was. */
const timesOfState: readonly string[] = ['storeReadAt', 'nextStoreReadAt', 'versions']
const timesOfVersion: readonly string[] = ['checkedAt', 'verifiedAt', 'nextCheckAt', 'verdict']

/** Whether a change says nothing but when was looked: if it is lost, the look is repeated, and nobody is the worse for it. */
export function isRepeatable(before: CredentialState, { state, events }: Change): boolean {
  if (events.length > 0 || before.versions.length !== state.versions.length) return false
  if (!isAlike(before, state, timesOfState)) return false
  return state.versions.every((record, index) => isSameBut(before.versions[index], record))
}

function isSameBut(before: VersionRecord | undefined, record: VersionRecord): boolean {
  if (before === record) return true
  // A first verification is what allows a hand-out: it is never lost.
  if (before?.verifiedAt === undefined || record.verifiedAt === undefined) return false
  const isSameVerdict =
    before.verdict?.kind === record.verdict?.kind && before.verdict?.cause === record.verdict?.cause
  return isSameVerdict && isAlike(before, record, timesOfVersion)
}

function isAlike(one: object, other: object, but: readonly string[]): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  const values = (from: object): Readonly<Record<string, unknown>> => ({ ...from })
  const [left, right] = [values(one), values(other)]
  return [...names].every((name) => but.includes(name) || left[name] === right[name])
}
