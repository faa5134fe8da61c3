import type { AttemptFate, ReportSource } from './report.ts'
import { isWalking } from './retirement.ts'
import { isRunning, pendingOf } from './rotation.ts'
import type { Attempt, KeyId, Retirement, Rotation, Sweep } from './types.ts'

/** What a report concludes from the walks: in a sentence, what goes on, and what a reader should not miss. */
export interface WalkFacts {
  readonly rotation: Rotation | undefined
  readonly retirements: readonly Retirement[]
  readonly source: ReportSource
}

export function summaryOf({ rotation, retirements, source }: WalkFacts): string {
  const { name } = source.state
  if (rotation === undefined) {
    const [retirement] = retirements
    return retirement === undefined ? '' : `${name}: ${endOf(retirement)}.`
  }
  const { mode, requestedBy, reason } = rotation
  const asked = `${name}: ${mode === 'emergency' ? 'an' : 'a'} ${mode} rotation asked for by ${requestedBy} (${reason})`
  const ends = retirements.map((one) => `; ${endOf(one)}`).join('')
  return `${asked} ${outcomeOf(rotation)}${ends}.`
}

function outcomeOf(rotation: Rotation): string {
  const to = pendingOf(rotation)?.key?.fingerprint
  switch (rotation.outcome) {
    case 'promoted':
      return `handed out ${to === undefined ? 'a new key' : `the new key ${to}`}`
    case 'rehearsed':
      return 'was rehearsed: a key was made, proven and thrown away'
    case 'rehearsal_failed':
      return `was rehearsed and would have failed: ${rotation.failure?.summary ?? 'see its steps'}`
    case 'standby':
      return `made the spare ${to === undefined ? 'key' : to}`
    case 'given_up':
      return 'was given up: no spare could be made'
    case 'aborted':
      return 'was aborted'
    case 'superseded':
      return 'gave way to a working key that somebody put into the store'
    default:
      return rotation.phase === 'halted' ? 'has halted' : 'is under way'
  }
}

function endOf(retirement: Retirement): string {
  const key = `the old key ${nameOf(retirement)}`
  switch (retirement.phase) {
    case 'dead':
      return `${key} is proven dead`
    case 'kept':
      return `${key} was not revoked (${retirement.steps.at(-1)?.note ?? 'no reason is kept'})`
    case 'unproven':
      return `${key} was revoked and is not proven dead`
    default:
      return `${key} is ${retirement.phase.replaceAll('_', ' ')}`
  }
}

function nameOf({ key, version }: Retirement): string {
  return key?.fingerprint ?? version
}

export function stillOpen(facts: WalkFacts): readonly string[] {
  const { rotation, retirements, source } = facts
  const searched = source.state.openAttempts.filter(
    (one) => rotation !== undefined && one.rotation === rotation.id,
  )
  return [
    ...(isRunning(rotation) ? [rotationOpen(rotation)] : []),
    ...retirements.filter(isWalking).map(retirementOpen),
    ...searched.map(
      ({ marker, until }) => `a key named ${marker} is looked for until ${new Date(until).toISOString()}`,
    ),
  ]
}

function rotationOpen({ phase, halt, paused }: Rotation): string {
  if (halt !== undefined) return `the rotation has halted: ${halt.summary}`
  return `the rotation is ${phase}${paused ? ', and paused' : ''}`
}

function retirementOpen(retirement: Retirement): string {
  const { phase, halt, heldBy } = retirement
  const key = `the old key ${nameOf(retirement)}`
  if (halt !== undefined) return `the retirement of ${key} has halted: ${halt.summary}`
  const held = heldBy === undefined ? '' : `: ${heldBy}`
  return `${key} is ${phase.replaceAll('_', ' ')}${held}`
}

export function remarksOn(facts: WalkFacts): readonly string[] {
  const { rotation, retirements } = facts
  return [
    ...(rotation === undefined ? [] : rotationRemarks(rotation, facts)),
    ...retirements.flatMap(retirementRemarks),
  ]
}

function rotationRemarks(rotation: Rotation, { retirements, source }: WalkFacts): readonly string[] {
  const remarks: string[] = []
  if (rotation.isCompromised) remarks.push('the old key was said to be in the wrong hands')
  if (rotation.outcome === 'promoted' && rotation.from !== undefined && retirements.length === 0)
    remarks.push('what became of the old key is no longer known')
  for (const { number, attempt, fate } of attemptFates(rotation, source)) {
    if (fate === 'late') remarks.push(`a key of attempt ${number} landed late and was revoked`)
    if (fate === 'in_use') remarks.push(`somebody put the key of attempt ${number} to use`)
    if (fate === 'unknown')
      remarks.push(`whether attempt ${number} (${attempt.marker}) made a key is not known`)
  }
  return [...remarks, ...droppedRemark('the rotation', rotation.stepsDropped)]
}

function retirementRemarks(retirement: Retirement): readonly string[] {
  const key = `the old key ${nameOf(retirement)}`
  const remarks: string[] = []
  if (retirement.phase === 'kept')
    remarks.push(`${key} may be alive: ${retirement.steps.at(-1)?.note ?? 'it was not revoked'}`)
  if (retirement.phase === 'unproven') remarks.push(`${key} was deleted and is not proven dead`)
  if (retirement.isForced) remarks.push(`${key} was revoked without waiting for its users to move on`)
  if (retirement.isPastLimit === true)
    remarks.push(`${key} was revoked after its limit although it was still held, as the policy says`)
  if (retirement.isExpiring) remarks.push(`${key} was not to be deleted: it was let expire instead`)
  return [...remarks, ...droppedRemark(`the retirement of ${key}`, retirement.stepsDropped)]
}

function droppedRemark(what: string, dropped = 0): readonly string[] {
  return dropped === 0
    ? []
    : [`${dropped} steps of ${what} are no longer kept; its first and its latest steps are`]
}

interface KnownAttempt {
  /** Counted over the whole rotation: one that is resumed begins to count anew. */
  readonly number: number
  readonly attempt: Attempt
  readonly fate: AttemptFate
  readonly keyId: KeyId | undefined
}

/** What became of every attempt to mint, oldest first. */
export function attemptFates(rotation: Rotation, source: ReportSource): readonly KnownAttempt[] {
  const all = [...(rotation.formerAttempts ?? []), ...rotation.attempts]
  const sweeps = [
    ...source.aftermath.flatMap((one) => (one.kind === 'sweep' ? [one.sweep] : [])),
    ...(source.state.sweeps ?? []),
  ]
  return all
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .map((attempt, index) => {
      const sweep = sweeps.find((one) => one.marker === attempt.marker)
      const keyId = attempt.keyId ?? attempt.key?.keyId ?? sweep?.keyId
      return { number: index + 1, attempt, fate: fateOf(attempt, rotation, { source, sweep }), keyId }
    })
}

function fateOf(
  attempt: Attempt,
  rotation: Rotation,
  { source, sweep }: { readonly source: ReportSource; readonly sweep: Sweep | undefined },
): AttemptFate {
  switch (attempt.outcome) {
    case 'staged':
      if (rotation.outcome === 'standby') return 'spare'
      return rotation.outcome === 'promoted' ? 'promoted' : 'pending'
    case 'refused':
      return 'refused'
    case 'gone':
      return 'discarded'
    case 'open': {
      if (sweep !== undefined) return sweepFates[sweep.outcome]
      const isSearched = source.state.openAttempts.some((one) => one.marker === attempt.marker)
      return isSearched || isRunning(rotation) ? 'searched' : 'unknown'
    }
  }
}

const sweepFates = { absent: 'none', in_use: 'in_use', revoked: 'late' } as const
