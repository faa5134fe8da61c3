import type { RotationSummary } from '../../api/types.ts'
import { type Html, html } from './html.ts'
import { spaced } from './words.ts'

type Stage = readonly [words: string, phases: readonly string[]]

const checked: Stage = ['Check what is allowed', ['checking']]
const made: Stage = ['Make the new key', ['minting', 'reconciling', 'awaiting']]

/** What a rotation does, as somebody who waits for it counts it: several phases of the engine are one step here. */
const turning: readonly Stage[] = [
  checked,
  made,
  ['Prove it', ['proving', 'discarding']],
  ['Hand it out', ['extending', 'promoting', 'confirming', 'inspecting']],
  ['Done', ['done']],
]

/** Those that hand nothing out must not say that they did. */
const stagesOf: Readonly<Record<RotationSummary['mode'], readonly Stage[]>> = {
  normal: turning,
  emergency: turning,
  rehearsal: [
    checked,
    made,
    ['Prove it', ['proving', 'extending']],
    ['Revoke it again', ['discarding']],
    ['Done', ['done']],
  ],
  standby: [
    checked,
    made,
    ['Prove it', ['proving', 'discarding', 'extending']],
    ['Keep it in reserve', ['done']],
  ],
}

const goodOutcomes: readonly (string | null)[] = ['promoted', 'rehearsed', 'standby']

/** Where a rotation stands, or stood when it ended, said by words and shapes. */
export function phaseList(rotation: RotationSummary): Html {
  const { phase, halt, mode, outcome } = rotation
  const stages = stagesOf[mode]
  const isAllDone = phase === 'done' && goodOutcomes.includes(outcome)
  const isStuck = phase === 'halted' || (phase === 'done' && !isAllDone)
  const at =
    phase === 'done' ? furthest(rotation, stages) : stageOf(phase === 'halted' ? halt?.from : phase, stages)
  return html`<ol class="phases" aria-label="Phases">${stages.map(([words], index) => {
    const kind = isAllDone || index < at ? 'done' : index > at ? 'ahead' : isStuck ? 'halted' : 'here'
    const said = kind === 'done' ? 'done' : kind === 'ahead' ? ahead(phase) : here(phase, outcome)
    const isHint = kind === 'here' || kind === 'halted'
    return html`<li class="${kind}"><span aria-hidden="true">${shapes[kind]}</span> ${words} <span class="${isHint ? 'hint' : 'unseen'}">(${said})</span></li>`
  })}</ol>`
}

const shapes = { done: '✔', here: '◐', halted: '✖', ahead: '○' } as const

function ahead(phase: string): string {
  return phase === 'done' ? 'not done' : 'to come'
}

function here(phase: string, outcome: string | null): string {
  if (phase === 'halted') return 'halted'
  return phase === 'done' ? `ended here: ${spaced(outcome ?? 'unknown')}` : `now: ${phase}`
}

function stageOf(phase: string | undefined, stages: readonly Stage[]): number {
  return Math.max(
    0,
    stages.findIndex(([, phases]) => phases.includes(phase ?? 'checking')),
  )
}

/** How far one came that ended early: taking its key back is where it ended, and not how far it came. */
function furthest({ steps }: RotationSummary, stages: readonly Stage[]): number {
  const passed = steps.filter(({ phase }) => !['done', 'discarding', 'halted'].includes(phase))
  return Math.max(0, ...passed.map(({ phase }) => stageOf(phase, stages)))
}
