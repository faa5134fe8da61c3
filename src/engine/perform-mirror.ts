import { recordOf } from '../core/credential.ts'
import { assert, KeyturnError, toKeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { type MirrorGoal, type MirrorReading, mirrorGoal, mirrorOf } from '../core/mirrors.ts'
import type { StoredVersion } from '../core/ports.ts'
import type { CredentialState, MirrorId, MirrorState, VersionId, VersionMeta } from '../core/types.ts'
import { assertFit } from './fit.ts'
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
  const work = new Map((before?.holds ?? []).map(({ version, as }) => [as, version]))
  const holds = (): Holds => [...work].map(([as, version]) => ({ version, as }))
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
  /** By what the mirror calls them: the versions it has. Changed as values come and go. */
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
    if (isUnjudged(found.version, about)) return takeNote(read, found, mirror.id, context)
    work.set(read.version, found.version)
  }
  for (const version of goal.staged) await ensureStaged(version, about, context)
  if (goal.current !== undefined && found?.version !== goal.current) {
    await ensureStaged(goal.current, about, context)
    await promote(goal.current, read?.version, about, context)
  } else if (goal.current !== undefined && read !== undefined) {
    await keepMeta(goal.current, read, about, context)
  }
  for (const { as, version } of before?.holds ?? []) {
    const isOver = goal.destroyed.includes(version)
    if (isOver || goal.retired.includes(version)) await store.retire(ref, { version: as, fence: state.fence })
    if (!isOver) continue
    await store.destroy(ref, as)
    work.delete(as)
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

/** Thrown for what can be no key: then it is left as it is, for whoever put it there. */
function takeNote(
  read: StoredVersion,
  found: { readonly version: VersionId; readonly fingerprint: string },
  id: MirrorId,
  { setup, keyring }: PerformContext,
): Brought {
  assertFit(read.secret, `The mirror ${id} of ${setup.name}`, setup)
  keyring.put(setup.name, found.version, read.secret)
  return { kind: 'foreign', found: { ...found, meta: read.meta } }
}

/** Puts a version there where it is not, and reads it back: what the other side kept is what counts. */
async function ensureStaged(
  version: VersionId,
  { mirror: { store, ref, id }, before, goal, work, state }: Work,
  context: PerformContext,
): Promise<void> {
  const { setup, keyring, deps } = context
  const as = mirroredAs(version, deps.system)
  const record = recordOf(state, version)
  assert(record !== undefined, `${setup.name}: what is mirrored is on record`)
  // Looked at in full once for each goal, and not at every poll.
  if (work.get(as) === version && before?.reached === goal.key && version !== goal.current) return
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
  work.set(as, version)
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
  work.set(to, version)
}

/** So that a mirror that becomes the primary one day tells as much. What others put there is theirs to describe. */
async function keepMeta(
  version: VersionId,
  read: StoredVersion,
  { mirror: { store, ref }, state }: Work,
  { deps }: PerformContext,
): Promise<void> {
  const meta = recordOf(state, version)?.meta
  const isOurs = read.version === mirroredAs(version, deps.system)
  if (meta !== undefined && isOurs && !isSame(read.meta, meta)) await store.annotate(ref, read.version, meta)
}

function isSame(one: VersionMeta, other: VersionMeta): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof VersionMeta>
  return [...keys].every((key) => one[key] === other[key])
}
