import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import { type VersionId, versionIdPattern } from '../core/types.ts'
import { parseJson, withoutFileMarks } from './plain-text.ts'
import { emptyShelf, find, type Shelf, shelfVersionsMax } from './shelf.ts'
import { readShelf, writeShelf } from './shelf-document.ts'

/**
 * What Keyturn keeps in a sibling of a secret, in stores where everybody gets the newest value there is: a pending key
 * must not be in the secret itself, and the key that a rollback goes back to is not there any more.
 *
 * The sibling holds the values of all versions, and a shelf that says what they are. The secret itself stays what other
 * people know it as: their document with one field of ours. Which version is current is never recorded in the sibling as
 * a truth: it is whatever the secret holds, found among the values, so that the two can never disagree.
 */
export interface SlotState {
  readonly shelf: Shelf
  readonly promoting: readonly Promotion[]
  readonly values: ReadonlyMap<VersionId, Secret>
}

/**
 * A promotion that was written down and then sent. For as long as the secret is in the state `from`, it may still arrive;
 * whoever needs it not to (a retirement of `to`, a higher fence) changes that state first.
 */
export interface Promotion {
  readonly to: VersionId
  readonly from: string
  readonly fence: number
}

/** The secret itself, as others read it. */
export interface MainDocument {
  /** Changes with every change of it; a write under an old one is refused by the store. */
  readonly token: string
  /** Undefined where there is no such document, or it has no key in it. */
  readonly secret?: Secret
  readonly isThere: boolean
  /**
   * Where it has other people's fields and none of ours: most likely the name of the field is wrong. Thrown unless there is
   * a sibling, which says that Keyturn has been here; to begin beside a key that is read under another name would split them.
   */
  readonly withoutField?: KeyturnError
  /** The version that the document itself says it holds, where it can say so and the value bears it out. */
  readonly claimed?: VersionId
}

export interface SlotView extends SlotState {
  readonly main: MainDocument
  /** What the sibling has for current, which may be behind. */
  readonly recorded: VersionId | undefined
  /** False where the value in the secret is none that the sibling knows. */
  readonly isKnown: boolean
}

export const emptySlot: SlotState = { shelf: emptyShelf, promoting: [], values: new Map() }

/** The sibling together with the secret: `shelf` is as it stands, with the current version as the secret has it. */
export function viewOf(
  slot: SlotState,
  main: MainDocument,
  { kind, system }: { readonly kind: string; readonly system: System },
): SlotView {
  const { secret } = main
  const known = secret === undefined ? undefined : identify(slot, secret, main.claimed)
  const current =
    known ?? main.claimed ?? (secret === undefined ? undefined : foreignVersion(kind, secret, system))
  const values = new Map(slot.values)
  // A key that somebody else put there is kept as well: it is what a rollback goes to once it was replaced.
  if (current !== undefined && secret !== undefined) values.set(current, secret)
  return {
    main,
    recorded: slot.shelf.current,
    isKnown: secret === undefined || known !== undefined,
    shelf: withCurrent(slot.shelf, current, system.now()),
    promoting: slot.promoting,
    values,
  }
}

/** Equal values are told apart by what was meant to be current. */
function identify(
  { shelf, promoting, values }: SlotState,
  secret: Secret,
  claimed: VersionId | undefined,
): VersionId | undefined {
  const likely = [claimed, shelf.current, ...promoting.map(({ to }) => to)]
  for (const version of [...likely, ...shelf.versions.map((entry) => entry.version)])
    if (version !== undefined && values.get(version)?.equals(secret) === true) return version
  return undefined
}

/** A newline at the end is of a file and not of a key, and would not come back from every field. */
export function keyAlone(secret: Secret): Secret {
  return new Secret(withoutFileMarks(secret.reveal()))
}

/** An id drawn from the value, so that every replica and every restart gives it the same one. */
export function foreignVersion(kind: string, secret: Secret, system: System): VersionId {
  return `${kind}-${digestOf(secret, system)}`
}

/** Over a fixed prefix as well: it equals no hash of the bare key that somebody may have published. */
export function digestOf(secret: Secret, system: System): string {
  return system.sha256Hex(`keyturn version:${secret.reveal()}`).slice(0, 12)
}

