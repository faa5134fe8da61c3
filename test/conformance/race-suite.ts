import { expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { PromoteOutcome, SecretStore } from '../../src/core/ports.ts'
import type { Secret } from '../../src/core/secret.ts'
import type { VersionId } from '../../src/core/types.ts'
import { share } from './share.ts'
import { type StoreHarness, stageNew } from './store-suite-support.ts'

export interface RaceOptions {
  /** How many races, one after another over the same secret, when all are run. Default 1,000. */
  readonly races?: number
  /** Decides all that is random about them: the same seed gives the same races. Default 1. */
  readonly seed?: number
  /** Default 300,000. */
  readonly timeoutMs?: number
  /**
   * False where nothing in the store can stop a promotion that is under way while its version is being retired: that
   * race is left out, and another version is retired meanwhile. Default true.
   */
  readonly stopsRetired?: boolean
  /**
   * True where a client that was not told of a promotion may be given the state before it once: what is read after a race is
   * then read until it is the winner's, a bounded number of times. Default false.
   */
  readonly readsMayBeOld?: boolean
}

/** Of the same old answer; the next one is never as old. */
const oldReadsMax = 5

/** More live versions than these are retired before the next race: stores keep a bounded number. */
const liveMax = 6

/**
 * Two clients of one store promote at the same moment, each its own version, both expecting the same current one; in
 * some races somebody rolls back, or a version is retired, as well. In each race exactly one wins and everybody else is
 * told who; what is read afterwards is the winner's secret; and what was not retired can still be read.
 *
 * The loser's version takes part in the next race, against a new one or one that was current before, so that versions are
 * raced for more than once.
 */
export function raceSuite(
  name: string,
  make: () => Promise<StoreHarness>,
  {
    races: all = 1_000,
    seed = 1,
    timeoutMs = 300_000,
    stopsRetired = true,
    readsMayBeOld = false,
  }: RaceOptions = {},
): void {
  const races = Math.max(Math.min(all, 15), Math.round(all * share))
  it(`two replicas racing on the ${name} store: one wins, the other notices, no key is lost (${races} races, seed ${seed})`, {
    timeout: timeoutMs,
  }, async () => {
    const harness = await make()
    try {
      const clients = [harness.store, await harness.another()] as const
      const course = { clients, ref: harness.ref, random: seeded(seed), stopsRetired, readsMayBeOld }
      await runRaces(course, races)
    } finally {
      await harness.cleanUp()
    }
  })
}

interface Course {
  readonly clients: readonly [SecretStore, SecretStore]
  readonly ref: string
  readonly random: Random
  readonly stopsRetired: boolean
  readonly readsMayBeOld: boolean
}

/** Uniform in [0, 1). */
type Random = () => number

interface Racer {
  readonly version: VersionId
  readonly secret: Secret
}

async function runRaces(course: Course, races: number): Promise<void> {
  const { clients, ref } = course
  /** Every version that was staged and not retired, oldest first; the current one among them. */
  const live = new Map<VersionId, Secret>()
  let current: VersionId | undefined
  let racers: readonly Racer[] = []
  for (let race = 0; race < races; race += 1) {
    racers = await lineUp(course, [...racers, ...returning(course, { racers, current, live })])
    for (const { version, secret } of racers) live.set(version, secret)
    const { winner, retired } = await runRace(course, { racers, current, live, race })
    if (retired !== undefined) live.delete(retired)
    current = winner
    const client = pick(clients, course.random)
    const read = await onceNew(
      course,
      () => client.read(ref),
      (seen) => seen?.version === winner,
    )
    expect([read?.version, equals(read?.secret, live.get(winner))], `race ${race}`).toEqual([winner, true])
    racers = racers.filter(({ version }) => version !== winner && live.has(version))
    await retireOldest(course, live, [winner, ...racers.map(({ version }) => version)])
  }
  for (const version of live.keys()) await expectReadable(course, live, version)
  const described = await onceNew(
    course,
    () => clients[0].describe(ref),
    (seen) => seen?.current === current,
  )
  expect(described?.current).toBe(current)
}

/** What is seen, once it is that, or what was seen last. */
async function onceNew<Seen>(
  { readsMayBeOld }: Course,
  look: () => Promise<Seen>,
  isNew: (seen: Seen) => boolean,
): Promise<Seen> {
  let seen = await look()
  for (let again = 1; readsMayBeOld && again < oldReadsMax && !isNew(seen); again += 1) seen = await look()
  return seen
}

/** Sometimes the other client goes for a version that was current before instead of a new one. */
function returning(
  { random }: Course,
  { racers, current, live }: Pick<Start, 'racers' | 'current' | 'live'>,
): readonly Racer[] {
  if (racers.length !== 1 || random() < 0.5) return []
  const [known] = [...live].filter(([version]) => version !== current && version !== racers[0]?.version)
  return known === undefined ? [] : [{ version: known[0], secret: known[1] }]
}

/** One version for each client: what lost the last race first, and new ones, staged one after another or at once. */
async function lineUp({ clients, ref, random }: Course, lost: readonly Racer[]): Promise<readonly Racer[]> {
  const missing = clients.slice(lost.length)
  if (random() < 0.5) return [...lost, ...(await Promise.all(missing.map((client) => stageNew(client, ref))))]
  const staged = [...lost]
  for (const client of missing) staged.push(await stageNew(client, ref))
  return random() < 0.5 ? staged : staged.toReversed()
}

interface Start {
  readonly racers: readonly Racer[]
  readonly current: VersionId | undefined
  readonly live: ReadonlyMap<VersionId, Secret>
  readonly race: number
}

async function runRace(
  course: Course,
  { racers, current, live, race }: Start,
): Promise<{ readonly winner: VersionId; readonly retired: VersionId | undefined }> {
  const { clients, ref, random, stopsRetired } = course
  const others = [...live.keys()].filter(
    (version) => version !== current && racers.every((racer) => racer.version !== version),
  )
  const kind = random()
  const goals = racers.map(({ version }) => version)
  const rollback = kind < 0.15 ? others.at(-1) : undefined
  if (rollback !== undefined) goals.push(rollback)
  const retiring = kind < 0.85 ? undefined : stopsRetired && random() < 0.5 ? goals[1] : others.at(0)

  const promote = async (to: VersionId, index: number): Promise<PromoteOutcome> => {
    await pause(random)
    return (clients[index % 2] ?? clients[0]).promote(ref, { to, expectCurrent: current, fence: 1 })
  }
  const [outcomes, isRetired] = await Promise.all([
    Promise.all(goals.map(promote)),
    retiring === undefined ? false : retireUnlessCurrent(course, retiring),
  ])

  const where = `race ${race}: ${JSON.stringify({ goals, current, retiring, isRetired, outcomes })}`
  // A move that somebody else has brought to its end is as good as one's own: `already`.
  const winners = goals.filter((_, index) => ['promoted', 'already'].includes(outcomes[index]?.kind ?? ''))
  expect(winners, where).toHaveLength(1)
  const winner = winners[0] ?? ''
  if (isRetired) expect(winner, where).not.toBe(retiring)
  for (const [index, to] of goals.entries()) {
    if (to === winner) continue
    const lost = { kind: 'conflict', current: winner }
    const allowed =
      to === retiring && isRetired ? [lost, { kind: 'conflict', current }, { kind: 'gone' }] : [lost]
    expect(allowed, where).toContainEqual(outcomes[index])
  }
  return { winner, retired: isRetired ? retiring : undefined }
}

/** False where it is refused because the version has become current. */
async function retireUnlessCurrent({ clients, ref, random }: Course, version: VersionId): Promise<boolean> {
  await pause(random)
  try {
    await pick(clients, random).retire(ref, { version, fence: 1 })
    return true
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_conflict') return false
    throw thrown
  }
}

/** Each version is read once more before it goes: nothing that happened to it since may have lost it. */
async function retireOldest(
  course: Course,
  live: Map<VersionId, Secret>,
  needed: readonly VersionId[],
): Promise<void> {
  const { clients, ref, random } = course
  for (const version of live.keys()) {
    if (live.size <= liveMax) return
    if (needed.includes(version)) continue
    await expectReadable(course, live, version)
    const client = pick(clients, random)
    await client.retire(ref, { version, fence: 1 })
    if (client.capabilities.destroy === 'version') await client.destroy(ref, version)
    live.delete(version)
  }
}

async function expectReadable(
  { clients, ref, random }: Course,
  live: ReadonlyMap<VersionId, Secret>,
  version: VersionId,
): Promise<void> {
  const read = await pick(clients, random).read(ref, { version })
  expect(equals(read?.secret, live.get(version)), `version ${version} can be read`).toBe(true)
}

function equals(one: Secret | undefined, other: Secret | undefined): boolean {
  return one !== undefined && other !== undefined && one.equals(other)
}

/** Nothing, some turns of the microtask queue, or of the event loop: what lies between the requests of two replicas. */
async function pause(random: Random): Promise<void> {
  const turns = Math.floor(random() * 4)
  const isLong = random() < 0.5
  for (let turn = 0; turn < turns; turn += 1)
    await (isLong ? new Promise<void>((resolve) => void setImmediate(resolve)) : undefined)
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}

/** Mulberry32: small, and good enough to shuffle requests. */
function seeded(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
