import { isRecord } from '../core/json.ts'
import { soundMeta } from '../core/sound-meta.ts'
import { versionIdPattern } from '../core/types.ts'
import { type Shelf, type ShelfVersion, shelfVersionsMax } from './shelf.ts'

/** Rises when an older Keyturn could misread a newer document. */
const format = 1

/** The last instant that a Date can be, in milliseconds (ECMA-262, 21.4.1.1). */
const instantMax = 8.64e15

/** The pointer document as text: for people to read, and without any secret. */
export function writeShelf(ref: string, shelf: Shelf): string {
  return `${JSON.stringify({ format, ref, ...shelf }, undefined, 2)}\n`
}

/** Undefined where the text is not such a document, whole and consistent. */
export function readShelf(text: string): Shelf | undefined {
  const document = parseObject(text)
  if (document?.['format'] !== format) return undefined
  const { fence, versions, current, pending, previous } = document
  if (!isCount(fence) || !Array.isArray(versions) || versions.length > shelfVersionsMax) return undefined
  const entries: ShelfVersion[] = []
  for (const candidate of versions) {
    const entry = readEntry(candidate)
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  const known = new Set(entries.map((entry) => entry.version))
  const isPointer = (value: unknown): value is string | undefined =>
    value === undefined || (typeof value === 'string' && known.has(value))
  if (!isPointer(current) || !isPointer(pending) || !isPointer(previous)) return undefined
  return {
    fence,
    ...(current === undefined ? {} : { current }),
    ...(pending === undefined ? {} : { pending }),
    ...(previous === undefined ? {} : { previous }),
    versions: entries,
  }
}

function readEntry(value: unknown): ShelfVersion | undefined {
  if (!isRecord(value)) return undefined
  const { version, stagedAt, isRetired, meta } = value
  if (typeof version !== 'string' || !versionIdPattern.test(version)) return undefined
  if (!isCount(stagedAt) || typeof isRetired !== 'boolean' || !isRecord(meta)) return undefined
  // Metadata is never a reason to refuse a key, nor is an instant that no date can be: what is unsound is left out.
  return { version, stagedAt: stagedAt > instantMax ? 0 : stagedAt, isRetired, meta: soundMeta(meta) }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch (thrown) {
    // The parser's own message quotes what it read, so it goes no further than this.
    if (thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