function withCurrent(recorded: Shelf, current: VersionId | undefined, at: number): Shelf {
  const { current: left, previous, pending, ...rest } = recorded
  if (left === current) return recorded
  const isListed = current === undefined || find(recorded, current) !== undefined
  const before = [left, previous].find(
    (version) => version !== undefined && version !== current && find(recorded, version)?.isRetired === false,
  )
  const pointers = {
    ...(current === undefined ? {} : { current }),
    ...(before === undefined ? {} : { previous: before }),
    ...(pending === undefined || pending === current ? {} : { pending }),
  }
  if (isListed) return { ...rest, ...pointers }
  const entry = { version: current, stagedAt: at, isRetired: false, meta: {} }
  return { ...rest, ...pointers, versions: roomFor(rest.versions, Object.values(pointers), entry) }
}

/** A version found in the secret always gets its line: the oldest that nothing points to makes room. */
function roomFor(
  versions: Shelf['versions'],
  kept: readonly VersionId[],
  entry: Shelf['versions'][number],
): Shelf['versions'] {
  if (versions.length < shelfVersionsMax) return [entry, ...versions]
  const isFree = ({ version }: { readonly version: VersionId }): boolean => !kept.includes(version)
  const leaving =
    versions.findLast((each) => each.isRetired && isFree(each)) ?? versions.findLast((each) => isFree(each))
  return [entry, ...versions.filter((each) => each !== leaving)]
}

// ------------------------------------------------------------------ as fields of a document

/** Kubernetes takes 1 MiB for a Secret in base64, Vault's integrated storage 1 MiB for an entry. */
export const slotBytesMax = 700_000
const shelfField = 'shelf'
const promotingField = 'promoting'
const valuePrefix = 'version.'
const promotingMax = 32

/** Retired versions make room from the oldest on; where live ones alone are too much, `store_too_large`. */
export function encodeSlot(
  ref: string,
  state: SlotState,
  fits: (fields: Readonly<Record<string, string>>) => boolean = (fields) => bytesOf(fields) <= slotBytesMax,
): Readonly<Record<string, string>> {
  for (let { shelf } = state; ; ) {
    const fields: Record<string, string> = {
      [shelfField]: writeShelf(ref, shelf),
      [promotingField]: JSON.stringify(state.promoting.slice(-promotingMax)),
    }
    for (const { version } of shelf.versions) {
      const secret = state.values.get(version)
      if (secret !== undefined) fields[valuePrefix + version] = secret.reveal()
    }
    if (fits(fields)) return fields
    const leaving = shelf.versions.findLast(({ isRetired }) => isRetired)
    if (leaving === undefined)
      throw new KeyturnError(
        'store_too_large',
        `The live versions of ${ref} are more than one secret holds.`,
        {
          fix: 'Revoke keys that nobody uses: keyturn versions, then keyturn revoke',
        },
      )
    shelf = { ...shelf, versions: shelf.versions.filter((entry) => entry !== leaving) }
  }
}

/** `store_malformed` where the fields are not what `encodeSlot` wrote. No fields at all: nothing was kept yet. */
export function decodeSlot(where: string, fields: Readonly<Record<string, string | undefined>>): SlotState {
  const text = fields[shelfField]
  if (text === undefined && Object.keys(fields).length === 0) return emptySlot
  const shelf = text === undefined ? undefined : readShelf(text)
  const promoting = readPromoting(fields[promotingField])
  if (shelf === undefined || promoting === undefined)
    throw new KeyturnError('store_malformed', `${where} is damaged or from a newer Keyturn.`, {
      fix: `Restore an older version of it, or remove it where no older key has to be kept: Keyturn makes it anew.`,
    })
  const values = new Map<VersionId, Secret>()
  for (const { version } of shelf.versions) {
    const value = fields[valuePrefix + version]
    if (value !== undefined) values.set(version, new Secret(value))
  }
  return { shelf, promoting, values }
}

function readPromoting(text: string | undefined): readonly Promotion[] | undefined {
  const list = parseJson(text ?? '[]')
  if (!Array.isArray(list) || list.length > promotingMax) return undefined
  const found: Promotion[] = []
  for (const each of list as readonly unknown[]) {
    if (typeof each !== 'object' || each === null) return undefined
    const { to, from, fence } = each as Readonly<Record<string, unknown>>
    if (typeof to !== 'string' || !versionIdPattern.test(to) || typeof from !== 'string') return undefined
    if (typeof fence !== 'number' || !Number.isSafeInteger(fence)) return undefined
    found.push({ to, from, fence })
  }
  return found
}

function bytesOf(fields: Readonly<Record<string, string>>): number {
  let bytes = 0
  for (const [name, value] of Object.entries(fields))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  return bytes
}
