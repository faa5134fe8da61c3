import { KeyturnError } from '../core/errors.ts'
import { fenceAheadMax } from '../core/fences.ts'
import type { PromoteOutcome, PromoteRequest, StoreDescription } from '../core/ports.ts'
import type { VersionId, VersionMeta } from '../core/types.ts'

/**
 * The rules of one secret's versions, as pure functions over a plain document that holds no secret. The drivers that
 * keep the truth themselves (memory, local) share them, so that they cannot differ.
 */
export interface ShelfVersion {
  readonly version: VersionId
  readonly stagedAt: number
  readonly isRetired: boolean
  readonly meta: VersionMeta
}

export interface Shelf {
  /** The highest fence that changed anything here. */
  readonly fence: number
  readonly current?: VersionId
  readonly pending?: VersionId
  readonly previous?: VersionId
  /** Newest first, at most `shelfVersionsMax`. */
  readonly versions: readonly ShelfVersion[]
}

export const shelfVersionsMax = 100
export const emptyShelf: Shelf = { fence: 0, versions: [] }

export type StageResult =
  /** It is there already: whether the secret is the same one is for the driver to compare. */
  | { readonly kind: 'exists' }
  /** `dropped` are retired versions that had to make room. */
  | { readonly kind: 'staged'; readonly shelf: Shelf; readonly dropped: readonly VersionId[] }

export function stageOn(
  ref: string,
  shelf: Shelf,
  request: {
    readonly version: VersionId
    readonly meta: VersionMeta
    readonly fence: number
    readonly at: number
  },
): StageResult {
  assertFence(ref, shelf.fence, request.fence)
  const known = find(shelf, request.version)
  if (known?.isRetired === true) throw retiredError(ref, request.version)
  if (known !== undefined) return { kind: 'exists' }
  const entry: ShelfVersion = {
    version: request.version,
    stagedAt: request.at,
    isRetired: false,
    meta: request.meta,
  }
  const { versions, dropped } = makeRoom(ref, [entry, ...shelf.versions])
  return {
    kind: 'staged',
    shelf: { ...shelf, fence: request.fence, pending: request.version, versions },
    dropped,
  }
}

/** `shelf` is there only where something changed. */
export function promoteOn(
  ref: string,
  shelf: Shelf,
  request: PromoteRequest,
): { readonly outcome: PromoteOutcome; readonly shelf?: Shelf } {
  assertFence(ref, shelf.fence, request.fence)
  if (shelf.current === request.to) return { outcome: { kind: 'already' } }
  const target = find(shelf, request.to)
  if (target === undefined || target.isRetired) return { outcome: { kind: 'gone' } }
  if (shelf.current !== request.expectCurrent)
    return { outcome: { kind: 'conflict', current: shelf.current } }
  const { pending, previous: _left, ...rest } = shelf
  return {
    outcome: { kind: 'promoted' },
    shelf: {
      ...rest,
      fence: request.fence,
      current: request.to,
      ...(shelf.current === undefined ? {} : { previous: shelf.current }),
      ...(pending === undefined || pending === request.to ? {} : { pending }),
    },
  }
}

/** Undefined where nothing changes: the version is absent, or retired already. */
export function retireOn(
  ref: string,
  shelf: Shelf,
  request: { readonly version: VersionId; readonly fence: number },
): Shelf | undefined {
  assertFence(ref, shelf.fence, request.fence)
  if (shelf.current === request.version) throw isCurrentError(ref, request.version, 'retired')
  const known = find(shelf, request.version)
  if (known === undefined || known.isRetired) return undefined
  return {
    ...withoutPointersTo(shelf, request.version),
    fence: request.fence,
    versions: replace(shelf, { ...known, isRetired: true }),
  }
}

/** Undefined where the version is absent. */
export function destroyOn(ref: string, shelf: Shelf, version: VersionId): Shelf | undefined {
  if (shelf.current === version) throw isCurrentError(ref, version, 'destroyed')
  if (shelf.previous === version) throw isPreviousError(ref, version)
  if (find(shelf, version) === undefined) return undefined
  return {
    ...withoutPointersTo(shelf, version),
    versions: shelf.versions.filter((entry) => entry.version !== version),
  }
}

