import { createHash } from 'node:crypto'
import { handedOut } from '../../src/core/credential.ts'
import { fingerprint } from '../../src/core/fingerprint.ts'
import type { Lease } from '../../src/core/leases.ts'
import type { CredentialState, Rotation, VersionId, VersionRecord } from '../../src/core/types.ts'
import type { HandOut, NoHandOut } from '../../src/engine/service.ts'
import { policyOf, startAt } from '../core/fixtures.ts'
import type { App } from './app.ts'
import { canary, type IssuerWitness, type TrueKey } from './issuer.ts'
import type { LedgerWitness } from './ledger.ts'
import { occurrencesOf } from './replica.ts'
import { textOf } from './text.ts'
import type { World } from './world.ts'

/** Faults of ours that the log tells of; a ledger that is away is none. */
const ownFault =
  /a duty failed|failed; it will be taken up|what listens|a listener|is not sound|could not be reconciled/
/** Of those that the schedule began; others are because the key expires. */
const scheduledReason = 'due by schedule'
/** In a race with a person or with fate nobody can know of what happened a moment ago. */
const raceMs = 40_000
/** How long apps may be without a key while there is one to be had. */
const unservedMs = 180_000
const contactMs = 120_000
const minuteMs = 60_000
/** Begun within ten minutes, with pauses that double from a minute on. */
const sparesMax = 6
/** A request that nobody waits for any more arrives within this time. */
const inFlightMs = 45_000

const sha = { sha256Hex: (text: string) => createHash('sha256').update(text).digest('hex') }

/** What is believed of one credential, by what was seen from outside and never by the engine's own words. */
interface Belief {
  /** Named by people as not to be trusted, or as to be ended whoever uses it. */
  readonly insisted: Set<VersionId>
  readonly compromised: Set<VersionId>
  readonly withdrawn: Set<VersionId>
  /** When each version was last current, in true time. */
  readonly leftAt: Map<VersionId, number>
  readonly wasCurrent: Set<VersionId>
  readonly wasSpare: Set<VersionId>
  /** When the making of spares was begun, in true time. */
  readonly sparesAt: number[]
  /** Rollbacks that people have asked for and that may still come. */
  rollbackUntil: number
  /** How often people said that a key is in the wrong hands. */
  compromisedAsked: number
  /** When rotations began that nobody asked for, in true time. */
  automaticAt: readonly number[]
  /** When rotations began that the schedule asked for, in true time. */
  readonly scheduledAt: number[]
  /** Since when there has been a key that every app could have had. */
  servableSince: number | undefined
}

/**
 * The invariants of the design, checked against the truth at every step: what the issuer was asked, what became durable,
 * what was handed out and what was logged.
 */
export class Watch implements LedgerWitness, IssuerWitness {
  readonly #world: World
  readonly #beliefs = new Map<string, Belief>()
  /** The version of each marker that was written down. */
  readonly #intents = new Map<string, VersionId>()
  readonly #byPrint = new Map<string, TrueKey>()
  #printed = 0
  readonly seen = {
    promoted: 0,
    dead: 0,
    minted: 0,
    takeovers: 0,
    halted: 0,
    spares: 0,
    spared: 0,
    orphans: 0,
  }

  constructor(world: World) {
    this.#world = world
    world.ledger.witness = this
    world.issuer.witness = this
  }

  belief(name: string): Belief {
    const known = this.#beliefs.get(name)
    if (known !== undefined) return known
    const made: Belief = {
      insisted: new Set(),
      compromised: new Set(),
      withdrawn: new Set(),
      leftAt: new Map(),
      wasCurrent: new Set(),
      wasSpare: new Set(),
      sparesAt: [],
      rollbackUntil: 0,
      compromisedAsked: 0,
      automaticAt: [],
      scheduledAt: [],
      servableSince: undefined,
    }
    this.#beliefs.set(name, made)
    return made
  }

