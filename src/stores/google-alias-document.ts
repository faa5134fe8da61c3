import { KeyturnError } from '../core/errors.ts'
import type { StoredVersion } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import type { GoogleCalls } from './google-calls.ts'
import type { Keeper, Kept } from './google-keeper.ts'
import { disabledError } from './google-main.ts'
import { fullName, type GoogleName } from './google-names.ts'
import { fitsState } from './google-state.ts'
import type { GoogleText } from './google-text.ts'
import type { Shelf } from './shelf.ts'
import { decodeSlot, encodeSlot, foreignVersion, viewOf } from './slot-state.ts'

export interface AliasPlace {
  nameOf(ref: string): Promise<GoogleName>
  readonly text: GoogleText
  /** Of the current version; the previous one's is derived from it. */
  readonly alias: string
}

export interface AliasLook {
  readonly name: GoogleName
  readonly kept: Kept
  /** With what the alias points to as current. */
  readonly shelf: Shelf
  /** Versions as Google numbers them, those that somebody else made current among them. */
  readonly numbers: ReadonlyMap<VersionId, number>
  /** What the version under the alias holds. */
  readonly text: Secret | undefined
}

/** Google takes no more (resources.proto of 7.2.0). */
const aliasesMax = 50
const kind = 'google-secret-manager'

export interface AliasDocument {
  look(ref: string): Promise<AliasLook>
  /** False: somebody changed the secret. */
  write(
    ref: string,
    look: AliasLook,
    change: { readonly shelf: Shelf; readonly texts?: ReadonlyMap<VersionId, Secret> },
  ): Promise<boolean>
  /** Undefined where its value is not there any more. */
  keyOf(look: AliasLook, version: VersionId): Promise<Secret | undefined>
  /** The text of a version with this key: the current one's other fields are in it. */
  textFor(look: AliasLook, key: Secret, ref: string): Secret
  /** Another text for a version whose other fields are not those of the current one any more. */
  renewed(
    look: AliasLook,
    version: VersionId,
    key: Secret,
    ref: string,
  ): Promise<ReadonlyMap<VersionId, Secret>>
  /** The key alone, under an id that is drawn from it. */
  readAlone(ref: string): Promise<StoredVersion | undefined>
}

