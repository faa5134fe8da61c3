import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import type { GoogleCalls, GoogleSecret } from './google-calls.ts'
import { createCommand } from './google-errors.ts'
import { fullName, type GoogleName } from './google-names.ts'
import {
  annotationBytesMax,
  decodeState,
  doomedMax,
  emptyState,
  encodeState,
  type GoogleState,
  stateAnnotation,
} from './google-state.ts'

/** What one look at the keeping secret told. */
export interface Kept {
  /** Undefined where there is no such secret. */
  readonly secret: GoogleSecret | undefined
  readonly state: GoogleState
}

export interface KeepChange extends Pick<GoogleState, 'shelf' | 'promoting'> {
  /** The text of each version on the shelf that has no number yet, or shall get another one. */
  readonly texts: ReadonlyMap<VersionId, Secret>
  /** Aliases as they shall be, by the numbers that the versions have then. */
  readonly aliases?: (numbers: ReadonlyMap<VersionId, number>) => ReadonlyMap<string, number>
  /** Numbers that belong to versions already, e.g. those of others. */
  readonly adopted?: ReadonlyMap<VersionId, number>
}

/** The secret whose versions hold the values and whose annotations say what they are. */
export interface Keeper {
  read(name: GoogleName): Promise<Kept>
  /** Undefined: destroyed, disabled or gone. */
  value(name: GoogleName, number: number): Promise<Secret | undefined>
  /**
   * Adds the values that are new and then moves the state by compare-and-swap. Undefined: somebody else changed it, and what
   * was added is found again. `like`: what a new secret is made like.
   */
  write(name: GoogleName, kept: Kept, change: KeepChange, like?: GoogleSecret): Promise<Kept | undefined>
  /**
   * Whether this is the newest state, which reads at Google do not tell: by a write that changes nothing. Whoever may not write is
   * told what it read. `provenForMs`: for how long a state that was
   * proven stays so, 0 unless given; for whoever only reads.
   */
  prove(kept: Kept, provenForMs?: number): Promise<boolean>
  /** Destroys what nothing points to. */
  sweep(name: GoogleName): Promise<void>
}

export interface KeeperOptions {
  readonly createIfAbsent: boolean
  /** Others keep versions in the same secret: what nothing of ours points to is theirs. */
  readonly isShared: boolean
}

/** Google calls itself eventually consistent; beyond this an older state counts as a secret that was put back. */
const lagMsMax = 60_000
const seenMax = 40_000
/** Values of versions that are still on the shelf are not fetched at each look. */
const valuesMax = 1_000
const valueMsMax = 60_000
/** Who reads a version that is not there again and again writes no more often than this. */
export const provenForReadersMs = 10_000
const listMax = 1_000
const sweepRoundsMax = 3
/** Newest first; where the secret is shared, those of others are among them. */
const comparedMax = 20

