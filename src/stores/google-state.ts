import { KeyturnError } from '../core/errors.ts'
import type { VersionId } from '../core/types.ts'
import type { GoogleSecret } from './google-calls.ts'
import { jsonObjectIn } from './google-json.ts'
import { fullName } from './google-names.ts'
import type { Shelf } from './shelf.ts'
import { decodeSlot, emptySlot, type Promotion } from './slot-state.ts'

/** What the annotations of the secret that keeps Keyturn's versions say about them: no secrets, and all that is to know. */
export interface GoogleState {
  /** Rises with each write, so that an answer that is older than one before is known as such. */
  readonly revision: number
  readonly shelf: Shelf
  readonly promoting: readonly Promotion[]
  /** The number under which Google has the value. */
  readonly numbers: ReadonlyMap<VersionId, number>
  /** Numbers of versions that nothing points to any more: nobody may take them up again, and they are to be destroyed. */
  readonly doomed: readonly number[]
  /**
   * Where others keep versions in the same secret: digests of texts that are about to be added, or were, by one who died
   * before a number could be given to them.
   */
  readonly adding: readonly string[]
}

export const stateAnnotation = 'keyturn-state'
/** Of annotations with all their names; Google takes less than 16 KiB. */
export const annotationBytesMax = 16 * 1024 - 1
/** Of the state alone, so that others have room for theirs. */
const stateBytesMax = 12 * 1024
export const doomedMax = 100
/** The oldest go first: their texts were added, and swept, or nobody will tell. */
export const addingMax = 20
/** Rises when an older Keyturn could misread a newer state. */
const format = 1

export const emptyState: GoogleState = {
  revision: 0,
  shelf: emptySlot.shelf,
  promoting: [],
  numbers: new Map(),
  doomed: [],
  adding: [],
}

export function encodeState(state: GoogleState): string {
  const { revision, shelf, promoting, numbers, doomed, adding } = state
  return JSON.stringify({
    format,
    revision,
    shelf,
    numbers: shelf.versions.map(({ version }) => numbers.get(version) ?? 0),
    ...(promoting.length === 0 ? {} : { promoting }),
    ...(doomed.length === 0 ? {} : { doomed: doomed.slice(-doomedMax) }),
    ...(adding.length === 0 ? {} : { adding }),
  })
}

/** Whether the shelf leaves room for the numbers that belong to it. */
export function fitsState(shelf: Shelf, promoting: readonly Promotion[]): boolean {
  return Buffer.byteLength(JSON.stringify({ shelf, promoting })) + shelf.versions.length * 12 <= stateBytesMax
}

/** `store_malformed` where the annotation is not what `encodeState` wrote. */
export function decodeState(secret: GoogleSecret): GoogleState {
  const text = secret.annotations.get(stateAnnotation)
  if (text === undefined) return emptyState
  const where = `The annotation ${stateAnnotation} of ${fullName(secret.name)}`
  const { format: written, revision, shelf, promoting, numbers, doomed, adding } = jsonObjectIn(text) ?? {}
  const { shelf: read, promoting: promotions } = decodeSlot(where, {
    shelf: JSON.stringify(typeof shelf === 'object' ? { ...shelf, format } : {}),
    promoting: JSON.stringify(promoting ?? []),
  })
  const list = numbersIn(numbers)
  if (!isCount(revision) || list?.length !== read.versions.length || written !== format)
    throw new KeyturnError('store_malformed', `${where} is damaged or from a newer Keyturn.`, {
      fix: 'Put back what it said before; Google keeps no former annotations, but the audit log of UpdateSecret may show it.',
    })
  return {
    revision,
    shelf: read,
    promoting: promotions,
    numbers: new Map(
      read.versions.flatMap(({ version }, index) => {
        const number = list[index] ?? 0
        return number === 0 ? [] : [[version, number] as const]
      }),
    ),
    doomed: numbersIn(doomed ?? []) ?? [],
    adding: textsIn(adding).slice(-addingMax),
  }
}

function numbersIn(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined
  const found: number[] = []
  for (const each of value as readonly unknown[]) {
    if (!isCount(each)) return undefined
    found.push(each)
  }
  return found
}

function textsIn(value: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : []
  return all.filter((each) => typeof each === 'string')
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
