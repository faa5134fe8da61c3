import type { HaltSummary, RetirementSummary, RotationSummary, StepSummary } from '../api/types.ts'
import { worksAsFarAs } from './rehearsal.ts'
import { type Paint, plainPaint, short, span } from './text.ts'

/**
 * The walk of a rotation and of the retirement that follows it, as lines: phases that are over ticked off with the
 * time they took, the running one with the time it may still take, those to come. A pure function of the summary.
 */
export function renderProgress(
  rotation: RotationSummary,
  options: { readonly now: number; readonly paint?: Paint },
): string[] {
  const { now, paint = plainPaint } = options
  const last = rotation.retirement ?? rotation
  const total = span(
    (last.endedAt === null ? now : Date.parse(last.endedAt)) - Date.parse(rotation.startedAt),
  )
  const lines = [
    `${paint('bold', rotation.credential)}  ${titleOf(rotation)} ${short(rotation.id)}, asked for by ${rotation.requestedBy}, ${placeText(rotation)}${total}`,
    ...renderWalk(walkOfRotation(rotation), { now, paint }),
  ]
  const { retirement } = rotation
  return retirement === null ? lines : [...lines, ...renderRetirement(retirement, { now, paint })]
}

/** `phase 3 of 12, `, or nothing where it is over or stands beside the usual way. */
function placeText(rotation: RotationSummary): string {
  const { retirement } = rotation
  const isOver = retirement === null ? rotation.endedAt !== null : retirement.endedAt !== null
  const phase = retirement === null ? rotation.phase : retirement.phase
  const place = isOver ? undefined : placeOf(rotation, { isRetirement: retirement !== null, phase })
  return place === undefined ? '' : `phase ${place}, `
}

/** Which of all phases one is: those of a rotation and, where an old key is there, of its retirement after it. */
function placeOf(
  rotation: RotationSummary,
  { isRetirement, phase }: { readonly isRetirement: boolean; readonly phase: string },
): string | undefined {
  const own = usualWalk(rotation)
  const hasOld = rotation.from !== null && (rotation.mode === 'normal' || rotation.mode === 'emergency')
  const all = hasOld || rotation.retirement !== null ? [...own, ...retirementWalk] : own
  const index = isRetirement ? own.length + retirementWalk.indexOf(phase) : own.indexOf(phase)
  const isUsual = (isRetirement ? retirementWalk : own).includes(phase)
  return isUsual ? `${index + 1} of ${all.length}` : undefined
}

function titleOf({ mode }: RotationSummary): string {
  return mode === 'standby' ? 'spare key' : `${mode} rotation`
}

/** The walk of an old version alone. */
export function renderRetirement(
  retirement: RetirementSummary,
  { now, paint = plainPaint }: { readonly now: number; readonly paint?: Paint },
): string[] {
  return [
    `${paint('bold', 'old key')}  ${retirement.fingerprint ?? short(retirement.version)} ${retirement.endedAt === null ? 'is being retired' : 'is retired'}`,
    ...renderWalk(walkOfRetirement(retirement), { now, paint }),
  ]
}

interface Walk {
  /** The phases of an undisturbed walk, in order. */
  readonly usual: readonly string[]
  readonly phase: string
  readonly phaseAt: number
  readonly steps: readonly StepSummary[]
  readonly isOver: boolean
  readonly endedAt: number | undefined
  readonly halt: HaltSummary | null
  /** Said beside the running phase. */
  readonly note: string
}

const rotationWalk = ['checking', 'minting', 'proving', 'extending', 'promoting', 'confirming']
const standbyWalk = ['checking', 'minting', 'proving', 'extending']
const rehearsalWalk = ['checking', 'minting', 'proving', 'extending', 'discarding']
const retirementWalk = ['draining', 'retiring', 'proving_current', 'revoking', 'dying', 'destroying']

/** Phases that a walk ends in; they are told by the outcome, not as a line of their own. */
const endings = ['done', 'dead', 'kept', 'halted']