  /** A ledger that was lost knows nothing of what was decided before; people remember which keys they want dead. */
  onLedgerLost(): void {
    for (const belief of this.#beliefs.values()) {
      // Nothing is handed out by a new ledger until it has proven it, and an old key may begin to drain before that.
      for (const version of belief.wasCurrent)
        if (!belief.leftAt.has(version)) belief.leftAt.set(version, this.#world.sim.now())
      belief.withdrawn.clear()
      belief.compromised.clear()
      belief.automaticAt = []
    }
  }

  keyOf(record: Pick<VersionRecord, 'fingerprint'>): TrueKey | undefined {
    const { keys } = this.#world.issuer
    for (; this.#printed < keys.length; this.#printed++) {
      const key = keys[this.#printed]
      if (key !== undefined) this.#byPrint.set(fingerprint(key.secret, sha), key)
    }
    return this.#byPrint.get(record.fingerprint)
  }

  #object(rule: string, what: string): void {
    this.#world.sim.object(rule, what)
  }

  // ------------------------------------------------------------------ what became durable

  onState(before: CredentialState | undefined, after: CredentialState): void {
    const belief = this.belief(after.name)
    for (const one of after.rotation?.attempts ?? []) this.#intents.set(one.marker, one.version)
    if (before !== undefined) {
      if (after.generation < before.generation) this.#object('generation', `${after.name}: it fell`)
      if (after.fence < before.fence) this.#object('fence', `${after.name}: it fell`)
    }
    this.#onRotation(before?.rotation, after.rotation, after, belief)
    if (before !== undefined) this.#mindBlackout(before, after)
    if (before?.current !== after.current) this.#onCurrent(before, after, belief)
    this.#onWithdrawn(before, after, belief)
    this.#onSpares(before, after, belief)
    for (const one of after.retirements) {
      const earlier = before?.retirements.find((other) => other.id === one.id)
      if (earlier?.phase === one.phase) continue
      const who = `${after.name} ${short(one.version)}`
      this.#world.sim.story.tell(
        'ledger',
        `retirement of ${who}: ${one.phase}${one.heldBy === undefined ? '' : ` (${one.heldBy})`}`,
      )
      if (one.phase !== 'dead') continue
      this.seen.dead += 1
      const record = after.versions.find(({ version }) => version === one.version)
      const key = record === undefined ? undefined : this.keyOf(record)
      if (key !== undefined && this.#world.issuer.exists(key))
        this.#object('proof of death', `${who} is called dead and is alive`)
    }
    this.#weighService(after, belief)
  }

  /** Keys that make each other: with none that works nothing is begun but by a person, who brings one. */
  #onBegun({ requestedBy }: Rotation, state: CredentialState): void {
    const { isSelfMinting } = this.#optionsOf(state.name).policy
    if (isSelfMinting === true && requestedBy !== 'operator' && handedOut(state) === undefined)
      this.#object('nothing is begun that can come to nothing', `${state.name}, by ${requestedBy}`)
  }

