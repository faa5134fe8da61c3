import { KeyturnError } from '../core/errors.ts'
import { type VersionId, type VersionMeta, versionIdPattern } from '../core/types.ts'

export type AzureTags = Readonly<Record<string, string>>

/** Azure takes 15 tags of at most 256 characters per version (learn.microsoft.com, 2026-11-20). */
const tagsMax = 15
const tagCharactersMax = 256

/** What a version of the sibling says about the key that is its value. */
export interface SlotTags {
  readonly version: VersionId
  readonly fence: number
  readonly stagedAt: number
  readonly isRetired: boolean
  /** Of the key, so that one that was set by hand is known again. */
  readonly digest: string
  readonly meta: VersionMeta
  /** The Azure version of the secret itself that somebody else had set, where Keyturn keeps its key. */
  readonly found?: string | undefined
}

/** What a version of the secret itself says that Keyturn wrote. */
export interface TurnTags {
  readonly version: VersionId
  readonly previous: VersionId | undefined
  /** Rises with every promotion. Promotions of one turn exclude each other: see azure-race.ts. */
  readonly turn: number
  /** Of this one promotion, and of everything that is written again for it. */
  readonly nonce: string
  /** Rises with everything that is written again for the same promotion. */
  readonly edition: number
  readonly fence: number
  /** The Azure version in the sibling. */
  readonly slot: string
  readonly digest: string
  /** What was staged until then is not pending any more. */
  readonly settledAt: number
  /** The promotions of the same turn that it found after it had been written, itself among them; empty: it has withdrawn. */
  readonly seen: readonly string[] | undefined
}

const versionTag = 'keyturn-version'
const previousTag = 'keyturn-previous'
const turnTag = 'keyturn-turn'
const seenTag = 'keyturn-seen'
const slotTag = 'keyturn-slot'
const foundTag = 'keyturn-found'
const ownPrefix = 'keyturn-'

const texts = [
  ['keyturn-key-id', 'keyId'],
  ['keyturn-marker', 'marker'],
  ['keyturn-service-account', 'serviceAccount'],
  ['keyturn-organization', 'organization'],
  ['keyturn-project', 'project'],
] as const
const instants = [
  ['keyturn-created', 'createdAt'],
  ['keyturn-expires', 'expiresAt'],
] as const

// ------------------------------------------------------------------ the sibling

export function slotTags(ref: string, slot: SlotTags): AzureTags {
  const { version, fence, stagedAt, isRetired, digest, meta, found } = slot
  const tags: Record<string, string> = {
    [versionTag]: version,
    [slotTag]: [isRetired ? 'retired' : 'live', fence, Math.round(stagedAt), digest].join(' '),
    ...(found === undefined ? {} : { [foundTag]: found }),
  }
  for (const [tag, name] of texts) {
    const text = meta[name]
    if (text !== undefined) tags[tag] = encodeText(text)
  }
  for (const [tag, name] of instants) {
    const at = meta[name]
    if (at !== undefined) tags[tag] = String(Math.round(at))
  }
  return bounded(tags, `version ${version} of ${ref}`)
}

/** Undefined where Keyturn did not write it. */
export function readSlotTags(tags: AzureTags): SlotTags | undefined {
  const version = tags[versionTag]
  const parts = /^(live|retired) (\d{1,16}) (\d{1,16}) ([0-9a-f]{12})$/.exec(tags[slotTag] ?? '')
  if (version === undefined || !versionIdPattern.test(version) || parts === null) return undefined
  const [, state, fence, stagedAt, digest = ''] = parts
  const meta: Record<string, string | number> = {}
  for (const [tag, name] of texts) {
    const text = tags[tag]
    if (text !== undefined) meta[name] = decodeText(text)
  }
  for (const [tag, name] of instants) {
    const at = Number(tags[tag] ?? Number.NaN)
    if (Number.isSafeInteger(at)) meta[name] = at
  }
  return {
    version,
    fence: Number(fence),
    stagedAt: Number(stagedAt),
    isRetired: state === 'retired',
    digest,
    meta,
    found: tags[foundTag],
  }
}

// ------------------------------------------------------------------ the secret itself

const withdrawn = 'withdrawn'
const noncePattern = /^[0-9a-f]{8}$/
/** As many as one tag holds. Under the ledger's lease there is one; two are a lease that was lost. */
export const contendersMax = 28

/** The tags of the version before that are somebody else's go with the secret from version to version. */
export function turnTags(ref: string, turn: TurnTags, others: AzureTags): AzureTags {
  const { version, previous, seen } = turn
  const numbers = [turn.turn, turn.edition, turn.fence, Math.round(turn.settledAt)]
  return bounded(
    {
      ...othersIn(others),
      [versionTag]: version,
      ...(previous === undefined ? {} : { [previousTag]: previous }),
      [turnTag]: [...numbers, turn.nonce, turn.digest, turn.slot].join(' '),
      ...(seen === undefined ? {} : { [seenTag]: seen.length === 0 ? withdrawn : seen.join(' ') }),
    },
    ref,
  )
}

/** Undefined where Keyturn did not write it. */
export function readTurnTags(tags: AzureTags): TurnTags | undefined {
  const version = tags[versionTag]
  const previous = tags[previousTag]
  const pattern =
    /^(\d{1,16}) (\d{1,16}) (\d{1,16}) (\d{1,16}) ([0-9a-f]{8}) ([0-9a-f]{12}) ([0-9A-Za-z]{1,64})$/
  const parts = pattern.exec(tags[turnTag] ?? '')
  if (version === undefined || !versionIdPattern.test(version) || parts === null) return undefined
  const [, turn, edition, fence, settledAt, nonce = '', digest = '', slot = ''] = parts
  const seen = tags[seenTag] === withdrawn ? [] : tags[seenTag]?.split(' ')
  return {
    version,
    previous,
    turn: Number(turn),
    edition: Number(edition),
    fence: Number(fence),
    settledAt: Number(settledAt),
    nonce,
    digest,
    slot,
    seen: seen?.every((each) => noncePattern.test(each)) === true ? seen : undefined,
  }
}

export function othersIn(tags: AzureTags): AzureTags {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !name.startsWith(ownPrefix)))
}

// ------------------------------------------------------------------ helpers

function bounded(tags: AzureTags, what: string): AzureTags {
  const tooLong = Object.entries(tags).find(([, value]) => value.length > tagCharactersMax)
  if (tooLong !== undefined)
    throw new KeyturnError(
      'store_too_large',
      `The tag ${tooLong[0]} of ${what} is longer than Azure takes.`,
      {
        fix: `Shorten it to ${tagCharactersMax} characters: the names of the service account, project or organisation.`,
      },
    )
  const count = Object.keys(tags).length
  if (count > tagsMax)
    throw new KeyturnError('store_too_large', `${what} would have ${count} tags; Azure takes ${tagsMax}.`, {
      fix: 'Remove tags of your own from it: Keyturn needs 4 of them.',
    })
  return tags
}

/** ASSUMPTION: what Azure takes in a tag besides printable ASCII is not told, so that nothing else is sent. */
function encodeText(text: string): string {
  return /^[!-?A-~][ -~]*$/.test(text) ? text : `@${Buffer.from(text).toString('base64url')}`
}

function decodeText(text: string): string {
  return text.startsWith('@') ? Buffer.from(text.slice(1), 'base64url').toString() : text
}