/** What a phase is about, for people who have not read the design. */
const meanings: Readonly<Record<string, string>> = {
  checking: 'may the store and the issuer do what is needed?',
  minting: 'a new key is made',
  reconciling: 'looking for a key whose answer was lost',
  awaiting: 'waiting for the key that you bring (keyturn bring)',
  proving: 'the new key is being proven',
  discarding: 'the new key is thrown away',
  extending: 'its expiry is set',
  promoting: 'it becomes current',
  confirming: 'the store is read back',
  inspecting: 'somebody else changed the store: looking at it',
  draining: 'both keys live until nobody uses the old one',
  retiring: 'it is marked as retired, for good',
  proving_current: 'the current key is being proven once more',
  revoking: 'it is revoked at the issuer',
  dying: 'waiting until the issuer refuses it everywhere',
  unproven: 'revoked, but it was not seen dead yet',
  destroying: 'it is dead, and its value leaves the store',
}

function walkOfRotation(rotation: RotationSummary): Walk {
  const isOver = rotation.outcome !== null || rotation.phase === 'done'
  const deadline = rotation.deadlineAt
  return {
    usual: usualWalk(rotation),
    phase: rotation.phase,
    phaseAt: Date.parse(rotation.phaseAt),
    steps: rotation.steps,
    isOver,
    endedAt: rotation.endedAt === null ? undefined : Date.parse(rotation.endedAt),
    halt: rotation.halt,
    note: rotation.isPaused ? 'paused' : deadline === null ? '' : `until ${deadline}`,
  }
}

/** A key that is brought is awaited in place of being minted. */
function usualWalk({ mode, phase, steps }: RotationSummary): readonly string[] {
  if (mode === 'standby') return standbyWalk
  const walk = mode === 'rehearsal' ? rehearsalWalk : rotationWalk
  const has = (name: string): boolean => phase === name || steps.some((step) => step.phase === name)
  return has('awaiting') && !has('minting') ? walk.filter((name) => name !== 'minting') : walk
}

function walkOfRetirement(retirement: RetirementSummary): Walk {
  const first = retirement.steps.findLast((step) => step.phase === retirement.phase)
  const held = retirement.heldBy === null ? '' : `, held: ${retirement.heldBy}`
  return {
    usual: retirementWalk,
    phase: retirement.phase,
    phaseAt: Date.parse(first?.at ?? retirement.startedAt),
    steps: retirement.steps,
    isOver: retirement.endedAt !== null || retirement.phase === 'dead' || retirement.phase === 'kept',
    endedAt: retirement.endedAt === null ? undefined : Date.parse(retirement.endedAt),
    halt: retirement.halt,
    note: retirement.phase === 'draining' ? `until ${retirement.overlapUntil}${held}` : held.slice(2),
  }
}

function renderWalk(walk: Walk, options: { readonly now: number; readonly paint: Paint }): string[] {
  const { now, paint } = options
  const stopped = walk.halt === null ? walk.phase : walk.halt.from
  const lines = phasesOf(walk).map((phase) => {
    const name = phase.replaceAll('_', ' ').padEnd(16)
    const entered = enteredAt(walk, phase)
    if (phase === stopped && !walk.isOver && walk.halt === null) {
      return `  ${paint('cyan', '>')} ${name} ${running(walk, phase, now)}`
    }
    if (phase === stopped && walk.halt !== null) return `  ${paint('red', 'x')} ${name} halted`
    if (isAhead(walk, phase)) return paint('dim', `  . ${name} again`)
    if (entered === undefined && !isBefore(walk, phase)) {
      return paint('dim', `  . ${name} ${walk.isOver ? 'not needed' : ''}`).trimEnd()
    }
    return `  ${paint('green', '\u2713')} ${name} ${lasted(walk, phase)}`.trimEnd()
  })
  if (walk.halt !== null) {
    lines.push(`    ${paint('red', walk.halt.summary)}`, `    fix: ${walk.halt.fix}`)
  } else if (walk.isOver && walk.phase === 'kept') {
    lines.push(`    ${walk.steps.at(-1)?.note ?? 'it was not revoked'}`)
  }
  return lines
}

