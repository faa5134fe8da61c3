import { handedOut } from '../../src/core/credential.ts'
import { isWalking } from '../../src/core/retirement.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { policyOf } from '../core/fixtures.ts'
import { optionsOf, type SimOptions } from './options.ts'
import { People } from './people.ts'
import type { Violation } from './sim.ts'
import { Slow } from './slow.ts'
import { outsideOfPromises } from './time.ts'
import { short } from './watch.ts'
import { World } from './world.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
const lookEveryMs = 20_000
/** By then every key that nobody has was looked for several times, the two looks an hour apart among them. */
const sweptMs = 200 * minuteMs

export interface History {
  readonly seed: number
  readonly violations: readonly Violation[]
  /** Equal for equal stories. */
  readonly fingerprint: string
  readonly story: readonly string[]
  readonly pending: readonly string[]
  readonly events: number
  readonly virtualMs: number
  readonly seen: Readonly<Record<string, number>>
}

/** Plays one history to its end: anything goes, then everything heals, then one calm rotation. */
export function playHistory(options: number | SimOptions, isLoud = false): Promise<History> {
  const drawn = typeof options === 'number' ? optionsOf(options) : options
  return outsideOfPromises(() => play(new World(drawn, isLoud)))
}

function play(world: World): History {
  const { sim } = world
  const people = new People(world)
  const slow = sim.options.isLong === true ? new Slow(world) : undefined
  try {
    world.start()
    people.begin()
    live(world, slow)
    if (!sim.isOver()) heal(world)
    if (!sim.isOver()) converge(world, people, 'healing')
    if (!sim.isOver() && isPeaceWanted(world)) turnInPeace(world, people)
    if (!sim.isOver()) lookBack(world)
    if (!sim.isOver()) slow?.lookBack()
  } catch (thrown) {
    sim.object(
      'the simulator itself',
      thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
    )
  }
  return {
    seed: sim.options.seed,
    violations: sim.violations,
    fingerprint: sim.story.fingerprint,
    story: sim.isOver() ? sim.story.end : [],
    pending: sim.isOver() ? pendingOf(world) : [],
    events: sim.time.events,
    virtualMs: sim.time.elapsed,
    seen: {
      ...world.watch.seen,
      served: sum(world.apps.map((one) => one.served)),
      failed: sum(world.apps.map((one) => one.failed)),
    },
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

/** Anything goes; where it goes on for long, what is slow is looked at once a day. */
function live({ sim }: World, slow: Slow | undefined): void {
  const { chaosMs } = sim.options
  const stepMs = slow === undefined ? chaosMs : dayMs
  while (sim.time.elapsed < chaosMs && !sim.isOver()) {
    sim.time.run(Math.min(stepMs, chaosMs - sim.time.elapsed), sim.isOver)
    slow?.look()
  }
}

/** From here on nothing fails that has not failed yet. */
function heal(world: World): void {
  const { sim, issuer, ledger, stores, replicas, apps } = world
  sim.isHealed = true
  sim.story.tell('fate', 'everything heals')
  issuer.condition = undefined
  issuer.isAllowed = true
  issuer.weather.clear()
  issuer.adminWeather.clear()
  ledger.weather.clear()
  for (const store of [...stores.values()].flat()) {
    store.weather.clear()
    store.isAllowed = true
  }
  for (const app of apps) app.cutOffUntil = 0
  // One that is frozen thaws by itself: what waits in it was put off until then.
  for (const replica of replicas) replica.clock.set(0)
}

function converge(world: World, people: People, what: string): void {
  const { sim } = world
  const end = sim.time.elapsed + sim.options.convergeMs
  let looks = 0
  while (sim.time.elapsed < end && !sim.isOver()) {
    sim.time.run(lookEveryMs, sim.isOver)
    if (pendingOf(world).length === 0) return
    looks += 1
    if (looks % 3 === 0) mend(world, people, looks)
    const orphans = looks * lookEveryMs > sweptMs ? orphansOf(world) : []
    if (orphans.length > 0) sim.object('no orphan lives', orphans.join('; '))
  }
  if (!sim.isOver()) sim.object('all is well in the end', `${what}: ${pendingOf(world).join('; ')}`)
}

/** What an operator does who reads what Keyturn says. */
function mend({ ledger, sim, issuer, watch, storesOf }: World, people: People, looks: number): void {
  for (const { name, policy } of sim.options.credentials) {
    const state = ledger.latest.get(name)
    if (state === undefined) continue
    const { rotation } = state
    const id = rotation?.id ?? ''
    const act = (what: 'resume' | 'abort'): void =>
      people.ask(`${what} ${name}`, (service) => service.actOnRotation(name, id, what, { name: 'operator' }))
    // What the outage says when somebody else's key is in the store.
    const isOut = handedOut(state) === undefined
    if (isOut && looks % 8 === 0) storesOf(name)[0]?.byHand(issuer.make({ madeBy: 'person' }).secret)
    // The only way out where keys make each other, whatever else stands there.
    if (isOut && policy.isSelfMinting === true && looks % 2 === 0) {
      const { text } = issuer.make({ madeBy: 'person' })
      people.ask(`bring ${name}`, (service) => service.bring(name, { apiKey: text }, { name: 'operator' }))
      continue
    }
    const isStuck = rotation !== undefined && (rotation.phase === 'halted' || rotation.paused)
    if (isStuck) act(looks % 9 === 0 ? 'abort' : 'resume')
    else if (rotation?.phase === 'awaiting') {
      if (looks % 6 === 0) act('abort')
      else {
        const { text } = issuer.make({ madeBy: 'person' })
        people.ask(`bring ${name}`, (service) => service.bring(name, { apiKey: text }, { name: 'operator' }))
      }
    } else if (rotation === undefined || rotation.phase === 'done') {
      const isAlarmed = state.storeTrouble?.code === 'store_changed'
      if ((isOut || isAlarmed) && looks > 3) people.rotate(name, 'emergency')
    }
    for (const one of state.retirements) {
      const isOverdue = one.isLimitAlerted && sim.now() > one.limitAt + policyOf(policy).drainLimitMs
      if (one.phase !== 'halted' && !isOverdue) continue
      watch.belief(name).insisted.add(one.version)
      people.ask(`revoke ${name} ${short(one.version)}`, (service) => {
        return service.revoke(name, one.version, {}, { name: 'operator' })
      })
    }
  }
}

/** What is not yet as it should be: empty when all is well. */
export function pendingOf(world: World): readonly string[] {
  return [
    ...world.replicas.filter((one) => !one.isUp).map((one) => `${one.name} is not up`),
    ...world.replicas.filter((one) => one.isFrozen).map((one) => `${one.name} is frozen`),
    ...world.sim.options.credentials.flatMap(({ name }) => pendingIn(world, name)),
    ...orphansOf(world),
  ]
}

function pendingIn(world: World, name: string): readonly string[] {
  const { ledger, issuer, watch, replicas, apps } = world
  const state = ledger.latest.get(name)
  if (state === undefined) return [`${name} is not in the ledger`]
  const found: string[] = []
  const given = handedOut(state)
  const key = given === undefined ? undefined : watch.keyOf(given)
  if (given === undefined || key === undefined) found.push(`${name} hands out nothing`)
  else if (!issuer.works(key) || !issuer.exists(key)) found.push(`${name} hands out a key that does not work`)
  const { rotation } = state
  if (rotation !== undefined && rotation.phase !== 'done') found.push(`${name} is in ${describe(state)}`)
  for (const replica of replicas) {
    const seen = replica.service?.handOut(name)
    const version = seen?.kind === 'available' ? seen.version : undefined
    if (version !== given?.version)
      found.push(`${replica.name} hands out ${short(version)} of ${name}, not ${short(given?.version)}`)
  }
  for (const store of world.storesOf(name))
    if (key !== undefined && store.current()?.secret.equals(key.secret) !== true)
      found.push(`${store.name} has ${short(store.current()?.version)} for current`)
  for (const one of state.retirements)
    if (one.endedAt === undefined)
      found.push(
        `${name} ${short(one.version)} is ${one.phase}${one.heldBy === undefined ? '' : ` (${one.heldBy})`}`,
      )
  found.push(...spareOf(world, name))
  for (const app of apps)
    if (app.credential === name && key !== undefined && app.heldKey !== key.text)
      found.push(`${app.name} has another key`)
  return found
}

/** In the end there is one spare, which lives, on another account than the current key, and not too old. */
function spareOf({ ledger, issuer, watch, sim }: World, name: string): readonly string[] {
  const state = ledger.latest.get(name)
  const { policy } = sim.options.credentials.find((one) => one.name === name) ?? {}
  if (state === undefined || policy?.standby !== true) return []
  const current = state.versions.find((one) => one.version === state.current)
  const account = current === undefined ? undefined : watch.keyOf(current)?.account
  const spares = state.versions.filter((one) => one.stage === 'standby')
  if (spares.length > 1) return [`${name} has ${spares.length} spares`]
  const key = spares[0] === undefined ? undefined : watch.keyOf(spares[0])
  if (key === undefined || !issuer.works(key)) return [`${name} has no spare that works`]
  if (key.account === account) return [`${name} has its spare on the account of its current key`]
  const isOld = sim.now() - key.createdAt > (policy.standbyMaxAgeMs ?? 0) + 2 * minuteMs
  return isOld ? [`${name} has a spare that has aged`] : []
}

function describe({ rotation }: CredentialState): string {
  return `${rotation?.phase ?? 'nothing'}${rotation?.halt === undefined ? '' : ` (${rotation.halt.reason})`}`
}

/** Keys of ours that live though nobody has them: none may be left, also of those that a lost ledger knew of. */
function orphansOf({ issuer, ledger, watch }: World): readonly string[] {
  const wanted = new Set(
    [...ledger.latest.values()].flatMap((state) => {
      // Those that walk to their end are pending on their own account.
      const walking = state.retirements.filter(isWalking).map((one) => one.version)
      return state.versions
        .filter(
          (one) => one.version === state.current || one.stage === 'standby' || walking.includes(one.version),
        )
        .map((one) => watch.keyOf(one))
    }),
  )
  return issuer.keys
    .filter((one) => one.madeBy === 'keyturn' && issuer.exists(one) && !wanted.has(one))
    .map((one) => `${one.keyId} is an orphan`)
}

/** Each history has a whole rotation with a retirement in it; where that was had before, peace is looked at now and then. */
function isPeaceWanted({ sim, watch }: World): boolean {
  return watch.seen.dead === 0 || watch.seen.promoted === 0 || sim.dice.stream('peace').chance(0.3)
}

/** One rotation in peace, with the whole retirement of the key before it: no request of any app fails. */
function turnInPeace(world: World, people: People): void {
  const { sim, ledger, apps, watch } = world
  sim.story.tell('fate', 'a rotation in peace')
  const failedBefore = apps.map((one) => one.failed)
  const name = sim.options.credentials[0]?.name ?? ''
  for (let turn = 0; turn < 2 && !sim.isOver(); turn++) {
    const deadBefore = watch.seen.dead
    const wasMinted = isMinted(ledger.latest.get(name))
    const before = ledger.latest.get(name)?.current
    people.rotate(name, 'normal')
    sim.time.run(1_000, sim.isOver)
    converge(world, people, 'a rotation in peace')
    if (sim.isOver()) return
    if (ledger.latest.get(name)?.current === before)
      sim.object('due rotations end', `${name} was not turned in peace`)
    if (wasMinted && watch.seen.dead <= deadBefore)
      sim.object('due rotations end', `${name}: the old key did not die`)
    if (wasMinted) break
  }
  apps.forEach((one, index) => {
    if (one.failed > (failedBefore[index] ?? 0))
      sim.object('no request fails because of a rotation', `${one.name}, in peace`)
  })
}

function isMinted(state: CredentialState | undefined): boolean {
  return state?.versions.find((one) => one.version === state.current)?.origin === 'minted'
}

function lookBack({ ledger, watch }: World): void {
  watch.assertLedgerQuiet([...ledger.latest.values()], [])
}
