import {
  type Change,
  canMintNow,
  currentOf,
  handedOut,
  initialState,
  isOut,
  recordOf,
  withRecord,
} from '../../src/core/credential.ts'
import { type Duty, plan } from '../../src/core/duties.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import { assertState, assertSuccession } from '../../src/core/invariants.ts'
import { awaitBrought, takeBrought } from '../../src/core/operations.ts'
import type { RetirementEvent } from '../../src/core/retirement.ts'
import { applyRetirement } from '../../src/core/retiring.ts'
import { isRunning, type RotationEffect, type RotationEvent } from '../../src/core/rotation.ts'
import { tendSpare } from '../../src/core/sparing.ts'
import { observeStore } from '../../src/core/store-look.ts'
import { takeOver } from '../../src/core/take-over.ts'
import { applyRotation, beginRotation, giveUpHopeless, startRotation } from '../../src/core/turning.ts'
import type { CredentialState, Policy, Verdict, VersionId } from '../../src/core/types.ts'
import { recordCheck, suspect } from '../../src/core/verification.ts'
import { changeContext, dayMs, namer, startAt, verdictOf } from './fixtures.ts'
import { assertBounds, assertPlan, claim, type IssuedKey, Outside } from './outside.ts'

/**
 * A tiny world for the core to act upon: an issuer, a store and a driver that performs what `plan` asks for, with
 * faults drawn from a seed. It knows the truth, so that it can tell whether the core's beliefs are right.
 */
type Changer = (state: CredentialState, context: ReturnType<typeof changeContext>) => Change

export class World extends Outside {
  state: CredentialState
  readonly withdrawn = new Set<VersionId>()
  readonly handedOutEver = new Set<VersionId>()
  automatic: number[] = []
  private swept: string | undefined
  private readonly names = namer()

  constructor(seed: number, policy: Policy) {
    super(seed, policy)
    this.state = initialState('openai', startAt)
  }

  // ------------------------------------------------------------ people and fate

  killCurrent(): void {
    const keyId = this.state.current === undefined ? undefined : this.stored.get(this.state.current)
    const key = keyId === undefined ? undefined : this.keys.get(keyId)
    if (key !== undefined) key.deletedAt = this.now
  }

  advance(ms: number): void {
    this.now += ms
  }

  ask(event: RotationEvent): void {
    this.change((state, context) => applyRotation(state, event, context))
  }

  rotate(mode: 'normal' | 'emergency' | 'rehearsal', isCompromised = false): void {
    if (isRunning(this.state.rotation) || !canMintNow(this.state, this.policy)) return
    const request = { mode, isCompromised, reason: 'asked', requestedBy: 'ada', isAutomatic: false }
    this.change((state, context) => startRotation(state, request, context))
  }

