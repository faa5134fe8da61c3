import { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import type { GoogleCalls } from './google-calls.ts'
import { type Keeper, type Kept, provenForReadersMs } from './google-keeper.ts'
import { type GoogleMain, googleMain, type MainPlace } from './google-main.ts'
import { fullName, siblingOf, siblingSuffix } from './google-names.ts'
import { fitsState } from './google-state.ts'
import type { DocumentPair } from './slot-pair.ts'
import { decodeSlot } from './slot-state.ts'

type Documents = Pick<
  DocumentPair<GoogleMain>,
  | 'readMain'
  | 'writeMain'
  | 'touchMain'
  | 'readSlot'
  | 'writeSlot'
  | 'proveNewest'
  | 'slotFits'
  | 'nameOfSlot'
  | 'forgetInMain'
  | 'forgetInSlot'
>

/** So that a write does not have to read what was read a moment ago. */
const readsMax = 1_000
const valuePrefix = 'version.'

/**
 * A secret and its sibling as two documents. The sibling's annotations are what is moved by compare-and-swap (on its etag);
 * each kept key is a version of it that the annotations name by number.
 */
export function googleDocuments(
  calls: GoogleCalls,
  place: MainPlace,
  keeper: Keeper,
  context: StoreContext,
): Documents {
  const reads = new Map<string, Kept>()
  const main = googleMain(calls, place, context)
  const remember = (ref: string, kept: Kept): void => {
    if (reads.size >= readsMax) reads.clear()
    reads.set(ref, kept)
  }

  return {
    ...main,
    async readSlot(ref) {
      const name = siblingOf(await place.nameOf(ref))
      const kept = await keeper.read(name)
      const { secret, state } = kept
      if (secret === undefined) {
        reads.delete(ref)
        return { token: '' }
      }
      remember(ref, kept)
      if (state.revision === 0) return { token: secret.etag, fields: {} }
      const found = await Promise.all(
        [...state.numbers].map(
          async ([version, number]) => [version, await keeper.value(name, number)] as const,
        ),
      )
      const fields: Record<string, string> = {
        shelf: JSON.stringify({ format: 1, ...state.shelf }),
        promoting: JSON.stringify(state.promoting),
      }
      for (const [version, value] of found)
        if (value !== undefined) fields[valuePrefix + version] = value.reveal()
      return { token: secret.etag, fields }
    },
    async writeSlot(ref, token, fields) {
      const mainName = await place.nameOf(ref)
      const name = siblingOf(mainName)
      const known = reads.get(ref)
      const kept = known?.secret?.etag === token ? known : await keeper.read(name)
      if ((kept.secret?.etag ?? '') !== token) return undefined
      const { shelf, promoting } = decodeSlot(fullName(name), fields)
      const texts = new Map<VersionId, Secret>()
      for (const { version } of shelf.versions) {
        const value = fields[valuePrefix + version]
        if (value !== undefined && !kept.state.numbers.has(version)) texts.set(version, new Secret(value))
      }
      // A new sibling is kept where the secret itself is, and encrypted by what encrypts that.
      const like = kept.secret === undefined ? await calls.get(mainName) : undefined
      const written = await keeper.write(name, kept, { shelf, promoting, texts }, like)
      if (written === undefined) {
        reads.delete(ref)
        return undefined
      }
      remember(ref, written)
      return written.secret?.etag
    },
    async proveNewest(ref, slot, read) {
      const known = reads.get(ref)
      reads.delete(ref)
      const forMs = read === undefined ? provenForReadersMs : 0
      const isSame = known?.secret?.etag === slot.token
      if (slot.token !== '' && !(isSame && (await keeper.prove(known, forMs)))) return false
      return read?.held === undefined || main.touchMain(ref, read)
    },
    slotFits(fields) {
      const { shelf, promoting } = decodeSlot('what is about to be written', fields)
      return fitsState(shelf, promoting)
    },
    nameOfSlot: (ref) => ref + siblingSuffix,
    async forgetInSlot(ref) {
      await keeper.sweep(siblingOf(await place.nameOf(ref)))
    },
  }
}
