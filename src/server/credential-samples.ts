import type { CredentialSummary } from '../api/types.ts'
import type { Service } from '../engine/service.ts'
import type { Labels } from './exposition.ts'
import { verifiedAgeSeconds } from './hand-out.ts'
import type { Census } from './leases.ts'
import type { OwnFamily } from './metric-families.ts'

export type Add = (family: OwnFamily, labels: Labels, value: number) => void

interface Seen {
  readonly now: number
  readonly census: Census
  /** Internal credentials that work: no hand-out shows it. */
  readonly working: ReadonlySet<string>
  readonly add: Add
}

/** What /metrics says of one credential: a dozen lines, whatever it goes through. */
export async function addCredential(service: Service, name: string, seen: Seen): Promise<void> {
  const summary = await service.summary(name)
  const labels = { credential: name }
  addHandOut(service, summary, { ...seen, labels })
  addKey(summary, { ...seen, labels })
  addWalks(summary, { ...seen, labels })
  const leases = seen.census.get(name)
  if (leases === undefined) return
  seen.add('leases', labels, leases.count)
  seen.add('leaseLag', labels, Math.max(0, summary.generation - leases.oldestGeneration))
}

type Labelled = Seen & { readonly labels: { readonly credential: string } }

function addHandOut(
  service: Service,
  { name, isInternal }: CredentialSummary,
  { add, labels, now, working }: Labelled,
): void {
  if (isInternal) return add('internalReady', labels, working.has(name) ? 1 : 0)
  const handOut = service.handOut(name)
  const isAvailable = handOut?.kind === 'available'
  add('ready', labels, isAvailable ? 1 : 0)
  add('generation', labels, handOut?.generation ?? 0)
  add('lastKnownGood', labels, isAvailable && handOut.isLastKnownGood === true ? 1 : 0)
  if (isAvailable) add('verifiedAge', labels, verifiedAgeSeconds(handOut, now))
  const standby = service.standby(name)
  if (standby !== null) add('standbyReady', labels, standby.ready)
}

function addKey(
  { current, rotatesAt, troubles, mirrors }: CredentialSummary,
  { add, labels, now }: Labelled,
): void {
  const until = (at: string): number => Math.round((Date.parse(at) - now) / 1_000)
  if (current !== null) {
    add('keyAge', labels, Math.max(0, -until(current.createdAt ?? current.addedAt)))
    if (current.expiresAt !== null) add('keyExpiry', labels, until(current.expiresAt))
    if (current.check !== null) add('verdict', { ...labels, verdict: current.check.verdict }, 1)
  }
  if (rotatesAt !== null) add('rotationDue', labels, until(rotatesAt))
  for (const code of new Set(troubles.map((one) => one.code))) add('trouble', { ...labels, code }, 1)
  const behind = mirrors.filter((one) => !one.isInLine).length
  if (mirrors.length > 0) add('mirrorsBehind', labels, behind)
}

function addWalks({ rotation, retirements }: CredentialSummary, { add, labels }: Labelled): void {
  if (rotation !== null && rotation.endedAt === null) {
    const { mode, phase } = rotation
    add('rotationPhase', { ...labels, mode, phase }, 1)
  }
  const phases = new Map<string, number>()
  for (const { phase, endedAt } of retirements)
    if (endedAt === null) phases.set(phase, (phases.get(phase) ?? 0) + 1)
  for (const [phase, count] of phases) add('retirementPhase', { ...labels, phase }, count)
}
