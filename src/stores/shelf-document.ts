import type { VersionMeta } from '../core/types.ts'
import { versionIdPattern } from '../core/types.ts'
import { type Shelf, type ShelfVersion, shelfVersionsMax } from './shelf.ts'

/** Rises when an older Keyturn could misread a newer document. */
const format = 1

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
  if (!isObject(value)) return undefined
  const { version, stagedAt, isRetired, meta } = value
  if (typeof version !== 'string' || !versionIdPattern.test(version)) return undefined
  if (!isCount(stagedAt) || typeof isRetired !== 'boolean' || !isObject(meta)) return undefined
  return { version, stagedAt, isRetired, meta: readMeta(meta) }
}

const texts = ['keyId', 'serviceAccount', 'organization', 'project', 'marker'] as const
const instants = ['createdAt', 'expiresAt'] as const

/** Takes what it knows and leaves the rest: metadata is never a reason to refuse a key. */
function readMeta(value: Readonly<Record<string, unknown>>): VersionMeta {
  const meta: Record<string, string | number> = {}
  for (const name of texts) {
    const text = value[name]
    if (typeof text === 'string') meta[name] = text
  }
  for (const name of instants) {
    const at = value[name]
    if (typeof at === 'number') meta[name] = at
  }
  return meta
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch (thrown) {
    // The parser's own message quotes what it read, so it goes no further than this.
    if (thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
