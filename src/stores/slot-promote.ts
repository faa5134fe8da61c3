import { toKeyturnError } from '../core/errors.ts'
import type { PromoteOutcome, PromoteRequest } from '../core/ports.ts'
import { warn } from './context.ts'
import { settle } from './settle.ts'
import { promoteOn } from './shelf.ts'
import { look, type Pairing, stopPromotions } from './slot-pair.ts'
import { encodeSlot, type MainDocument, type SlotState } from './slot-state.ts'

/**
 * The promotion is written down in the sibling, under the fence, before the secret is written under the token that was
 * read and found to hold `expectCurrent`. The second write is the promotion: it happens or it does not, and whoever
 * retires the version or takes over with a higher fence in between sees the first and makes the second fail.
 */
export async function promoteInPair<Main extends MainDocument>(
  pairing: Pairing<Main>,
  ref: string,
  request: PromoteRequest,
): Promise<PromoteOutcome> {
  const { pair, context } = pairing
  return settle(ref, context.system, pair, async () => {
    const { view, main, slot } = await look(pairing, ref)
    const { outcome, shelf } = promoteOn(ref, view.shelf, request)
    const secret = view.values.get(request.to)
    if (shelf === undefined || secret === undefined) {
      const lost = shelf === undefined ? outcome : { kind: 'gone' as const }
      const isSure = lost.kind === 'already' || pair.proveNewest === undefined
      return isSure || (await pair.proveNewest?.(ref, slot, main)) === true ? { done: lost } : undefined
    }
    const others = await stopPromotions(pairing, ref, { view, main, fence: request.fence })
    if (others === undefined) return undefined
    const fenced = { ...view.shelf, fence: request.fence }
    if (others !== view.promoting) {
      // What was stopped changed the token: begin anew with the one that is there now, and without what is over.
      const stopped = { shelf: fenced, promoting: others, values: view.values }
      await pair.writeSlot(ref, slot.token, encodeSlot(ref, stopped, pair.slotFits))
      return undefined
    }
    const own = { to: request.to, from: main.token, fence: request.fence }
    const intended: SlotState = {
      shelf: fenced,
      promoting: [...others.filter(({ to }) => to !== own.to), own],
      values: view.values,
    }
    const token = await pair.writeSlot(ref, slot.token, encodeSlot(ref, intended, pair.slotFits))
    if (token === undefined) return undefined
    if (!(await pair.writeMain(ref, main, { secret, version: request.to }))) return undefined
    await record(pairing, ref, { token, state: { ...intended, shelf, promoting: [] } })
    return { done: outcome }
  })
}

/**
 * What is current follows from the secret, so that nothing is wrong where this fails: it only keeps `previous` exact
 * should somebody change the secret by hand before Keyturn writes here again.
 */
async function record<Main extends MainDocument>(
  { pair, context }: Pairing<Main>,
  ref: string,
  done: { readonly token: string; readonly state: SlotState },
): Promise<void> {
  try {
    await pair.writeSlot(ref, done.token, encodeSlot(ref, done.state, pair.slotFits))
  } catch (thrown) {
    const { code } = toKeyturnError(thrown, `writing ${pair.nameOfSlot(ref)}`)
    warn(context, `A promotion was made and could not be noted in ${pair.nameOfSlot(ref)}.`, { ref, code })
  }
}