export function googleKeeper(
  calls: GoogleCalls,
  { createIfAbsent, isShared }: KeeperOptions,
  { system }: StoreContext,
): Keeper {
  const fresh = freshness(() => system.now())
  const values = new Map<string, { readonly secret: Secret; readonly untilAt: number }>()
  const proven = new Map<string, { readonly etag: string; readonly at: number }>()
  /** Versions that were added, perhaps, and are not in the annotations yet. */
  const unsure = new Set<string>()

  const value: Keeper['value'] = async (name, number) => {
    const key = `${fullName(name)}/${number}`
    const cached = values.get(key)
    if (cached !== undefined && cached.untilAt > system.now()) return cached.secret
    values.delete(key)
    const access = await calls.access(name, number)
    if (access.kind !== 'found') return undefined
    const secret = new Secret(access.text)
    remember(key, secret)
    return secret
  }
  const remember = (key: string, secret: Secret): void => {
    // The oldest stand first.
    for (const [old, { untilAt }] of values) {
      if (untilAt > system.now() && values.size < valuesMax) break
      values.delete(old)
    }
    values.set(key, { secret, untilAt: system.now() + valueMsMax })
  }
  /** What an earlier attempt added whose answer, or whose compare-and-swap, was lost. */
  const addedBefore = async (
    name: GoogleName,
    state: GoogleState,
    text: Secret,
  ): Promise<number | undefined> => {
    const taken = new Set([...state.numbers.values(), ...state.doomed])
    const listed = (await calls.list(name, listMax)) ?? []
    const free = listed.filter(({ number, state: is }) => is === 'enabled' && !taken.has(number))
    for (const { number } of free.slice(0, comparedMax))
      if ((await value(name, number))?.equals(text) === true) return number
    return undefined
  }
  const numberFor = async (
    name: GoogleName,
    state: GoogleState,
    version: VersionId,
    text: Secret,
  ): Promise<number> => {
    const key = `${fullName(name)} ${version}`
    const before = unsure.has(key) ? await addedBefore(name, state, text) : undefined
    if (before !== undefined) return before
    if (unsure.size >= valuesMax) unsure.clear()
    unsure.add(key)
    const number = await calls.add(name, text.reveal())
    remember(`${fullName(name)}/${number}`, text)
    return number
  }
  const destroyAll = async (name: GoogleName, numbers: readonly number[]): Promise<void> => {
    for (const number of numbers) {
      await calls.destroy(name, number)
      values.delete(`${fullName(name)}/${number}`)
    }
  }
  /** Those that could not be destroyed now: they stay on the list. */
  const destroyWhatCan = async (name: GoogleName, doomed: readonly number[]): Promise<readonly number[]> => {
    try {
      await destroyAll(name, doomed)
      return []
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError)) throw thrown
      // It is in nobody's way; destroying a version reports it.
      return doomed
    }
  }

  const keeper: Keeper = {
    async read(name) {
      const secret = await calls.get(name)
      const state = secret === undefined ? emptyState : decodeState(secret)
      fresh.check(name, secret, state)
      return { secret, state }
    },
    value,
    async write(name, kept, change, like) {
      const held = kept.secret ?? (await make(name, like))
      if (held === undefined) return undefined
      const { state } = kept
      const numbers = new Map<VersionId, number>()
      const { versions } = change.shelf
      for (const { version } of versions) {
        const had = change.adopted?.get(version) ?? state.numbers.get(version)
        const text = change.texts.get(version)
        const number = text === undefined ? had : await numberFor(name, state, version, text)
        if (number !== undefined) numbers.set(version, number)
      }
      const inUse = new Set(numbers.values())
      const left = [...state.numbers.values()].filter((number) => !inUse.has(number))
      const doomed = [...(await destroyWhatCan(name, withoutOthers(held, state.doomed))), ...left]
      const { shelf, promoting } = change
      const next = { revision: state.revision + 1, shelf, promoting, numbers, doomed }
      const annotations = new Map(held.annotations).set(stateAnnotation, encodeState(next))
      assertAnnotations(name, annotations)
      const written = await calls.update(held, {
        annotations,
        ...(change.aliases === undefined ? {} : { aliases: change.aliases(numbers) }),
      })
      if (written === undefined) return undefined
      for (const version of change.texts.keys()) unsure.delete(`${fullName(name)} ${version}`)
      fresh.check(name, written, next)
      return { secret: written, state: next }
    },
    async prove({ secret }, provenForMs = 0) {
      if (secret === undefined) return true
      const key = fullName(secret.name)
      const last = proven.get(key)
      if (last?.etag === secret.etag && system.now() - last.at < provenForMs) return true
      try {
        const written = await calls.update(secret, { annotations: secret.annotations })
        if (written === undefined) return false
        if (proven.size >= seenMax) proven.clear()
        proven.set(key, { etag: written.etag, at: system.now() })
        return true
      } catch (thrown) {
        if (thrown instanceof KeyturnError && thrown.code === 'store_denied') return true
        throw thrown
      }
    },
    async sweep(name) {
      for (let round = 0; round < sweepRoundsMax; round += 1) {
        const kept = await keeper.read(name)
        if (kept.secret === undefined) return
        const { state } = kept
        const orphans = isShared ? [] : await orphansOf(name, state)
        // Written down before it is done: whoever added one of them a moment ago finds out and adds it again.
        const doomed = [...state.doomed, ...orphans].slice(0, doomedMax)
        const isMarked = orphans.length === 0 || (await markDoomed(name, kept.secret, { ...state, doomed }))
        if (isMarked) return destroyAll(name, withoutOthers(kept.secret, doomed))
      }
    },
  }

  async function orphansOf(name: GoogleName, state: GoogleState): Promise<readonly number[]> {
    const used = new Set([...state.numbers.values(), ...state.doomed])
    const listed = (await calls.list(name, listMax)) ?? []
    return listed.flatMap(({ number, state: is }) => (is === 'enabled' && !used.has(number) ? [number] : []))
  }

  async function markDoomed(name: GoogleName, secret: GoogleSecret, state: GoogleState): Promise<boolean> {
    const next = { ...state, revision: state.revision + 1 }
    const annotations = new Map(secret.annotations).set(stateAnnotation, encodeState(next))
    const written = await calls.update(secret, { annotations })
    if (written !== undefined) fresh.check(name, written, next)
    return written !== undefined
  }

  async function make(name: GoogleName, like: GoogleSecret | undefined): Promise<GoogleSecret | undefined> {
    if (createIfAbsent) return calls.create(name, { annotations: new Map(), like })
    throw notMadeError(name)
  }

  return keeper

  function assertAnnotations(name: GoogleName, annotations: ReadonlyMap<string, string>): void {
    let bytes = 0
    for (const [key, text] of annotations) bytes += Buffer.byteLength(key) + Buffer.byteLength(text)
    if (bytes <= annotationBytesMax) return
    throw new KeyturnError(
      'store_too_large',
      `The annotations of ${fullName(name)} would have ${bytes} bytes; Google takes ${annotationBytesMax}.`,
      { fix: 'Revoke keys that nobody uses, and take off annotations that are not needed.' },
    )
  }

  /** By the revision that Keyturn counts itself: etags tell only that something is another. */
  function freshness(now: () => number): {
    check(name: GoogleName, secret: GoogleSecret | undefined, state: GoogleState): void
  } {
    const seen = new Map<string, { revision: number; createdAt: number; behindSince: number | undefined }>()
    return {
      check(name, secret, { revision }) {
        const key = fullName(name)
        const before = seen.get(key)
        const isNew = secret !== undefined && (before === undefined || secret.createdAt > before.createdAt)
        if (isNew || (before !== undefined && secret !== undefined && revision >= before.revision)) {
          if (seen.size >= seenMax) seen.clear()
          seen.set(key, { revision, createdAt: secret.createdAt, behindSince: undefined })
          return
        }
        if (before === undefined) return
        before.behindSince ??= now()
        if (now() - before.behindSince < lagMsMax)
          throw new KeyturnError('store_unreachable', `Google told an older state of ${key} than before.`, {
            fix: 'Nothing is to be done: Secret Manager is eventually consistent, and it is asked again.',
            retryable: true,
          })
        seen.delete(key)
      },
    }
  }
}

/** An alias that is not ours may point to a version of ours: it is left to whoever made it. */
function withoutOthers({ aliases }: GoogleSecret, numbers: readonly number[]): readonly number[] {
  const named = new Set(aliases.values())
  return numbers.filter((number) => !named.has(number))
}

export function notMadeError(name: GoogleName): KeyturnError {
  return new KeyturnError('store_absent', `There is no secret ${fullName(name)}.`, {
    fix: `${createCommand(name)} — or configure createIfAbsent.`,
  })
}
