import type { RotationSummary } from '../../api/types.ts'
import { type Html, html } from './html.ts'

/** What a rotation does, as somebody who waits for it counts it: several phases of the engine are one step here. */
const stages: readonly (readonly [words: string, phases: readonly string[]])[] = [
  ['Check what is allowed', ['checking']],
  ['Make the new key', ['minting', 'reconciling', 'awaiting']],
  ['Prove it', ['proving', 'discarding']],
  ['Hand it out', ['extending', 'promoting', 'confirming', 'inspecting']],
  ['Done', ['done']],
]

/** Where a rotation stands, said by words and shapes. */
export function phaseList(rotation: RotationSummary): Html {
  const { phase, halt } = rotation
  const now = phase === 'halted' ? (halt?.from ?? 'checking') : phase
  const at = stages.findIndex(([, phases]) => phases.includes(now))
  return html`<ol class="phases" aria-label="Phases">${stages.map(([words], index) => {
    const isDone = index < at || phase === 'done'
    const isHere = index === at && phase !== 'done'
    const kind = isDone ? 'done' : !isHere ? 'ahead' : phase === 'halted' ? 'halted' : 'here'
    return html`<li class="${kind}"><span aria-hidden="true">${shapes[kind]}</span> ${words} <span class="${kind === 'ahead' || kind === 'done' ? 'unseen' : 'hint'}">${said(kind, phase)}</span></li>`
  })}</ol>`
}

const shapes = { done: '✔', here: '◐', halted: '✖', ahead: '○' } as const

function said(kind: keyof typeof shapes, phase: string): string {
  if (kind === 'done') return '(done)'
  if (kind === 'ahead') return '(to come)'
  return kind === 'halted' ? '(halted)' : `(now: ${phase})`
}
