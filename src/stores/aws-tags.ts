import { KeyturnError } from '../core/errors.ts'
import { soundMeta } from '../core/sound-meta.ts'
import { type Fingerprint, type VersionId, type VersionMeta, versionIdPattern } from '../core/types.ts'

/**
 * Metadata as tags of the secret, because the value is the key alone, as teams have it. AWS takes 50 tags of at most
 * 256 characters out of letters, digits, spaces and `_ . : / = + - @`, hence the small format of its own:
 * `k=key_abc m=kt-… t=lz3k9` with numbers in base 36 and anything unusual as `@` and base64url.
 */
export interface TaggedVersion {
  readonly stagedAt: number
  readonly isRetired: boolean
  /** Of its key, by which it is known again in what somebody else wrote. Missing on versions that Keyturn never read. */
  readonly fingerprint?: Fingerprint
  readonly meta: VersionMeta
}

export const fenceTag = 'keyturn:fence'
/** Two tags at most for each of so many versions leave the team 19 of the 50. */
const taggedVersionsMax = 15
const tagCharactersMax = 256
/** The last instant that a Date can be, in milliseconds (ECMA-262, 21.4.1.1). */
const instantMax = 8.64e15
const firstPrefix = 'keyturn:v:'
const secondPrefix = 'keyturn:w:'

const texts = [
  ['k', 'keyId'],
  ['m', 'marker'],
  ['s', 'serviceAccount'],
  ['o', 'organization'],
  ['p', 'project'],
] as const
const instants = [
  ['c', 'createdAt'],
  ['e', 'expiresAt'],
] as const

/** The tags of one version; the second one is empty where the first has room for all. */
export function versionTags(
  ref: string,
  version: VersionId,
  { stagedAt, isRetired, fingerprint, meta }: TaggedVersion,
): Readonly<Record<string, string>> {
  const pieces = [`t=${Math.round(stagedAt).toString(36)}`, ...(isRetired ? ['r=1'] : [])]
  if (fingerprint !== undefined) pieces.push(`f=${fingerprint}`)
  for (const [letter, name] of instants) {
    const at = meta[name]
    if (at !== undefined) pieces.push(`${letter}=${Math.round(at).toString(36)}`)
  }
  for (const [letter, name] of texts) {
    const text = meta[name]
    if (text !== undefined) pieces.push(`${letter}=${encodeText(text)}`)
  }
  const rows = ['', '']
  let row = 0
  for (const piece of pieces) {
    const longer = rows[row] === '' ? piece : `${rows[row]} ${piece}`
    if (longer.length <= tagCharactersMax) rows[row] = longer
    else if (row === 0 && piece.length <= tagCharactersMax) rows[(row = 1)] = piece
    else throw metadataTooLarge(ref, version)
  }
  return { [firstPrefix + version]: rows[0] ?? '', [secondPrefix + version]: rows[1] ?? '' }
}

export function readVersionTags(tags: ReadonlyMap<string, string>): ReadonlyMap<VersionId, TaggedVersion> {
  const found = new Map<VersionId, TaggedVersion>()
  for (const [key, value] of tags) {
    if (!key.startsWith(firstPrefix)) continue
    const version = key.slice(firstPrefix.length)
    if (!versionIdPattern.test(version)) continue
    found.set(version, decode(`${value} ${tags.get(secondPrefix + version) ?? ''}`))
  }
  return found
}

export function tagKeysOf(version: VersionId): readonly string[] {
  return [firstPrefix + version, secondPrefix + version]
}

/** 0 where there is none. */
export function readFence(tags: ReadonlyMap<string, string>): number {
  const fence = Number(tags.get(fenceTag) ?? '0')
  return Number.isSafeInteger(fence) && fence >= 0 ? fence : 0
}

/**
 * Whose tags make room for `added` more versions: those that AWS no longer names first, then the oldest. `keep` are never
 * chosen.
 */
export function versionsToForget(
  tagged: ReadonlyMap<VersionId, TaggedVersion>,
  {
    added,
    isNamed,
    keep,
  }: {
    readonly added: number
    readonly isNamed: (version: VersionId) => boolean
    readonly keep: ReadonlySet<VersionId | undefined>
  },
): readonly VersionId[] {
  const excess = tagged.size + added - taggedVersionsMax
  if (excess <= 0) return []
  const rank = (version: VersionId): number => (isNamed(version) ? 1 : 0)
  return [...tagged]
    .filter(([version]) => !keep.has(version))
    .sort(([a, one], [b, other]) => rank(a) - rank(b) || one.stagedAt - other.stagedAt)
    .slice(0, excess)
    .map(([version]) => version)
}

function decode(row: string): TaggedVersion {
  const pieces = new Map(
    row.split(' ').map((piece): [string, string] => {
      const at = piece.indexOf('=')
      return [piece.slice(0, Math.max(at, 0)), piece.slice(at + 1)]
    }),
  )
  const meta: Record<string, string | number> = {}
  for (const [letter, name] of texts) {
    const text = pieces.get(letter)
    if (text !== undefined) meta[name] = decodeText(text)
  }
  for (const [letter, name] of instants) {
    const at = readInstant(pieces.get(letter))
    if (at !== undefined) meta[name] = at
  }
  const fingerprint = pieces.get('f')
  return {
    stagedAt: readInstant(pieces.get('t')) ?? 0,
    isRetired: pieces.get('r') === '1',
    ...(fingerprint === undefined ? {} : { fingerprint }),
    // Whoever may tag the secret writes here too.
    meta: soundMeta(meta),
  }
}

function readInstant(text: string | undefined): number | undefined {
  const at = text === undefined ? Number.NaN : Number.parseInt(text, 36)
  return Number.isSafeInteger(at) && at >= 0 && at <= instantMax ? at : undefined
}

function encodeText(text: string): string {
  return /^[A-Za-z0-9_.:/+-][A-Za-z0-9_.:/+@-]*$/.test(text)
    ? text
    : `@${Buffer.from(text).toString('base64url')}`
}

function decodeText(text: string): string {
  return text.startsWith('@') ? Buffer.from(text.slice(1), 'base64url').toString() : text
}

function metadataTooLarge(ref: string, version: VersionId): KeyturnError {
  return new KeyturnError(
    'store_too_large',
    `The metadata of version ${version} does not fit the tags of ${ref}.`,
    {
      fix: 'Shorten the names of the service account, project or organisation.',
    },
  )
}