export function aliasDocument(
  calls: GoogleCalls,
  keeper: Keeper,
  place: AliasPlace,
  context: StoreContext,
): AliasDocument {
  const { alias, text } = place
  const previousAlias = alias === 'current' ? 'previous' : `${alias}-previous`

  const keyOf = async (
    { name, numbers }: Pick<AliasLook, 'name' | 'numbers'>,
    version: VersionId,
  ): Promise<Secret | undefined> => {
    const number = numbers.get(version)
    const value = number === undefined ? undefined : await keeper.value(name, number)
    return value === undefined ? undefined : text.keyIn(value.reveal(), fullName(name))
  }
  /** The version that is under a number, or whose key was put there again by somebody who changed other fields. */
  const identify = async (
    name: GoogleName,
    { state }: Kept,
    number: number,
    key: Secret,
  ): Promise<VersionId | undefined> => {
    for (const [version, each] of state.numbers) if (each === number) return version
    for (const version of [state.shelf.current, state.shelf.previous]) {
      if (version === undefined) continue
      const known = await keyOf({ name, numbers: state.numbers }, version)
      if (known?.equals(key) === true) return version
    }
    return undefined
  }

  return {
    keyOf,
    async look(ref) {
      const name = await place.nameOf(ref)
      const kept = await keeper.read(name)
      const { secret, state } = kept
      const number = secret?.aliases.get(alias)
      const value = number === undefined ? undefined : await valueUnder(calls, name, number)
      const key = value === undefined ? undefined : text.keyIn(value.reveal(), fullName(name))
      const claimed =
        number === undefined || key === undefined ? undefined : await identify(name, kept, number, key)
      const view = viewOf(
        {
          shelf: state.shelf,
          promoting: [],
          values: new Map(claimed === undefined || key === undefined ? [] : [[claimed, key]]),
        },
        {
          token: secret?.etag ?? '',
          isThere: secret !== undefined,
          ...(key === undefined ? {} : { secret: key }),
          ...(claimed === undefined ? {} : { claimed }),
        },
        { kind, system: context.system },
      )
      const numbers = new Map(state.numbers)
      const { current } = view.shelf
      if (current !== undefined && number !== undefined) numbers.set(current, number)
      return { name, kept, shelf: view.shelf, numbers, text: value }
    },
    async write(ref, look, { shelf, texts = new Map() }) {
      const { kept, numbers } = look
      const fitting = fitted(ref, shelf)
      const adopted = new Map([...numbers].filter(([version]) => !texts.has(version)))
      const before = kept.secret?.aliases ?? new Map<string, number>()
      const aliases = (now: ReadonlyMap<VersionId, number>): ReadonlyMap<string, number> =>
        moved(before, fitting, now, kept)
      const written = await keeper.write(look.name, kept, {
        shelf: fitting,
        promoting: [],
        texts,
        adopted,
        aliases,
      })
      return written !== undefined
    },
    textFor: ({ text: base, name }, key) => text.next(key, text.isShared ? base : undefined, fullName(name)),
    async renewed(look, version, key) {
      if (!text.isShared) return new Map()
      const number = look.numbers.get(version)
      const stored = number === undefined ? undefined : await keeper.value(look.name, number)
      const next = text.next(key, look.text, fullName(look.name))
      return new Map(stored?.equals(next) === true ? [] : [[version, next]])
    },
    async readAlone(ref) {
      const name = await place.nameOf(ref)
      const value = await valueUnder(calls, name, alias)
      const secret = value === undefined ? undefined : text.keyIn(value.reveal(), fullName(name))
      if (secret === undefined) return undefined
      return { version: foreignVersion(kind, secret, context.system), secret, meta: {} }
    },
  }

  /** The whole map as it shall be: Google replaces it. Others' aliases stay, also one that happens to be named like ours. */
  function moved(
    before: ReadonlyMap<string, number>,
    { current, previous }: Shelf,
    numbers: ReadonlyMap<VersionId, number>,
    { state }: Kept,
  ): ReadonlyMap<string, number> {
    const aliases = new Map(before)
    const now = current === undefined ? undefined : numbers.get(current)
    if (now !== undefined) aliases.set(alias, now)
    const held = before.get(previousAlias)
    const isOurs = held === undefined || [...state.numbers.values(), ...state.doomed].includes(held)
    if (isOurs) {
      const then = previous === undefined ? undefined : numbers.get(previous)
      if (then === undefined) aliases.delete(previousAlias)
      else aliases.set(previousAlias, then)
    }
    if (aliases.size <= aliasesMax) return aliases
    throw new KeyturnError('store_too_large', `A secret takes ${aliasesMax} aliases, and all are in use.`, {
      fix: `Remove one that nobody reads: ${alias} and ${previousAlias} are needed.`,
    })
  }
}

/** Undefined: there is none under that alias, or its value was destroyed. */
async function valueUnder(
  calls: GoogleCalls,
  name: GoogleName,
  version: number | string,
): Promise<Secret | undefined> {
  const access = await calls.access(name, version)
  if (access.kind === 'found') return new Secret(access.text)
  if (access.kind === 'absent') return undefined
  const number = typeof version === 'number' ? version : undefined
  const listed = number === undefined ? undefined : await calls.list(name, 1_000)
  if (listed?.find((each) => each.number === number)?.state === 'destroyed') return undefined
  throw disabledError(name, number)
}

/** Retired versions make room, from the oldest on. */
function fitted(ref: string, shelf: Shelf): Shelf {
  const fields = encodeSlot(ref, { shelf, promoting: [], values: new Map() }, (each) =>
    fitsState(decodeSlot(ref, each).shelf, []),
  )
  return decodeSlot(ref, fields).shelf
}
