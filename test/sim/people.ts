import { KeyturnError } from '../../src/core/errors.ts'
import type { CredentialState } from '../../src/core/types.ts'
import type { RunningService } from '../../src/engine/service.ts'
import type { Dice } from './dice.ts'
import { conditions } from './issuer.ts'
import type { Fate } from './options.ts'
import { short } from './watch.ts'
import type { World } from './world.ts'

const actor = { name: 'operator' }
const minuteMs = 60_000

/** Operators, people in consoles, and fate. */
export class People {
  readonly #world: World
  readonly #dice: Dice
  /** Of its own, so that what else people do stays what it was. */
  readonly #insists: Dice

  constructor(world: World) {
    this.#world = world
    this.#dice = world.sim.dice.stream('people')
    this.#insists = world.sim.dice.stream('insists')
  }

  /** Acts now and then until the healing. */
  begin(): void {
    const { sim } = this.#world
    const again = (): void => {
      if (sim.isHealed) return
      this.act(this.#dice.weighed(sim.options.fate))
      next()
    }
    const next = (): void =>
      void sim.time.after(-Math.log(1 - this.#dice.fraction()) * sim.options.fateEveryMs, again)
    next()
  }

  act(fate: Fate): void {
    const { sim, issuer, ledger, replicas, apps } = this.#world
    const credential = this.#dice.pick(sim.options.credentials)
    const { name } = credential
    const state = ledger.latest.get(name)
    const stores = this.#world.storesOf(name)
    const store = stores[0]
    const tell = (what: string): void => sim.story.tell('people', what)
    switch (fate) {
      case 'rotate':
      case 'rehearse':
        return this.rotate(name, fate === 'rotate' ? 'normal' : 'rehearsal')
      case 'emergency':
        return this.rotate(name, 'emergency')
      case 'compromised':
        return this.rotate(name, 'emergency', true)
      case 'pause':
      case 'resume':
      case 'abort': {
        const id = state?.rotation?.id
        if (id !== undefined)
          this.ask(`${fate} ${name}`, (service) => service.actOnRotation(name, id, fate, actor))
        return
      }
      case 'rollback':
        this.#world.watch.belief(name).rollbackUntil = sim.time.elapsed + 2 * minuteMs
        return this.ask(`rollback ${name}`, (service) => service.rollback(name, { reason: 'back' }, actor))
      case 'revoke':
      case 'revokeLast':
        return this.#revoke(state, fate === 'revokeLast')
      case 'bring':
      case 'bringDead': {
        const key = issuer.make({ madeBy: 'person' })
        if (fate === 'bringDead') issuer.end(key, 'person')
        return this.ask(`${fate} ${name}`, (service) =>
          service.bring(name, { apiKey: key.text, reason: 'new' }, actor),
        )
      }
      case 'verify':
        return this.ask(`verify ${name}`, (service) => service.verify(name, actor))
      case 'plantGood':
      case 'plantDead':
      case 'plantForeign':
      case 'plantMirror': {
        // Where nobody configured whose keys they are, the first one tells; a stranger’s would be a person’s mistake.
        const canBeForeign = credential.organization !== undefined
        const isForeign =
          canBeForeign && (fate === 'plantForeign' || (fate === 'plantMirror' && this.#dice.chance(0.3)))
        const key = issuer.make({
          madeBy: isForeign ? 'stranger' : 'person',
          ...(isForeign ? { organization: 'org-theirs' } : {}),
        })
        if (fate === 'plantDead' || (fate === 'plantMirror' && this.#dice.chance(0.3)))
          issuer.end(key, 'person')
        const place = fate === 'plantMirror' ? stores[1 + this.#dice.below(stores.length - 1)] : store
        if (place === undefined) return
        tell(`${fate}: ${key.keyId} into ${place.name}`)
        place.byHand(key.secret)
        return
      }
      case 'moveBack': {
        const place = this.#dice.pick(stores)
        const versions = place.versions().filter((one) => !place.isRetired(one))
        if (versions.length === 0) return
        const version = this.#dice.pick(versions)
        tell(`moves ${place.name} back to ${short(version)}`)
        place.moveBack(version)
        return
      }
      case 'vanish':
      case 'vanishOld': {
        const wanted =
          state?.versions.filter((one) => (one.version === state.current) === (fate === 'vanish')) ?? []
        const record = wanted.length === 0 ? undefined : this.#dice.pick(wanted)
        const key = record === undefined ? undefined : this.#world.watch.keyOf(record)
        if (key !== undefined) issuer.end(key, 'person')
        return
      }
      case 'condition': {
        const condition = this.#dice.pick(conditions)
        const forMs = this.#dice.between(5_000, 5 * minuteMs)
        tell(`${condition} for ${Math.round(forMs / 1000)} s`)
        issuer.condition = condition
        return this.#later(forMs, () => (issuer.condition = undefined))
      }
      case 'storm':
      case 'outage':
        return this.#weather(fate)
      case 'ledgerStorm':
        tell('the ledger fails now and then')
        ledger.weather.rate = this.#dice.pick([0.1, 0.5])
        return this.#later(this.#dice.between(1_000, 30_000), () => (ledger.weather.rate = 0))
      case 'crash':
        return this.#dice.pick(replicas).life?.crash('by fate')
      case 'freeze':
        return this.#dice.pick(replicas).freeze(this.#dice.pick([5_000, 30_000, 90_000, 300_000]))
      case 'step': {
        const { clock, name: who } = this.#dice.pick(replicas)
        const byMs = this.#dice.pick([-3_600_000, -90_000, 90_000, 3_600_000])
        tell(`sets the clock of ${who} by ${byMs / 1000} s`)
        clock.set(clock.offsetMs + byMs)
        return
      }
      case 'ledgerLost':
        if (this.#dice.chance(0.5)) return this.#loseLedger()
        // The moment that leaves an orphan: made at the issuer, in a store not yet, and all that knew of it gone.
        issuer.onceMinted = () => void sim.time.after(this.#dice.between(0, 300), () => this.#loseLedger())
        return
      case 'permission': {
        const isStore = this.#dice.chance(0.5)
        tell(`a permission is taken away at the ${isStore ? 'store' : 'issuer'}`)
        const set = (isAllowed: boolean): void => {
          if (!isStore) issuer.isAllowed = isAllowed
          else if (store !== undefined) store.isAllowed = isAllowed
        }
        set(false)
        return this.#later(this.#dice.between(minuteMs, 5 * minuteMs), () => set(true))
      }
      case 'holdOld':
        return this.#dice.pick(apps).hold(this.#dice.between(minuteMs, 20 * minuteMs))
      case 'deleteAccount': {
        const account = this.#dice.pick([credential.account, credential.spareAccount])
        tell(`deletes the service account ${account}`)
        issuer.endAccount(account, 'person')
        return
      }
      case 'partition': {
        const app = this.#dice.pick(apps)
        app.cutOffUntil = sim.time.elapsed + this.#dice.between(10_000, 15 * minuteMs)
        tell(`cuts ${app.name} off for ${Math.round((app.cutOffUntil - sim.time.elapsed) / 1000)} s`)
        return
      }
    }
  }

  rotate(name: string, mode: 'normal' | 'emergency' | 'rehearsal', isCompromised = false): void {
    const what = `rotate ${name} ${mode}${isCompromised ? ' compromised' : ''}`
    if (isCompromised) this.#world.watch.belief(name).compromisedAsked += 1
    this.ask(what, async (service) => {
      const before = this.#world.ledger.latest.get(name)?.current
      const inBlackout = this.#world.sim.isHealed || this.#insists.chance(0.5)
      const request = { mode, isCompromised, inBlackout, confirm: name, reason: 'asked' }
      const rotation = await service.rotate(name, request, actor)
      const named = this.#world.ledger.latest.get(name)?.rotation
      if (isCompromised && before !== undefined) this.#world.watch.belief(name).insisted.add(before)
      if (isCompromised && named?.compromised !== undefined)
        this.#world.watch.belief(name).insisted.add(named.compromised)
      return rotation
    })
  }

  #revoke(state: CredentialState | undefined, isEvenIfLast: boolean): void {
    if (state === undefined || state.versions.length === 0) return
    const { name } = state
    const record = isEvenIfLast
      ? state.versions.find((one) => one.version === state.current)
      : this.#dice.pick(state.versions)
    if (record === undefined) return
    const request = { reason: 'away with it', ...(isEvenIfLast ? { evenIfLast: true, confirm: name } : {}) }
    // It may be done and the answer never be heard.
    this.#world.watch.belief(name).insisted.add(record.version)
    this.ask(`revoke ${name} ${short(record.version)}${isEvenIfLast ? ' even if last' : ''}`, (service) =>
      service.revoke(name, record.version, request, actor),
    )
  }

  #loseLedger(): void {
    const { ledger, replicas, sim, watch } = this.#world
    if (sim.isHealed) return
    sim.story.tell('people', 'the ledger is lost')
    for (const replica of replicas) replica.life?.crash('with its ledger')
    ledger.lose()
    watch.onLedgerLost()
  }

  #weather(fate: 'storm' | 'outage'): void {
    const { issuer, stores, sim } = this.#world
    const places = [...stores.values()].flat()
    const [what, weather] = this.#dice.pick([
      ['the issuer', issuer.weather] as const,
      ['the admin API', issuer.adminWeather] as const,
      ...places.map((one) => [one.name, one.weather] as const),
    ])
    const forMs = this.#dice.between(5_000, 6 * minuteMs)
    sim.story.tell('people', `${fate} at ${what} for ${Math.round(forMs / 1000)} s`)
    if (fate === 'storm') weather.rate = 0.6
    else weather.isAway = true
    this.#later(forMs, () => {
      weather.rate = weather.usualRate
      weather.isAway = false
    })
  }

  #later(forMs: number, undo: () => void): void {
    const { sim } = this.#world
    sim.time.after(forMs, () => {
      if (!sim.isHealed) undo()
    })
  }

  /** Through a replica that is up, as the command line does. */
  ask(what: string, work: (service: RunningService) => Promise<unknown>): void {
    const { sim, replicas } = this.#world
    const up = replicas.filter((one) => one.isUp)
    const replica = up[this.#dice.below(up.length)]
    const { life, service } = replica ?? {}
    if (life === undefined || service === undefined) return
    life.run(() => {
      sim.story.tell('operator', `${what} (${life.name})`)
      work(service).then(
        () => sim.story.tell('operator', `${what}: done`),
        (thrown: unknown) => {
          const code = thrown instanceof KeyturnError ? thrown.code : String(thrown)
          sim.story.tell('operator', `${what}: ${code}`)
          if (code === 'internal' || !(thrown instanceof KeyturnError))
            sim.object('fault', `${what}: ${thrown instanceof Error ? thrown.message : code}`)
        },
      )
    })
  }
}
