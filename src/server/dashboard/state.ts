import type { CredentialSummary } from '../../api/types.ts'
import { type Html, html } from './html.ts'

/** How a credential does, in the order in which somebody has to look. */
export type State = 'out' | 'attention' | 'turning' | 'unknown' | 'good'

export const states: readonly State[] = ['out', 'attention', 'turning', 'unknown', 'good']

const shown: Readonly<Record<State, readonly [shape: string, words: string]>> = {
  out: ['✖', 'No key'],
  attention: ['▲', 'Needs attention'],
  turning: ['◐', 'Turning'],
  unknown: ['?', 'Not verified'],
  good: ['●', 'Good'],
}

export function stateOf({ current, troubles, rotation }: CredentialSummary): State {
  if (current === null || current.withdrawnAt !== null) return 'out'
  if (troubles.length > 0) return 'attention'
  if (rotation !== null && rotation.endedAt === null) return 'turning'
  // Between two checks OpenAI may be away: the key is served as last verified.
  return current.verifiedAt === null ? 'unknown' : 'good'
}

/** By shape and word, and by colour only besides. */
export function stateMark(state: State): Html {
  const [shape, words] = shown[state]
  return html`<span class="state ${state}"><span aria-hidden="true">${shape} </span>${words}</span>`
}

export function stateWords(state: State): string {
  return shown[state][1]
}
