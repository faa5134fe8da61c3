import { type Change, type ChangeContext, eventOf, withRecord } from './credential.ts'
import { assert } from './errors.ts'
import { type RetirementEvent, stepRetirement } from './retirement.ts'
import type { CredentialState, NewCredentialEvent, Retirement } from './types.ts'

export function applyRetirement(
  state: CredentialState,
  id: string,
  event: RetirementEvent,
  context: ChangeContext,
): Change {
  const before = state.retirements.find((one) => one.id === id)
  if (before === undefined) return { state, events: [] }
  const after = stepRetirement(before, event, context)
  if (after === before) return { state, events: [] }
  let next: CredentialState = {
    ...state,
    retirements: state.retirements.map((one) => (one === before ? after : one)),
  }
  if (event.kind === 'death_probed' && event.verdict !== undefined) {
    next = withRecord(next, before.version, { verdict: event.verdict, checkedAt: context.now })
  }
  const events: NewCredentialEvent[] = []
  if (after.phase !== before.phase) {
    next = settleStage(next, after, context.now)
    events.push(retirementEvent(next, after, context.now))
    if (after.phase === 'retiring')
      events.push(eventOf(next, 'revoking', context.now, { version: after.version }))
    if (after.phase === 'halted')
      events.push(
        eventOf(next, 'alert', context.now, {
          code: 'retirement_halted',
          summary: after.halt?.summary,
          fix: after.halt?.fix,
        }),
      )
    if (after.phase === 'unproven')
      events.push(eventOf(next, 'alert', context.now, { code: 'key_not_dead', version: after.version }))
  }
  if (after.isLimitAlerted && !before.isLimitAlerted) {
    events.push(
      eventOf(next, 'alert', context.now, {
        code: 'key_still_used',
        version: after.version,
        heldBy: after.heldBy ?? '',
      }),
    )
  }
  if (after.isHeldAlerted && !before.isHeldAlerted) {
    events.push(
      eventOf(next, 'alert', context.now, {
        code: 'retirement_held',
        version: after.version,
        heldBy: after.heldBy ?? '',
      }),
    )
  }
  return { state: next, events }
}

/** `retired` is terminal and is written in the same commit that opens the way to the delete. */
function settleStage(state: CredentialState, retirement: Retirement, now: number): CredentialState {
  if (retirement.phase !== 'retiring') return state
  assert(state.current !== retirement.version, 'the current version is never retired')
  return withRecord(state, retirement.version, { stage: 'retired', retiredAt: now })
}

function retirementEvent(state: CredentialState, retirement: Retirement, now: number): NewCredentialEvent {
  const { id, version, phase } = retirement
  return eventOf(state, 'retirement', now, { id, version, phase, heldBy: retirement.heldBy ?? null })
}
