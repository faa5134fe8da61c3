import type { Cancel, PermissionFinding, StoreCapabilities } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import { settle } from './settle.ts'
import {
  decodeSlot,
  emptySlot,
  encodeSlot,
  type MainDocument,
  type SlotState,
  type SlotView,
  viewOf,
} from './slot-state.ts'

/**
 * What a driver must be able to do so that `slotStore` makes a store of it: two documents per ref, each of which can be
 * written by compare-and-swap on a token. Reading the newest state and writing under an old token never both succeed.
 */
export interface DocumentPair<Main extends MainDocument = MainDocument> {
  readonly capabilities: StoreCapabilities
  /** Failures of one call that are lived through. */
  readonly failuresMax: number
  /** Throws `bad_request` for what is no name in this store. */
  assertRef(ref: string): void
  readMain(ref: string): Promise<Main>
  /** Puts the key into its field and leaves all else as it is. False: somebody changed the document. */
  writeMain(
    ref: string,
    main: Main,
    change: { readonly secret: Secret; readonly version: VersionId },
  ): Promise<boolean>
  /** Changes the token and nothing that anybody reads. False: it had changed already. */
  touchMain(ref: string, main: Main): Promise<boolean>
  readSlot(ref: string): Promise<SlotDocument>
  /**
   * Only where reads can be older than what was written: whether nothing newer is there than what was read, found out by
   * writes that change nothing. Asked before an absence, a refusal or a lost promotion is believed.
   */
  proveNewest?(ref: string, slot: SlotDocument, main?: Main): Promise<boolean>
  /** The new token; undefined: somebody changed it. */
  writeSlot(ref: string, token: string, fields: Readonly<Record<string, string>>): Promise<string | undefined>
  /** Whether the sibling can take so much. Default: up to `slotBytesMax`. */
  readonly slotFits?: (fields: Readonly<Record<string, string>>) => boolean
  /** For people: where the sibling is. */
  nameOfSlot(ref: string): string
  /** Takes a value out of what the store keeps of former states of the secret. */
  forgetInMain?(ref: string, secret: Secret): Promise<void>
  /** Takes away what the store keeps of former states of the sibling. */
  forgetInSlot?(ref: string): Promise<void>
  check(ref: string): Promise<readonly PermissionFinding[]>
  watch?(ref: string, onChange: () => void): Cancel
  close(): Promise<void>
}

export interface SlotDocument {
  readonly token: string
  /** Undefined where there is none. */
  readonly fields?: Readonly<Record<string, string | undefined>>
}

/** One consistent look at both documents. */
export interface Look<Main extends MainDocument> {
  readonly view: SlotView
  readonly main: Main
  readonly slot: SlotDocument
}

export interface Pairing<Main extends MainDocument> {
  readonly pair: DocumentPair<Main>
  readonly context: StoreContext
}

/**
 * The sibling first, then the secret: each promotion writes the sibling before the secret, so that what is found in the
 * secret is never newer than the sibling by more than one write that was seen coming. A value that is not among the known
 * ones may still have been staged and promoted in between, and is looked for once more before it counts as foreign.
 */
export async function look<Main extends MainDocument>(
  { pair, context }: Pairing<Main>,
  ref: string,
): Promise<Look<Main>> {
  const once = async (): Promise<Look<Main>> => {
    const slot = await pair.readSlot(ref)
    const main = await pair.readMain(ref)
    // An empty sibling was made by hand, so that Keyturn need not be allowed to.
    const isFirst = Object.keys(slot.fields ?? {}).length === 0
    if (isFirst && main.withoutField !== undefined) throw main.withoutField
    const state = slot.fields === undefined ? emptySlot : decodeSlot(pair.nameOfSlot(ref), slot.fields)
    const view = viewOf(state, main, { kind: pair.capabilities.kind, system: context.system })
    // What began at another state of the secret is over. Where this may be an old look at it, nobody can tell.
    const promoting =
      pair.proveNewest === undefined
        ? view.promoting.filter(({ from }) => from === main.token)
        : view.promoting
    return { slot, main, view: { ...view, promoting } }
  }
  const first = await once()
  return first.view.isKnown ? first : once()
}

/**
 * Changes the sibling by compare-and-swap. `decide` is pure and runs once per round; undefined: nothing is to be done.
 * `ending` names a version that may not become current any more once this is written.
 */
export async function change<Main extends MainDocument>(
  pairing: Pairing<Main>,
  ref: string,
  decide: (view: SlotView) => Partial<SlotState> | undefined,
  ending?: VersionId,
): Promise<void> {
  const { pair, context } = pairing
  await settle(ref, context.system, pair, async () => {
    const { view, main, slot } = await look(pairing, ref)
    const isProven = async (): Promise<boolean> =>
      pair.proveNewest === undefined || pair.proveNewest(ref, slot, main)
    let decided: Partial<SlotState> | undefined
    try {
      decided = decide(view)
    } catch (thrown) {
      if (await isProven()) throw thrown
      return undefined
    }
    if (decided === undefined) return (await isProven()) ? { done: undefined } : undefined
    const next = { ...view, ...decided }
    const promoting = await stopPromotions(pairing, ref, { view, main, fence: next.shelf.fence, ending })
    if (promoting === undefined) return undefined
    const fields = encodeSlot(ref, { ...next, promoting }, pair.slotFits)
    const token = await pair.writeSlot(ref, slot.token, fields)
    return token === undefined ? undefined : { done: undefined }
  })
}

/**
 * Promotions that were sent and may still arrive must not where they stand against what is about to be written: those
 * under a lower fence, and those to a version that is about to end. Giving the secret a new token makes the store refuse
 * them, and fails where the look at it was an old one. What is left of the list; undefined where the secret changed.
 */
export async function stopPromotions<Main extends MainDocument>(
  { pair }: Pairing<Main>,
  ref: string,
  about: {
    readonly view: SlotView
    readonly main: Main
    readonly fence: number
    readonly ending?: VersionId | undefined
  },
): Promise<SlotState['promoting'] | undefined> {
  const { view, main, fence, ending } = about
  const isAgainst = view.promoting.some((each) => each.fence < fence || each.to === ending)
  // The sibling has it for current and the secret does not: that look at the secret may have been an old one.
  const isDoubtful = ending !== undefined && view.recorded === ending
  if (!isAgainst && !isDoubtful) return view.promoting
  return (await pair.touchMain(ref, main)) ? [] : undefined
}