  /** As an operator does: the intent, the value, and then what is brought. A refusal is a refusal. */
  bring(): void {
    const before = this.state
    const nothing = (state: CredentialState): Change => ({ state, events: [] })
    this.change((state, context) => giveUpHopeless(state, context) ?? nothing(state))
    try {
      const by = { reason: 'a person brings one', requestedBy: 'ada' }
      this.change((state, context) => awaitBrought(state, by, context))
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError) || thrown.code === 'internal') throw thrown
      claim(
        isRunning(before.rotation),
        `only a rotation that is under way stands in the way (${thrown.code})`,
      )
      return
    }
    const version = `brought-${++this.drawn}`
    const { keyId } = this.addKey(version, { marker: '', isOurs: true, isMinted: false })
    const added = { version, fingerprint: `f-${version}`, meta: { keyId }, origin: 'brought' } as const
    this.change((state, context) => takeBrought(state, added, context))
  }

  rollBack(): void {
    const choices = this.state.versions.filter(
      (one) =>
        (one.stage === 'previous' || one.stage === 'standby') &&
        one.verifiedAt !== undefined &&
        one.withdrawnAt === undefined &&
        !one.compromised,
    )
    const to = choices[Math.floor(this.random() * choices.length)]
    if (to === undefined || (isRunning(this.state.rotation) && this.state.rotation.phase !== 'halted')) return
    this.change((state, context) =>
      takeOver(
        state,
        to.version,
        { who: 'ada', why: 'rolled back', isInStore: state.storeCurrent === to.version },
        context,
      ),
    )
  }

  forceRetirement(): void {
    const one = this.state.retirements.find((retirement) => retirement.endedAt === undefined)
    if (one !== undefined)
      this.change((state, context) => applyRetirement(state, one.id, { kind: 'forced', by: 'ada' }, context))
  }

  report(): void {
    const { current } = this.state
    if (current !== undefined)
      this.change((state) => ({ state: suspect(state, current, this.now), events: [] }))
  }

  /** The process dies and another one takes up what it finds. */
  crash(): void {
    this.ask({ kind: 'resumed' })
  }

  // ------------------------------------------------------------------ the driver

  /** Performs up to `limit` duties, moving on in time when nothing is due; stops at `until`. */
  run(limit: number, until = Number.POSITIVE_INFINITY): number {
    let performed = 0
    while (performed < limit && this.now < until) {
      this.land()
      const { duties, wakeAt } = plan(this.state, this.policy, this.now, new Set())
      assertPlan(duties, this.state, this.policy, this.now)
      if (duties.length === 0) {
        const next = Math.min(wakeAt, ...this.late.map((one) => one.at))
        if (!Number.isFinite(next) || next > until) {
          this.now = Number.isFinite(until) ? until : this.now
          break
        }
        this.now = Math.max(this.now, next)
        continue
      }
      for (const duty of duties) {
        this.now += 5
        const changer = this.perform(duty)
        performed++
        if (this.faultRate > 0 && this.random() < this.faultRate / 5) this.crash()
        else this.change(changer)
      }
    }
    return performed
  }

  private change(changer: Changer): void {
    const before = this.state
    const context = changeContext(this.now, this.policy, this.names)
    const change = changer(before, context)
    assertState(change.state)
    assertSuccession(before, change.state)
    this.assertBeliefs(before, change.state)
    this.state = { ...change.state, revision: before.revision + 1 }
  }

  private assertBeliefs(before: CredentialState, after: CredentialState): void {
    this.assertNothingForgotten(before, after)
    assertBounds(after, this.policy)
    const given = handedOut(after)
    if (given !== undefined) {
      this.handedOutEver.add(given.version)
      claim(given.verifiedAt !== undefined, 'only what was verified is handed out')
      const key = this.keyOf(given.version)
      claim(key === undefined || key.isOurs, 'no foreign key is handed out')
      claim(!this.withdrawn.has(given.version), 'what was withdrawn does not come back by itself')
    }
    for (const one of after.versions) if (one.withdrawnAt !== undefined) this.withdrawn.add(one.version)
    for (const one of after.versions.filter((record) => record.compromised)) this.withdrawn.add(one.version)
    this.automatic = [
      ...this.automatic.filter((at) => at > this.now - dayMs),
      ...after.automaticAt.filter((at) => !before.automaticAt.includes(at)),
    ]
    const isStarted = after.rotation !== undefined && after.rotation.id !== before.rotation?.id
    const isByItself = isStarted && after.rotation?.requestedBy !== 'ada'
    claim(
      !isByItself || canMintNow(after, this.policy),
      'nothing is begun by itself that can come to nothing',
    )
    claim(this.automatic.length <= this.policy.automaticPerDayMax, 'automatic rotations are bounded per day')
    claim(
      before.rotation === undefined ||
        after.rotation?.id === before.rotation.id ||
        before.rotation.phase === 'done',
      'a rotation is never replaced while it runs',
    )
  }

  private assertNothingForgotten(before: CredentialState, after: CredentialState): void {
    const known = new Set([
      ...(after.rotation?.attempts ?? []).map((one) => one.marker),
      ...after.openAttempts.map((one) => one.marker),
    ])
    for (const one of before.openAttempts)
      claim(
        known.has(one.marker) || this.swept === one.marker,
        `${one.marker} is looked for until it was swept`,
      )
    for (const one of isRunning(before.rotation) ? before.rotation.attempts : []) {
      if (one.outcome === 'open')
        claim(known.has(one.marker), `the open attempt ${one.marker} is not forgotten`)
      if (one.outcome !== 'staged') continue
      const later = after.rotation?.attempts.find((other) => other.marker === one.marker)
      const stage = recordOf(after, one.version)?.stage
      const isKept = later?.outcome === 'staged' || later?.outcome === 'gone' || stage !== 'pending'
      claim(isKept, `the staged key of ${one.marker} is not forgotten`)
    }
  }

  private verdict(version: VersionId): Verdict {
    const key = this.keyOf(version)
    if (this.fails()) return verdictOf('unknown')
    if (key === undefined) return verdictOf('unknown')
    if (!this.isAlive(key) || key.activeAt > this.now) return verdictOf('rejected')
    return key.isOurs ? verdictOf(this.pick('valid', 'valid', 'throttled', 'exhausted')) : verdictOf('valid')
  }

  private perform(duty: Duty): Changer {
    switch (duty.kind) {
      case 'look':
        return this.look()
      case 'align':
        return this.align(duty.to)
      case 'verify':
        return this.verify(duty.version)
      case 'rotate': {
        const performed = this.performRotation(duty.effect)
        return performed
      }
      case 'mirror':
        throw new Error('this model has no mirrors')
      case 'hold':
        throw new Error('this model has no blackouts')
      case 'deadline':
        return (state, context) => applyRotation(state, { kind: 'deadline_passed' }, context)
      case 'start': {
        const request = {
          mode: 'normal',
          isCompromised: false,
          reason: 'due',
          requestedBy: 'schedule',
          isAutomatic: false,
        } as const
        return ({ nextRotationAt: _due, ...state }, context) => beginRotation(state, request, context)
      }
      case 'spare':
        return tendSpare
      case 'retire': {
        const event = this.performRetirement(duty)
        return (state, context) => applyRetirement(state, duty.id, event, context)
      }
      case 'sweep':
        return this.sweep(duty.marker, duty.version)
    }
  }

  private look(): Changer {
    const reading = this.readStore()
    return (state, context) => observeStore(state, reading, context)
  }

  private align(to: VersionId): Changer {
    const isFailing = this.fails()
    const isExpected = this.storeCurrent === this.state.storeCurrent || this.storeCurrent === to
    const isThere = this.stored.has(to) && isExpected && !this.retiredInStore.has(to)
    if (isThere && (!isFailing || this.fails())) this.storeCurrent = to
    return (state, context) => {
      if (isFailing) {
        const failed = { kind: 'failed', code: 'store_unreachable', summary: 'No.', fix: 'Wait.' } as const
        const looked = observeStore(state, failed, context)
        return { ...looked, state: { ...looked.state, storeReadAt: looked.state.nextStoreReadAt } }
      }
      const looked = { ...state, isAlignmentDue: false, nextStoreReadAt: context.now }
      return { state: isThere && state.current === to ? { ...looked, storeCurrent: to } : looked, events: [] }
    }
  }

  private verify(version: VersionId): Changer {
    const verdict = this.verdict(version)
    const isOurs = this.keyOf(version)?.isOurs ?? false
    return (state, context) => recordCheck(state, version, { verdict, isOurs, belonging: undefined }, context)
  }

  private sweep(marker: string, version: VersionId): Changer {
    this.swept = marker
    const isListed = this.isAnswered()
    const key = [...this.keys.values()].find((one) => one.marker === marker)
    if (isListed && key !== undefined) this.revoke(key)
    if (isListed && recordOf(this.state, version) === undefined) this.stored.delete(version)
    return (state) => {
      const openAttempts = state.openAttempts.flatMap((one) => {
        if (one.marker !== marker) return [one]
        const isOver = isListed && (key !== undefined || this.now >= one.until)
        return isOver ? [] : [{ ...one, nextAt: this.now + 600_000 }]
      })
      return { state: { ...state, openAttempts }, events: [] }
    }
  }

  private revoke(key: IssuedKey): void {
    claim(this.state.current !== key.version, `what is current is never revoked (${key.version})`)
    const record = recordOf(this.state, key.version)
    const isInReserve = record?.stage === 'standby' || record?.stage === 'previous'
    claim(!isInReserve, `a key is retired before it is revoked (${key.version})`)
    key.deletedAt ??= this.now
  }

  // -------------------------------------------------------------------- effects

  private performRotation(effect: RotationEffect): Changer {
    const said = this.rotationEvent(effect)
    const added = this.addedBy(said)
    return (state, context) => applyRotation(state, said, context, added)
  }

  private addedBy(event: RotationEvent): Parameters<typeof applyRotation>[3] {
    const version =
      event.kind === 'minted'
        ? this.state.rotation?.attempts.at(-1)?.version
        : event.kind === 'reconciled'
          ? event.found?.version
          : undefined
    const key = version === undefined ? undefined : this.keyOf(version)
    if (version === undefined || key === undefined) return undefined
    return { version, fingerprint: `f-${version}`, meta: { keyId: key.keyId }, origin: 'minted' }
  }

  private rotationEvent(effect: RotationEffect): RotationEvent {
    switch (effect.kind) {
      case 'check':
        return this.fails() ? { kind: 'check_unknown' } : { kind: 'checked' }
      case 'mint':
        return effect.attempt.isUnmade === true
          ? { kind: 'mint_begun' }
          : this.mint(effect.attempt.marker, effect.attempt.version)
      case 'reconcile':
        return this.reconcile(effect.attempts)
      case 'prove':
        return this.prove(effect.version)
      case 'discard':
        return this.discard(effect.version, effect.keyId)
      case 'extend': {
        if (this.fails()) return this.pick({ kind: 'extend_unknown' }, { kind: 'extend_refused' })
        const key = this.keyOf(effect.version)
        if (key !== undefined) key.expiresAt = this.now + this.policy.keyExpirySeconds * 1_000
        return { kind: 'extended' }
      }
      case 'promote':
        return this.promote(effect.from, effect.to)
      case 'confirm':
        if (this.fails()) return this.pick({ kind: 'confirm_unknown' }, { kind: 'confirm_lost' })
        return { kind: this.storeCurrent === effect.to ? 'confirmed' : 'confirm_lost' }
      case 'inspect':
        return this.deadInStore(effect) ?? this.inspect(effect.from, effect.to)
    }
  }

  /** Keys that make each other: the issuer listens to the one that is in use, while it lives. */
  private get isHeard(): boolean {
    if (this.policy.isSelfMinting !== true) return true
    const key = this.state.current === undefined ? undefined : this.keyOf(this.state.current)
    return key !== undefined && this.isAlive(key) && handedOut(this.state) !== undefined
  }

  private isAnswered(): boolean {
    return this.isHeard && !this.fails()
  }

  /** What is in the store instead is known to be dead, and nothing is handed out: as the engine finds. */
  private deadInStore({ from, to }: { readonly from: VersionId | undefined; readonly to: VersionId }) {
    const there = recordOf(this.state, this.storeCurrent)
    if (there === undefined || there.version === to || there.version === from) return undefined
    const isDead = isOut(there) || (there.verdict?.kind === 'rejected' && (there.rejections?.count ?? 0) > 1)
    return handedOut(this.state) === undefined && isDead && !this.fails()
      ? ({ kind: 'inspected', finding: 'dead', current: there.version } as const)
      : undefined
  }

  private mint(marker: string, version: VersionId): RotationEvent {
    if (!this.isHeard)
      return this.pick({ kind: 'mint_unknown' }, { kind: 'mint_refused', verdict: verdictOf('rejected') })
    claim(![...this.keys.values()].some((one) => one.marker === marker), 'no marker is minted twice')
    if (!this.fails()) return { kind: 'minted', keyId: this.addKey(version, this.minted(marker)).keyId }
    const fault = this.pick('throttled', 'refused', 'lost', 'made', 'unstored', 'late')
    if (fault === 'throttled') return { kind: 'mint_refused', verdict: verdictOf('throttled') }
    if (fault === 'refused') return { kind: 'mint_refused', verdict: verdictOf('blocked') }
    if (fault === 'lost') return { kind: 'mint_unknown' }
    const key = this.addKey(version, this.minted(marker))
    if (fault === 'made') return { kind: 'mint_unknown' }
    this.stored.delete(version)
    if (fault === 'unstored') return { kind: 'mint_unknown', keyId: key.keyId }
    this.keys.delete(key.keyId)
    this.late.push({ at: this.now + Math.floor(this.random() * 3_600_000), key })
    return { kind: 'mint_unknown' }
  }

  private reconcile(
    attempts: readonly { readonly marker: string; readonly version: VersionId }[],
  ): RotationEvent {
    if (!this.isAnswered()) return { kind: 'reconcile_failed' }
    let found: { readonly version: VersionId; readonly keyId: string } | undefined
    for (const attempt of attempts.toReversed()) {
      const key = [...this.keys.values()].find((one) => one.marker === attempt.marker)
      if (key === undefined) continue
      if (this.stored.has(attempt.version) && found === undefined)
        found = { version: attempt.version, keyId: key.keyId }
      else this.revoke(key)
    }
    return { kind: 'reconciled', found }
  }

  private prove(version: VersionId): RotationEvent {
    if (!this.stored.has(version)) return { kind: 'pending_lost' }
    if (this.fails() && this.fails()) {
      const kind = this.pick('blocked', 'misconfigured', 'restricted')
      return { kind: 'proved', verdict: verdictOf(kind), isOurs: true, lacksDeclared: kind === 'restricted' }
    }
    return { kind: 'proved', verdict: this.verdict(version), isOurs: true, lacksDeclared: false }
  }

  private discard(version: VersionId, keyId: string | undefined): RotationEvent {
    if (keyId !== undefined && !this.isHeard) return { kind: 'discard_failed' }
    const isFailing = this.fails()
    const key = keyId === undefined ? undefined : this.keys.get(keyId)
    if (!isFailing || this.fails()) {
      if (key !== undefined) this.revoke(key)
      claim(
        this.storeCurrent !== version || this.state.current !== version,
        'what is current is not discarded',
      )
      if (!isFailing || this.fails()) this.stored.delete(version)
    }
    return isFailing ? { kind: 'discard_failed' } : { kind: 'discarded' }
  }

  private promote(from: VersionId | undefined, to: VersionId): RotationEvent {
    const record = recordOf(this.state, to)
    claim(record?.verifiedAt !== undefined, `nothing unverified is promoted (${to})`)
    const isFailing = this.fails()
    if (isFailing && this.fails()) return { kind: 'promote_unknown' }
    if (!this.stored.has(to)) return { kind: 'promote_gone' }
    if (this.storeCurrent !== to && this.storeCurrent !== from) return { kind: 'promote_lost' }
    this.storeCurrent = to
    return isFailing ? { kind: 'promote_unknown' } : { kind: 'promoted' }
  }

  private performRetirement(duty: Extract<Duty, { kind: 'retire' }>): RetirementEvent {
    const { effect } = duty
    switch (effect.kind) {
      case 'gather': {
        if (!this.isAnswered()) return { kind: 'evidence_unknown' }
        const isBusy = this.fails()
        const evidence = {
          holders: isBusy ? ['app-1'] : [],
          lastUsedAt: this.fails() ? this.now - 5_000 : null,
          ownProbeAt: undefined,
          isListed: true,
          sharedWith: undefined,
          stores: [],
        }
        return { kind: 'evidence', evidence }
      }
      case 'retire':
        if (this.fails()) return { kind: 'retire_failed' }
        if (this.storeCurrent === effect.version) return { kind: 'retire_refused' }
        this.retiredInStore.add(effect.version)
        return { kind: 'retired' }
      case 'prove_current': {
        const current = currentOf(this.state)
        if (current === undefined || this.fails()) return { kind: 'current_unknown' }
        return { kind: 'current_proved', verdict: this.verdict(current.version), isOurs: true }
      }
      case 'revoke':
        return this.revokeOld(effect.version, effect.keyId)
      case 'probe_death': {
        const key = this.keys.get(effect.keyId)
        const isAlive = key !== undefined && this.isAlive(key)
        if (!this.isAnswered())
          return { kind: 'death_probed', listed: 'unknown', verdict: verdictOf('unknown') }
        const listed = key?.deletedAt === undefined ? 'present' : 'absent'
        return { kind: 'death_probed', listed, verdict: verdictOf(isAlive ? 'valid' : 'rejected') }
      }
      case 'destroy':
        if (this.fails()) return { kind: 'destroy_failed' }
        claim(this.storeCurrent !== effect.version, 'what the store calls current is not destroyed')
        this.stored.delete(effect.version)
        return { kind: 'destroyed' }
    }
  }

  private revokeOld(version: VersionId, keyId: string): RetirementEvent {
    claim(recordOf(this.state, version)?.stage === 'retired', `${version} is retired before it is revoked`)
    const key = this.keys.get(keyId)
    claim(key !== undefined, 'what is revoked exists')
    if (!this.isHeard) return { kind: 'revoke_unknown' }
    const fault = this.fails() ? this.pick('lost', 'done', 'refused', 'expiring') : 'none'
    if (fault === 'lost') return { kind: 'revoke_unknown' }
    if (fault === 'refused') return { kind: 'revoke_refused' }
    if (fault === 'expiring') {
      key.expiresAt = this.now + 1_000
      return { kind: 'expiring' }
    }
    this.revoke(key)
    return fault === 'done' ? { kind: 'revoke_unknown' } : { kind: 'revoked' }
  }

  // ------------------------------------------------------------------ the truth

  /** Keys of ours that live although nobody would ever look for them. */
  orphans(): readonly string[] {
    const walking = new Set(
      this.state.retirements.filter((one) => one.endedAt === undefined).map((one) => one.version),
    )
    const pending = isRunning(this.state.rotation) ? this.state.rotation.attempts : []
    return [...this.keys.values()]
      .filter((key) => key.isMinted && this.isAlive(key) && !walking.has(key.version))
      .filter((key) => {
        const stage = recordOf(this.state, key.version)?.stage
        const isPending = pending.some((one) => one.version === key.version && one.outcome === 'staged')
        return stage !== 'current' && stage !== 'standby' && !isPending
      })
      .map((key) => `${key.keyId} of ${key.version}`)
  }

  /** For a world that begins in the middle: a first key, found, proven and handed out. */
  static settled(seed: number, policy: Policy): World {
    const world = new World(seed, policy)
    world.plant('ours')
    world.run(4)
    claim(handedOut(world.state) !== undefined, 'the first key is handed out')
    return world
  }

  /** Keeps a version in reserve, as a person would who brings one. */
  reserve(): VersionId {
    const version = `standby-${++this.drawn}`
    const key = this.addKey(version, { marker: '', isOurs: true, isMinted: false })
    this.change((state) => {
      const record = {
        version,
        stage: 'standby' as const,
        origin: 'brought' as const,
        fingerprint: `f-${version}`,
        meta: { keyId: key.keyId },
        addedAt: this.now,
        verifiedAt: this.now,
        nextCheckAt: this.now,
      }
      return {
        state: withRecord({ ...state, versions: [...state.versions, record] }, version, {}),
        events: [],
      }
    })
    return version
  }
}