/** The usual phases, with detours put in where they were taken. */
function phasesOf(walk: Walk): string[] {
  const phases = [...walk.usual]
  const seen = [...walk.steps.map((step) => step.phase), walk.phase]
  let after = 0
  for (const phase of seen) {
    if (endings.includes(phase) || meanings[phase] === undefined) continue
    const index = phases.indexOf(phase)
    if (index === -1) phases.splice(after, 0, phase)
    after = phases.indexOf(phase) + 1
  }
  return phases
}

/** A phase that may take longer than this waits for a person, and not for a time. */
const boundShownMaxMs = 400 * 86_400_000

function running(walk: Walk, phase: string, now: number): string {
  const ends = /^until ([^\s,]+)(.*)$/.exec(walk.note)
  const left = Date.parse(ends?.[1] ?? '') - now
  const bound = Number.isNaN(left)
    ? walk.note
    : left > boundShownMaxMs
      ? (ends?.[2] ?? '').slice(2)
      : left > 0
        ? `${span(left)} left${ends?.[2] ?? ''}`
        : `due${ends?.[2] ?? ''}`
  const parts = [span(now - walk.phaseAt), bound, meanings[phase] ?? ''].filter((part) => part !== '')
  return parts.join(', ')
}

/** From the first step of a phase to the first one of another after it. */
function lasted(walk: Walk, phase: string): string {
  const entered = enteredAt(walk, phase)
  if (entered === undefined) return ''
  const next = walk.steps.find((step) => Date.parse(step.at) >= entered && comesAfter(walk, step, phase))
  const left = next === undefined ? (walk.endedAt ?? walk.phaseAt) : Date.parse(next.at)
  return span(left - entered)
}

function comesAfter(walk: Walk, step: StepSummary, phase: string): boolean {
  const last = walk.steps.findLastIndex((one) => one.phase === phase)
  return walk.steps.indexOf(step) > last
}

function enteredAt(walk: Walk, phase: string): number | undefined {
  const step = walk.steps.find((one) => one.phase === phase)
  return step === undefined ? undefined : Date.parse(step.at)
}

/** Steps are bounded, so an early phase may have left none: what stands before the running phase is over. */
function isBefore(walk: Walk, phase: string): boolean {
  const phases = phasesOf(walk)
  const here = phases.indexOf(walk.halt === null ? walk.phase : walk.halt.from)
  return here === -1 ? false : phases.indexOf(phase) < here
}

/** A walk that went back, e.g. to another key, has a phase before it again that it was in once already. */
function isAhead(walk: Walk, phase: string): boolean {
  if (walk.isOver || enteredAt(walk, phase) === undefined) return false
  const stopped = walk.halt === null ? walk.phase : walk.halt.from
  // A key that is brought is awaited where others are minted: after checking, and before all else.
  const here = walk.usual.indexOf(stopped === 'awaiting' ? 'checking' : stopped)
  return here !== -1 && walk.usual.indexOf(phase) > here
}

// ------------------------------------------------------------ line by line

/** Every step as one line, oldest first, for where nothing can be redrawn; `id` tells those already told. */
export function progressLines(rotation: RotationSummary): { readonly id: string; readonly text: string }[] {
  const line = (walk: 'rotation' | 'retirement') => (step: StepSummary) => {
    const place = placeOf(rotation, { isRetirement: walk === 'retirement', phase: step.phase })
    const until =
      step.phase === 'draining' && rotation.retirement !== null
        ? ` (overlap until ${rotation.retirement.overlapUntil})`
        : ''
    return {
      id: `${walk} ${step.at} ${step.phase} ${step.note}`,
      text: `${step.at}  ${(place ?? '').padEnd(10)}${step.phase.replaceAll('_', ' ').padEnd(16)}${step.note}${until}`,
    }
  }
  return [
    ...rotation.steps.map(line('rotation')),
    ...(rotation.retirement?.steps ?? []).map(line('retirement')),
    ...heldLine(rotation),
  ]
}

