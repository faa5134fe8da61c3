import { recordOf } from '../core/credential.ts'
import { assert, KeyturnError, toKeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { inspectSecret } from '../core/key-inspection.ts'
import { type MirrorGoal, type MirrorReading, mirrorGoal, mirrorOf } from '../core/mirrors.ts'
import type { StoreDescription, StoredVersion } from '../core/ports.ts'
import type { CredentialState, MirrorId, MirrorState, VersionId, VersionMeta } from '../core/types.ts'
import { mirroredAs } from './mirror-ids.ts'
import type { PerformContext } from './performing.ts'
import type { MirrorSetup } from './setup.ts'

type Holds = MirrorState['holds']

/**
 * Brings one mirror to what the credential's state says it should hold, and reads back what it was brought to. Every step
 * begins with what is there, so that it may be repeated at any time. Never throws: whatever goes wrong is a reading.
 */
export async function performMirror(id: MirrorId, context: PerformContext): Promise<MirrorReading> {
  const state = context.state()
  const before = mirrorOf(state, id)
  const goal = mirrorGoal(state, before)
  const work = new Map((before?.holds ?? []).map(({ version, as }) => [version, as]))
  const holds = (): Holds => [...work].map(([version, as]) => ({ version, as }))
  try {
    const mirror = context.setup.mirrors.find((one) => one.id === id)
    assert(mirror !== undefined, `${context.setup.name}: the mirror ${id} is configured`)
    const outcome = await bring({ mirror, goal, before, work, state }, context)
    return { ...outcome, goal: goal.key, holds: holds() }
  } catch (thrown) {
    const error = toKeyturnError(thrown, `the mirror ${id} of ${context.setup.name}`)
    context.deps.log('warn', 'a mirror could not be kept in line; it will be tried again', {
      credential: context.setup.name,
      mirror: id,
      error,
    })
    const { code, message: summary, fix = '' } = error
    return { kind: 'failed', goal: goal.key, holds: holds(), code, summary, fix }
  }
}

interface Work {
  readonly mirror: MirrorSetup
  readonly goal: MirrorGoal
  readonly before: MirrorState | undefined
  /** By version: what the mirror calls it. Changed as values come and go. */
  readonly work: Map<VersionId, VersionId>
  readonly state: CredentialState
}

type Brought =
  | Omit<Extract<MirrorReading, { kind: 'reached' }>, 'goal' | 'holds'>
  | Omit<Extract<MirrorReading, { kind: 'foreign' }>, 'goal' | 'holds'>

async function bring(about: Work, context: PerformContext): Promise<Brought> {
  const { mirror, goal, before, work, state } = about
  const { store, ref } = mirror
  const read = await store.read(ref)
  const found = read === undefined ? undefined : identify(read, state, context)
  if (read !== undefined && found !== undefined) {
    if (isUnjudged(found.version, about)) return takeNote(read, found, context)
    work.set(found.version, read.version)
  }
  const shelf = await store.describe(ref)
  for (const version of goal.staged) await ensureStaged(version, about, shelf, context)
  if (goal.current !== undefined && found?.version !== goal.current) {
    await ensureStaged(goal.current, about, shelf, context)
    await promote(goal.current, read?.version, about, context)
  } else if (goal.current !== undefined && read !== undefined) {
    await keepMeta(goal.current, read.version, about, shelf)
  }
  for (const version of goal.retired) await retire(version, about)
  for (const version of goal.destroyed) {
    const as = await retire(version, about)
    if (as !== undefined) await store.destroy(ref, as)
    work.delete(version)
  }
  const current = goal.current ?? found?.version
  return { kind: 'reached', current, wasChanged: before?.reached === goal.key && found?.version !== current }
}

/** Neither known nor being minted: only a check says whether it is taken up or put right. */
function isUnjudged(version: VersionId, { goal, state }: Work): boolean {
  const record = recordOf(state, version)
  if (record === undefined) return true
  return record.stage === 'pending' && record.withdrawnAt === undefined && !goal.staged.includes(version)
}

/** By its value, since a mirror may have had the key before under an id of its own. */
function identify(
  read: StoredVersion,
  state: CredentialState,
  { deps }: PerformContext,
): { readonly version: VersionId; readonly fingerprint: string } {
  const print = fingerprint(read.secret, deps.system)
  const same = state.versions.filter((one) => one.fingerprint === print)
  const known = same.find((one) => one.version === state.current) ?? same[0]
  return { version: known?.version ?? mirroredAs(`found:${print}`, deps.system), fingerprint: print }
}

/** An admin key is genuine too, and may do everything but what apps want: it is not even verified. */
function takeNote(
  read: StoredVersion,
  found: { readonly version: VersionId; readonly fingerprint: string },
  { setup, keyring }: PerformContext,
): Brought {
  if (inspectSecret(read.secret).core === 'admin')
    throw new KeyturnError(
      'store_malformed',
      `A mirror of ${setup.name} holds an admin key, which no app may get.`,
      {
        fix: 'Put the right key back there, and turn the admin key if others could read it there.',
      },
    )
  keyring.put(setup.name, found.version, read.secret)
  return { kind: 'foreign', found: { ...found, meta: read.meta } }
}

/** Puts a version there where it is not, and reads it back: what the other side kept is what counts. */
async function ensureStaged(
  version: VersionId,
  { mirror: { store, ref, id }, work, state }: Work,
  shelf: StoreDescription | undefined,
  context: PerformContext,
): Promise<void> {
  const { setup, keyring, deps } = context
  const as = mirroredAs(version, deps.system)
  const record = recordOf(state, version)
  assert(record !== undefined, `${setup.name}: what is mirrored is on record`)
  const listed = shelf?.versions.find((one) => one.version === as)
  if (work.get(version) === as && listed !== undefined && isSame(listed.meta, record.meta)) return
  const secret = await keyring.get(setup.name, version)
  if (secret === undefined)
    throw new KeyturnError(
      'store_absent',
      `The value of ${version} of ${setup.name} is not to be had any more.`,
      {
        fix: `Turn the key: keyturn rotate ${setup.name}`,
      },
    )
  const kept = await store.read(ref, { version: as })
  if (kept === undefined)
    await store.stage(ref, { version: as, secret, meta: record.meta, fence: state.fence })
  else if (!isSame(kept.meta, record.meta)) await store.annotate(ref, as, record.meta)
  const back = kept ?? (await store.read(ref, { version: as }))
  if (back === undefined || fingerprint(back.secret, deps.system) !== record.fingerprint)
    throw new KeyturnError(
      'store_conflict',
      `The mirror ${id} reads back another value than was put there.`,
      {
        fix: 'Find out who else writes to this secret; it is tried again.',
        retryable: true,
      },
    )
  work.set(version, as)
}

async function promote(
  version: VersionId,
  expectCurrent: VersionId | undefined,
  { mirror: { store, ref, id }, work, state }: Work,
  { deps }: PerformContext,
): Promise<void> {
  const to = mirroredAs(version, deps.system)
  const outcome = await store.promote(ref, { to, expectCurrent, fence: state.fence })
  if (outcome.kind === 'conflict' || outcome.kind === 'gone')
    throw new KeyturnError(
      'store_conflict',
      `The mirror ${id} was changed by somebody else at the same moment.`,
      {
        fix: 'Find out who else writes to this secret; it is tried again.',
        retryable: true,
      },
    )
  const back = await store.read(ref)
  const isThere =
    back !== undefined && fingerprint(back.secret, deps.system) === recordOf(state, version)?.fingerprint
  if (!isThere)
    throw new KeyturnError(
      'store_conflict',
      `The mirror ${id} does not read back the key it was given yet.`,
      {
        fix: 'Some stores take a while; it is tried again.',
        retryable: true,
      },
    )
  work.set(version, to)
}

/** So that a mirror that becomes the primary one day tells as much. */
async function keepMeta(
  version: VersionId,
  as: VersionId,
  { mirror: { store, ref }, state }: Work,
  shelf: StoreDescription | undefined,
): Promise<void> {
  const meta = recordOf(state, version)?.meta
  const listed = shelf?.versions.find((one) => one.version === as)
  if (meta !== undefined && listed !== undefined && !isSame(listed.meta, meta))
    await store.annotate(ref, as, meta)
}

/** What the mirror calls it. */
async function retire(
  version: VersionId,
  { mirror: { store, ref }, work, state }: Work,
): Promise<VersionId | undefined> {
  const as = work.get(version)
  if (as !== undefined) await store.retire(ref, { version: as, fence: state.fence })
  return as
}

function isSame(one: VersionMeta, other: VersionMeta): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof VersionMeta>
  return [...keys].every((key) => one[key] === other[key])
}