  #onRotation(
    before: Rotation | undefined,
    after: Rotation | undefined,
    state: CredentialState,
    belief: Belief,
  ): void {
    if (after === undefined || (before?.id === after.id && before.phase === after.phase)) return
    const { name } = state
    const why = after.halt === undefined ? '' : ` (${after.halt.reason})`
    this.#world.sim.story.tell(
      'ledger',
      `rotation of ${name} ${after.id.slice(0, 6)} by ${after.requestedBy}, ${after.mode}: ${after.phase}${why} ${after.outcome ?? ''}`,
    )
    if (before?.id !== after.id) {
      if (before !== undefined && before.phase !== 'done')
        this.#object(
          'one rotation at a time',
          `${name}: ${before.id} was in ${before.phase} when ${after.id} began`,
        )
      if (after.mode === 'standby') this.#onSpareBegun(name, belief)
      if (after.requestedBy === 'schedule' && after.reason === scheduledReason)
        belief.scheduledAt.push(this.#world.sim.now())
      this.#onBegun(after, state)
    }
    const isTurnedByItself = after.requestedBy === 'failover' || after.requestedBy === 'start'
    const wasSpare = before?.id === after.id && before.mode === 'standby'
    if (isTurnedByItself && (before?.id !== after.id || wasSpare)) this.#onTurnedByItself(name, belief)
    if (after.requestedBy === 'failover' && !state.versions.some((one) => this.#isRejectedTwice(one)))
      this.#object('never mint for what minting cannot help', `${name}: no key of it was rejected twice`)
    if (after.phase === 'done' && after.outcome === undefined) this.#object('an end has an outcome', name)
    if (after.phase === 'halted') {
      this.seen.halted += 1
      if ((after.halt?.reason ?? '') === '' || (after.halt?.fix ?? '') === '')
        this.#object('a halt has a reason and a fix', name)
    }
    if (after.mode === 'rehearsal' && after.phase === 'done') this.#onRehearsed(after, name)
    if (after.outcome !== 'promoted') return
    this.seen.promoted += 1
    const promoted = state.versions.find((one) => one.version === state.current)
    const key = promoted === undefined ? undefined : this.keyOf(promoted)
    if (key?.expiresAt !== undefined && key.expiresAt < this.#world.sim.now() + 86_400_000)
      this.#object('a promoted key lives', `${name}: ${key.keyId} expires within a day`)
  }

  /** By the clock that each step was written down with; what a person asked for, and what apps need, goes on. */
  #mindBlackout(before: CredentialState, after: CredentialState): void {
    const { options } = this.#world.sim
    const windows = this.#optionsOf(after.name).blackout
    if (windows.length === 0 || options.hasSteps) return
    const occurrences = occurrencesOf(this.#world.sim)
    const isOn = (at: number): boolean =>
      windows.some((one) => {
        if ('fromAt' in one) return one.fromAt <= at && at < one.untilAt
        const from = occurrences.next(one.expression, one.timeZone, at - one.forMs)
        return from !== undefined && from <= at
      })
    const object = (what: string): void => this.#object('a blackout is kept', `${after.name}: ${what}`)
    const [was, is] = [before.rotation, after.rotation]
    const isServed = handedOut(before) !== undefined && handedOut(after) !== undefined
    if (isServed && is?.requestedBy === 'schedule' && is.mode === 'normal') {
      if (was?.id !== is.id && isOn(is.startedAt)) object('a scheduled rotation began in it')
      const isMoved = was?.id === is.id && was.phase === 'promoting' && is.phase === 'confirming'
      const begunAt = Math.max(was?.phaseAt ?? 0, was?.wakeAt ?? 0)
      if (isMoved && isOn(begunAt) && isOn(is.phaseAt)) object('a scheduled rotation promoted in it')
    }
    for (const one of after.retirements) {
      const earlier = before.retirements.find((other) => other.id === one.id)
      const isOver = earlier?.phase === 'draining' && one.phase === 'retiring'
      if (isOver && !one.isForced && isOn(one.phaseAt)) object(`${short(one.version)} was retired in it`)
    }
  }

  /** Attempts without an answer are the sweep's by then. */
  #onRehearsed(ended: Rotation, name: string): void {
    const { issuer } = this.#world
    const markers = new Set(ended.attempts.map((one) => one.marker))
    // Where deleting is refused it was made to expire in a second.
    const soon = this.#world.sim.now() + 2_000
    const alive = issuer.keys.find(
      (key) => markers.has(key.name) && issuer.exists(key) && (key.expiresAt ?? Infinity) > soon,
    )
    if (alive !== undefined)
      this.#object('a rehearsal leaves no key', `${name}: ${alive.keyId} is alive after it`)
  }

  #onTurnedByItself(name: string, belief: Belief): void {
    const { options, time } = this.#world.sim
    // A clock that is set by hours makes a day of the replica’s shorter.
    const dayMs = options.hasSteps ? 70_000_000 : 86_000_000
    belief.automaticAt = [...belief.automaticAt.filter((at) => at > time.elapsed - dayMs), time.elapsed]
    const max = policyOf(this.#optionsOf(name).policy).automaticPerDayMax
    if (belief.automaticAt.length > max)
      this.#object('automatic rotations', `${name}: more than ${max} in a day`)
  }

  #onCurrent(before: CredentialState | undefined, after: CredentialState, belief: Belief): void {
    const now = this.#world.sim.now()
    this.seen.takeovers += 1
    if (before?.current !== undefined) belief.leftAt.set(before.current, now)
    const { name, current } = after
    if (current === undefined) return
    this.#world.sim.story.tell('ledger', `${name} hands out ${short(current)}`)
    belief.wasCurrent.add(current)
    belief.leftAt.delete(current)
    const record = after.versions.find((one) => one.version === current)
    const key = record === undefined ? undefined : this.keyOf(record)
    if (key === undefined)
      return this.#object('only what was verified', `${name}: nobody knows the key of ${current}`)
    if (key.organization !== 'org-ours' && this.#optionsOf(name).organization !== undefined)
      this.#object('only ours', `${name}: ${current} belongs to somebody else`)
    if (!key.answers.some((one) => one.kind === 'good'))
      this.#object('only what was verified', `${name}: ${current} was never proven`)
    if (belief.compromised.has(current))
      this.#object('compromised is for ever', `${name}: ${current} came back`)
    if (belief.withdrawn.has(current) && belief.rollbackUntil < this.#world.sim.time.elapsed)
      this.#object('withdrawn stays withdrawn', `${name}: ${current} came back by itself`)
    const earlier = before?.versions.find((one) => one.version === current)
    if (earlier?.stage === 'retired') this.#object('retired is terminal', `${name}: ${current} came back`)
  }

  #onWithdrawn(before: CredentialState | undefined, after: CredentialState, belief: Belief): void {
    for (const one of after.versions) {
      if (one.compromised === true) {
        belief.compromised.add(one.version)
        // Said by a person, through a replica that may have died before it answered.
        if (belief.compromisedAsked > 0) belief.insisted.add(one.version)
      }
      if (one.withdrawnAt === undefined || belief.withdrawn.has(one.version)) continue
      belief.withdrawn.add(one.version)
      const key = this.keyOf(one)
      this.#world.sim.story.tell('ledger', `${after.name} ${short(one.version)} withdrawn`)
      if (before === undefined || key === undefined) continue
      const isForeign =
        key.organization !== 'org-ours' && key.answers.some((answer) => answer.kind !== 'rejected')
      const isMeant = belief.insisted.has(one.version)
      if (!isForeign && !isMeant && !this.#isRejectedTwice(one))
        this.#object(
          'withdrawn on two rejections',
          `${after.name}: ${one.version} was refused ${rejections(key)} times`,
        )
    }
  }

  /** Whoever makes spares without end makes keys without end. */
  #onSpareBegun(name: string, { sparesAt }: Belief): void {
    const { sim, ledger } = this.#world
    this.seen.spares += 1
    sparesAt.push(sim.time.elapsed)
    const lately = sparesAt.filter((at) => at > sim.time.elapsed - 600_000)
    if (lately.length > sparesMax && !sim.options.hasSteps && ledger.lostAt === undefined)
      this.#object('spares are bounded', `${name}: ${lately.length} were begun in ten minutes`)
  }

  #onSpares(before: CredentialState | undefined, after: CredentialState, belief: Belief): void {
    for (const one of after.versions) {
      if (one.stage !== 'standby') continue
      belief.wasSpare.add(one.version)
      const key = this.keyOf(one)
      if (key === undefined || !key.answers.some((answer) => answer.kind === 'good'))
        this.#object('only what was verified', `${after.name}: the spare ${short(one.version)}`)
    }
    const dead = after.versions.find((one) => one.version === before?.current)
    const wasUsed = before?.versions.find((one) => one.version === before.current)?.withdrawnAt === undefined
    if (before === undefined || dead?.withdrawnAt === undefined || !wasUsed) return
    const hadSpare = before.versions.some((one) => one.stage === 'standby' && this.#isSound(one))
    if (hadSpare && (after.current === before.current || after.current === undefined))
      this.#object('a spare takes over at once', `${after.name}: ${short(before.current)} has died`)
    if (hadSpare) this.seen.spared += 1
  }

  /** Known to be good to whoever looks at the ledger, and good in truth. */
  #isSound(record: VersionRecord): boolean {
    const key = this.keyOf(record)
    const isOut = record.withdrawnAt !== undefined || record.compromised === true
    const isExpired = (record.meta.expiresAt ?? Number.POSITIVE_INFINITY) <= this.#world.sim.now() + minuteMs
    return key !== undefined && !isOut && !isExpired && this.#world.issuer.works(key)
  }

  #isRejectedTwice(record: VersionRecord): boolean {
    const key = this.keyOf(record)
    if (key === undefined) return false
    const rejected = key.answers.filter((one) => one.kind === 'rejected')
    // Replicas whose clocks disagree see the gap each by its own.
    const { hasSteps, skewMs, replicas } = this.#world.sim.options
    const gapMs = hasSteps ? 0 : Math.max(0, 299 - (replicas > 1 ? 2 * skewMs : 0))
    return rejected.some((one, index) =>
      rejected.slice(index + 1).some((other) => other.at - one.at >= gapMs),
    )
  }

  onEvents(events: readonly unknown[]): void {
    if (events.length > 0) this.#keepsQuiet('an event', events)
  }

  // ------------------------------------------------------------------ what the issuer was asked

  onMint({ marker, key, credential }: { marker: string; key: TrueKey; credential: string }): void {
    this.seen.minted += 1
    if (!this.#intents.has(marker))
      this.#object(
        'intent before minting',
        `${credential}: nobody wrote down that ${key.keyId} would be minted`,
      )
  }

  onRevoke({ key, credential, by }: { key: TrueKey; credential: string; by: string }): void {
    const { ledger, sim } = this.#world
    const state = ledger.latest.get(credential)
    const record = state?.versions.find((one) => this.keyOf(one) === key)
    const who = `${credential} ${key.keyId} by ${by}`
    for (const other of ledger.latest.values()) {
      const held = other.versions.find((one) => this.keyOf(one) === key)
      const isUsed = held !== undefined && (held.stage === 'current' || held.stage === 'standby')
      const isMeant = [...this.#beliefs.values()].some(
        (one) => held !== undefined && one.insisted.has(held.version),
      )
      if (isUsed && !isMeant) this.#object('no key in use is revoked', `${who} is current in ${other.name}`)
    }
    if (this.#isUnknown(key)) this.#assertOrphan(key, who)
    const belief = this.belief(credential)
    const version = record?.version
    if (version !== undefined && belief.insisted.has(version)) return
    const stage = record?.stage
    if (stage !== undefined && stage !== 'retired' && stage !== 'pending')
      this.#object('retired before delete', `${who} is ${stage}`)
    this.#assertNotInStores(key, credential, who)
    if (version === undefined || state === undefined) return
    if (!belief.wasCurrent.has(version)) {
      // Never handed out: it has no overlap, and all else holds of it too.
      if (belief.wasSpare.has(version)) this.#assertOtherLives(state, who)
      return
    }
    this.#assertOverlap(version, credential, who)
    this.#assertOtherLives(state, who)
    this.#assertNobodyUses(key, state, who)
    const store = this.#world.storesOf(credential)[0]
    if (store !== undefined && !store.isRetired(version))
      this.#object('retired before delete', `${who} is not retired in the store`)
    const overlapMs = this.#policy(credential).overlapMs - 2 * sim.options.skewMs - 2_000
    // A clock that is set ahead ends any overlap; nobody can tell that from time that has passed.
    if (sim.options.hasSteps) return
    if (ledger.lostAt !== undefined && sim.now() - ledger.lostAt < overlapMs)
      this.#object(
        'nothing revoked after a loss',
        `${who}, and the ledger was lost ${sim.now() - ledger.lostAt} ms ago`,
      )
  }

  /** No credential has it on record, and no attempt to mint is still looked for under its name. */
  #isUnknown(key: TrueKey): boolean {
    return [...this.#world.ledger.latest.values()].every(
      ({ versions, rotation, openAttempts }) =>
        !versions.some((one) => this.keyOf(one) === key) &&
        ![...(rotation?.attempts ?? []), ...openAttempts].some(({ marker }) => marker === key.name),
    )
  }

  /** What nobody remembers is revoked only where it is of no use to anybody, and not before that was seen twice. */
  #assertOrphan(key: TrueKey, who: string): void {
    const { sim, ledger, stores, apps } = this.#world
    // What a process had sent that died with its ledger may arrive a little later.
    if (ledger.lostAt !== undefined && sim.now() - ledger.lostAt < inFlightMs) return
    this.seen.orphans += 1
    if (key.madeBy !== 'keyturn')
      this.#object('only orphans of ours are ended', `${who}: made by ${key.madeBy}`)
    for (const store of [...stores.values()].flat())
      if (
        store.live().some(({ secret }) => secret.equals(key.secret)) &&
        sim.now() - store.writtenAt > raceMs
      )
        this.#object('only orphans are ended', `${who}: ${store.name} has it`)
    const user = apps.find((one) => one.uses(key) && sim.time.elapsed - one.lastContactAt < contactMs)
    // Somebody wanted it dead whoever uses it, and it was retired in the store, before the ledger was lost.
    const version = this.#intents.get(key.name)
    const isMeant =
      version !== undefined && [...this.#beliefs.values()].some((one) => one.insisted.has(version))
    if (user !== undefined && !isMeant) this.#object('only orphans are ended', `${who}: ${user.name} uses it`)
    // Two looks so far apart have seen it, both by the ledger of today, which is older than an overlap.
    const { reconcile, credentials, skewMs, hasSteps } = sim.options
    const knownMs = sim.now() - Math.max(key.createdAt, ledger.lostAt ?? 0)
    const overlapMs = Math.max(...credentials.map((one) => policyOf(one.policy).overlapMs))
    const isShared = credentials.every(({ account }) => account === credentials[0]?.account)
    const leastMs = Math.max(reconcile.apartMs, isShared ? overlapMs : 0)
    if (!hasSteps && knownMs < leastMs - 2 * skewMs - 2_000)
      this.#object(
        'an orphan is looked for twice',
        `${who}, ${knownMs} ms after it was made or the ledger was lost`,
      )
  }

  #assertNotInStores(key: TrueKey, credential: string, who: string): void {
    const { sim, ledger } = this.#world
    const state = ledger.latest.get(credential)
    const isPastLimit = state !== undefined && this.#isPastLimit(key, state)
    const wasPending = ![...this.belief(credential).wasCurrent].some(
      (version) => version === this.#intents.get(key.name),
    )
    for (const [index, store] of this.#world.storesOf(credential).entries()) {
      const isThere = store.current()?.secret.equals(key.secret) === true
      const isRace = sim.now() - store.changedAt < raceMs + sim.options.store.lagMs
      // A key that is given up waits for no mirror that cannot be reached: it was never current there but by hand.
      const isOutOfReach = index > 0 && wasPending && (store.weather.isAway || store.weather.rate > 0.5)
      // docs/mirrors.md: with afterLimit: revoke none is waited for beyond the limit.
      const isGivenUp = index > 0 && isPastLimit
      if (isThere && !isRace && !isOutOfReach && !isGivenUp)
        this.#object('no key revoked that a store has for current', `${who}: ${store.name}`)
    }
  }

  #assertOverlap(version: VersionId, credential: string, who: string): void {
    const { sim } = this.#world
    const leftAt = this.belief(credential).leftAt.get(version)
    if (leftAt === undefined || sim.options.hasSteps) return
    const toleranceMs = 2 * sim.options.skewMs + 2_000
    if (sim.now() - leftAt < this.#policy(credential).overlapMs - toleranceMs)
      this.#object('overlap', `${who}, ${sim.now() - leftAt} ms after it was replaced`)
  }

  #assertOtherLives(state: CredentialState, who: string): void {
    const { sim } = this.#world
    const current = state.versions.find((one) => one.version === state.current)
    // A person had the last one revoked, and what was on its way to its end before goes on its way.
    if (state.current === undefined && this.belief(state.name).insisted.size > 0) return
    const key = current === undefined ? undefined : this.keyOf(current)
    // An edge that has not heard of the deletion yet goes on proving it.
    const endedAt =
      key === undefined ? 0 : Math.min(Math.max(...key.deadAt), key.expiresAt ?? Number.POSITIVE_INFINITY)
    if (key === undefined || sim.now() - endedAt > raceMs)
      this.#object('the last working key', `${who}: what is handed out does not live`)
    else if (!key.answers.some((one) => one.kind === 'good' && sim.now() - one.at < 600_000))
      this.#object('current proven again', `${who}: what is handed out was not proven lately`)
  }

  #assertNobodyUses(key: TrueKey, state: CredentialState, who: string): void {
    const { sim, apps, ledger } = this.#world
    if (this.#isPastLimit(key, state) || this.#isClockJustSet()) return
    // Leases are lost with the ledger: who was cut off before it could say anything to the new one is not known of.
    const lostFor = ledger.lostAt === undefined ? Number.POSITIVE_INFINITY : sim.now() - ledger.lostAt
    const knownMs = Math.min(contactMs, lostFor)
    const user = apps.find(
      (one) =>
        one.credential === state.name && one.uses(key) && sim.time.elapsed - one.lastContactAt < knownMs,
    )
    if (user !== undefined && user.lastContactAt > 0)
      this.#object('no key revoked that an app still uses', `${who}: ${user.name}`)
  }

  /** Its owners chose that nothing holds it up any longer. The same key may have been here under several ids. */
  #isPastLimit(key: TrueKey, state: CredentialState): boolean {
    const policy = this.#policy(state.name)
    const limitMs = policy.overlapMs + policy.drainLimitMs
    const now = this.#world.sim.now()
    return (
      policy.afterLimit === 'revoke' &&
      [...this.belief(state.name).leftAt].some(
        ([version, leftAt]) => this.#isOf(version, key, state) && now - leftAt >= limitMs - 30_000,
      )
    )
  }

  /** Set ahead, it makes every overlap over and every lease silent, until apps have given a sign of life again. */
  #isClockJustSet(at = this.#world.sim.time.elapsed): boolean {
    const { sim, replicas } = this.#world
    return (
      sim.options.hasSteps && replicas.some(({ clock }) => at >= clock.setAt && at - clock.setAt < contactMs)
    )
  }

  #isOf(version: VersionId, key: TrueKey, state: CredentialState): boolean {
    const record = state.versions.find((one) => one.version === version)
    return record !== undefined && this.keyOf(record) === key
  }

  #policy(name: string): ReturnType<typeof policyOf> {
    return policyOf(this.#optionsOf(name).policy)
  }

  #optionsOf(name: string) {
    const found = this.#world.sim.options.credentials.find((one) => one.name === name)
    if (found === undefined) throw new Error(`${name} is one of this world`)
    return found
  }

  // ------------------------------------------------------------------ what apps get

  onHandOut(replica: string, given: HandOut | NoHandOut | undefined): void {
    if (given?.kind !== 'available') return
    const key = this.#world.issuer.find(given.secret)
    const who = `${replica} hands out ${given.name} ${short(given.version)}`
    if (key === undefined) return this.#object('only what was verified', `${who}: there is no such key`)
    if (!key.answers.some((one) => one.kind === 'good')) this.#object('only what was verified', who)
    if (key.organization !== 'org-ours' && this.#optionsOf(given.name).organization !== undefined)
      this.#object('only ours', who)
  }

  /** The end of an app's request: its key was refused, and there was no other. */
  onRefused(app: App, apiKey: string): void {
    const { issuer, sim } = this.#world
    const key = issuer.keys.find((one) => one.text === apiKey)
    sim.story.tell(app.name, `refused with ${key?.keyId ?? 'nothing'}`)
    if (key?.endedBy?.startsWith('host-') !== true) return
    const { name } = this.#world.ledger.latest.get(app.credential) ?? { name: app.credential }
    const record = this.#world.ledger.latest.get(name)?.versions.find((one) => this.keyOf(one) === key)
    const belief = this.belief(name)
    if (record === undefined || belief.insisted.has(record.version)) return
    const policy = this.#policy(name)
    if (policy.afterLimit === 'revoke' || this.#world.ledger.lostAt !== undefined) return
    if (key.deletedAt !== undefined && this.#isClockJustSet(key.deletedAt - startAt)) return
    if (sim.time.elapsed - app.lastContactAt < contactMs)
      this.#object('no request fails because of a rotation', `${app.name} with ${key.keyId}`)
  }

  onUnserved(app: App): void {
    const { sim, replicas } = this.#world
    const belief = this.belief(app.credential)
    const { elapsed } = sim.time
    const state = this.#world.ledger.latest.get(app.credential)
    if (state !== undefined) this.#weighService(state, belief)
    const isReachable =
      elapsed > app.cutOffUntil && replicas.some((one) => one.isUp && (one.life?.frozenUntil ?? 0) < elapsed)
    if (!isReachable || belief.servableSince === undefined) {
      app.failingSince = undefined
      return
    }
    const since = Math.max(app.failingSince ?? elapsed, belief.servableSince)
    if (elapsed - since > unservedMs)
      this.#object(
        'apps are served',
        `${app.name} has got nothing for ${Math.round(elapsed - since)} ms, though a key lives`,
      )
  }

  /** Whether what the ledger calls current works everywhere now. */
  #weighService(state: CredentialState, belief: Belief): void {
    const record = state.versions.find((one) => one.version === state.current)
    const isGood = record !== undefined && record.withdrawnAt === undefined && record.compromised !== true
    const key = isGood ? this.keyOf(record) : undefined
    const { issuer, sim, replicas } = this.#world
    const isUp = replicas.some((one) => one.isUp)
    const isThere = record !== undefined && this.#world.storesOf(state.name)[0]?.has(record.version) === true
    const isServable = isUp && isThere && key !== undefined && issuer.works(key)
    belief.servableSince = isServable ? (belief.servableSince ?? sim.time.elapsed) : undefined
  }

  // ------------------------------------------------------------------ what is told

  onLog(
    replica: string,
    line: {
      readonly level: string
      readonly message: string
      readonly fields: Readonly<Record<string, unknown>>
    },
  ): void {
    const { sim } = this.#world
    this.#keepsQuiet('a line of the log', [line.message, line.fields])
    if (line.level === 'error' || line.level === 'warn')
      sim.story.tell(replica, `${line.message}: ${textOf(line.fields).slice(0, 160)}`)
    if (!ownFault.test(line.message)) return
    const error = line.fields['error']
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
    // Where there is no admin key that works, or the store that has it is away, keys cannot be listed either.
    const isOutside = line.level === 'warn' && /^(?:issuer|store)_/.test(code)
    if (!code.startsWith('ledger_') && !isOutside)
      this.#object('fault', `${replica}: ${line.message}: ${textOf(line.fields)}`)
  }

  #keepsQuiet(where: string, what: unknown): void {
    if (textOf(what).includes(canary)) this.#object('secrecy', `${where} holds a secret`)
  }

  assertLedgerQuiet(states: readonly CredentialState[], leases: readonly Lease[]): void {
    this.#keepsQuiet('the ledger', [states, leases])
  }
}

export function short(version: string | undefined): string {
  return version === undefined ? 'nothing' : version.startsWith('hand-') ? version : version.slice(0, 8)
}

function rejections(key: TrueKey): number {
  return key.answers.filter((one) => one.kind === 'rejected').length
}
