import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import type { GoogleCalls, GoogleSecret } from './google-calls.ts'
import { createCommand } from './google-errors.ts'
import { freshness } from './google-freshness.ts'
import { fullName, type GoogleName } from './google-names.ts'
import {
  addingMax,
  annotationBytesMax,
  decodeState,
  doomedMax,
  emptyState,
  encodeState,
  type GoogleState,
  stateAnnotation,
} from './google-state.ts'
import { digestOf } from './slot-state.ts'

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

const provenMax = 40_000
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
    const free = await freeIn(name, state)
    for (const number of free.slice(0, comparedMax))
      if ((await value(name, number))?.equals(text) === true) return number
    return undefined
  }
  const numberFor = async (
    name: GoogleName,
    { state, before: known }: { readonly state: GoogleState; readonly before: GoogleState },
    version: VersionId,
    text: Secret,
  ): Promise<number> => {
    const key = `${fullName(name)} ${version}`
    const mayBeThere = unsure.has(key) || known.adding.includes(digestOf(text, system))
    const before = mayBeThere ? await addedBefore(name, state, text) : undefined
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
      const made = kept.secret ?? (await make(name, like))
      if (made === undefined) return undefined
      const noted = isShared
        ? await note(name, made, kept.state, change.texts)
        : { held: made, state: kept.state }
      if (noted === undefined) return undefined
      const { held, state } = noted
      const numbers = new Map<VersionId, number>()
      const { versions } = change.shelf
      for (const { version } of versions) {
        const had = change.adopted?.get(version) ?? state.numbers.get(version)
        const text = change.texts.get(version)
        const number =
          text === undefined ? had : await numberFor(name, { state, before: kept.state }, version, text)
        if (number !== undefined) numbers.set(version, number)
      }
      const inUse = new Set(numbers.values())
      const left = [...state.numbers.values()].filter((number) => !inUse.has(number))
      const doomed = [...(await destroyWhatCan(name, withoutOthers(held, state.doomed))), ...left]
      const { shelf, promoting } = change
      const added = new Set([...change.texts.values()].map((text) => digestOf(text, system)))
      const adding = state.adding.filter((digest) => !added.has(digest))
      const next = { revision: state.revision + 1, shelf, promoting, numbers, doomed, adding }
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
        if (proven.size >= provenMax) proven.clear()
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
        const { secret, state } = kept
        if (secret === undefined) return
        // Whatever becomes of the rest: nobody takes these up again.
        await destroyAll(name, withoutOthers(secret, state.doomed))
        const { numbers, adding } = await orphansOf(name, state)
        const orphans = withoutOthers(secret, numbers)
        if (orphans.length === 0) return
        // Written down before it is done: whoever added one of them a moment ago finds out and adds it again.
        const doomed = [...state.doomed, ...orphans].slice(-doomedMax)
        const next = { ...state, revision: state.revision + 1, doomed, adding }
        if ((await put(name, secret, next)) !== undefined) return destroyAll(name, orphans)
      }
      throw new KeyturnError(
        'store_conflict',
        `${fullName(name)} is being changed by others all the time, and may keep a value that nothing needs.`,
        {
          fix: 'Nothing is to be done: it is tried again, and with each key that is destroyed.',
          retryable: true,
        },
      )
    },
  }

  /** In a secret with versions of others those alone that hold what was noted before it was added; and what stays noted. */
  async function orphansOf(
    name: GoogleName,
    state: GoogleState,
  ): Promise<{ readonly numbers: readonly number[]; readonly adding: readonly string[] }> {
    const { adding } = state
    if (isShared && adding.length === 0) return { numbers: [], adding }
    const free = await freeIn(name, state)
    if (!isShared) return { numbers: free.slice(0, doomedMax), adding }
    const found = new Map<number, string>()
    for (const number of free.slice(0, comparedMax)) {
      const text = await value(name, number)
      const digest = text === undefined ? '' : digestOf(text, system)
      if (adding.includes(digest)) found.set(number, digest)
    }
    const digests = new Set(found.values())
    return { numbers: [...found.keys()], adding: adding.filter((digest) => !digests.has(digest)) }
  }

  /** Enabled versions that nothing points to, newest first. */
  async function freeIn(name: GoogleName, state: GoogleState): Promise<readonly number[]> {
    const taken = new Set([...state.numbers.values(), ...state.doomed])
    const listed = (await calls.list(name, listMax)) ?? []
    return listed.flatMap(({ number, state: is }) => (is === 'enabled' && !taken.has(number) ? [number] : []))
  }

  /**
   * What is about to be added is noted before: who finds it later, with nothing that points to it, knows that it is not
   * somebody else's. Undefined: somebody changed the secret.
   */
  async function note(
    name: GoogleName,
    held: GoogleSecret,
    state: GoogleState,
    texts: KeepChange['texts'],
  ): Promise<{ readonly held: GoogleSecret; readonly state: GoogleState } | undefined> {
    const digests = [...texts.values()].map((text) => digestOf(text, system))
    const missing = digests.filter((digest) => !state.adding.includes(digest))
    if (missing.length === 0) return { held, state }
    const revision = state.revision + 1
    const next = { ...state, revision, adding: [...state.adding, ...missing].slice(-addingMax) }
    const written = await put(name, held, next)
    return written === undefined ? undefined : { held: written, state: next }
  }

  async function put(
    name: GoogleName,
    secret: GoogleSecret,
    state: GoogleState,
  ): Promise<GoogleSecret | undefined> {
    const annotations = new Map(secret.annotations).set(stateAnnotation, encodeState(state))
    assertAnnotations(name, annotations)
    const written = await calls.update(secret, { annotations })
    if (written !== undefined) fresh.check(name, written, state)
    return written
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