export function annotateOn(ref: string, shelf: Shelf, version: VersionId, meta: VersionMeta): Shelf {
  const known = find(shelf, version)
  if (known === undefined) throw versionAbsentError(ref, version)
  return { ...shelf, versions: replace(shelf, { ...known, meta }) }
}

export function describeShelf(shelf: Shelf): StoreDescription {
  return {
    ...(shelf.current === undefined ? {} : { current: shelf.current }),
    ...(shelf.pending === undefined ? {} : { pending: shelf.pending }),
    ...(shelf.previous === undefined ? {} : { previous: shelf.previous }),
    fence: shelf.fence,
    versions: shelf.versions.map(({ version, isRetired, meta }) => ({ version, isRetired, meta })),
  }
}

export function find(shelf: Shelf, version: VersionId): ShelfVersion | undefined {
  return shelf.versions.find((entry) => entry.version === version)
}

// ------------------------------------------------------------------ refusals, in the same words for every driver

export function assertFence(ref: string, highest: number, fence: number): void {
  if (fence >= highest) return
  // Fences begin at the clock: one that is days ahead was given out by nobody.
  if (highest - fence > fenceAheadMax)
    throw new KeyturnError(
      'store_conflict',
      `The fence that is kept for ${ref} (${highest}) is far above those that Keyturn gives out (${fence}).`,
      {
        fix: 'Somebody changed it, or a clock was ahead. Correct the clock; else remove what Keyturn keeps beside this secret, after looking who may write there.',
      },
    )
  throw new KeyturnError(
    'store_conflict',
    `${ref} was changed under fence ${highest}; a change under fence ${fence} comes too late.`,
    { fix: 'Another replica took over this credential: nothing is to be done.' },
  )
}

export function otherSecretError(ref: string, version: VersionId): KeyturnError {
  return new KeyturnError('store_conflict', `Version ${version} of ${ref} is there with another secret.`, {
    fix: 'Stage the secret under a version id of its own.',
  })
}

export function retiredError(ref: string, version: VersionId): KeyturnError {
  return new KeyturnError('store_conflict', `Version ${version} of ${ref} is retired, which is for good.`, {
    fix: 'Stage the secret under a new version id.',
  })
}

export function isCurrentError(ref: string, version: VersionId, act: 'retired' | 'destroyed'): KeyturnError {
  return new KeyturnError('store_conflict', `Version ${version} of ${ref} is current and cannot be ${act}.`, {
    fix: 'Promote another version first.',
  })
}

export function isPreviousError(ref: string, version: VersionId): KeyturnError {
  return new KeyturnError(
    'store_conflict',
    `Version ${version} of ${ref} is the one a rollback goes to, and cannot be destroyed.`,
    { fix: 'Retire it first.' },
  )
}

export function versionAbsentError(ref: string, version: VersionId): KeyturnError {
  return new KeyturnError('store_absent', `There is no version ${version} of ${ref}.`, {
    fix: 'List what is there with: keyturn versions',
  })
}

// ------------------------------------------------------------------ helpers

function replace(shelf: Shelf, changed: ShelfVersion): readonly ShelfVersion[] {
  return shelf.versions.map((entry) => (entry.version === changed.version ? changed : entry))
}

function withoutPointersTo(shelf: Shelf, version: VersionId): Shelf {
  const { pending, previous, ...rest } = shelf
  return {
    ...rest,
    ...(pending === undefined || pending === version ? {} : { pending }),
    ...(previous === undefined || previous === version ? {} : { previous }),
  }
}

function makeRoom(
  ref: string,
  versions: readonly ShelfVersion[],
): { readonly versions: readonly ShelfVersion[]; readonly dropped: readonly VersionId[] } {
  if (versions.length <= shelfVersionsMax) return { versions, dropped: [] }
  const oldestRetired = versions.findLast((entry) => entry.isRetired)
  if (oldestRetired === undefined)
    throw new KeyturnError(
      'store_too_large',
      `${ref} has ${shelfVersionsMax} live versions; no more are taken.`,
      { fix: 'Revoke keys that nobody uses: keyturn versions, then keyturn revoke' },
    )
  return {
    versions: versions.filter((entry) => entry !== oldestRetired),
    dropped: [oldestRetired.version],
  }
}
