import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel, SecretStore, StoredVersion } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import { assertVersionId, warn } from './context.ts'
import { settle } from './settle.ts'
import {
  annotateOn,
  describeShelf,
  destroyOn,
  find,
  otherSecretError,
  retireOn,
  type Shelf,
  stageOn,
} from './shelf.ts'
import { change, look, type Pairing } from './slot-pair.ts'
import { promoteInPair } from './slot-promote.ts'
import {
  emptySlot,
  keyAlone,
  type MainDocument,
  type SlotState,
  type SlotView,
  viewOf,
} from './slot-state.ts'
import { assertStorable } from './values.ts'

/** A store over two documents per ref. See slot-state.ts for what is in them. */
export function slotStore<Main extends MainDocument>(pairing: Pairing<Main>): SecretStore {
  const { pair, context } = pairing
  const { system } = context
  const readCurrent = currentReader(pairing)
  const settled = <Result>(ref: string, round: () => Promise<Result>): Promise<Result> =>
    settle(ref, system, pair, async () => ({ done: await round() }))

  return {
    capabilities: pair.capabilities,
    async read(ref, options) {
      pair.assertRef(ref)
      const wanted = options?.version
      if (wanted === undefined) return settled(ref, () => readCurrent(ref))
      return settle(ref, system, pair, async () => {
        const { view, slot } = await look(pairing, ref)
        const done = storedVersion(view, wanted)
        const isSure = done !== undefined || pair.proveNewest === undefined
        return isSure || (await pair.proveNewest?.(ref, slot)) === true ? { done } : undefined
      })
    },
    async describe(ref) {
      pair.assertRef(ref)
      const { view, slot } = await settled(ref, () => look(pairing, ref))
      return slot.fields === undefined && !view.main.isThere ? undefined : describeShelf(view.shelf)
    },
    async stage(ref, { version, secret, meta, fence }) {
      pair.assertRef(ref)
      assertVersionId(version)
      assertStorable(ref, secret)
      const key = keyAlone(secret)
      await change(pairing, ref, ({ shelf, values }) => {
        const result = stageOn(ref, shelf, { version, meta, fence, at: system.now() })
        if (result.kind === 'staged')
          return { shelf: result.shelf, values: new Map(values).set(version, key) }
        if (values.get(version)?.equals(key) === true) return undefined
        throw otherSecretError(ref, version)
      })
    },
    promote(ref, request) {
      pair.assertRef(ref)
      return promoteInPair(pairing, ref, request)
    },
    async retire(ref, request) {
      pair.assertRef(ref)
      await change(pairing, ref, ({ shelf }) => only(retireOn(ref, shelf, request)), request.version)
    },
    async destroy(ref, version) {
      pair.assertRef(ref)
      let former: Secret | undefined
      const ending = ({ shelf, values }: SlotView): Partial<SlotState> | undefined => {
        const next = destroyOn(ref, shelf, version)
        if (next !== undefined) former = values.get(version)
        return only(next)
      }
      const before = await settled(ref, () => look(pairing, ref))
      ending(before.view)
      // The history first: once the sibling has forgotten the value, nobody knows any more what to look for.
      const value = former
      if (value !== undefined && pair.forgetInMain !== undefined)
        await settled(ref, async () => pair.forgetInMain?.(ref, value))
      await change(pairing, ref, ending, version)
      // Also where the sibling did not have it: a crash in between may have left its former states.
      if (before.slot.fields !== undefined) await settled(ref, async () => pair.forgetInSlot?.(ref))
      return 'destroyed'
    },
    async annotate(ref, version, meta) {
      pair.assertRef(ref)
      await change(pairing, ref, ({ shelf }) => ({ shelf: annotateOn(ref, shelf, version, meta) }))
    },
    async check(ref) {
      pair.assertRef(ref)
      return settled(ref, () => pair.check(ref))
    },
    ...watching(pairing),
    close: () => pair.close(),
  }
}

/** Only where the driver can. */
function watching<Main extends MainDocument>({ pair, context }: Pairing<Main>): Pick<SecretStore, 'watch'> {
  if (pair.watch === undefined) return {}
  return {
    watch(ref, onChange): Cancel {
      try {
        pair.assertRef(ref)
      } catch (thrown) {
        // Each look at it fails with the same reason. One bad name must not end the start of all other credentials.
        const { code, message } = toKeyturnError(thrown, `watching ${ref}`)
        context.log('warn', `${ref} is not watched: ${message}`, { ref, code })
        return () => undefined
      }
      return pair.watch?.(ref, onChange) ?? (() => undefined)
    },
  }
}

function only(shelf: Shelf | undefined): Partial<SlotState> | undefined {
  return shelf === undefined ? undefined : { shelf }
}

function storedVersion(
  { shelf, values }: SlotView,
  version: VersionId | undefined,
): StoredVersion | undefined {
  const entry = version === undefined ? undefined : find(shelf, version)
  const secret = version === undefined ? undefined : values.get(version)
  if (entry === undefined || secret === undefined) return undefined
  return { version: entry.version, secret, meta: entry.meta }
}

/**
 * A reader that may not see the sibling, where all other keys are, still gets the key: without metadata, and under the
 * id that the secret itself tells or that is drawn from the value. This is said once per ref.
 */
function currentReader<Main extends MainDocument>(
  pairing: Pairing<Main>,
): (ref: string) => Promise<StoredVersion | undefined> {
  const { pair, context } = pairing
  const refused = new Map<string, number>()
  const readAlone = async (ref: string): Promise<StoredVersion | undefined> => {
    const main = await pair.readMain(ref)
    if (main.withoutField !== undefined) throw main.withoutField
    const view = viewOf(emptySlot, main, { kind: pair.capabilities.kind, system: context.system })
    return storedVersion(view, view.shelf.current)
  }
  return async (ref) => {
    const refusedAt = refused.get(ref)
    if (refusedAt !== undefined && context.system.now() < refusedAt + refusedForMs) return readAlone(ref)
    try {
      const { view } = await look(pairing, ref)
      refused.delete(ref)
      return storedVersion(view, view.shelf.current)
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError && thrown.code === 'store_denied')) throw thrown
      // Throws where the secret itself is what may not be read.
      const alone = await readAlone(ref)
      if (refusedAt === undefined) {
        const slot = pair.nameOfSlot(ref)
        warn(context, `${ref} is read without its metadata: ${slot} may not be read.`, { ref, slot })
      }
      if (refused.size >= refusedMax) refused.clear()
      refused.set(ref, context.system.now())
      return alone
    }
  }
}

/** For so long the sibling is not asked for again: each refusal is a line in somebody's audit log. */
const refusedForMs = 5 * 60_000
const refusedMax = 20_000
