import { askToSteer, progressOf, type SteerAnswer, type SteerRequest } from '../core/steered.ts'
import type { CredentialState } from '../core/types.ts'
import { type OperationsContext, until } from './operations.ts'

/** A walk of another token makes way; it ends, and then ours begins. */
const roundsMax = 3

/**
 * Does one step of the store's own rotation and waits until it is done, at most so long: for a handler whose time is
 * bounded and who is called again. Whoever has the claim works, this process or another.
 */
export async function steer(
  request: SteerRequest & { readonly withinMs: number },
  context: OperationsContext,
): Promise<SteerAnswer> {
  const { setup, book, deps } = context
  const { token, upTo } = request
  const untilAt = deps.system.now() + request.withinMs
  const answerOf = (state: CredentialState): SteerAnswer => progressOf(state, token, upTo)
  for (let round = 0; round < roundsMax; round++) {
    await book.change(setup.name, (before, change) => askToSteer(before, request, change))
    context.wake()
    await until(context, (state) => isAnswered(state, request), untilAt - deps.system.now())
    const answer = answerOf(book.state(setup.name))
    if (answer.kind !== 'unknown' || request.how !== 'begin' || deps.system.now() >= untilAt) return answer
  }
  return answerOf(book.state(setup.name))
}

/** Or nothing runs that could stand in the way. */
function isAnswered(state: CredentialState, { token, upTo, how }: SteerRequest): boolean {
  const answer = progressOf(state, token, upTo)
  if (how === 'look') return true
  if (answer.kind !== 'unknown') return answer.kind !== 'going'
  const phase = state.rotation?.phase
  return how !== 'begin' || phase === 'done' || phase === 'halted' || phase === undefined
}