/** What an old key waits for may take hours: without a word of it, waiting looks like hanging. Each kind is told once. */
function heldLine({
  credential,
  retirement,
}: RotationSummary): { readonly id: string; readonly text: string }[] {
  if (retirement === null || retirement.heldBy === null || retirement.endedAt !== null) return []
  const { heldBy } = retirement
  const isApp = heldBy.startsWith('still in use by ')
  const drop = isApp ? `; who has ended is forgotten with 'keyturn leases ${credential} --drop INSTANCE'` : ''
  return [
    {
      id: `held ${heldBy.replaceAll(/\d+/g, '')}`,
      text: `the new key is out; the old one stays for now: ${heldBy}. Waiting goes on; see 'keyturn status ${credential}'${drop}`,
    },
  ]
}

// ----------------------------------------------------------------- the end

export type Ending =
  | { readonly kind: 'running' }
  /** The walk is over and well. `isUnaccompanied`: an old key was there, and its retirement was not seen yet. */
  | { readonly kind: 'done'; readonly summary: string; readonly isUnaccompanied: boolean }
  | { readonly kind: 'failed'; readonly summary: string; readonly fix: string }
  | { readonly kind: 'needs_human'; readonly summary: string; readonly fix: string }

/** Whether the rotation, with the retirement that follows it, has come to its end, and which. */
export function endingOf(rotation: RotationSummary): Ending {
  const { retirement } = rotation
  const name = rotation.credential
  const halt = rotation.halt ?? retirement?.halt ?? null
  if (halt !== null) return { kind: 'needs_human', summary: halt.summary, fix: halt.fix }
  switch (rotation.outcome) {
    case null:
      if (rotation.phase === 'halted') return stopped(name)
      return { kind: 'running' }
    case 'halted':
      return stopped(name)
    case 'rehearsed':
      return {
        kind: 'done',
        summary: `rehearsed: ${worksAsFarAs(rotation.permissions)}`,
        isUnaccompanied: false,
      }
    case 'rehearsal_failed':
      return {
        kind: 'needs_human',
        summary: rotation.failure?.summary ?? 'a rotation would not work',
        fix: rotation.failure?.fix ?? `See 'keyturn status ${name}'.`,
      }
    case 'standby':
      return { kind: 'done', summary: 'a spare key is ready', isUnaccompanied: false }
    case 'promoted':
      break
    default:
      return {
        kind: 'failed',
        summary: `the rotation was ${rotation.outcome}`,
        fix: `See 'keyturn status ${name}'; start another with 'keyturn rotate ${name}'.`,
      }
  }
  if (retirement === null) {
    const summary = 'the new key is handed out'
    return { kind: 'done', summary, isUnaccompanied: rotation.from !== null }
  }
  switch (retirement.phase) {
    case 'dead':
      return { kind: 'done', summary: 'the old key is dead', isUnaccompanied: false }
    case 'kept':
      return { kind: 'done', summary: 'the old key was kept, not revoked', isUnaccompanied: false }
    case 'unproven':
      return {
        kind: 'needs_human',
        summary: 'the old key was revoked, but the issuer still accepts it',
        fix: `Look for it in the issuer's list of keys; 'keyturn status ${name}' says when it is seen dead.`,
      }
    default:
      return { kind: 'running' }
  }
}

function stopped(name: string): Ending {
  return {
    kind: 'needs_human',
    summary: 'the rotation has halted',
    fix: `See 'keyturn status ${name}', mend the cause, then 'keyturn resume ${name}' or 'keyturn abort ${name}'.`,
  }
}
